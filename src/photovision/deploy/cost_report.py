"""Losses: what every step of an optimisation cost and gained, on the same pictures, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.curves import CurvePoint, points
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.engine.optimize.profile import Profile
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.trust.fairness.group_accuracy import MIN_PICTURES, Served
from photovision.trust.fairness.groups import read_attribute
from photovision.trust.metrics.statistics import Estimate, paired_proportions, proportion

SHOWN = 40
"""Rows of the table of groups; the largest losses are kept."""


@dataclass(frozen=True, eq=False)
class OptimizeStep:
    """A model on the way: the original, or what a step made of the one before.

    Attributes:
        name: "original", or the method.
        answers: on the pictures that judge, the same for all stages.
        profile: what it needs.
    """

    name: str
    answers: ClassifyEvaluation
    profile: Profile


def gain(before: ClassifyEvaluation, after: ClassifyEvaluation) -> Estimate:
    """How much more often `after` is right (in every label, for multi-label models), paired; a loss is negative."""
    first, second = shared(before, after)
    return paired_proportions(first.right, second.right)


def shared(a: ClassifyEvaluation, b: ClassifyEvaluation) -> tuple[ClassifyEvaluation, ClassifyEvaluation]:
    """The answers on the pictures that both models could read."""
    both = np.intersect1d(a.positions, b.positions)
    return a.at(np.searchsorted(a.positions, both)), b.at(np.searchsorted(b.positions, both))


def losses(stages: Sequence[OptimizeStep]) -> Finding:
    """Hold every stage against the first one.

    Returns:
        metrics of the last stage: accuracy (`exact_match` for multi-label models), `accuracy_change`, `ece`,
        `agreement` with the original, `speedup`, sizes, latencies, throughput, memory; tables of all stages and of
        the groups; a plot of accuracy against throughput; `data` under "stages".
    """
    figures = [_figures(stages[0], stage) for stage in stages]
    rows = [(name.replace("_", " "), *(one[name] for one in figures)) for name in figures[0]]
    note = (
        "Changes are of the same pictures, paired (Bonett & Price 2012). Times are of decoded pictures with all cores,"
        " measured in turn; their intervals are those of the median, of the 99th percentile for p99. Memory is the peak"
        " of a process that does nothing else, libraries included."
    )
    first, last = stages[0], stages[-1]
    metrics = {name: value for name, value in figures[-1].items() if isinstance(value, Metric)}
    speed = last.profile.throughput.value / first.profile.throughput.value
    metrics["speedup"] = Metric(speed, unit="times")
    table = Table("Before and after", ("figure", *(stage.name for stage in stages)), tuple(rows), note)
    groups, warnings = _groups(first.answers, last.answers)
    return Finding(
        metrics=metrics,
        tables=[table, *groups],
        figures=[_plot(stages)],
        warnings=warnings,
        data={"stages": [{"name": stage.name, **_json(one)} for stage, one in zip(stages, figures, strict=True)]},
    )


def _json(figures: dict[str, Metric | str | None]) -> dict[str, object]:
    return {name: value.to_json() if isinstance(value, Metric) else value for name, value in figures.items()}


def _figures(first: OptimizeStep, stage: OptimizeStep) -> dict[str, Metric | str | None]:
    before, after = shared(first.answers, stage.answers)
    n, scores = len(after.samples), after.metrics()
    lead = "exact_match" if after.multilabel else "accuracy"
    same = int((before.predicted == after.predicted).all(1).sum())
    origin = stage is first
    profile = stage.profile
    return {
        lead: scores[lead],
        "accuracy_change": None if origin else Metric(*gain(before, after), n, "points"),
        "ece": scores["ece"],
        "agreement": None if origin else Metric(*proportion(same, n), n),
        "graph_size": profile.graph,
        "bundle_size": profile.bundle,
        "latency_p50": profile.p50,
        "latency_p99": profile.p99,
        "throughput": profile.throughput,
        "peak_memory": profile.memory,
        "arithmetic": profile.precision,
    }


def _plot(stages: Sequence[OptimizeStep]) -> Figure:
    found = []
    for number, stage in enumerate(stages):
        answers, speed = stage.answers, stage.profile.throughput
        right = proportion(int(answers.right.sum()), len(answers.samples))
        found.append(
            CurvePoint(
                speed.value, right.value, stage.name, speed.low, speed.high, right.low, right.high, min(number, 1)
            )
        )
    drawing = points(found, "Accuracy against speed", "pictures a second", "accuracy", x_form="{:,.0f}".format)
    note = (
        "Right and up is better. The whiskers are 95 % intervals of each model by itself; whether accuracy changed is"
        " told by the paired change in the table, whose interval is much narrower."
    )
    return Figure("Accuracy against speed", svg=drawing, note=note)


def _groups(before: ClassifyEvaluation, after: ClassifyEvaluation) -> tuple[list[Table], list[str]]:
    """The change of every group of pictures, and of every class; a warning where one clearly loses."""
    first, second = shared(before, after)
    rows: list[tuple[str, int, Metric, Metric, Metric]] = []
    for name, labels in _attributes(first).items():
        values = sorted(set(labels.tolist()) - {""})
        numbers = np.array([values.index(label) if label else -1 for label in labels], dtype=np.int64)
        served = Served.of(numbers, values, None)
        for value in served.strata:
            n = served.size(value)
            was, now = (Metric(*served.share(value, one.right), n) for one in (first, second))
            change = Metric(*served.gain(value, first.right, second.right), n, "points")
            rows.append((f"{name} = {value}", n, was, now, change))
    if not rows:
        return [], []
    rows.sort(key=lambda row: row[-1].value)
    worse = [row[0] for row in rows if (row[-1].high or 0) < 0]
    note = (
        f"Attributes of the pictures, and their true classes; groups of at least {MIN_PICTURES} pictures, the largest"
        f" losses"
        f" first. Of {len(rows)} groups that do not change at all, about {max(1, round(0.025 * len(rows)))} would seem"
        " to lose by chance."
    )
    table = Table("Change by group", ("group", "pictures", "before", "after", "change"), tuple(rows[:SHOWN]), note)
    warned = [f"Less often right than before: {', '.join(worse[:5])}."] if len(worse) > 0.025 * len(rows) + 1 else []
    return [table], warned


def _attributes(answers: ClassifyEvaluation) -> dict[str, np.ndarray]:
    """Attribute -> one value a picture, "" where unknown; true classes are one of them for single-label models."""
    names = sorted({name for sample in answers.samples for name in sample.groups})
    given = {name: [sample.groups.get(name, "") for sample in answers.samples] for name in names}
    found = {name: read_attribute(name, values).labels for name, values in given.items()}
    few = {name: labels for name, labels in found.items() if len(set(labels.tolist())) <= SHOWN}
    if not answers.multilabel:
        few["class"] = np.array([answers.classes[int(row)] for row in answers.truth])
    return few
