"""Cost report: what every step of an optimisation lost and gained, on the same images, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.curves import CurvePoint, points
from photovision.core.glossary import heading
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.task import Task
from photovision.core.types import Sample
from photovision.engine.compare import common
from photovision.engine.evaluation import Evaluation
from photovision.engine.optimize.profile import Profile
from photovision.trust.fairness.group_accuracy import MIN_PICTURES
from photovision.trust.fairness.groups import read_attribute

SHOWN = 40
"""Rows of the table of groups; the largest losses are kept."""
_NOTE = (
    "Changes are of the same images, paired. Times are of decoded images with all cores, without what is done with the"
    " outputs, measured in turn; their intervals are those of the median, of the 99th percentile for p99. Memory is the"
    " peak of a process that does nothing else, libraries included."
)
Cell = Metric | str | None


@dataclass(frozen=True, eq=False)
class OptimizeStep:
    """A model on the way: the original, or what a step made of the one before.

    Attributes:
        name: "original", or the method.
        evaluation: on the test images, the same for all steps.
        profile: what it needs.
    """

    name: str
    evaluation: Evaluation
    profile: Profile


def gains(before: Evaluation, after: Evaluation) -> dict[str, Metric]:
    """How much better `after` is, paired, the leading metric first; a loss is negative."""
    first, second = common(before, after)
    return dict(first.gains(second).figures)


def agreement(row: Task, before: Evaluation, after: Evaluation) -> Metric | None:
    """The share of images with the same prediction; None for tasks without a part "agreement", that cannot tell."""
    if not row.has("agreement"):
        return None
    found: Metric = row.part("agreement")(*common(before, after))
    return found


def cost_report(row: Task, steps: Sequence[OptimizeStep]) -> Finding:
    """Compare every step with the first one.

    Returns:
        metrics of the last step: those of its evaluation, with "..._change" (points, paired), `agreement` with the
        original where the task can tell, `speedup`, sizes, latencies, throughput, memory; tables of all steps and of
        the groups; a plot of the leading metric against throughput; `data` under "stages".
    """
    first, last = steps[0], steps[-1]
    figures = [_figures(row, first, step) for step in steps]
    names = dict.fromkeys(name for one in reversed(figures) for name in one)
    rows = [_row(name, [one.get(name) for one in figures]) for name in names]
    metrics = {name: value for name, value in figures[-1].items() if isinstance(value, Metric)}
    speed = last.profile.throughput.value / first.profile.throughput.value
    groups, warnings = _groups(first.evaluation, last.evaluation)
    slower = ["It is not faster than the original on this machine."] if speed < 1 else []
    return Finding(
        metrics={**metrics, "speedup": Metric(speed, unit="times")},
        tables=[Table("Before and after", ("figure", *(step.name for step in steps)), tuple(rows), _NOTE), *groups],
        figures=[_plot(row, steps)],
        warnings=[*slower, *warnings],
        data={"stages": [{"name": step.name, **_json(one)} for step, one in zip(steps, figures, strict=True)]},
    )


def _json(figures: Mapping[str, Cell]) -> dict[str, object]:
    return {name: value.to_json() if isinstance(value, Metric) else value for name, value in figures.items()}


def _row(name: str, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """A figure of all steps, under its heading."""
    metric = next((cell for cell in cells if isinstance(cell, Metric)), None)
    return heading(name, metric)[0], *cells


def _figures(row: Task, first: OptimizeStep, step: OptimizeStep) -> dict[str, Cell]:
    needed, changes = step.profile, dict[str, Cell]()
    if step is not first:
        changes = {f"{name}_change": gain for name, gain in gains(first.evaluation, step.evaluation).items()}
        if (same := agreement(row, first.evaluation, step.evaluation)) is not None:
            changes["agreement"] = same
    return {
        **common(first.evaluation, step.evaluation)[1].metrics(),
        **changes,
        "graph_size": needed.graph,
        "bundle_size": needed.bundle,
        "latency_p50": needed.p50,
        "latency_p99": needed.p99,
        "throughput": needed.throughput,
        "peak_memory": needed.memory,
        "arithmetic": needed.precision,
    }


def _plot(row: Task, steps: Sequence[OptimizeStep]) -> Figure:
    name, found = "", []
    for number, step in enumerate(steps):
        name, lead = next(iter(step.evaluation.metrics().items()))
        speed, low, high = step.profile.throughput, lead.low, lead.high
        place = (speed.value, lead.value, step.name, speed.low, speed.high, low, high)
        found.append(CurvePoint(*place, min(number, 1)))
    spoken = row.lead.get(name, name)
    title = f"{spoken[0].upper()}{spoken[1:]} against speed"
    note = (
        f"Right and up is better. The whiskers are 95% intervals of each model by itself; whether the {spoken} changed"
        " is in the table as a paired change, whose interval is much narrower."
    )
    drawing = points(found, title, "pictures a second", spoken, x_form="{:,.0f}".format)
    return Figure(title, svg=drawing, note=note, first=True)


def _groups(before: Evaluation, after: Evaluation) -> tuple[list[Table], list[str]]:
    """The change of every group of images, and of every class; a warning where one clearly loses."""
    first, second = common(before, after)
    rows: list[tuple[str, int, Metric, Metric, Metric]] = []
    for name, values in _attributes(first.samples).items():
        for value in sorted(set(values.tolist()) - {""}):
            members = np.flatnonzero(values == value)
            if len(members) < MIN_PICTURES:
                continue
            was, now = first.at(members), second.at(members)
            lead, change = next(iter(was.gains(now).figures.items()))
            rows.append((f"{name} = {value}", len(members), was.metrics()[lead], now.metrics()[lead], change))
    if not rows:
        return [], []
    rows.sort(key=lambda one: one[-1].value)
    worse = [one[0] for one in rows if (one[-1].high or 0) < 0]
    note = (
        f"Attributes of the images, and their true classes; groups of at least {MIN_PICTURES} images, the largest"
        f" losses first. Of {len(rows)} groups that do not change at all, about"
        f" {max(1, round(0.025 * len(rows)))} would seem to lose by chance."
    )
    table = Table("Change by group", ("group", "pictures", "before", "after", "change"), tuple(rows[:SHOWN]), note)
    warned = [f"Clearly worse than before: {', '.join(worse[:5])}."] if len(worse) > 0.025 * len(rows) + 1 else []
    return [table], warned


def _attributes(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """Attribute -> one value an image, "" where unknown; where every image is of one class, that is one of them."""
    names = sorted({name for sample in samples for name in sample.groups})
    given = {name: [sample.groups.get(name, "") for sample in samples] for name in names}
    found = {name: np.asarray(read_attribute(name, values).labels) for name, values in given.items()}
    few = {name: labels for name, labels in found.items() if len(set(labels.tolist())) <= SHOWN}
    if all(sample.target is not None and len(sample.target) == 1 for sample in samples):
        few["class"] = np.array([(sample.target or ("",))[0] for sample in samples])
    return few
