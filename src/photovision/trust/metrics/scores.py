"""Scores: from probabilities and truth to figures with intervals, one pass, seconds for 10,000 pictures x 100 classes.

The definitions are scikit-learn's, and the tests hold every value against it. Classes that are absent from the truth
are left out of macro averages, so a data set may hold a part of the model's classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.report import Metric, Table
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.calibrate import BINS, gap_columns
from photovision.trust.metrics.statistics import (
    Estimate,
    Vector,
    auroc,
    average_precision,
    bootstrap_sums,
    from_influence,
    mean_of_proportions,
    proportion,
    roc_area,
    wilson,
)

RARE = 5
"""Classes with fewer true pictures share one threshold: their own would be noise."""

_MIN_PROB = float(np.finfo(np.float32).eps)  # scikit-learn's clipping of log-loss for float32
_DRAWS = 200_000_000  # resampled pictures in all; more than 200,000 pictures get fewer resamples, never below 200


def single_label(probs: Floats, labels: Ints, seed: int = 0) -> dict[str, Metric]:
    """Figures of a model whose classes exclude each other.

    Args:
        probs: float32 (N, C), rows summing to 1, no NaN; N above 0.
        labels: int64 (N,), the true classes.
        seed: of the bootstrap.

    Returns:
        accuracy, balanced_accuracy, macro_f1, auroc (macro one-versus-rest; left out where the truth has one class),
        log_loss (nats), brier (Brier 1950, 0 to 2), ece, and top5_accuracy for more than 5 classes; each with a 95%
        interval and n. Where nothing is wrong macro_f1 and auroc borrow the interval of the balanced accuracy.

    Example:
        >>> print(single_label(np.eye(2, dtype=np.float32)[[0, 1, 1, 0]], np.array([0, 1, 1, 0]))["accuracy"])
        100.0% (51.0 to 100.0, n = 4)
    """
    _check(probs, labels, labels.ndim == 1)
    n, width = probs.shape
    predicted = probs.argmax(1)
    right = predicted == labels
    present, counts = np.unique(labels, return_counts=True)
    hits = np.bincount(labels[right], minlength=width)[present]
    balanced = mean_of_proportions(hits, counts)
    spotless = mean_of_proportions(counts, counts)

    truth = _one_hot(labels, width)
    costs = np.column_stack([_log_loss(probs, labels), _brier(probs, labels), gap_columns(probs, labels)])
    sums = _sums([truth.multiply(right[:, None]), _one_hot(predicted, width), truth], costs, present, n, seed)

    found = {
        "accuracy": proportion(int(right.sum()), n),
        "balanced_accuracy": balanced,
        "macro_f1": _or_spotless(sums["macro_f1"], spotless),
    }
    if len(present) > 1:
        areas = [auroc(probs[:, c], labels == c) for c in present]
        found["auroc"] = _or_spotless(_mean(areas), spotless)
    found |= {name: sums[name] for name in ("log_loss", "brier", "ece")}
    if width > 5:
        # Ties are broken by position, as everywhere, so a constant model earns no top-5 hit for free.
        top = np.argsort(-probs, axis=1, kind="stable")[:, :5]
        found["top5_accuracy"] = proportion(int((top == labels[:, None]).any(1).sum()), n)
    return _metrics(found, n)


def multi_label(probs: Floats, matrix: Floats, thresholds: Floats | None = None, seed: int = 0) -> dict[str, Metric]:
    """Figures of a model in which any number of classes may be true at once.

    Args:
        probs: float32 (N, C), 0 to 1, no NaN; N above 0.
        matrix: 0/1 (N, C), the truth.
        thresholds: float32 (C,), the least probability that counts as true; 0.5 where None.

    Returns:
        map (mean average precision) and macro_auroc, over classes with true (and false) pictures; micro_f1, macro_f1,
        exact_match and ece over all single statements.

    Example:
        >>> truth = np.array([[1, 0], [1, 1], [0, 1]], np.float32)
        >>> round(multi_label(truth * 0.8, truth)["exact_match"].value, 2)
        1.0
    """
    from scipy.sparse import csr_matrix

    _check(probs, matrix, matrix.shape == probs.shape)
    n, width = probs.shape
    true, predicted = matrix > 0, probs >= _limits(thresholds, width)
    present = np.flatnonzero(true.any(0))
    found: dict[str, Estimate] = {}
    if len(present):
        spotless = mean_of_proportions(true.sum(0)[present], true.sum(0)[present])
        precisions = [average_precision(probs[:, c], true[:, c]) for c in present]
        found["map"] = _or_spotless(_mean(precisions), spotless)
        areas = [auroc(probs[:, c], true[:, c]) for c in present if not true[:, c].all()]
        if areas:
            found["macro_auroc"] = _or_spotless(_mean(areas), spotless)
    parts = [csr_matrix(block, dtype=np.float64) for block in (true & predicted, predicted, true)]
    costs = np.column_stack([np.zeros((n, 2)), gap_columns(probs, matrix)])
    sums = _sums(parts, costs, present, n * width, seed)
    found |= {name: sums[name] for name in (("micro_f1", "macro_f1") if len(present) else ())}
    found["exact_match"] = proportion(int((true == predicted).all(1).sum()), n)
    found["ece"] = sums["ece"]
    return _metrics(found, n)


def per_class(probs: Floats, truth: np.ndarray, classes: Sequence[str], thresholds: Floats | None = None) -> Table:
    """One row a class that is present in the truth or was named: n, recall, precision, F1 and AUROC.

    Recall and precision carry Wilson intervals; F1 the image of the Wilson interval of the Jaccard index
    J = tp / (tp + fp + fn), because F1 = 2 J / (1 + J). AUROC carries DeLong's on the logit scale.

    Args:
        probs: float32 (N, C).
        truth: int64 (N,), or 0/1 (N, C) for multi-label.
    """
    n, width = probs.shape
    if truth.ndim == 1:
        true, predicted = np.arange(width) == truth[:, None], np.arange(width) == probs.argmax(1)[:, None]
    else:
        true, predicted = truth > 0, probs >= _limits(thresholds, width)
    rows = []
    for c in np.flatnonzero(true.any(0) | predicted.any(0)):
        hit, there, named = (int(part.sum()) for part in (true[:, c] & predicted[:, c], true[:, c], predicted[:, c]))
        area = None
        if 0 < there < n:
            area = _metric(roc_area(probs[:, c], true[:, c]), n)
        f1 = _f1_metric(hit, there + named - hit)
        rows.append((classes[int(c)], there, _share(hit, there), _share(hit, named), f1, area))
    return Table("Class by class", ("class", "n", "recall", "precision", "F1", "AUROC"), tuple(rows))


def class_areas(probs: Floats, truth: np.ndarray, classes: Sequence[str]) -> dict[str, Metric]:
    """Area under the ROC curve of each class against the others, as in `per_class`; arguments as there."""
    true = np.arange(len(classes)) == truth[:, None] if truth.ndim == 1 else truth > 0
    judged = np.flatnonzero(true.any(0) & ~true.all(0))
    return {classes[int(c)]: _metric(roc_area(probs[:, c], true[:, c]), len(true)) for c in judged}


def confusion(predicted: Ints, labels: Ints, width: int) -> Ints:
    """How often each true class (row) was called each class (column): int64 (width, width).

    Example:
        >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    return np.bincount(labels * width + predicted, minlength=width * width).reshape(width, width).astype(np.int64)


def choose_thresholds(probs: Floats, matrix: Floats) -> Floats:
    """The threshold of each class that gives the best F1 on validation pictures: float32 (C,), above 0, at most 1.

    It lies half-way between the two probabilities that it divides. Classes with fewer than 5 true pictures share the
    threshold that is best for all classes pooled; 0.5 where nothing is true at all.

    Example:
        >>> truth = np.array([[1], [1], [1], [1], [1], [0], [0]], np.float32)
        >>> choose_thresholds(np.array([[0.3], [0.3], [0.4], [0.4], [0.5], [0.1], [0.2]], np.float32), truth)
        array([0.25], dtype=float32)
    """
    _check(probs, matrix, matrix.shape == probs.shape)
    pooled = _best_cut(probs.ravel(), matrix.ravel() > 0)
    return np.array(
        [
            _best_cut(probs[:, c], matrix[:, c] > 0) if (matrix[:, c] > 0).sum() >= RARE else pooled
            for c in range(probs.shape[1])
        ],
        dtype=np.float32,
    )


def _best_cut(scores: np.ndarray, true: np.ndarray) -> float:
    if not true.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order].astype(np.float64), np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    below = np.append(ordered[1:], 0.0)
    f1[ordered == below] = -1  # a cut between equal scores does not exist
    best = int(f1.argmax())
    return float(max((ordered[best] + below[best]) / 2, 1e-6))


def _sums(parts: Sequence[Any], costs: Vector, present: np.ndarray, cells: int, seed: int) -> dict[str, Estimate]:
    """Bootstrap of F1s from the one-hot `parts` (hits, predicted, true), and of the means and ECE from `costs`."""
    from scipy.sparse import csr_matrix, hstack

    n, width = parts[0].shape

    def block(sums: Vector, which: int) -> Vector:
        return sums[:, which * width : (which + 1) * width]

    def macro_f1(sums: Vector) -> Vector:
        hits, predicted, true = (block(sums, i)[:, present] for i in range(3))
        # A class that a resample holds no picture of has no F1 there: the mean goes over the others.
        there = true > 0
        f1 = 2 * hits / np.maximum(predicted + true, 1)
        return np.asarray((f1 * there).sum(1) / np.maximum(there.sum(1), 1))

    def micro_f1(sums: Vector) -> Vector:
        hits, predicted, true = (block(sums, i).sum(1) for i in range(3))
        return np.asarray(2 * hits / np.maximum(predicted + true, 1))

    first = 3 * width
    finish = {
        "macro_f1": macro_f1,
        "micro_f1": micro_f1,
        "log_loss": lambda sums: sums[:, first] / n,
        "brier": lambda sums: sums[:, first + 1] / n,
        "ece": lambda sums: np.abs(sums[:, first + 2 : first + 2 + BINS]).sum(1) / cells,
    }
    columns = hstack([*parts, csr_matrix(costs)], format="csr")
    n_boot = int(np.clip(_DRAWS // n, 200, 1000))
    return bootstrap_sums(columns, finish, n_boot=n_boot, seed=seed, centred=("ece",))


def _one_hot(labels: Ints, width: int) -> Any:
    from scipy.sparse import csr_matrix

    n = len(labels)
    return csr_matrix((np.ones(n), labels, np.arange(n + 1)), shape=(n, width))


def _log_loss(probs: Floats, labels: Ints) -> Vector:
    chosen = probs[np.arange(len(labels)), labels].astype(np.float64)
    cost: Vector = -np.log(np.clip(chosen, _MIN_PROB, 1.0))
    return cost


def _brier(probs: Floats, labels: Ints) -> Vector:
    wide = probs.astype(np.float64)
    cost: Vector = (wide**2).sum(1) - 2 * wide[np.arange(len(labels)), labels] + 1
    return np.asarray(np.maximum(cost, 0.0))


def _mean(found: Sequence[tuple[float, Vector]]) -> Estimate:
    value = float(np.mean([value for value, _ in found]))
    return from_influence(value, np.sum([influence for _, influence in found], axis=0) / len(found))


def _or_spotless(found: Estimate, spotless: Estimate) -> Estimate:
    return spotless if found.value >= 1 else found


def _f1_metric(hit: int, union: int) -> Metric:
    low, high = (2 * bound / (1 + bound) for bound in wilson(hit, union))
    return Metric(2 * (hit / union) / (1 + hit / union), low, high, union)


def _share(k: int, n: int) -> Metric | None:
    return _metric(proportion(k, n), n) if n else None


def _metric(found: Estimate, n: int, unit: str = "share") -> Metric:
    return Metric(*found, n, unit)


def _metrics(found: dict[str, Estimate], n: int) -> dict[str, Metric]:
    return {name: _metric(value, n, "" if name in ("log_loss", "brier") else "share") for name, value in found.items()}


def _limits(thresholds: Floats | None, width: int) -> Floats:
    return np.full(width, 0.5, np.float32) if thresholds is None else np.asarray(thresholds, np.float32)


def _check(probs: Floats, truth: np.ndarray, shaped: bool) -> None:
    if probs.ndim != 2 or len(probs) < 1 or len(truth) != len(probs) or not shaped:
        raise UsageError(
            f"expected probs (N, C) with N above 0 and truth for the same N, got {probs.shape} and {truth.shape}"
        )
    if not np.isfinite(probs).all():
        raise UsageError("probs should be finite: leave out the rows of unreadable pictures first")
    if truth.ndim == 1 and (truth.min() < 0 or truth.max() >= probs.shape[1]):
        raise UsageError(f"labels should be 0 to {probs.shape[1] - 1}, got {truth.min()} to {truth.max()}")
