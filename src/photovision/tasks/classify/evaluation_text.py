"""What an evaluation of a classifier tells: sentences, mistakes, confusions, calibration, and when it does not know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.drawing import MAX_CLASSES, Bar, bars, heatmap, percent, reliability_diagram
from photovision.core.phrases import count, spoken
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import picture_grid
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.tasks.classify.uncertainty_report import limits
from photovision.trust.metrics.calibrate import ece_by_chance, reliability
from photovision.trust.metrics.scores import confusion, per_class

SHOWN = 24
BARS = 5
"""Classes in the chart of the first screen."""


def findings(evaluation: ClassifyEvaluation) -> Finding:
    """What is particular to classifiers in the report of an evaluation; see `engine.evaluation`.

    Returns:
        metrics: those of `trust.metrics.selective`, and for models with prediction sets and novelty detection
        `trust.metrics.conformal` and `trust.metrics.novelty`.
    """
    by_class = per_class(evaluation.probs, evaluation.truth, evaluation.classes, evaluation.thresholds)
    pairs = _confused(evaluation)
    figures = [_by_class(by_class), _mistakes(evaluation), _reliability(evaluation), _heatmap(evaluation)]
    own = Finding(
        summary=_summary(evaluation, by_class, pairs),
        tables=[by_class, *(_pair_table(pairs, evaluation) if pairs else ())],
        figures=[figure for figure in figures if figure is not None],
        warnings=_warnings(evaluation),
        data={
            "classes": list(evaluation.classes),
            "confusions": [{"true": a, "said": b, "n": n} for a, b, n in pairs],
        },
    )
    return own.including(*limits(evaluation))


def _summary(evaluation: ClassifyEvaluation, by_class: Table, pairs: Sequence[tuple[str, str, int]]) -> tuple[str, ...]:
    """The result, its confidence, its weak spots; most important first.

    Args:
        evaluation: predictions of a classifier beside the truth.
        by_class: from `trust.metrics.scores.per_class`.
        pairs: (true class, what it was called, how often), most frequent first.
    """
    metrics, n = evaluation.metrics(), len(evaluation.samples)
    if evaluation.multilabel:
        exact = metrics["exact_match"]
        sentences = [f"Every label is right for {round(exact.value * n):,} of {count(n, 'picture')}: {spoken(exact)}."]
        if "map" in metrics:
            sentences.append(f"Mean average precision over the classes: {spoken(metrics['map'])}.")
    else:
        accuracy = metrics["accuracy"]
        sentences = [
            f"{round(accuracy.value * n):,} of {count(n, 'picture')} were named correctly: {spoken(accuracy)}."
        ]
        sentences.append(_trust(float(evaluation.probs.max(1).mean()), accuracy))
    weakest = _weakest(by_class)
    if weakest:
        sentences.append(weakest)
    if pairs and pairs[0][2] > 1:
        true, called, times = pairs[0]
        sentences.append(f"The most frequent confusion: '{true}' was called '{called}' {times:,} times.")
    return tuple(sentences)


def _trust(stated: float, accuracy: Metric) -> str:
    claim = f"it states {percent(stated)} on average, and {percent(accuracy.value)} of the predictions are correct"
    if accuracy.low is not None and accuracy.high is not None and accuracy.low <= stated <= accuracy.high:
        return f"Its confidence is well calibrated: {claim}."
    return f"It is {'over' if stated > accuracy.value else 'under'}-confident: {claim}."


def _weakest(by_class: Table) -> str | None:
    """The class with the lowest recall that enough pictures speak for."""
    rows = [(row[2].value, row[0], row[1]) for row in by_class.rows if row[2] is not None and row[1] >= 5]
    if len(rows) < 2 or min(rows)[0] >= 1:
        return None
    recall, name, n = min(rows)
    return f"It is weakest on '{name}', where it finds {round(recall * n)} of {count(n, 'picture')}."


def _by_class(by_class: Table) -> Figure | None:
    """The recall of the classes that are found least often."""
    rows = sorted((row for row in by_class.rows if row[2] is not None), key=lambda row: row[2].value)
    if len(rows) < 2:
        return None
    groups = {f"{row[0]} ({row[1]:,})": [Bar(row[2].value, row[2].low, row[2].high)] for row in rows[:BARS]}
    few = f"The {BARS} lowest of {count(len(rows), 'class', 'classes')}." if len(rows) > BARS else "Lowest first."
    note = (
        f"Share of each class's pictures that are named so, with 95% intervals; in brackets how many there are. {few}"
    )
    return Figure("Recall by class", svg=bars(groups, "Recall by class"), note=note, first=True)


def _warnings(evaluation: ClassifyEvaluation) -> list[str]:
    found = []
    counts = (
        evaluation.truth.sum(0)
        if evaluation.multilabel
        else np.bincount(evaluation.truth, minlength=len(evaluation.classes))
    )
    present, few = int((counts > 0).sum()), int(((counts > 0) & (counts < 10)).sum())
    if present < len(counts):
        found.append(
            f"The data holds {present} of the model's {len(counts)} classes: nothing is known about the others."
        )
    if few:
        have = "has" if few == 1 else "have"
        found.append(f"{count(few, 'class', 'classes')} {have} fewer than 10 pictures: read their rows with care.")
    return found


def _mistakes(evaluation: ClassifyEvaluation) -> Figure | None:
    wrong = np.flatnonzero(~evaluation.right)
    if evaluation.multilabel:
        missed = evaluation.predicted != (evaluation.truth > 0)
        cost = np.where(missed, np.abs(evaluation.probs - evaluation.truth), 0).max(1)
    else:
        cost = evaluation.probs.max(1)
    worst = wrong[np.argsort(-cost[wrong], kind="stable")][:SHOWN]
    few = "The only wrong prediction."
    if len(wrong) > 1:
        few = f"The {len(worst)} wrong predictions with the highest confidence, of {len(wrong):,}."
    return picture_grid(
        "Worst mistakes",
        [evaluation.samples[int(row)] for row in worst],
        [_caption(evaluation, int(row)) for row in worst],
        f"{few} Look for wrong labels first: some of these may be the data's mistakes.",
    )


def _caption(evaluation: ClassifyEvaluation, row: int) -> str:
    names = f"true: {true_names(evaluation, row)}\npredicted: {predicted_names(evaluation, row)}"
    return f"{names}\n{evaluation.samples[row].id}"


def true_names(evaluation: ClassifyEvaluation, row: int) -> str:
    """The true class of one picture, or the true classes."""
    true = np.flatnonzero(evaluation.truth[row]) if evaluation.multilabel else [evaluation.truth[row]]
    return ", ".join(evaluation.classes[int(c)] for c in true) or "nothing"


def predicted_names(evaluation: ClassifyEvaluation, row: int) -> str:
    """The predicted class of one picture, or the predicted classes, with their confidence: 'leek (97%)'."""
    named = np.flatnonzero(evaluation.predicted[row])
    return (
        ", ".join(f"{evaluation.classes[int(c)]} ({evaluation.probs[row, c] * 100:.0f}%)" for c in named) or "nothing"
    )


def _reliability(evaluation: ClassifyEvaluation) -> Figure:
    bins = int(np.clip(len(evaluation.samples) // 15, 3, 10))  # fewer pictures, fewer and steadier points
    curve = reliability(evaluation.probs, evaluation.truth, bins)
    chance = ece_by_chance(evaluation.probs, evaluation.truth)
    note = (
        "Points below the dashed line mean over-confidence. Bins hold equally many predictions; bars are 95%"
        " intervals. Chance alone gives even a perfectly calibrated model a calibration error of about"
        f" {percent(chance)} here."
    )
    return Figure("Calibration", svg=reliability_diagram(*curve, title="Stated confidence against truth"), note=note)


def _heatmap(evaluation: ClassifyEvaluation) -> Figure | None:
    if evaluation.multilabel:
        return None
    matrix = confusion(evaluation.probs.argmax(1), evaluation.truth, len(evaluation.classes))
    used = np.flatnonzero(matrix.any(0) | matrix.any(1))
    if len(used) > MAX_CLASSES:
        return None
    names = [evaluation.classes[int(c)] for c in used]
    drawing = heatmap(matrix[np.ix_(used, used)], names, "Confusion matrix")
    return Figure(
        "Confusion", svg=drawing, note="Rows are the truth, columns the predictions; colour is the share of the row."
    )


def _confused(evaluation: ClassifyEvaluation) -> list[tuple[str, str, int]]:
    """(true class, what it was called, how often), most frequent first; single-label only."""
    if evaluation.multilabel:
        return []
    matrix = confusion(evaluation.probs.argmax(1), evaluation.truth, len(evaluation.classes))
    np.fill_diagonal(matrix, 0)
    rows, columns = np.nonzero(matrix)
    order = np.argsort(-matrix[rows, columns], kind="stable")
    names = evaluation.classes
    return [(names[rows[i]], names[columns[i]], int(matrix[rows[i], columns[i]])) for i in order]


def _pair_table(pairs: Sequence[tuple[str, str, int]], evaluation: ClassifyEvaluation) -> list[Table]:
    totals = np.bincount(evaluation.truth, minlength=len(evaluation.classes))
    total = {name: int(n) for name, n in zip(evaluation.classes, totals, strict=True)}
    rows = tuple((true, called, n, percent(n / total[true])) for true, called, n in pairs[:20])
    return [Table("Most confused pairs", ("true class", "called", "times", "share of the class"), rows)]
