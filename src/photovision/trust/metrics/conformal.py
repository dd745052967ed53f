"""Conformal prediction sets: fitted on validation pictures, and compared with the target coverage."""

from __future__ import annotations

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.types import Floats
from photovision.runtime.uncertainty import ConformalSets
from photovision.trust.metrics.statistics import bootstrap_sums, proportion, wilson

MIN_PICTURES = 20
"""Validation pictures below which no sets are made."""
_MIN_OF_CLASS = 20
_SIZES = 6


def fit_sets(probs: Floats, truth: np.ndarray, similarity: Floats | None = None) -> ConformalSets | None:
    """Keep the probabilities of the true classes of pictures that took no part in learning.

    Args:
        probs: float32 (N, C), calibrated.
        truth: int64 (N,) class indices, or 0/1 (N, C) for multi-label.
        similarity: float32 (N,), to the nearest training picture; with it the sets grow as similarity falls.

    Returns:
        None for fewer than 20 pictures.

    Example:
        >>> fit_sets(np.full((30, 2), 0.5, np.float32), np.zeros(30, np.int64)).scores[0].shape
        (30,)
    """
    if len(probs) < MIN_PICTURES:
        return None
    true = _one_hot(truth, probs.shape[1])
    near = np.zeros(len(probs), np.float32) if similarity is None else similarity.astype(np.float32)
    scores, alike = [], []
    for c in range(probs.shape[1]):
        own = np.flatnonzero(true[:, c])
        order = own[np.argsort(probs[own, c], kind="stable")]
        scores.append(probs[order, c].astype(np.float32))
        alike.append(near[order])
    return ConformalSets(tuple(scores), None if similarity is None else tuple(alike))


def sets_finding(
    probs: Floats, truth: np.ndarray, thresholds: Floats, asked: float, classes: tuple[str, ...]
) -> Finding:
    """Whether the sets hold the truth as often as asked, and how large they are.

    Args:
        probs: float32 (N, C) on pictures that neither learned nor calibrated.
        truth: int64 (N,), or 0/1 (N, C) for multi-label, where the true labels are counted instead of pictures.
        thresholds: float32 (C,), or (N, C) where every picture has its own; of `Uncertainty.thresholds`.
        asked: the coverage asked for, 0 to 1.
        classes: C names.

    Returns:
        metrics `coverage` (Wilson interval) and `set_size` (mean, bootstrap interval); a warning where the interval
        lies below what was asked.
    """
    true, within = _one_hot(truth, probs.shape[1]), probs >= thresholds
    covered, count = int((true & within).sum()), int(true.sum())
    if not count:
        return Finding()
    coverage = Metric(*proportion(covered, count), count)
    sizes = within.sum(1)
    metrics = {"coverage": coverage, "set_size": _mean_size(sizes)}
    what = "true labels" if truth.ndim == 2 else "pictures"
    sentence = (
        f"Coverage of the prediction sets: {percent(coverage.value)} of {count:,} {what} (95% interval"
        f" {coverage.low * 100:.1f} to {coverage.high * 100:.1f}%), target {percent(asked)}."  # type: ignore[operator]
        f" Average set size {sizes.mean():.2f}{_empty(sizes)}."
    )
    warnings = []
    if coverage.high is not None and coverage.high < asked:
        warnings.append(
            f"Prediction sets cover less than their target here: {percent(coverage.value)} instead of {percent(asked)}."
            " These pictures are harder than the validation pictures: 'photovision calibrate' refits the sets on"
            " pictures of this kind."
        )
    worst, table = _by_class(true, within, classes, asked)
    if worst:
        warnings.append(worst)
    figure = Figure(
        "Prediction sets",
        svg=_sizes(sizes),
        note="How many classes the sets hold; an empty set means that no class fits well enough.",
    )
    return Finding((sentence,), metrics, table, [figure], warnings, {"coverage_asked": asked})


def _empty(sizes: np.ndarray) -> str:
    """ " (3.7% are empty: no class fits well enough)", or "" where no set is empty."""
    return (
        f" ({percent(float((sizes == 0).mean()))} are empty: no class fits well enough)" if (sizes == 0).any() else ""
    )


def _by_class(true: np.ndarray, within: np.ndarray, classes: tuple[str, ...], asked: float) -> tuple[str, list[Table]]:
    counts, covered = true.sum(0), (true & within).sum(0)
    large_enough = np.flatnonzero(counts >= _MIN_OF_CLASS)
    if not len(large_enough):
        return "", []
    order = large_enough[np.argsort(covered[large_enough] / counts[large_enough], kind="stable")]
    rows = tuple(
        (classes[c], int(counts[c]), Metric(*proportion(int(covered[c]), int(counts[c])), int(counts[c])))
        for c in order
    )
    note = f"Classes with at least {_MIN_OF_CLASS} pictures, least covered first; asked: {percent(asked)}."
    table = [Table("Prediction sets", ("class", "n", "coverage"), rows[:30], note)]
    # One class in many falls short by chance: the bound is that of all classes together (Bonferroni).
    z = _two_sided(0.05 / len(large_enough))
    short = [classes[c] for c in order if wilson(int(covered[c]), int(counts[c]), z)[1] < asked]
    if not short:
        return "", table
    names = ", ".join(f"'{name}'" for name in short[:5]) + (f" and {len(short) - 5} more" if len(short) > 5 else "")
    return f"Prediction sets hold the truth less often than asked for {names}.", table


def _two_sided(level: float) -> float:
    from scipy.special import ndtri

    return float(-ndtri(level / 2))


def _mean_size(sizes: np.ndarray) -> Metric:
    n = len(sizes)
    found = bootstrap_sums(sizes[:, None].astype(np.float64), {"mean": lambda sums: sums[:, 0] / n})["mean"]
    return Metric(*found, n, "")


def _sizes(sizes: np.ndarray) -> str:
    groups = {}
    for size in range(_SIZES + 1):
        count = int((sizes == size).sum() if size < _SIZES else (sizes >= size).sum())
        if count:
            name = {0: "empty", 1: "1 class"}.get(size, f"{size} classes" + (" or more" if size == _SIZES else ""))
            share = proportion(count, len(sizes))
            groups[name] = [Bar(*share)]
    return bars(groups, "Sizes of the prediction sets")


def _one_hot(truth: np.ndarray, width: int) -> np.ndarray:
    return np.asarray(truth > 0 if truth.ndim == 2 else np.arange(width) == truth[:, None])
