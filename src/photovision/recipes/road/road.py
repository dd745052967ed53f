"""Road scenes by condition: where may a detector or a segmenter be relied on, at night, in rain, in fog?

Where the pictures say in which condition they were taken (an attribute such as "weather", or the tags of another
model), every condition is compared with all other pictures. Where they do not, night, rain, fog, snow and motion blur
are simulated on the user's own pictures; such figures are called simulated wherever they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from photovision.core.drawing import percent
from photovision.core.errors import DataError, UsageError
from photovision.core.phrases import count, listed
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric, Report, Table
from photovision.core.system import provenance
from photovision.data.corruptions import names
from photovision.data.dataset import Dataset
from photovision.recipes.road.drawings import MEANING, RoadText, draw
from photovision.recipes.road.evaluation import Figures, RoadScenes, Weather, read_scenes
from photovision.recipes.road.gaps import (
    ALL,
    DO_NOT,
    FEWEST,
    NONE,
    PICTURES,
    STRENGTHS,
    UNSURE,
    VERDICTS,
    WEATHER,
    Cost,
    corrected,
    given,
    simulated,
)
from photovision.runtime.model import OnnxModel
from photovision.trust.robustness.suite import spread

ATTRIBUTES = ("condition", "weather", "timeofday", "time_of_day", "time of day", "daytime", "light", "lighting")
"""Attributes that are taken for conditions where none is named."""
MAX_SIMULATED = 200
"""Pictures that are looked at in every simulated condition, unless more are asked for."""
_PLACES = {"night": "at night", "motion-blur": "in motion blur", "rain": "in rain", "fog": "in fog", "snow": "in snow"}


@dataclass(frozen=True)
class RoadRequest:
    """What is asked of the pictures.

    Attributes:
        conditions: attributes to judge by; () for those of ATTRIBUTES that the data have.
        simulate: None simulates conditions where the data tell of none that can be judged.
        weather: corruptions that are simulated, or families of them; severities: of each, 1 to 5.
        classes: names; () for those of roads.
        pictures: at most so many are looked at in every simulated condition.
        seed: of the weather.
    """

    conditions: tuple[str, ...] = ()
    simulate: bool | None = None
    weather: tuple[str, ...] = WEATHER
    severities: tuple[int, ...] = STRENGTHS
    classes: tuple[str, ...] = ()
    pictures: int = MAX_SIMULATED
    seed: int = 0


def road(
    model: OnnxModel[Any],
    dataset: Dataset,
    asked: RoadRequest | None = None,
    *,
    tags: Mapping[str, Sequence[str]] | None = None,
    progress: ProgressCallback | None = None,
) -> Report:
    """Tell where a model may be relied on.

    Args:
        model: a detector, or a segmenter.
        dataset: pictures with boxes, or with masks.
        asked: what is asked.
        tags: attribute -> one value for each sample of the data set, "" where unknown, beside the data's own.
        progress: called with (pictures looked at, pictures to look at).

    Returns:
        A report of kind "road"; `metrics`: "road_recall" and "road_precision", or "road_overlap", of the pictures as
        they are; `data["road"]`: every cost, the verdict on every condition, and whether it is simulated.

    Raises:
        UsageError: an attribute or a class does not exist, or the severity is none.
        DataError: nothing can be judged, see `read_scenes`.
    """
    asked = asked or RoadRequest()
    if set(asked.severities) - set(range(1, 6)) or not asked.severities:
        raise UsageError(f"severities should be 1 to 5, got {', '.join(map(str, asked.severities)) or 'none'}")
    scenes = read_scenes(model, dataset, asked.classes, asked.seed)
    groups = _groups(dataset, scenes, tags or {})
    by = asked.conditions or tuple(name for name in (*(tags or {}), *ATTRIBUTES) if name in groups)
    steps = _Steps(progress, len(scenes.samples))
    figures = scenes.look(progress=steps)
    costs, few = given(figures, scenes.classes, groups, by) if by else ([], [])
    views: dict[Weather | None, Figures] = {}
    rows = spread(len(scenes.samples), asked.pictures).tolist()
    if asked.simulate or (asked.simulate is None and not costs):
        steps.total += len(rows) * (1 + len(names(asked.weather)) * len(set(asked.severities)))
        made, views = simulated(scenes, rows, asked.weather, asked.severities, steps)
        costs = [*costs, *made]
    if not costs:
        raise DataError(
            f"too little to judge: a condition needs {FEWEST} objects in {PICTURES} pictures, and as many elsewhere;"
            f" the data have {count(len(scenes.samples), 'picture')} of {', '.join(scenes.classes)}"
        )
    return _report(RoadText(scenes, figures, corrected(costs), few, views, rows), dataset)


class _Steps:
    """Counts pictures for people who wait."""

    def __init__(self, progress: ProgressCallback | None, total: int) -> None:
        self.done, self.total, self._progress = 0, total, progress

    def __call__(self) -> None:
        self.done += 1
        if self._progress is not None:
            self._progress(self.done, self.total)


def _groups(dataset: Dataset, scenes: RoadScenes, tags: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Attribute -> one value for each of the scenes."""
    position = {sample.id: row for row, sample in enumerate(dataset.samples)}
    rows = [position[sample.id] for sample in scenes.samples]
    own = dict.fromkeys(name for sample in scenes.samples for name in sample.groups)
    found = {name: [sample.groups.get(name, "") for sample in scenes.samples] for name in own}
    return found | {name: [values[row] for row in rows] for name, values in tags.items()}


def _report(text: RoadText, dataset: Dataset) -> Report:
    scenes = text.scenes
    verdicts = {key: _worst(costs) for key, costs in text.conditions().items()}
    metrics = {}
    for name, ratios in text.figures.items():
        found = ratios.pooled.estimate(0)
        if found is not None:
            metrics[f"road_{name}"] = Metric(*found, ratios.pooled.pictures(0))
    return Report(
        kind="road",
        title=f"Roads by condition: {count(len(scenes.samples), 'picture')}",
        summary=tuple(_summary(text, verdicts)),
        metrics=metrics,
        tables=(_condition_table(text), _class_table(text)),
        figures=draw(text, verdicts),
        warnings=tuple(_warnings(text, verdicts)),
        provenance={
            "model": {"backbone": (scenes.model.info.get("backbone") or {}).get("name")},
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
        data={
            "road": {
                "classes": list(scenes.classes),
                "verdicts": [
                    {
                        "condition": condition,
                        "simulated": made,
                        "verdict": cost.verdict,
                        "told": _sentence(text, condition, made, cost),
                    }
                    for (condition, made), cost in verdicts.items()
                ],
                "costs": [cost.to_json() for cost in text.costs],
                "too_few": text.few,
            }
        },
    )


def _worst(costs: Sequence[Cost]) -> Cost:
    """What decides about a condition: a forbidding cost before one that asks for care, found rather than right boxes,
    the mildest severity, the largest loss; of what is not sure, all classes together."""
    figures = ("recall", "overlap", "precision")

    def key(cost: Cost) -> tuple[Any, ...]:
        rank = VERDICTS.index(cost.verdict)
        if cost.verdict in (NONE, UNSURE):
            return rank, figures.index(cost.figure), cost.subject != ALL, -(cost.severity or 0), cost.gap.gap.value
        return rank, figures.index(cost.figure), cost.severity or 0, cost.gap.gap.value

    return min(costs, key=key)


def _place(condition: str, made: bool) -> str:
    return _PLACES.get(condition, f"in {condition}") if made else f"where {condition}"


def _sentence(text: RoadText, condition: str, made: bool, cost: Cost) -> str:
    """The verdict on a condition with the figures behind it."""
    here, there, gap = cost.gap.here.value, cost.gap.there.value, cost.gap.gap
    what = f"{cost.figure} of {'all classes together' if cost.subject == ALL else cost.subject}"
    where = f" (simulated, severity {cost.severity})" if made else ""
    if cost.verdict in (NONE, UNSURE):
        say = "No loss was shown" if cost.verdict == NONE else "A loss is likely, but not sure,"
        others = "as they are" if made else "elsewhere"
        return (
            f"{say} {_place(condition, made)}{where}: {what} is {percent(here)} against {percent(there)} {others}"
            f" (difference {100 * gap.low:.1f} to {100 * gap.high:.1f} points, p = {cost.p:.2g} corrected)."
        )
    verb = "Do not use it" if cost.verdict == DO_NOT else "Use it with care"
    alike = sorted(
        {
            one.subject
            for one in text.conditions()[condition, made]
            if one.verdict == cost.verdict and one.figure == cost.figure and one.severity == cost.severity
        }
        - {cost.subject, ALL}
    )
    more = f" So {'does' if made else 'is'} that of {listed(alike, 4)}." if alike else ""
    fall = (
        f"falls from {percent(there)} to {percent(here)}" if made else f"is {percent(here)}, {percent(there)} elsewhere"
    )
    low, high = sorted((abs(100 * gap.low), abs(100 * gap.high)))
    return (
        f"{verb} {_place(condition, made)}: {what} {fall}{where}; {-100 * gap.value:.0f} points less (95% interval"
        f" {low:.0f} to {high:.0f}, {count(cost.pictures, 'picture')}).{more}"
    )


def _summary(text: RoadText, verdicts: Mapping[tuple[str, bool], Cost]) -> list[str]:
    ranked = sorted(verdicts.items(), key=lambda item: (VERDICTS.index(item[1].verdict), item[1].gap.gap.value))
    sentences = [_sentence(text, condition, made, cost) for (condition, made), cost in ranked]
    if text.views:
        sentences.append(
            f"Simulated means made by a computer from {count(len(text.rows), 'picture')} of these: a model that fails"
            " there will hardly do outside; one that stands it still has to prove itself on real pictures."
        )
    return sentences


def _warnings(text: RoadText, verdicts: Mapping[tuple[str, bool], Cost]) -> list[str]:
    found = []
    if text.scenes.problems:
        names = listed([problem.id for problem in text.scenes.problems])
        found.append(f"{count(len(text.scenes.problems), 'picture')} could not be read and are left out: {names}.")
    if text.few:
        found.append(
            f"Too few to judge (below {FEWEST} objects in {PICTURES} pictures, here or elsewhere): {listed(text.few)}."
        )
    if len(text.scenes.samples) < 100:
        found.append(f"All this rests on {count(len(text.scenes.samples), 'picture')} only: the intervals are wide.")
    return found


def _condition_table(text: RoadText) -> Table:
    rows = [_row(cost)[:1] + _row(cost)[2:] for cost in text.costs if cost.subject == text.whole]
    note = (
        "All classes that are judged together. Elsewhere: the other pictures, or the same ones as they are. p is"
        " corrected for all questions of this page."
    )
    columns = ("condition", "figure", "pictures", "here", "elsewhere", "difference", "p", "verdict")
    return Table("By condition", columns, tuple(rows), note)


def _class_table(text: RoadText) -> Table:
    """Class by class; of simulated conditions the middle severity."""
    severities = sorted({cost.severity for cost in text.costs if cost.severity is not None})
    middle = severities[len(severities) // 2] if severities else None
    costs = [c for c in text.costs if c.subject != ALL and c.figure == text.main and c.severity in (None, middle)]
    costs.sort(key=lambda cost: cost.gap.gap.value)
    note = f"{MEANING[text.main].capitalize()}, class by class; the largest loss first."
    columns = ("condition", "class", "figure", "pictures", "here", "elsewhere", "difference", "p", "verdict")
    return Table("By condition and class", columns, tuple(_row(cost) for cost in costs), note)


def _row(cost: Cost) -> tuple[Any, ...]:
    name = cost.condition if cost.severity is None else f"{cost.condition} {cost.severity} (simulated)"
    here, there, gap = (Metric(*one, cost.pictures) for one in cost.gap[:3])
    points = Metric(gap.value, gap.low, gap.high, cost.pictures, "points")
    return name, cost.subject, cost.figure, cost.pictures, here, there, points, cost.p, cost.verdict
