"""Compare: is B really better than A, evaluated on the same images?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from photovision.core.errors import DataError
from photovision.core.progress import Listener, ProgressCallback, counted, visible
from photovision.core.report import Metric, Report
from photovision.core.system import provenance
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures
from photovision.engine import compare_text, evaluate_text
from photovision.engine.evaluate import model_facts
from photovision.engine.evaluation import Comparison, Evaluation
from photovision.engine.holdout import HasBundle, Holdout, hold_out
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for

E = TypeVar("E", bound=Evaluation)
_LEVEL = 0.05
_FACTS = ("backbone", "chosen", "trained_on")


@narrated
def compare(
    a: Any,
    b: Any,
    data: Dataset | str | Path | Pictures,
    labels: Labels | None = None,
    *,
    split: str | None = None,
    listener: Listener = visible,
) -> Report:
    """Compare two models of one task on the same images.

    The leading metric decides, by a paired test of the task: accuracy by McNemar's exact test, with the interval of
    Bonett and Price; mean average precision of multi-label models by the influence of each image on both; that of
    detectors, and the mean IoU of segmenters, by a paired bootstrap over images.

    Args:
        a, b: two models, or their folders; classifiers must know all classes of the data, in any order, detectors and
            segmenters the same ones as each other.
        data, labels: labelled images, as for `evaluate`.
        split: "all", "train", "val" or "test"; None takes the images that neither model learned from, see
            `engine.holdout`, without those that resemble training images.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "compare"; `metrics` hold those of both models, such as accuracy_a and accuracy_b, and
        accuracy_difference (B minus A); the JSON has "verdict": "a" (A is better), "b" or "undecided".

    Raises:
        DataError: as for `evaluate`, or the models are of two tasks, or cannot be compared.
        UsageError: a model that cannot be compared.
    """
    first, second = opened(a, "compare"), opened(b, "compare")
    check_comparable(first, second)
    dataset = data_for(first, data, labels)
    held = fair_part(dataset, (first, second), split, counted(listener, "checking pictures"))
    report = compare_on(first, second, held.dataset, progress=counted(listener, "evaluating"))
    return replace(report, summary=(*report.summary, held.note))


def fair_part(
    dataset: Dataset, models: Sequence[HasBundle], split: str | None = None, progress: ProgressCallback | None = None
) -> Holdout:
    """The images to compare models on: see `engine.holdout`; unless a split is asked for, none that leaked."""
    held = hold_out(dataset, models, split, progress)
    return held.unseen("to compare models") if split is None else held


def check_comparable(a: Any, b: Any) -> None:
    """Raise DataError where two models are of two tasks, or their task finds that they cannot be compared."""
    first, second = a.bundle.row, b.bundle.row
    if first.name != second.name:
        raise DataError(f"A is {first.text.a_noun} and B {second.text.a_noun}: only models of one task can be compared")
    if first.has("comparable"):
        first.part("comparable")(a, b)


def compare_on(a: Any, b: Any, dataset: Dataset, *, progress: ProgressCallback | None = None) -> Report:
    """`compare` on images that are chosen already; `progress` is called with (done, to do), over both models."""
    check_comparable(a, b)
    evaluate = a.bundle.row.part("evaluate")
    evaluations = [evaluate(one, dataset, progress=_half(progress, done)) for done, one in enumerate((a, b))]
    return comparison_report((a, b), (evaluations[0], evaluations[1]), dataset)


def comparison_report(models: tuple[Any, Any], evaluations: tuple[Evaluation, Evaluation], dataset: Dataset) -> Report:
    """The report of a comparison: what every task has, and the findings of its own.

    Args:
        models: A and B.
        evaluations: of both, on `dataset`.
        dataset: labelled images.

    Raises:
        DataError: no image could be read by both.
    """
    row = models[0].bundle.row
    first, second = common(*evaluations)
    comparison: Comparison = row.part("compare")(first, second)
    n, (lead, gain) = len(first.samples), next(iter(comparison.gains.figures.items()))
    better, detectable = _verdict(comparison, gain), _detectable(comparison, gain)
    metrics = _side_by_side(first, second, comparison)
    gains = comparison.gains.by_class
    sentence = compare_text.verdict(better, gain, n, detectable, row.lead.get(lead, lead))
    base = Report(
        kind="compare",
        title=compare_text.title(models[0].bundle.name, models[1].bundle.name, n),
        summary=(sentence,),
        assessment=compare_text.assessment(better),
        metrics=metrics,
        tables=[compare_text.table(metrics)],
        figures=[compare_text.drawing(metrics)],
        warnings=[*evaluate_text.unread(*evaluations), *compare_text.warnings(n)],
        provenance={
            **{name: _facts(model) for name, model in zip("ab", models, strict=True)},
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset)},
            **provenance(),
        },
        data={
            "task": row.name,
            "verdict": better,
            "detectable": detectable,
            **({"by_class": {name: each.to_json() for name, each in gains.items()}} if gains else {}),
        },
    )
    return base.including(comparison.finding)


def common(a: E, b: E) -> tuple[E, E]:
    """The same images of two evaluations, those that both could read; raises DataError where there are none."""
    both = np.intersect1d(a.positions, b.positions)
    if not len(both):
        raise DataError("no picture could be read by both models: check the files")
    return a.at(np.searchsorted(a.positions, both)), b.at(np.searchsorted(b.positions, both))


def _half(progress: ProgressCallback | None, done: int) -> ProgressCallback | None:
    if progress is None:
        return None
    report = progress
    return lambda at, total: report(done * total + at, 2 * total)


def _verdict(comparison: Comparison, gain: Metric) -> str:
    if comparison.p is None:
        decided = (gain.low or 0) > 0 or (gain.high or 0) < 0
    else:
        decided = comparison.p < _LEVEL
    return ("b" if gain.value > 0 else "a") if decided else "undecided"


def _detectable(comparison: Comparison, gain: Metric) -> float:
    if comparison.detectable is not None:
        return comparison.detectable
    return compare_text.DETECTED * ((gain.high or 0) - (gain.low or 0)) / 2


def _side_by_side(a: Evaluation, b: Evaluation, comparison: Comparison) -> dict[str, Metric]:
    """Every metric of both models, and where it was tested the difference."""
    of_a, of_b, gains = a.metrics(), b.metrics(), comparison.gains.figures
    metrics: dict[str, Metric] = {}
    for name in of_a:
        if name in of_b:
            metrics |= {f"{name}_a": of_a[name], f"{name}_b": of_b[name]}
        if name in gains:
            metrics[f"{name}_difference"] = gains[name]
    return metrics


def _facts(model: Any) -> dict[str, Any]:
    return {name: value for name, value in model_facts(model.bundle.info).items() if name in _FACTS}
