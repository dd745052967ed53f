"""Panoptic quality: how well a picture is divided into things and stuff (Kirillov et al. 2019).

Of things every object is a segment, of stuff all pixels of a class are one. A predicted segment is right where it is of
the same class and their overlap (IoU) is above one half, so that no two can be. The quality is the mean overlap of the
segments found (SQ) times their F1 (RQ).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from photovision.core.errors import UsageError
from photovision.core.regions import IGNORE
from photovision.core.report import Metric
from photovision.trust.metrics.segmentation import MATCH, mean_over_classes
from photovision.trust.metrics.statistics import Vector, bootstrap_sums


@dataclass(frozen=True, eq=False)
class Scenery:
    """A picture in segments.

    Attributes:
        labels: integers (H, W), the class of every pixel; 255 where nobody judges.
        numbers: integers (H, W), the same for the pixels of one object, 0 where there is none; None: all is stuff.
    """

    labels: np.ndarray
    numbers: np.ndarray | None = None

    def segments(self) -> np.ndarray:
        """int64 (H, W): the number of the segment times 256, plus its class."""
        labels = self.labels.astype(np.int64)
        return labels if self.numbers is None else self.numbers.astype(np.int64) * 256 + labels


def segment_counts(truth: Scenery, predicted: Scenery, classes: int) -> np.ndarray:
    """float64 (C, 4): segments found, false and missed, and the summed overlap of those found, by class.

    Pixels that nobody judges count for nothing; a segment mostly there is not a false one.

    Example:
        >>> truth = Scenery(np.array([[1, 1, 1, 0]]), np.array([[1, 1, 2, 0]]))
        >>> segment_counts(truth, Scenery(np.array([[1, 1, 0, 0]]), np.array([[5, 5, 0, 0]])), 2)[1].tolist()
        [1.0, 0.0, 1.0, 1.0]
    """
    if truth.labels.shape != predicted.labels.shape:
        raise UsageError(
            f"segments of one picture should be of one size, got {truth.labels.shape} and {predicted.labels.shape}"
        )
    names, true = np.unique(truth.segments(), return_inverse=True)
    own, found = np.unique(predicted.segments(), return_inverse=True)
    table = sparse.coo_array((np.ones(true.size), (true.ravel(), found.ravel()))).tocsr()
    judged, kinds, own_kinds = names % 256 != IGNORE, names % 256, own % 256
    whole = table.sum(0)
    spared = table[~judged].sum(0) > whole / 2
    areas, sizes, pairs = table.sum(1), table[judged].sum(0), table.tocoo()
    rows, columns = pairs.row, pairs.col
    fits = pairs.data / (areas[rows] + sizes[columns] - pairs.data)
    right = (kinds[rows] == own_kinds[columns]) & (fits > MATCH) & judged[rows]
    spared[columns[right]] = True  # those found are not too many
    hits = np.bincount(kinds[rows[right]], minlength=classes)
    missed = np.bincount(kinds[judged], minlength=classes) - hits
    spare = np.bincount(own_kinds[~spared], minlength=classes)
    overlap = np.bincount(kinds[rows[right]], fits[right], minlength=classes)
    return np.stack([hits, spare, missed, overlap], axis=1).astype(np.float64)


def renumbered(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Numbers of predicted objects, as those of the true ones that they overlap by more than half; others get new
    numbers.

    Args:
        predicted, truth: integers (H, W), 0 for none.

    Example:
        >>> renumbered(np.array([[7, 7, 0, 1]]), np.array([[3, 3, 0, 0]])).tolist()
        [[3, 3, 0, 4]]
    """
    own, found = np.unique(predicted, return_inverse=True)
    names, true = np.unique(truth, return_inverse=True)
    table = sparse.coo_array((np.ones(true.size), (found.ravel(), true.ravel()))).tocsr()
    areas, sizes, pairs = table.sum(1), table.sum(0), table.tocoo()
    rows, columns = pairs.row, pairs.col
    fits = pairs.data / (areas[rows] + sizes[columns] - pairs.data)
    right = (fits > MATCH) & (own[rows] > 0) & (names[columns] > 0)
    numbers = np.where(own > 0, np.cumsum(own > 0) + names.max(), 0)
    numbers[rows[right]] = names[columns[right]]
    fresh = numbers > names.max()
    numbers[fresh] = names.max() + 1 + np.arange(int(fresh.sum()))
    return numbers[found].reshape(predicted.shape)


def panoptic_scores(counts: np.ndarray, classes: tuple[str, ...], background: int | None) -> dict[str, Metric]:
    """Panoptic quality, with intervals over pictures.

    Args:
        counts: float (N, C, 4) of `segment_counts`.
        classes: C names.
        background: the class that is left out, for it is neither thing nor stuff; None counts all.

    Returns:
        `pq`, `sq` and `rq`, means over the classes that occur or are predicted; and `pq_NAME` for each of them.
    """
    kept = [number for number in range(len(classes)) if number != background]
    there = [number for number in kept if counts[:, number, :3].sum() > 0]
    finish = {
        name: lambda sums, at=at: mean_over_classes(_qualities(sums, len(classes))[at][:, kept])
        for at, name in enumerate(("pq", "sq", "rq"))
    }
    for number in there:
        finish[f"pq_{classes[number]}"] = lambda sums, at=number: _qualities(sums, len(classes))[0][:, at]
    if not there:
        return {}
    found = bootstrap_sums(counts.reshape(len(counts), -1), finish)
    return {name: Metric(*estimate, len(counts)) for name, estimate in found.items()}


def _qualities(sums: Vector, classes: int) -> tuple[Vector, Vector, Vector]:
    """PQ, SQ and RQ, each (B, C), of summed counts (B, C * 4); NaN for classes that neither occur nor are predicted."""
    hits, spare, missed, overlap = np.moveaxis(sums.reshape(-1, classes, 4), 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recognised = hits / (hits + spare / 2 + missed / 2)
        fitting = np.where(hits > 0, overlap / hits, 0 * recognised)
    return fitting * recognised, fitting, recognised
