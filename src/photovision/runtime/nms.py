"""One box for one object: non-maximum suppression class by class, and the union of what tiles saw, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.overlap import overlap
from photovision.core.types import Floats, Ints

MAX_BOXES = 300
"""Boxes that are kept of one picture."""
CANDIDATES = 2000
"""Boxes of one picture that are looked at, the most probable ones; more would be noise at very low thresholds."""
_CUT = 0.5  # of the smaller box: from here on a piece and a whole, or two pieces, are one object


@dataclass(frozen=True, eq=False)
class ScoredBoxes:
    """N boxes of one picture.

    Attributes:
        xyxy: float32 (N, 4), x1, y1, x2, y2.
        scores: float32 (N,), 0 to 1.
        labels: int64 (N,), the class of each.
    """

    xyxy: Floats
    scores: Floats
    labels: Ints

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> ScoredBoxes:
        """Some of them, by position or by a mask."""
        return ScoredBoxes(self.xyxy[rows], self.scores[rows], self.labels[rows])


def candidates(boxes: Floats, scores: Floats, thresholds: Floats, most: int = CANDIDATES) -> ScoredBoxes:
    """The boxes whose score reaches the threshold of a class, most probable first; a place may count for several.

    Args:
        boxes: float32 (K, 4), a network's places.
        scores: float32 (K, C), the probability of every class at each.
        thresholds: float32 (C,).
        most: how many are kept.
    """
    # Nearly all places hold nothing: one comparison with the least threshold spares looking at them class by class.
    rows, labels = np.divmod(np.flatnonzero(scores >= thresholds.min(initial=1)), scores.shape[1] or 1)
    reached = scores[rows, labels] >= thresholds[labels]
    rows, labels = rows[reached], labels[reached]
    values = scores[rows, labels]
    order = np.argsort(-values, kind="stable")[:most]
    rows, labels = rows[order], labels[order]
    finite = np.flatnonzero(np.isfinite(boxes[rows]).all(axis=1))
    return ScoredBoxes(boxes[rows], values[order], labels.astype(np.int64)).take(finite)


def suppress(found: ScoredBoxes, iou: float = 0.5, most: int = MAX_BOXES) -> ScoredBoxes:
    """Non-maximum suppression: of boxes of one class that overlap by more than `iou`, the most probable stays.

    Boxes of different classes do not suppress each other.

    Args:
        found: any order.
        iou: intersection over union, 0 to 1.
        most: how many are kept, most probable first.

    Example:
        >>> two = ScoredBoxes(np.float32([[0, 0, 9, 9], [0, 0, 9, 8]]), np.float32([0.6, 0.9]), np.array([0, 0]))
        >>> suppress(two).scores
        array([0.9], dtype=float32)
    """
    kept: list[int] = []
    order = np.argsort(-found.scores, kind="stable")
    for label in np.unique(found.labels):
        rows = order[found.labels[order] == label]
        kept += rows[_standing(found.xyxy[rows], iou)].tolist()
    kept_ = np.array(kept, dtype=np.int64)
    return found.take(kept_[np.argsort(-found.scores[kept_], kind="stable")[:most]])


def merge(found: ScoredBoxes, cut: np.ndarray, iou: float = 0.5, most: int = MAX_BOXES) -> ScoredBoxes:
    """Suppression over the boxes of overlapping tiles, where borders of tiles cut objects into pieces.

    A piece belongs to a box of its class that it shares half of the smaller area with, and widens it where that is a
    piece, too. Whole boxes are suppressed as always.

    Args:
        found: boxes of all tiles, in the coordinates of the picture.
        cut: bool (N,), which of them end at a border inside the picture.
        iou, most: as for `suppress`.

    Example:
        >>> scores, labels = np.float32([0.9, 0.8]), np.array([0, 0])
        >>> halves = ScoredBoxes(np.float32([[0, 0, 60, 20], [40, 0, 100, 20]]), scores, labels)
        >>> merge(halves, np.array([True, True])).xyxy.tolist()
        [[0.0, 0.0, 60.0, 20.0], [40.0, 0.0, 100.0, 20.0]]
        >>> scores, labels = np.float32([0.9, 0.8]), np.array([0, 0])
        >>> halves = ScoredBoxes(np.float32([[0, 0, 60, 20], [30, 0, 90, 20]]), scores, labels)
        >>> merge(halves, np.array([True, True])).xyxy.tolist()
        [[0.0, 0.0, 90.0, 20.0]]
    """
    # Whole boxes come first, so that pieces join them and not the other way round.
    order = np.lexsort((-found.scores, cut))
    found, cut = found.take(order), cut[order]
    xyxy, scores, alive = found.xyxy.copy(), found.scores.copy(), np.ones(len(found), dtype=bool)
    for row in range(len(found)):
        if not alive[row]:
            continue
        rest = row + 1 + np.flatnonzero(alive[row + 1 :] & (found.labels[row + 1 :] == found.labels[row]))
        one = xyxy[row : row + 1]
        piece = cut[rest] & (overlap(one, xyxy[rest], "smaller")[0] >= _CUT)
        same = rest[piece | (overlap(one, xyxy[rest])[0] > iou)]
        alive[same] = False
        if cut[row] and len(same):
            xyxy[row, :2] = np.minimum(xyxy[row, :2], xyxy[same, :2].min(axis=0))
            xyxy[row, 2:] = np.maximum(xyxy[row, 2:], xyxy[same, 2:].max(axis=0))
        scores[row] = max(scores[row], scores[same].max(initial=0))
    merged = ScoredBoxes(xyxy, scores, found.labels).take(alive)
    return merged.take(np.argsort(-merged.scores, kind="stable")[:most])


def _standing(boxes: Floats, iou: float) -> np.ndarray:
    """bool (N,): which boxes of one class, most probable first, no box before them suppresses."""
    standing = np.ones(len(boxes), dtype=bool)
    if len(boxes) > 1:
        close = overlap(boxes, boxes) > iou
        for row in range(len(boxes) - 1):
            if standing[row]:
                standing[row + 1 :] &= ~close[row, row + 1 :]
    return standing
