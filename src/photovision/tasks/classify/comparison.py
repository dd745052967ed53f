"""Two classifiers on the same images: McNemar's test, and the images whose label only one of them has right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from photovision.core import phrases
from photovision.core.report import Figure, Finding, Metric
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Sample
from photovision.engine.compare import common
from photovision.engine.evaluation import Comparison
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.tasks.classify.evaluation_text import predicted_names, true_names
from photovision.trust.metrics.statistics import detectable_difference, mcnemar, proportion

SHOWN = 12


def compare(a: ClassifyEvaluation, b: ClassifyEvaluation) -> Comparison:
    """See `engine.evaluation.Comparison`.

    Accuracy is decided by McNemar's exact test, mean average precision of multi-label models by its interval.
    """
    n, flips = len(a.samples), mcnemar(a.right, b.right)
    finding = Finding(
        summary=(
            f"{phrases.count(flips.only_b, 'picture')} only B has right, {flips.only_a:,} only A"
            f" (McNemar's exact test: p = {flips.p:.2g}).",
        ),
        metrics={"mcnemar_p": Metric(flips.p, n=n, unit="")},
        figures=_flipped(a, b),
        data={"only_a_right": flips.only_a, "only_b_right": flips.only_b},
    )
    if a.multilabel:
        return Comparison(a.gains(b), finding=finding)
    return Comparison(a.gains(b), flips.p, detectable_difference(flips, n), finding)


def agreement(a: ClassifyEvaluation, b: ClassifyEvaluation) -> Metric:
    """The share of images with the same prediction."""
    n = len(a.samples)
    return Metric(*proportion(int((a.predicted == b.predicted).all(1).sum()), n), n)


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
            [_caption(a, b, int(row)) for row in shown],
            f"{len(shown)} of {phrases.count(len(rows), 'picture')} that flipped, those with the largest change first.",
        )
        found += [replace(grid, first=True)] if grid else []
    return found


def _movement(a: ClassifyEvaluation, b: ClassifyEvaluation) -> np.ndarray:
    order = [b.classes.index(name) if name in b.classes else -1 for name in a.classes]
    known = np.array(order) >= 0
    return np.asarray(np.abs(a.probs[:, known] - b.probs[:, np.array(order)[known]]).max(1))


def _caption(a: ClassifyEvaluation, b: ClassifyEvaluation, row: int) -> str:
    caption = f"true: {true_names(a, row)}\nA: {predicted_names(a, row)}\nB: {predicted_names(b, row)}"
    return f"{caption}\n{a.samples[row].id}"


def differing(
    a: ClassifyEvaluation, b: ClassifyEvaluation, max_shown: int
) -> tuple[list[Sample], list[dict[str, object]]]:
    """The images that two models give different names, those first of which both are surest.

    Args:
        a, b: evaluations on one data set.
        max_shown: no more are given.

    Returns:
        the samples, and of each {"id", "truth", "a": {"label", "prob", "known"}, "b", "right": "a", "b" or "neither"}.
    """
    a, b = common(a, b)
    rows = [row for row in range(len(a.samples)) if _names(a, row) != _names(b, row)]
    rows.sort(key=lambda row: -float(a.probs[row].max() * b.probs[row].max()))
    found: list[dict[str, object]] = []
    for row in rows[:max_shown]:
        right = bool(a.right[row]), bool(b.right[row])
        found.append(
            {
                "id": a.samples[row].id,
                "truth": true_names(a, row),
                "a": _predicted(a, row),
                "b": _predicted(b, row),
                "right": {(True, False): "a", (False, True): "b"}.get(right, "neither"),
            }
        )
    return [a.samples[row] for row in rows[:max_shown]], found


def _names(one: ClassifyEvaluation, row: int) -> set[str]:
    return {one.classes[int(c)] for c in np.flatnonzero(one.predicted[row])}


def _predicted(one: ClassifyEvaluation, row: int) -> dict[str, object]:
    strange = one.doubt is not None and bool(one.novelty[row] > one.doubt.limit)
    label = ", ".join(sorted(_names(one, row))) or "nothing"
    return {"label": label, "prob": float(one.probs[row].max()), "known": not strange}
