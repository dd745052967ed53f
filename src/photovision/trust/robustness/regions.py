"""Robustness of detectors and segmenters: the figures of boxes or masks under every corruption, at five severities.

After Michaelis et al. 2019: the mean performance under corruption (mPC) is the plain mean of the leading figure over
corruptions and severities, the relative one (rPC) its share of the figure without corruption. The same pictures lie
behind every cell and the same resamples of them behind every interval, so all comparisons are paired.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import percent
from photovision.core.errors import UsageError
from photovision.core.glossary import heading
from photovision.core.progress import ProgressCallback
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.types import Image
from photovision.data.corruptions import FAMILIES, SEVERITIES
from photovision.trust.fairness.contrasts import holm
from photovision.trust.metrics.detection import Vector
from photovision.trust.metrics.statistics import Estimate
from photovision.trust.robustness.suite import Images, answered
from photovision.trust.robustness.worst import ConditionCost, worst_assessment, worst_figure

T = TypeVar("T")
Figures = Mapping[str, Vector]
"""Name -> the figure on the pictures as they are, then on each resample of them: float64 (1 + B,)."""
Measure = Callable[[str, int, list[Any]], Figures]
"""From a corruption ("" for none), its severity and the answers to all N pictures to the figures, leading one first."""

FEWEST, LEAST = 10, 25
"""Fewer pictures than the first say nothing about a dozen conditions, though each may hold many objects; as many as the
second are looked at where there are so many, whatever the time."""
NUMBERS = ("false_boxes",)
"""Figures that are no shares."""
_TITLE = "In other conditions"
_MARGIN = 0.8  # of the time given is planned for: figures take time, too


@dataclass(frozen=True, eq=False)
class RegionRobustness:
    """What came of N pictures under K corruptions at S severities.

    Attributes:
        names, severities: of the corruptions.
        figures: name -> float64 (K, S, 1 + B).
        clean: the same without corruption, (1 + B,).
        n: how many pictures there were.
        left_out: corruptions after which the truth is not known.
        seed: of the corruptions; picture i had the seed (seed, i).
    """

    names: tuple[str, ...]
    severities: tuple[int, ...]
    figures: Mapping[str, Vector]
    clean: Figures
    n: int
    left_out: tuple[str, ...] = ()
    seed: int = 0

    @property
    def lead(self) -> str:
        """The name of the leading figure."""
        return next(iter(self.clean))

    @property
    def middle(self) -> int:
        """The column of severity 3, or of the middle one."""
        return self.severities.index(3) if 3 in self.severities else len(self.severities) // 2

    @property
    def families(self) -> dict[str, list[int]]:
        """Family -> rows of its corruptions; "other" for those of no family."""
        found: dict[str, list[int]] = {}
        for row, name in enumerate(self.names):
            family = next((family for family, members in FAMILIES.items() if name in members), "other")
            found.setdefault(family, []).append(row)
        return found

    def mean(self, rows: Sequence[int] | None = None) -> Estimate:
        """The leading figure, mean over some corruptions and all severities (mPC where it is over all)."""
        values = self.figures[self.lead]
        return estimate((values if rows is None else values[list(rows)]).mean((0, 1)))

    @property
    def relative(self) -> Estimate:
        """What share of the figure without corruption is left (rPC)."""
        return estimate(self.figures[self.lead].mean((0, 1)) / np.maximum(self.clean[self.lead], 1e-9))

    def lost(self, row: int, column: int) -> Estimate:
        """How much a corruption costs at one severity, below 0 where it costs something; paired."""
        return estimate(self.figures[self.lead][row, column] - self.clean[self.lead], least=-1.0)

    def p_values(self) -> Vector:
        """By corruption, how probable its strongest loss is by chance, corrected for their number (Holm 1979).

        Two-sided, by the normal curve with the spread of the paired resamples.
        """
        from scipy.special import ndtr

        off = self.figures[self.lead][:, -1] - self.clean[self.lead]
        spread = np.nanstd(off[:, 1:], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            score = np.where(spread > 0, np.abs(off[:, 0]) / spread, np.where(off[:, 0] == 0, 0, np.inf))
        return holm((2 * ndtr(-score)).tolist())

    def harmed(self) -> list[int]:
        """Rows of the corruptions that cost something beyond chance, the worst by its mean first."""
        values = self.figures[self.lead][:, :, 0]
        certain = (self.p_values() < 0.05) & (values[:, -1] < self.clean[self.lead][0])
        return sorted(np.flatnonzero(certain).tolist(), key=lambda row: float(values[row].mean()))


def suite(
    answer: Callable[[Sequence[Image]], Sequence[T]],
    measure: Measure,
    images: Images,
    clean: list[T],
    *,
    names: Sequence[str],
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    keep: int = 0,
    left_out: Sequence[str] = (),
    progress: ProgressCallback | None = None,
) -> tuple[RegionRobustness, dict[tuple[str, int], T]]:
    """Ask a model about the same pictures under every corruption.

    Args:
        answer: from a few pictures to what the model says of each.
        measure: from the answers to the figures; it knows the truth, also where a corruption moves it.
        images: N pictures uint8 RGB (H, W, 3) at the size that is corrupted.
        clean: the answers to the pictures as they are.
        names, severities: which corruptions.
        seed: of the corruptions.
        keep: one picture whose answers are returned, too, to be shown.
        left_out: corruptions that were not run since the truth would not be known.
        progress: called with (answers, answers in all).

    Raises:
        UsageError: no pictures or no corruptions.
    """
    cells = list(product(names, sorted(set(severities))))
    if not len(images) or not cells:
        raise UsageError(f"a suite needs pictures and corruptions, got {len(images)} and {len(cells)}")
    found: dict[str, list[Vector]] = {}
    kept = {}
    for (name, severity), answers in zip(cells, answered(answer, images, cells, seed, progress), strict=True):
        for figure, values in measure(name, severity, answers).items():
            found.setdefault(figure, []).append(values)
        kept[name, severity] = answers[keep]
    shape = (len(names), len(set(severities)), -1)
    figures = {figure: np.stack(rows).reshape(shape) for figure, rows in found.items()}
    levels = tuple(sorted(set(severities)))
    made = RegionRobustness(tuple(names), levels, figures, measure("", 0, clean), len(images), tuple(left_out), seed)
    return made, kept


def affordable(
    answer: Callable[[Sequence[Image]], Sequence[Any]],
    examples: Images,
    seconds: float,
    names: Sequence[str],
    severities: Sequence[int] = SEVERITIES,
) -> int:
    """How many pictures a suite can show within so many seconds on this machine, at least 25."""
    few = [examples[row] for row in range(min(4, len(examples)))]
    answer(few[:1])  # the first time loads libraries
    cells = [(name, sorted(severities)[len(severities) // 2]) for name in names]
    started = time.perf_counter()
    for _ in answered(answer, few, cells, 0):
        pass
    each = (time.perf_counter() - started) / (len(few) * len(cells))
    return max(LEAST, int(_MARGIN * seconds / (each * len(names) * len(severities))))


def estimate(draws: Vector, least: float = 0.0) -> Estimate:
    """The first value with the interval of the others, moved back by their bias (see `trust.metrics.detection`)."""
    value, rest = float(draws[0]), draws[1:][np.isfinite(draws[1:])]
    if not len(rest):
        return Estimate(value, value, value)
    low, high = np.quantile(rest, [0.025, 0.975]) - (rest.mean() - value)
    return Estimate(value, float(min(max(low, least), value)), float(max(high, value)))


def finding(found: RegionRobustness, pictures: Sequence[tuple[bytes, str]] = ()) -> Finding:
    """What the conditions cost.

    A condition counts as harmful where its strongest severity costs something beyond chance; only such ones are named.

    Args:
        found: of `suite`.
        pictures: what was done to one picture, and what was found in it: JPEG bytes and captions.

    Returns:
        metrics `corrupted_NAME` (mPC), `relative_corrupted_NAME` (rPC) and `uncorrupted_NAME` of the leading figure; a
        table, one chart a family, and the pictures; `data` under "robustness".
    """
    lead, harmful = found.lead, found.harmed()
    metrics = {
        f"corrupted_{lead}": Metric(*found.mean(), found.n),
        f"relative_corrupted_{lead}": Metric(*found.relative, found.n),
        f"uncorrupted_{lead}": Metric(*estimate(found.clean[lead]), found.n),
    }
    term, severity, column = heading(lead)[0], found.severities[found.middle], found.middle
    costs = [
        ConditionCost(name, Metric(*estimate(values[column])), -found.lost(row, column).value, row in harmful)
        for row, (name, values) in enumerate(zip(found.names, found.figures[lead], strict=True))
    ]
    figures = [worst_figure(metrics[f"uncorrupted_{lead}"], costs, severity, term), *_curves(found)]
    if pictures:
        note = "What was done: one of the pictures in every condition, and what the model found in it."
        figures.append(Figure("What was done to the pictures", pictures=tuple(pictures), note=note))
    data = {"robustness": _plain(found)}
    assessment = worst_assessment(costs, severity, term)
    return Finding(_summary(found, harmful), metrics, [_table(found)], figures, (), data, assessment)


def _summary(found: RegionRobustness, harmful: Sequence[int]) -> tuple[str, ...]:
    name, clean = heading(found.lead)[0], float(found.clean[found.lead][0])
    first = (
        f"In {len(found.names)} conditions, at severities {found.severities[0]} to {found.severities[-1]}, {name} is"
        f" {percent(found.mean().value)} on average, {percent(found.relative.value)} of what it is on the same"
        f" {found.n:,} pictures as they are ({percent(clean)})."
    )
    left = (
        (f"Left out: {_listed(found.left_out)}, since the boxes would not be known after it.",)
        if found.left_out
        else ()
    )
    if not harmful:
        return (first, f"No condition costs anything beyond chance at severity {found.severities[-1]}.", *left)
    worst, column = harmful[0], found.middle
    second = (
        f"Worst is {found.names[worst]}: at severity {found.severities[column]} it costs"
        f" {Metric(*_cost(found, worst, column), None, 'points')}."
    )
    if len(harmful) > 1:
        second += f" Next {_listed([found.names[row] for row in harmful[1:4]])}."
    spared = [name for row, name in enumerate(found.names) if row not in harmful]
    third = (f"No loss beyond chance: {_listed(spared)}.",) if spared else ()
    return (first, second, *third, *left)


def _cost(found: RegionRobustness, row: int, column: int) -> Estimate:
    lost = found.lost(row, column)
    return Estimate(-lost.value, -lost.high, -lost.low)


def _table(found: RegionRobustness) -> Table:
    column, level = found.middle, found.severities[found.middle]
    more = [name for name in found.figures if name != found.lead]
    columns = ["condition", *(f"severity {severity}" for severity in found.severities), f"lost at {level}"]
    columns += [f"{heading(name)[0][0].lower()}{heading(name)[0][1:]}, at {level}" for name in more]
    rows: list[tuple[Any, ...]] = []
    for row, name in enumerate(found.names):
        values = found.figures[found.lead][row]
        cells = [
            Metric(*estimate(draws)) if place in (column, len(values) - 1) else Metric(float(draws[0]))
            for place, draws in enumerate(values)
        ]
        further = [_shown(other, found.figures[other][row, column]) for other in more]
        rows.append((name, *cells, Metric(*_cost(found, row, column), None, "points"), *further))
    clean = [_shown(other, found.clean[other]) for other in more]
    own = Metric(*estimate(found.clean[found.lead]))
    rows.insert(0, ("as they are", *[own] * len(found.severities), None, *clean))
    note = (
        f"{heading(found.lead)[0]} over the same {found.n:,} pictures in every cell; its plain mean over all cells is"
        " the mean performance under corruption (mPC, Michaelis et al. 2019). Corruptions are this project's own: the"
        " figures compare with other models judged here, not with published ones. What an occlusion hides still counts."
    )
    return Table(_TITLE, tuple(columns), tuple(rows), note)


def _shown(name: str, draws: Vector) -> Metric | float:
    return float(draws[0]) if name in NUMBERS else Metric(float(draws[0]))


def _curves(found: RegionRobustness) -> list[Figure]:
    if len(found.severities) < 2:
        return []
    figures, name = [], heading(found.lead)[0]
    clean = float(found.clean[found.lead][0])
    for family, rows in found.families.items():
        series = {found.names[row]: _line(found, row, band=len(rows) < 3) for row in rows}
        series["as they are"] = CurveLine(found.severities, [clean] * len(found.severities), dashed=True)
        drawing = lines(series, f"{name} by severity: {family}", "severity", name, y_form="{:.0%}".format)
        note = f"{family.capitalize()}: {Metric(*found.mean(rows), found.n)} on average over all severities."
        figures.append(Figure(_TITLE, svg=drawing, note=note))
    return figures


def _line(found: RegionRobustness, row: int, band: bool) -> CurveLine:
    exact = [estimate(draws) for draws in found.figures[found.lead][row]]
    values = [one.value for one in exact]
    return (
        CurveLine(found.severities, values, [e.low for e in exact], [e.high for e in exact])
        if band
        else CurveLine(found.severities, values)
    )


def _plain(found: RegionRobustness) -> dict[str, Any]:
    """JSON-ready results."""
    p = found.p_values()
    conditions = {
        name: {
            **{figure: [round(float(v), 6) for v in values[row, :, 0]] for figure, values in found.figures.items()},
            "lost": Metric(*_cost(found, row, found.middle), found.n, "points").to_json(),
            "p": float(p[row]),
        }
        for row, name in enumerate(found.names)
    }
    return {
        "n": found.n,
        "seed": found.seed,
        "severities": list(found.severities),
        "clean": {figure: float(values[0]) for figure, values in found.clean.items()},
        "lost_at": found.severities[found.middle],
        "left_out": list(found.left_out),
        "families": {name: Metric(*found.mean(rows), found.n).to_json() for name, rows in found.families.items()},
        "conditions": conditions,
    }


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
