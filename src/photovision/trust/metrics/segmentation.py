"""How good masks are: overlap, outlines, surfaces, objects, each with its interval over pictures.

Overlap (mIoU, Dice) is pooled over all pixels and weighs large things; boundary F1 (Csurka et al. 2013) and the surface
distance say how well outlines fit; instance F1 says how many objects were found, whatever their size. Pixels of one
picture are not independent, so every interval resamples whole pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, sparse, spatial

from photovision.core.errors import UsageError
from photovision.core.regions import IGNORE
from photovision.core.report import Metric
from photovision.trust.metrics.statistics import Vector, bootstrap, bootstrap_sums

TOLERANCE = 0.0075
"""How far an outline may be off and still be right, as a share of the picture's diagonal."""
MATCH = 0.5
"""The overlap (IoU) above which an object found is the true one; above 0.5 no two can be."""


def confusion_of(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 (C, C): pixels by their true class (rows) and by the prediction; unjudged ones are left out.

    Args:
        truth, predicted: integers (H, W), 0 to C - 1; 255 in `truth` where nobody judges.

    Example:
        >>> confusion_of(np.array([[0, 1, 255]]), np.array([[0, 0, 1]]), 2).tolist()
        [[1, 0], [1, 0]]
    """
    if truth.shape != predicted.shape:
        raise UsageError(
            f"masks of the same picture should be of the same size, got {truth.shape} and {predicted.shape}"
        )
    judged = truth != IGNORE
    pairs = truth[judged].astype(np.int64) * classes + predicted[judged].astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def shares_of(sums: Vector, classes: int, dice: bool = False) -> Vector:
    """IoU, or Dice, of every class: (B, C) of summed confusions (B, C * C); NaN where it neither occurs nor is
    predicted."""
    table = sums.reshape(-1, classes, classes)
    right = np.einsum("bcc->bc", table)
    both = table.sum(1) + table.sum(2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Vector = 2 * right / both if dice else right / (both - right)
    return found


def mean_over_classes(values: Vector) -> Vector:
    """(B,): the mean over classes (B, C), of those that are there."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Vector = total / known.sum(1)
    return mean


def mean_iou(confusions: np.ndarray) -> Metric:
    """Intersection over union, mean over the classes that occur, of confusions int64 (N, C, C)."""
    return overlap(confusions, ("",) * confusions.shape[1])["miou"]


def overlap(confusions: np.ndarray, classes: tuple[str, ...], background: int | None = 0) -> dict[str, Metric]:
    """Overlap pooled over all pixels, with intervals over pictures.

    Args:
        confusions: int64 (N, C, C), of `confusion_of`.
        classes: C names.
        background: the class that `dice` leaves out; None counts all.

    Returns:
        `miou`, `dice` (mean over the classes but the background), and for every class NAME that occurs `iou_NAME` and
        `dice_NAME`.
    """
    pictures, count = confusions.shape[:2]
    objects = [number for number in range(count) if number != background]
    finish: dict[str, Any] = {
        "miou": lambda sums: mean_over_classes(shares_of(sums, count)),
        "dice": lambda sums: mean_over_classes(shares_of(sums, count, dice=True)[:, objects]),
    }
    there = confusions.sum((0, 2)) > 0
    for number, name in enumerate(classes):
        if there[number] and name:
            finish[f"iou_{name}"] = lambda sums, at=number: shares_of(sums, count)[:, at]
            finish[f"dice_{name}"] = lambda sums, at=number: shares_of(sums, count, dice=True)[:, at]
    found = bootstrap_sums(confusions.reshape(pictures, -1).astype(np.float64), finish)
    return {name: Metric(*estimate, pictures) for name, estimate in found.items()}


def pooled(confusions: np.ndarray, background: int | None = 0) -> dict[str, Vector]:
    """`dice` (mean over the classes but the background) and `miou`, float64 (B,), of confusions (B, C, C).

    Example:
        >>> pooled(np.array([[[8, 0], [1, 1]]]))["dice"].round(3).tolist()
        [0.667]
    """
    count = confusions.shape[1]
    objects = [number for number in range(count) if number != background]
    sums = confusions.reshape(-1, count * count).astype(np.float64)
    dice, iou = shares_of(sums, count, dice=True)[:, objects], shares_of(sums, count)
    return {"dice": mean_over_classes(dice), "miou": mean_over_classes(iou)}


def edge(mask: np.ndarray) -> np.ndarray:
    """bool (H, W): the pixels of a mask that have a neighbour outside it, or lie at the picture's border."""
    inner: np.ndarray = ndimage.binary_erosion(mask, border_value=0)
    return np.asarray(mask & ~inner)


@dataclass(frozen=True)
class Outline:
    """How two outlines of one class in one picture fit; NaN where it is in neither.

    Attributes:
        f1: of pixels of either outline that have one of the other within the tolerance.
        distance: 95 of 100 pixels of either outline are at most so far from the other, in pixels; NaN where the class
            is in one only.
    """

    f1: float
    distance: float


def outline(truth: np.ndarray, predicted: np.ndarray, tolerance: float | None = None) -> Outline:
    """Compare the outlines of two masks bool (H, W).

    Args:
        tolerance: in pixels; None takes TOLERANCE of the diagonal, at least 1.

    Example:
        >>> square = np.zeros((9, 9), bool); square[2:5, 2:5] = True
        >>> outline(square, np.roll(square, 3, axis=1), 1.0)
        Outline(f1=0.375, distance=3.0)
    """
    if not truth.any() and not predicted.any():
        return Outline(float("nan"), float("nan"))
    if not truth.any() or not predicted.any():
        return Outline(0.0, float("nan"))
    limit = max(1.0, TOLERANCE * float(np.hypot(*truth.shape))) if tolerance is None else tolerance
    true, found = _outline_points(truth, predicted)
    to_true, to_found = spatial.KDTree(true).query(found)[0], spatial.KDTree(found).query(true)[0]
    precision, recall = float((to_true <= limit).mean()), float((to_found <= limit).mean())
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Outline(f1, max(float(np.percentile(to_true, 95)), float(np.percentile(to_found, 95))))


def _outline_points(*masks: np.ndarray) -> list[np.ndarray]:
    """int64 (P, 2): rows and columns of the outline of each mask bool (H, W), counted from the first that any holds."""
    together = np.logical_or(*masks)
    rows, columns = (np.flatnonzero(together.any(axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return [np.argwhere(edge(mask[part])) for mask in masks]


def matched(truth: np.ndarray, predicted: np.ndarray, least: float = MATCH) -> tuple[int, int, int]:
    """Objects found, false, and missed.

    Args:
        truth, predicted: integers (H, W), the same for the pixels of one object, 0 for none.
        least: an object is found where the overlap (IoU) is greater than this, 0.5 or more.

    Example:
        >>> matched(np.array([[1, 1, 0, 2]]), np.array([[7, 7, 7, 0]]))
        (1, 0, 1)
    """
    if truth.shape != predicted.shape or least < MATCH:
        raise UsageError(f"expected masks of one size and an overlap of 0.5 or more, got {least}")
    _, true = np.unique(truth, return_inverse=True)
    _, found = np.unique(predicted, return_inverse=True)
    # The first number is that of no object only where there is such a pixel.
    true, found = true.ravel() + (truth.min() > 0), found.ravel() + (predicted.min() > 0)
    table = sparse.coo_array((np.ones(true.size), (true, found))).tocsr()
    areas, sizes = np.asarray(table.sum(1)).ravel(), np.asarray(table.sum(0)).ravel()
    pairs = table.tocoo()
    union = areas[pairs.row] + sizes[pairs.col] - pairs.data
    hits = int(((pairs.data > least * union) & (pairs.row > 0) & (pairs.col > 0)).sum())
    return hits, int((sizes[1:] > 0).sum()) - hits, int((areas[1:] > 0).sum()) - hits


def instance_scores(counts: np.ndarray) -> dict[str, Metric]:
    """F1, precision and recall of objects, with intervals over pictures.

    Args:
        counts: integers (N, 3) of `matched`.

    Returns:
        `instance_f1`, `instance_precision`, `instance_recall`, and `count_error`: the mean over pictures of how far the
        number of objects is off, as a share of the true number (pictures without any are left out).
    """

    def f1(sums: Vector) -> Vector:
        return _share(2 * sums[:, 0], 2 * sums[:, 0] + sums[:, 1] + sums[:, 2])

    finish = {
        "instance_f1": f1,
        "instance_precision": lambda sums: _share(sums[:, 0], sums[:, 0] + sums[:, 1]),
        "instance_recall": lambda sums: _share(sums[:, 0], sums[:, 0] + sums[:, 2]),
    }
    found = bootstrap_sums(counts.astype(np.float64), finish)
    scores = {name: Metric(*estimate, len(counts)) for name, estimate in found.items()}
    true = counts[:, 0] + counts[:, 2]
    if (true > 0).any():
        off = np.abs(counts[:, 1] - counts[:, 2])[true > 0] / true[true > 0]
        scores["count_error"] = Metric(*bootstrap(np.mean, [off]), len(off))
    return scores


def outline_scores(outlines: np.ndarray) -> dict[str, Metric]:
    """Mean over pictures of the outlines' figures, float (N, T, 2) for T classes: F1 and distance; NaN is left out.

    Returns:
        `boundary_f1` and `surface_distance` (pixels); a name is absent where there is no figure.
    """
    scores = {}
    for at, (name, unit) in enumerate((("boundary_f1", "share"), ("surface_distance", "px"))):
        values = outlines[:, :, at]
        each = mean_over_classes(values)
        each = each[np.isfinite(each)]
        if len(each):
            scores[name] = Metric(*bootstrap(np.mean, [each]), len(each), unit)
    return scores


def _share(part: Vector, whole: Vector) -> Vector:
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Vector = part / whole
    return share
