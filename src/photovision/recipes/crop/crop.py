"""Crop monitoring: diseased leaves, or the area of weeds, by day and by plot, with an alarm where they rise
significantly.

A classifier answers for leaves, and says "unknown" to what is none; a segmenter tells how much of every picture belongs
to each class, in square metres where the size of a pixel on the ground is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.phrases import count, listed
from photovision.core.progress import ProgressCallback
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Classes, Sample
from photovision.recipes.crop.counts import PlotCounts, predict_area, predict_leaves
from photovision.recipes.crop.drawings import most_striking, over_time, plot_map
from photovision.recipes.crop.series import MIN_PICTURES, Rise, SeriesPoint, compare_days, days_of, plots_of, series
from photovision.recipes.crop.shots import Shots
from photovision.runtime.model import OnnxModel
from photovision.trust.metrics.statistics import proportion


@dataclass(frozen=True)
class CropField:
    """What is known of the field.

    Attributes:
        healthy: classes of a classifier without a disease; () for those whose name holds "healthy".
        watched: classes of a segmenter that ought not to be there; () for those called weed, disease and the like.
        pixel: the side of a pixel on the ground in centimetres; None where it is unknown.
    """

    healthy: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    pixel: float | None = None

    def __post_init__(self) -> None:
        if self.pixel is not None and not 0 < self.pixel < 10_000:
            raise UsageError(f"a pixel should be above 0 and below 10,000 centimetres wide, got {self.pixel:g}")


def crop(
    model: OnnxModel[Any],
    shots: Shots,
    field: CropField | None = None,
    *,
    strangers: Sequence[Sample] = (),
    progress: ProgressCallback | None = None,
) -> Report:
    """Report on fields.

    Args:
        model: a classifier of leaves, or a segmenter of fields.
        shots: pictures with their days and plots.
        field: what is known of the field.
        strangers: pictures of something else, which a classifier should call unknown.
        progress: called with (pictures done, pictures).

    Returns:
        A report of kind "crop"; `metrics`: "diseased" or "area_CLASS" of the latest day (of all pictures where none
        has a day), "accuracy" where the pictures have labels, "unknown_share", "detected_unknown" of the strangers;
        `data["crop"]`: points, comparisons and alarms.

    Raises:
        DataError: no picture can be read.
        UsageError: a class is unknown to the model.
        ModelError: the model is of another task.
    """
    field = field or CropField()
    model.bundle.expect_predictions("labels", "masks")
    if model.bundle.row.annotation_type == "masks":
        seen = predict_area(model, shots.all, field.watched, progress)
    else:
        seen = predict_leaves(model, shots.all, field.healthy, progress)
    if not seen.shots:
        raise DataError(f"none of {count(len(shots.all), 'picture')} can be read ({seen.problems[0].message})")
    series = _CropText(seen, field, tuple(compare_days(seen, _together(seen))))
    checked = {} if seen.area else _checked(model, series, strangers)
    return Report(
        kind="crop",
        title=f"Field report: {count(len(seen.shots), 'picture')}",
        summary=tuple(_summary(series, checked)),
        metrics={**_metrics(series), **checked},
        tables=[table for table in (_day_table(series), _area_table(series), _rise_table(series)) if table is not None],
        figures=_figures(series, model),
        warnings=(*_alarms(series), *_warnings(series, shots)),
        provenance={"model": {"backbone": (model.info.get("backbone") or {}).get("name")}, **provenance()},
        data={"crop": _document(series)},
    )


@dataclass(frozen=True, eq=False)
class _CropText:
    """What the report is made from."""

    seen: PlotCounts
    field: CropField
    rises: tuple[Rise, ...]

    @property
    def latest(self) -> np.ndarray:
        """bool (N,), the pictures of the latest day; all where no day is known."""
        days = days_of(self.seen)
        return np.array([not days or shot.day == days[-1] for shot in self.seen.shots], dtype=bool)

    @property
    def subjects(self) -> dict[str, tuple[str, ...]]:
        """What is followed over time: name -> the classes it stands for."""
        watched = self.seen.watched
        together = {_together(self.seen): watched} if watched else {}
        names = watched if watched else self.seen.classes
        return together | ({name: (name,) for name in names} if len(names) > 1 or not watched else {})

    @property
    def alarms(self) -> list[Rise]:
        """Sure rises, one for a plot and a day, the latest day and there the surest first."""
        order = sorted((rise for rise in self.rises if rise.alarm), key=lambda rise: (-rise.day.toordinal(), rise.p))
        first: dict[tuple[str, str, date], Rise] = {}
        for rise in order:
            first.setdefault((rise.subject, rise.plot, rise.day), rise)
        return list(first.values())


def _together(seen: PlotCounts) -> str:
    """What all that is watched is called."""
    if len(seen.watched) == 1:
        return seen.watched[0]
    return "weeds and damage" if seen.area else "diseased"


def _of_what(seen: PlotCounts) -> str:
    return "of the area" if seen.area else "of the leaves"


def _metrics(crop_text: _CropText) -> dict[str, Metric]:
    seen, found = crop_text.seen, {}
    rows = crop_text.latest & seen.known
    for name, classes in crop_text.subjects.items():
        share = seen.one(classes).of(rows).estimate(0)
        if share is not None:
            key = f"area_{name}" if seen.area else name
            found[key.replace(" ", "_")] = Metric(*share, int(rows.sum()))
    return found


def _checked(model: OnnxModel[Classes], crop_text: _CropText, strangers: Sequence[Sample]) -> dict[str, Metric]:
    """What labels and strangers say about the model itself."""
    seen, found = crop_text.seen, {}
    unknown = int((~seen.known).sum())
    found["unknown_share"] = Metric(*proportion(unknown, len(seen.shots)), len(seen.shots))
    named = [
        (row, shot.sample.target[0])
        for row, shot in enumerate(seen.shots)
        if shot.sample.target is not None and len(shot.sample.target) == 1 and shot.sample.target[0] in seen.classes
    ]
    if named:
        right = sum(bool(seen.ratios.part[row, seen.classes.index(name)]) for row, name in named)
        found["accuracy"] = Metric(*proportion(right, len(named)), len(named))
    answers = [a for a in model.stream(s.image for s in strangers) if not isinstance(a, UnreadableImage)]
    if answers:
        found["detected_unknown"] = Metric(
            *proportion(sum(a.known is False for a in answers), len(answers)), len(answers)
        )
    return found


def _summary(crop_text: _CropText, checked: dict[str, Metric]) -> list[str]:
    seen = crop_text.seen
    days, plots = days_of(seen), plots_of(seen)
    when = f"on {days[-1]}" if days else "in all pictures"
    sentences = []
    for name, metric in list(_metrics(crop_text).items())[:3]:
        what = name.removeprefix("area_").replace("_", " ")
        sentences.append(f"{percent(metric.value)} {_of_what(seen)} {when}: {what} (95% interval {_span(metric)}).")
    if crop_text.alarms:
        sentences.insert(0, f"{count(len(crop_text.alarms), 'alarm')}: {_alarm(crop_text, crop_text.alarms[0])}")
    elif crop_text.rises:
        sentences.append(
            f"No sure rise in {count(len(crop_text.rises), 'comparison')} of days, corrected for their number."
        )
    span = f" of {count(len(days), 'day')}" if days else ""
    span += f" from {days[0]} to {days[-1]}" if len(days) > 1 else ""
    where = f" in {count(len(plots), 'plot')}" if plots else ""
    sentences.append(f"{count(len(seen.shots), 'picture')}{span}{where}.")
    if checked.get("unknown_share") and checked["unknown_share"].value:
        unknown = int((~seen.known).sum())
        verbs = "shows something else and counts" if unknown == 1 else "show something else and count"
        sentences.append(f"{count(unknown, 'picture')} {verbs} in no share (unknown).")
    if "accuracy" in checked:
        sentences.append(f"Of labelled pictures {checked['accuracy']} are named right; unknown counts as wrong.")
    if "detected_unknown" in checked:
        sentences.append(f"Of pictures of something else {checked['detected_unknown']} are called unknown.")
    return sentences


def _span(metric: Metric) -> str:
    assert metric.low is not None
    assert metric.high is not None
    return f"{100 * metric.low:.1f} to {100 * metric.high:.1f}"


def _alarm(crop_text: _CropText, rise: Rise) -> str:
    where = f"plot {rise.plot}, " if rise.plot else ""
    here, there, gap = rise.gap[:3]
    return (
        f"{where}{rise.subject}: {percent(here.value)} {_of_what(crop_text.seen)} on {rise.day},"
        f" {percent(there.value)} on"
        f" {rise.since} ({100 * gap.value:.1f} points more, 95% interval {100 * gap.low:.1f} to {100 * gap.high:.1f};"
        f" p = {rise.p:.2g} after correction for {count(len(crop_text.rises), 'comparison')})."
    )


def _alarms(crop_text: _CropText) -> list[str]:
    return [f"Alarm: {_alarm(crop_text, rise)}" for rise in crop_text.alarms]


def _warnings(crop_text: _CropText, shots: Shots) -> list[str]:
    seen, found = crop_text.seen, []
    problems = (*seen.problems, *shots.problems)
    if problems:
        names = listed([problem.id for problem in problems])
        found.append(f"{count(len(problems), 'picture')} could not be read and are left out: {names}.")
    undated = sum(shot.day is None for shot in seen.shots)
    if undated and days_of(seen):
        found.append(f"Of {count(undated, 'picture')} nothing tells the day: they are in no series.")
    if not days_of(seen):
        found.append("Nothing tells when the pictures were taken: there is no series over time, and no alarm.")
    elif len(days_of(seen)) > 1 and not crop_text.rises and seen.watched:
        found.append(f"No days could be compared: that takes {MIN_PICTURES} pictures on each.")
    if not seen.watched:
        found.append("No class is watched, so there is no alarm: name those that ought not to be there with --watch.")
    return found


def _points(crop_text: _CropText) -> list[tuple[str, SeriesPoint]]:
    found = [(name, point) for name, classes in crop_text.subjects.items() for point in series(crop_text.seen, classes)]
    main = next(iter(crop_text.subjects.items()))
    for plot in plots_of(crop_text.seen):
        found += [(main[0], point) for point in series(crop_text.seen, main[1], plot)]
    return found


def _day_table(crop_text: _CropText) -> Table | None:
    rows = [
        (point.day.isoformat(), point.plot or "all", name, Metric(*point.share, point.pictures))
        for name, point in _points(crop_text)
    ]
    note = f"Shares {_of_what(crop_text.seen)}, with intervals over pictures."
    return Table("By day and plot", ("day", "plot", "what", "share"), tuple(rows), note) if rows else None


def _area_table(crop_text: _CropText) -> Table | None:
    """How much ground belongs to each class, on the latest day."""
    seen = crop_text.seen
    if not seen.area:
        return None
    rows = []
    latest = crop_text.latest
    ground = float(seen.ratios.whole[latest, 0].sum()) * ((crop_text.field.pixel or 0) / 100) ** 2
    for column, name in enumerate(seen.classes):
        share = seen.ratios.of(latest).estimate(column)
        if share is not None:
            n = int(latest.sum())
            square = Metric(ground * share.value, ground * share.low, ground * share.high, n, "m²") if ground else None
            rows.append((name, Metric(*share, n), square))
    note = "Of the latest day."
    if ground:
        note += f" The pictures show {ground:,.1f} m² in all; ground that two pictures show counts twice."
    else:
        note += " Square metres need the width of a pixel on the ground: --cm-per-pixel."
    return Table("Area by class", ("class", "share", "area"), tuple(rows), note)


def _rise_table(crop_text: _CropText) -> Table | None:
    rows = tuple(
        (
            rise.plot or "all",
            rise.subject,
            rise.since.isoformat(),
            rise.day.isoformat(),
            Metric(*rise.gap.there),
            Metric(*rise.gap.here),
            Metric(*rise.gap.gap, rise.pictures, "points"),
            rise.p,
            "alarm" if rise.alarm else "",
        )
        for rise in sorted(crop_text.rises, key=lambda rise: rise.p)[:60]
    )
    columns = ("plot", "what", "from", "to", "before", "now", "difference", "p", "alarm")
    note = "Whole pictures are exchanged for the test, within plots; p is corrected for all comparisons (Holm)."
    return Table("Changes", columns, rows, note) if rows else None


def _figures(crop_text: _CropText, model: OnnxModel[Any]) -> list[Figure]:
    seen = crop_text.seen
    main, classes = next(iter(crop_text.subjects.items()))
    plots = {plot: series(seen, classes, plot) for plot in plots_of(seen)}
    whole = {name: series(seen, names) for name, names in crop_text.subjects.items()}
    latest = {plot: points[-1] for plot, points in plots.items() if points}
    rows = np.flatnonzero(crop_text.latest & seen.known).tolist()
    drawn = (
        over_time(f"Share {_of_what(seen)} over time", whole, band=True),
        over_time(f"{main.capitalize()} by plot over time", plots, band=False) if len(plots) > 1 else None,
        plot_map(f"Plots: {main}", latest, crop_text.rises),
        most_striking(seen, model, rows),
    )
    return [figure for figure in drawn if figure is not None]


def _document(crop_text: _CropText) -> dict[str, Any]:
    seen = crop_text.seen
    return {
        "watched": list(seen.watched),
        "days": [day.isoformat() for day in days_of(seen)],
        "plots": list(plots_of(seen)),
        "unknown": int((~seen.known).sum()),
        "points": [
            {
                "day": point.day.isoformat(),
                "plot": point.plot,
                "what": name,
                "share": Metric(*point.share, point.pictures).to_json(),
                "square_metres": None
                if crop_text.field.pixel is None or not seen.area
                else point.share.value * point.whole * (crop_text.field.pixel / 100) ** 2,
            }
            for name, point in _points(crop_text)
        ],
        "comparisons": [rise.to_json() for rise in crop_text.rises],
        "alarms": [rise.to_json() for rise in crop_text.alarms],
    }
