"""Fields over time: the share of diseased leaves, or of weeds, by day and by plot, and where it rose significantly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np

from photovision.core.report import Metric
from photovision.recipes.crop.counts import PlotCounts
from photovision.recipes.ratios import Gap, between
from photovision.trust.fairness.contrasts import holm
from photovision.trust.metrics.statistics import Estimate

MIN_PICTURES = 8
"""Fewer pictures on either of two days are not compared."""
LEVEL = 0.05


class SeriesPoint(NamedTuple):
    """A figure of one day.

    Attributes:
        day: when; plot: where, "" for all plots together.
        share: 0 to 1, with its interval over pictures.
        pictures: how many it rests on.
        whole: pixels of these pictures, or their number where shares are of pictures.
    """

    day: date
    plot: str
    share: Estimate
    pictures: int
    whole: float


@dataclass(frozen=True, eq=False)
class Rise:
    """A comparison of one day with an earlier one.

    Attributes:
        subject: the classes together that are compared, as people call them.
        plot: "" for all plots together, which are then compared plot by plot.
        day, since: the later and the earlier day.
        gap: the share on the later day and on the earlier one, and how far it rose.
        pictures: of both days.
        p: corrected for all comparisons of a report (Holm 1979).
    """

    subject: str
    plot: str
    day: date
    since: date
    gap: Gap
    pictures: int
    p: float = 1.0

    @property
    def alarm(self) -> bool:
        """Whether the share rose significantly."""
        return self.p < LEVEL and self.gap.gap.value > 0

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return {
            "subject": self.subject,
            "plot": self.plot,
            "day": self.day.isoformat(),
            "since": self.since.isoformat(),
            "share": Metric(*self.gap.here, self.pictures).to_json(),
            "before": Metric(*self.gap.there, self.pictures).to_json(),
            "rise": Metric(*self.gap.gap, self.pictures, "points").to_json(),
            "p": self.p,
            "alarm": self.alarm,
        }


def plots_of(seen: PlotCounts) -> tuple[str, ...]:
    """The plots that are named, in their order."""
    return tuple(sorted({shot.plot for shot in seen.shots} - {""}, key=_natural))


def days_of(seen: PlotCounts) -> tuple[date, ...]:
    """The days that are known, in their order."""
    return tuple(sorted({shot.day for shot in seen.shots if shot.day is not None}))


def series(seen: PlotCounts, names: Sequence[str], plot: str = "") -> list[SeriesPoint]:
    """The share of some classes together on every day, in one plot or ("") in all."""
    days, plots = _columns(seen)
    ratios = seen.one(names)
    found = []
    for day in days_of(seen):
        rows = (days == day.toordinal()) & ((plots == plot) | (plot == "")) & seen.known
        share = ratios.of(rows).estimate(0)
        if share is not None:
            found.append(SeriesPoint(day, plot, share, int(rows.sum()), float(ratios.whole[rows].sum())))
    return found


def compare_days(seen: PlotCounts, together: str) -> list[Rise]:
    """Every day against the day before it and against the first one: what is watched in all plots together and in each
    plot, and every class that is watched in all plots together.

    Args:
        together: what all that is watched is called.
    """
    if not seen.watched:
        return []
    subjects = [(together, seen.watched)]
    single = [(name, (name,)) for name in seen.watched] if len(seen.watched) > 1 else []
    plots = plots_of(seen)
    asked = [(subject, "") for subject in (*subjects, *single)]
    asked += [(subjects[0], plot) for plot in plots if len(plots) > 1]
    rises = [rise for (name, classes), plot in asked for rise in _compared(seen, name, classes, plot)]
    return [replace(rise, p=float(p)) for rise, p in zip(rises, holm([r.gap.p for r in rises]), strict=True)]


def _compared(seen: PlotCounts, name: str, classes: Sequence[str], plot: str) -> list[Rise]:
    days, plots = _columns(seen)
    there = ((plots == plot) | (plot == "")) & seen.known
    strata = np.unique(plots, return_inverse=True)[1].ravel()
    ratios, known = seen.one(classes), [day for day in days_of(seen) if (there & (days == day.toordinal())).any()]
    found = []
    for place, day in enumerate(known):
        # The day before finds what is sudden, the first day what creeps.
        for since in sorted({known[place - 1], known[0]}) if place else ():
            later, earlier = (there & (days == one.toordinal()) for one in (day, since))
            if min(later.sum(), earlier.sum()) < MIN_PICTURES:
                continue
            rows = later | earlier
            gap = between(ratios.of(rows), 0, later[rows], strata[rows])
            if gap is not None:
                found.append(Rise(name, plot, day, since, gap, int(rows.sum())))
    return found


def _columns(seen: PlotCounts) -> tuple[np.ndarray, np.ndarray]:
    """Of every picture the day as a number, 0 where it is unknown, and the plot."""
    days = np.array([0 if shot.day is None else shot.day.toordinal() for shot in seen.shots], dtype=np.int64)
    return days, np.array([shot.plot for shot in seen.shots], dtype=object)


def _natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """A2 before A10."""
    import re

    parts = [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]
    return parts, name
