"""Compare: is B really better than A, judged on the same pictures?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from photovision.core import phrases
from photovision.core.errors import DataError
from photovision.core.progress import Listener, ProgressCallback, counted, silent
from photovision.core.report import Figure, Metric, Report
from photovision.core.system import provenance
from photovision.core.task import task
from photovision.core.thumbnail import picture_grid
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures, as_dataset
from photovision.engine import compare_text as compare_story
from photovision.engine.holdout import HasBundle, Holdout, hold_out
from photovision.engine.load import opened
from photovision.tasks.classify.evaluation import (
    ClassifyEvaluation,
    Predictor,
    answer,
    said_names,
    true_names,
)
from photovision.tasks.compare_regions import compare_boxes, compare_masks, facts
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.statistics import (
    Estimate,
    Z,
    average_precision,
    detectable_difference,
    mcnemar,
    paired_bootstrap,
    paired_proportions,
)

SHOWN = 12
_LEVEL = 0.05
_LEAST_PROB = float(np.finfo(np.float32).eps)
Model = Predictor | Detector | Segmenter


def compare(
    a: Model | str | Path,
    b: Model | str | Path,
    data: Dataset | str | Path | Pictures,
    labels: Labels | None = None,
    *,
    split: str | None = None,
    listener: Listener = silent,
) -> Report:
    """Compare two models on the same pictures.

    Accuracy (every label right, for multi-label models) is compared by McNemar's exact test and the interval of Bonett
    and Price, log-loss by a paired bootstrap, mean average precision by the influence of each picture on both models;
    detectors by mean average precision and segmenters by mean IoU, with a paired bootstrap over pictures.

    Args:
        a, b: two models of one kind, or their folders. Classifiers must know all classes of the data, in any order;
            detectors and segmenters the same ones as each other.
        data, labels: labelled pictures, as for `evaluate`.
        split: "all", "train", "val" or "test"; None takes the pictures that neither model learned from, see
            `engine.holdout`, without those that resemble training pictures.
        listener: told what goes on.

    Returns:
        A report of kind "compare"; `metrics` hold accuracy_a, accuracy_b, accuracy_difference (B minus A), mcnemar_p
        and the other figures likewise (exact_match_... and map_... for multi-label); the JSON has "verdict", "a" (A is
        better), "b" or "undecided".

    Raises:
        DataError: as for `evaluate`, or the models are not of one kind: a classifier and a detector, one multi-label
            and one that gives one class.
        UsageError: a model that cannot be compared.
    """
    first, second = opened(a, "compare"), opened(b, "compare")
    check_kinds(first, second)
    dataset = as_dataset(data, labels, first.classes)
    held = fair_part(dataset, (first, second), split, counted(listener, "checking pictures"))
    report = weigh(first, second, held.dataset, progress=counted(listener, "judging"))
    return replace(report, summary=(*report.summary, held.note))


def fair_part(
    dataset: Dataset, models: Sequence[HasBundle], split: str | None = None, progress: ProgressCallback | None = None
) -> Holdout:
    """The pictures to compare models on: see `engine.holdout`; unless a split is asked for, none that leaked."""
    held = hold_out(dataset, models, split, progress)
    return held.unseen("to compare models") if split is None else held


def weigh(a: Model, b: Model, dataset: Dataset, *, progress: ProgressCallback | None = None) -> Report:
    """`compare` on pictures that are chosen already; `progress` is called with (done, to do), over both models."""
    if isinstance(a, Detector) and isinstance(b, Detector):
        return compare_boxes(a, b, dataset, (_half(progress, 0), _half(progress, 1)))
    if isinstance(a, Segmenter) and isinstance(b, Segmenter):
        return compare_masks(a, b, dataset, (_half(progress, 0), _half(progress, 1)))
    check_kinds(a, b)
    assert not isinstance(a, Detector | Segmenter)
    assert not isinstance(b, Detector | Segmenter)
    return _compare_classes(a, b, dataset, progress)


def check_kinds(a: Model, b: Model) -> None:
    """Raise DataError where one is, say, a detector and the other a classifier."""
    kinds = [task(str(one.info.get("task", "classify"))).text.noun for one in (a, b)]
    if kinds[0] != kinds[1]:
        raise DataError(f"A is a {kinds[0]} and B a {kinds[1]}: only models of one kind can be compared")


def _compare_classes(a: Predictor, b: Predictor, dataset: Dataset, progress: ProgressCallback | None) -> Report:
    if a.multilabel != b.multilabel:
        raise DataError("one of the models gives one class a picture, the other any number: they cannot be compared")
    first, second = _common(answer(a, dataset, _half(progress, 0)), answer(b, dataset, _half(progress, 1)))
    n, lead = len(first.samples), "exact_match" if a.multilabel else "accuracy"
    flips, gain = mcnemar(first.right, second.right), paired_proportions(first.right, second.right)
    metrics = _side_by_side(first, second)
    metrics[f"{lead}_difference"] = Metric(*gain, n, "points")
    metrics["mcnemar_p"] = Metric(flips.p, n=n, unit="")
    if a.multilabel:
        deciding = _map_difference(first, second)
        metrics["map_difference"] = Metric(*deciding, n, "points")
        least = compare_story.DETECTED * (deciding.high - deciding.low) / 2
        decided = deciding.low > 0 or deciding.high < 0
    else:
        deciding, decided, least = gain, flips.p < _LEVEL, detectable_difference(flips, n)
        metrics["log_loss_difference"] = Metric(*paired_bootstrap(_losses(first), _losses(second)), n, "")
    better = ("b" if deciding.value > 0 else "a") if decided else "undecided"
    return Report(
        kind="compare",
        title=f"Is B better than A on {n:,} pictures?",
        summary=(
            compare_story.verdict(better, deciding, n, least, "mAP" if a.multilabel else "accuracy"),
            f"{phrases.count(flips.only_b, 'picture')} only B has right, {flips.only_a:,} only A"
            f" (McNemar's exact test: p = {flips.p:.2g}).",
        ),
        metrics=metrics,
        tables=[compare_story.table(metrics)],
        figures=[compare_story.drawing(metrics, ["map", lead, "balanced_accuracy"]), *_flipped(first, second)],
        warnings=_warnings(first, second),
        provenance={
            "a": facts(a.info),
            "b": facts(b.info),
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset)},
            **provenance(),
        },
        data={"verdict": better, "only_a_right": flips.only_a, "only_b_right": flips.only_b, "detectable": least},
    )


def _half(progress: ProgressCallback | None, done: int) -> ProgressCallback | None:
    if progress is None:
        return None
    report = progress
    return lambda at, total: report(done * total + at, 2 * total)


def _common(a: ClassifyEvaluation, b: ClassifyEvaluation) -> tuple[ClassifyEvaluation, ClassifyEvaluation]:
    """The answers on pictures that both models could read."""
    both = np.intersect1d(a.positions, b.positions)
    if not len(both):
        raise DataError("no picture could be read by both models: check the files")
    return a.at(np.searchsorted(a.positions, both)), b.at(np.searchsorted(b.positions, both))


def _side_by_side(a: ClassifyEvaluation, b: ClassifyEvaluation) -> dict[str, Metric]:
    kept = ("map", "exact_match", "ece") if a.multilabel else ("accuracy", "balanced_accuracy", "log_loss", "ece")
    found_a, found_b = a.scores(), b.scores()
    metrics: dict[str, Metric] = {}
    for name in kept:
        if name in found_a and name in found_b:
            metrics |= {f"{name}_a": found_a[name], f"{name}_b": found_b[name]}
    return metrics


def _losses(answers: ClassifyEvaluation) -> np.ndarray:
    chosen = answers.probs[np.arange(len(answers.truth)), answers.truth].astype(np.float64)
    return np.asarray(-np.log(np.clip(chosen, _LEAST_PROB, 1)))


def _map_difference(a: ClassifyEvaluation, b: ClassifyEvaluation) -> Estimate:
    """B minus A, from each picture's influence on both figures (infinitesimal jackknife)."""
    names = [name for name in a.classes if a.truth[:, a.classes.index(name)].any()]
    if not names:
        return Estimate(0.0, -1.0, 1.0)
    value, influence = 0.0, np.zeros(len(a.samples))
    for name in names:
        for sign, answers in ((-1, a), (1, b)):
            column = answers.classes.index(name)
            found, each = average_precision(answers.probs[:, column], answers.truth[:, column] > 0)
            value, influence = value + sign * found, influence + sign * each
    value, error = value / len(names), float(np.sqrt((influence**2).sum())) / len(names)
    return Estimate(value, value - Z * error, value + Z * error)


def _flipped(a: ClassifyEvaluation, b: ClassifyEvaluation) -> list[Figure]:
    found = []
    for title, rows in (
        ("A wrong, B right", np.flatnonzero(~a.right & b.right)),
        ("A right, B wrong", np.flatnonzero(a.right & ~b.right)),
    ):
        moved = _movement(a, b)[rows]
        shown = rows[np.argsort(-moved, kind="stable")][:SHOWN]
        grid = picture_grid(
            title,
            [a.samples[int(row)] for row in shown],
            [_both(a, b, int(row)) for row in shown],
            f"{len(shown)} of {phrases.count(len(rows), 'picture')} that flipped, those with the largest change first.",
        )
        found += [grid] if grid else []
    return found


def _movement(a: ClassifyEvaluation, b: ClassifyEvaluation) -> np.ndarray:
    order = [b.classes.index(name) if name in b.classes else -1 for name in a.classes]
    known = np.array(order) >= 0
    return np.asarray(np.abs(a.probs[:, known] - b.probs[:, np.array(order)[known]]).max(1))


def _both(a: ClassifyEvaluation, b: ClassifyEvaluation, row: int) -> str:
    told = f"true: {true_names(a, row)}\nA: {said_names(a, row)}\nB: {said_names(b, row)}"
    return f"{told}\n{a.samples[row].id}"


def _warnings(a: ClassifyEvaluation, b: ClassifyEvaluation) -> list[str]:
    problems: Sequence[str] = sorted({problem.id for problem in (*a.problems, *b.problems)})
    found = []
    if problems:
        listed = phrases.listed(problems)
        found.append(f"{phrases.count(len(problems), 'picture')} could not be read and count nowhere: {listed}.")
    if len(a.samples) < 100:
        found.append(f"These figures rest on {len(a.samples)} pictures only: small differences cannot be seen.")
    return found
