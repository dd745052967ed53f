"""What an evaluation of a classifier tells: sentences, mistakes, confusions, calibration, and when it does not know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.drawing import MAX_CLASSES, heatmap, percent, reliability_diagram
from photovision.core.phrases import count, spoken
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import picture_grid
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.tasks.classify.uncertainty_report import limits
from photovision.trust.metrics.calibrate import ece_by_chance, reliability
from photovision.trust.metrics.scores import confusion, per_class

SHOWN = 24


def findings(answers: ClassifyEvaluation) -> Finding:
    """What is particular to classifiers in the report of an evaluation; see `engine.evaluation`.

    Returns:
        metrics: those of `trust.metrics.selective`, and for models with prediction sets and novelty detection
        `trust.metrics.conformal` and `trust.metrics.novelty`.
    """
    by_class = per_class(answers.probs, answers.truth, answers.classes, answers.thresholds)
    pairs = _confused(answers)
    figures = [_mistakes(answers), _reliability(answers), _heatmap(answers)]
    own = Finding(
        summary=_summary(answers, by_class, pairs),
        tables=[by_class, *(_pair_table(pairs, answers) if pairs else ())],
        figures=[figure for figure in figures if figure is not None],
        warnings=_warnings(answers),
        data={
            "classes": list(answers.classes),
            "confusions": [{"true": a, "said": b, "n": n} for a, b, n in pairs],
        },
    )
    limited = limits(
        answers.probs,
        answers.truth,
        answers.right,
        answers.novelty,
        answers.doubt,
        answers.classes,
        answers.strangers,
    )
    return own.including(*limited)


def _summary(answers: ClassifyEvaluation, by_class: Table, pairs: Sequence[tuple[str, str, int]]) -> tuple[str, ...]:
    """The result, its confidence, its weak spots; most important first.

    Args:
        answers: the evaluation.
        by_class: from `trust.metrics.scores.per_class`.
        pairs: (true class, what it was called, how often), most frequent first.
    """
    metrics, n = answers.metrics(), len(answers.samples)
    if answers.multilabel:
        exact = metrics["exact_match"]
        told = [f"Every label is right for {round(exact.value * n):,} of {count(n, 'picture')}: {spoken(exact)}."]
        if "map" in metrics:
            told.append(f"Mean average precision over the classes: {spoken(metrics['map'])}.")
    else:
        accuracy = metrics["accuracy"]
        told = [f"{round(accuracy.value * n):,} of {count(n, 'picture')} were named correctly: {spoken(accuracy)}."]
        told.append(_trust(float(answers.probs.max(1).mean()), accuracy))
    weakest = _weakest(by_class)
    if weakest:
        told.append(weakest)
    if pairs and pairs[0][2] > 1:
        true, said, times = pairs[0]
        told.append(f"The most frequent confusion: '{true}' was called '{said}' {times:,} times.")
    return tuple(told)


def _trust(stated: float, accuracy: Metric) -> str:
    claim = f"it claims {percent(stated)} on average, and {percent(accuracy.value)} came true"
    if accuracy.low is not None and accuracy.high is not None and accuracy.low <= stated <= accuracy.high:
        return f"Its confidence can be taken at its word: {claim}."
    return f"It is {'over' if stated > accuracy.value else 'under'}-confident: {claim}."


def _weakest(by_class: Table) -> str | None:
    """The class with the lowest recall that enough pictures speak for."""
    rows = [(row[2].value, row[0], row[1]) for row in by_class.rows if row[2] is not None and row[1] >= 5]
    if len(rows) < 2 or min(rows)[0] >= 1:
        return None
    recall, name, n = min(rows)
    return f"It is weakest on '{name}', where it finds {round(recall * n)} of {count(n, 'picture')}."


def _warnings(answers: ClassifyEvaluation) -> list[str]:
    found = []
    counts = answers.truth.sum(0) if answers.multilabel else np.bincount(answers.truth, minlength=len(answers.classes))
    present, few = int((counts > 0).sum()), int(((counts > 0) & (counts < 10)).sum())
    if present < len(counts):
        found.append(
            f"The data holds {present} of the model's {len(counts)} classes: nothing is known about the others."
        )
    if few:
        found.append(f"{count(few, 'class', 'classes')} here have fewer than 10 pictures: read their rows with care.")
    return found


def _mistakes(answers: ClassifyEvaluation) -> Figure | None:
    wrong = np.flatnonzero(~answers.right)
    said = answers.said
    if answers.multilabel:
        missed = said != (answers.truth > 0)
        cost = np.where(missed, np.abs(answers.probs - answers.truth), 0).max(1)
    else:
        cost = answers.probs.max(1)
    worst = wrong[np.argsort(-cost[wrong], kind="stable")][:SHOWN]
    return picture_grid(
        "Worst mistakes",
        [answers.samples[int(row)] for row in worst],
        [_caption(answers, int(row)) for row in worst],
        f"The {len(worst)} wrong answers with the highest confidence, of {len(wrong):,} wrong ones. Look for wrong"
        " labels first: some of these may be the data's mistakes.",
    )


def _caption(answers: ClassifyEvaluation, row: int) -> str:
    return f"true: {true_names(answers, row)}\nsaid: {said_names(answers, row)}\n{answers.samples[row].id}"


def true_names(answers: ClassifyEvaluation, row: int) -> str:
    """The true class of one picture, or the true classes."""
    true = np.flatnonzero(answers.truth[row]) if answers.multilabel else [answers.truth[row]]
    return ", ".join(answers.classes[int(c)] for c in true) or "nothing"


def said_names(answers: ClassifyEvaluation, row: int) -> str:
    """What the model says of one picture, with its confidence: 'leek (97 %)'."""
    said = np.flatnonzero(answers.said[row])
    return ", ".join(f"{answers.classes[int(c)]} ({answers.probs[row, c] * 100:.0f} %)" for c in said) or "nothing"


def _reliability(answers: ClassifyEvaluation) -> Figure:
    bins = int(np.clip(len(answers.samples) // 15, 3, 10))  # fewer pictures, fewer and steadier points
    curve = reliability(answers.probs, answers.truth, bins)
    chance = ece_by_chance(answers.probs, answers.truth)
    note = (
        "Below the dashed line the model promises more than it keeps. Bins hold equally many statements; bars are 95 %"
        " intervals. Chance alone gives even a perfectly calibrated model a calibration error of about"
        f" {percent(chance)} here."
    )
    return Figure("Calibration", svg=reliability_diagram(*curve, title="Stated confidence against truth"), note=note)


def _heatmap(answers: ClassifyEvaluation) -> Figure | None:
    if answers.multilabel:
        return None
    matrix = confusion(answers.probs.argmax(1), answers.truth, len(answers.classes))
    used = np.flatnonzero(matrix.any(0) | matrix.any(1))
    if len(used) > MAX_CLASSES:
        return None
    names = [answers.classes[int(c)] for c in used]
    drawing = heatmap(matrix[np.ix_(used, used)], names, "Confusion matrix")
    return Figure(
        "Confusion", svg=drawing, note="Rows are the truth, columns the answers; colour is the share of the row."
    )


def _confused(answers: ClassifyEvaluation) -> list[tuple[str, str, int]]:
    """(true class, what it was called, how often), most frequent first; single-label only."""
    if answers.multilabel:
        return []
    matrix = confusion(answers.probs.argmax(1), answers.truth, len(answers.classes))
    np.fill_diagonal(matrix, 0)
    rows, columns = np.nonzero(matrix)
    order = np.argsort(-matrix[rows, columns], kind="stable")
    names = answers.classes
    return [(names[rows[i]], names[columns[i]], int(matrix[rows[i], columns[i]])) for i in order]


def _pair_table(pairs: Sequence[tuple[str, str, int]], answers: ClassifyEvaluation) -> list[Table]:
    totals = np.bincount(answers.truth, minlength=len(answers.classes))
    total = {name: int(n) for name, n in zip(answers.classes, totals, strict=True)}
    rows = tuple((true, said, n, percent(n / total[true])) for true, said, n in pairs[:20])
    return [Table("Most confused pairs", ("true class", "called", "times", "share of the class"), rows)]
