"""Road scenes by condition, drawn: figures with their intervals, curves over severities, and what was lost where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import Bar, bars
from photovision.core.phrases import count
from photovision.core.regions import Detections, Regions
from photovision.core.report import Figure
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.recipes.road.evaluation import Figures, RoadScenes, Weather
from photovision.recipes.road.gaps import ALL, NONE, Cost
from photovision.trust.metrics.detection import Pair
from photovision.trust.metrics.matching import find_hits

MEANING = {"recall": "objects found", "precision": "boxes that are right", "overlap": "overlap (IoU)"}
SHOWN = 6
"""Conditions with examples."""
_SIDE = 420
Verdicts = Mapping[tuple[str, bool], Cost]
"""(condition, whether it is simulated) -> what decides about it."""


@dataclass(frozen=True, eq=False)
class RoadText:
    """What the report is made from.

    Attributes:
        scenes: the pictures, and `figures` of them as they are.
        costs: of all conditions; `few`: conditions that could not be judged.
        views: figures of the pictures at `rows` in every simulated condition, and as they are (None).
    """

    scenes: RoadScenes
    figures: Figures
    costs: list[Cost]
    few: list[str]
    views: dict[Weather | None, Figures]
    rows: list[int]

    @property
    def main(self) -> str:
        """The figure that matters most: "recall" of a detector, "overlap" of a segmenter."""
        return next(iter(self.figures))

    @property
    def whole(self) -> str:
        """The subject that stands for all classes."""
        return ALL if len(self.scenes.classes) > 1 else self.scenes.classes[0]

    def conditions(self) -> dict[tuple[str, bool], list[Cost]]:
        """(condition, whether it is simulated) -> its costs."""
        found: dict[tuple[str, bool], list[Cost]] = {}
        for cost in self.costs:
            found.setdefault((cost.condition, cost.severity is not None), []).append(cost)
        return found


def draw(text: RoadText, verdicts: Verdicts) -> list[Figure]:
    """Bars of real conditions, curves of simulated ones, and example pictures."""
    return [*_bars(text), *_curves(text), *_examples(text, verdicts)]


def _bars(text: RoadText) -> list[Figure]:
    """The main figure in every condition that the pictures really have."""
    found = {
        f"{cost.condition} ({count(cost.pictures, 'picture')})": [
            Bar(*cost.gap.here, series=int(cost.verdict != NONE)),
        ]
        for cost in text.costs
        if cost.severity is None and (cost.figure, cost.subject) == (text.main, text.whole)
    }
    if not found:
        return []
    title = f"{MEANING[text.main].capitalize()} by condition"
    note = "Bars are 95% intervals over pictures; the second colour marks a sure loss against all other pictures."
    return [Figure(title, svg=bars(found, title), note=note)]


def _curves(text: RoadText) -> list[Figure]:
    """The main figure by severity, of all classes and of the one with most objects."""
    if not text.views:
        return []
    classes = text.scenes.classes
    clean = text.views[None][text.main]
    most = int(np.argmax((clean.whole > 0).sum(0)))
    subjects = [(text.whole, 0, True)] if text.whole == ALL else []
    subjects.append((classes[most], most, False))
    return [chart for chart in (_curve(text, *subject) for subject in subjects) if chart is not None]


def _curve(text: RoadText, subject: str, column: int, pooled: bool) -> Figure | None:
    points: dict[str, list[tuple[int, float]]] = {}
    for view, figures in text.views.items():
        ratios = figures[text.main].pooled if pooled else figures[text.main]
        found = ratios.estimate(column)
        if found is not None:
            points.setdefault(view.name if view else "", []).append((view.severity if view else 0, found.value))
    start = points.pop("", [])
    if not start or not points:
        return None
    drawn = {name: np.array([*start, *own], float) for name, own in points.items()}
    series = {name: CurveLine(values[:, 0], values[:, 1]) for name, values in drawn.items()}
    name = "all classes" if subject == ALL else subject
    title = f"{MEANING[text.main].capitalize()} by severity, simulated: {name}"
    drawing = lines(
        series, title, "severity (0: as they are)", MEANING[text.main], x_form=_whole, y_form="{:.0%}".format
    )
    return Figure(title, svg=drawing, note=f"The same {count(len(text.rows), 'picture')} at every point.")


def _whole(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else ""


def _examples(text: RoadText, verdicts: Verdicts) -> list[Figure]:
    """For every condition that costs something, the picture that loses most: as it is, and in the condition."""
    pictures: list[tuple[bytes, str]] = []
    shown: set[int] = set()
    costly = sorted((one for one in verdicts.items() if one[1].verdict != NONE), key=lambda item: item[1].gap.gap.value)
    for (_, made), cost in costly[:SHOWN]:
        pictures += _made_example(text, cost, shown) if made else _real_examples(text, cost, shown)
    if not pictures:
        return []
    note = "What was found, with its score; what was missed is named so." if text.main == "recall" else "Predictions."
    return [Figure("What is lost", pictures=tuple(pictures), note=note, wide=True)]


def _made_example(text: RoadText, cost: Cost, shown: set[int]) -> list[tuple[bytes, str]]:
    """The picture that loses most beside itself."""
    assert cost.severity is not None
    view = Weather(cost.condition, cost.severity)
    clean, worse = (text.views[one][text.main] for one in (None, view))
    lost = (clean.part - worse.part * (clean.whole / np.maximum(worse.whole, 1))).sum(1)
    row = _next([text.rows[place] for place in np.argsort(-lost, kind="stable").tolist()], shown)
    both = np.concatenate([_drawn(text, row, one) for one in (None, view)], axis=1)
    place = f"left as it is, right {view.name}, severity {view.severity}, simulated"
    return [(jpeg(both), f"{place}\n{text.scenes.samples[row].id}")]


def _real_examples(text: RoadText, cost: Cost, shown: set[int]) -> list[tuple[bytes, str]]:
    """The picture of the condition that misses most."""
    figure = text.figures[text.main]
    missed = (figure.whole - figure.part).sum(1)
    row = _next(sorted(cost.rows, key=lambda row: -missed[row]), shown)
    return [(jpeg(_drawn(text, row, None)), f"{cost.condition}\n{text.scenes.samples[row].id}")]


def _next(rows: Sequence[int], shown: set[int]) -> int:
    """The first picture that was not shown yet."""
    row = next((row for row in rows if row not in shown), rows[0])
    shown.add(row)
    return row


def _drawn(text: RoadText, row: int, view: Weather | None) -> Image:
    image, truth = text.scenes.picture(row, view)
    predicted: Regions = text.scenes.answer(image)
    if isinstance(predicted, Detections) and isinstance(truth, Detections):
        predicted = _with_missed(predicted, truth)
    return draw_regions(image, predicted, _SIDE)


def _with_missed(predicted: Detections, truth: Detections) -> Detections:
    """What was found and, under names of their own, the objects that were not."""
    hits = find_hits([Pair(truth, predicted)], predicted.classes)
    seen = np.zeros(len(truth), dtype=bool)
    seen[hits.there.row[hits.seen(np.zeros(len(predicted.classes), np.float32))]] = True
    if truth.crowd is not None:
        seen |= truth.crowd
    left = np.flatnonzero(~seen)
    width = len(predicted.classes)
    return Detections(
        np.concatenate([predicted.boxes, truth.boxes[left]]),
        np.concatenate([predicted.labels, truth.labels[left] + width]),
        (*predicted.classes, *(f"missed: {name}" for name in predicted.classes)),
    )
