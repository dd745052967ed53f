"""Hits: which box of a detector is on which object at an overlap of .5, box by box and object by object.

The figures of a whole detector are in `photovision.trust.metrics.detection`, by the reference; here is what is needed
beside them where the same is asked again and again: of every group, in every condition, of every kind of object. The
rule is the reference's (the surest box takes the object that it overlaps most; crowds, and what is on them, count
nowhere), and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from photovision.core.overlap import overlap
from photovision.core.regions import Bools, Detections
from photovision.core.types import Floats
from photovision.trust.metrics.detection import MAX_BOXES, Pair, Vector, average_precisions

RIGHT = 0.5
"""The overlap from which on a box is on an object."""
_NOTHING, _CROWD = -1, -2
_CHUNK = 2_000_000  # boxes times resamples held at once: 16 MB
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ObjectBoxes:
    """M boxes, or objects, of N pictures in one list.

    Attributes:
        boxes: float32 (M, 4), x1, y1, x2, y2 in pixels of their picture.
        labels, picture, row: int64 (M,), the class of each, its picture, and its place there.
    """

    boxes: Floats
    labels: Whole
    picture: Whole
    row: Whole

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Matching:
    """What a detector found of the objects of N pictures.

    Attributes:
        classes: C names.
        pictures: N.
        there: the M objects that are judged.
        found: the D boxes that are judged, most probable first.
        scores: float64 (D,).
        object: int64 (D,), position in `there` of the object that a box is on; -1 where it is on none.
        shared: float32 (D,), how much they overlap; 0 where it is on none.
    """

    classes: tuple[str, ...]
    pictures: int
    there: ObjectBoxes
    found: ObjectBoxes
    scores: Vector
    object: Whole
    shared: Floats

    @cached_property
    def right(self) -> Bools:
        """bool (D,), whether a box is on an object."""
        return np.asarray(self.object >= 0)

    @cached_property
    def objects(self) -> Whole:
        """int64 (N, C): how many objects of every class a picture has."""
        width = len(self.classes)
        place = self.there.picture * width + self.there.labels
        return np.bincount(place, minlength=self.pictures * width).reshape(self.pictures, width)

    def shown(self, thresholds: Floats) -> Bools:
        """bool (D,), which boxes reach their class's threshold, float32 (C,)."""
        return np.asarray(self.scores >= thresholds[self.found.labels] - 1e-9)

    def seen(self, thresholds: Floats) -> Bools:
        """bool (M,), which objects a box that is shown is on."""
        seen = np.zeros(len(self.there), dtype=bool)
        seen[self.object[self.shown(thresholds) & self.right]] = True
        return seen

    def tally(self, thresholds: Floats) -> Whole:
        """int64 (N, 3): objects found, false boxes, and objects missed in every picture."""
        shown = self.shown(thresholds)
        hits, spare = (
            np.bincount(self.found.picture[shown & side], minlength=self.pictures) for side in (self.right, ~self.right)
        )
        return np.column_stack([hits, spare, self.objects.sum(1) - hits]).astype(np.int64)

    def ap50(self, weights: Vector) -> Vector:
        """Average precision at .5, mean over the classes that have objects, pictures counting so often.

        Args:
            weights: float64 (B, N).

        Returns:
            float64 (B,); NaN where no object is left.
        """
        values = []
        for label in np.flatnonzero(self.objects.any(0)):
            own = self.found.labels == label
            total = weights @ self.objects[:, label]
            rows, right = self.found.picture[own], self.right[own]
            size = max(1, _CHUNK // max(len(rows), 1))
            parts = (slice(start, start + size) for start in range(0, len(weights), size))
            found = np.concatenate([average_precisions(weights[part][:, rows], right, total[part]) for part in parts])
            values.append(np.where(total > 0, found, np.nan))
        if not values:
            return np.full(len(weights), np.nan)
        known = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            mean: Vector = np.where(known, values, 0).sum(0) / known.sum(0)
        return np.where(known.any(0), mean, np.nan)


def f1_of(tally: Whole) -> Vector:
    """F1 of every picture from `Hits.tally`, float64 (N,); 1 where there is nothing and nothing is predicted.

    Example:
        >>> f1_of(np.array([[1, 1, 0], [0, 0, 0]])).round(2).tolist()
        [0.67, 1.0]
    """
    hits, spare, missed = tally.T
    whole = 2 * hits + spare + missed
    return np.where(whole > 0, 2 * hits / np.maximum(whole, 1), 1.0)


def find_hits(pairs: Sequence[Pair], classes: tuple[str, ...]) -> Matching:
    """Decide which box is on which object.

    Args:
        pairs: N pictures; boxes have scores, and labels count `classes`.
        classes: C names.

    Example:
        >>> one = Detections(np.float32([[0, 0, 9, 9]]), np.array([0]))
        >>> boxes, scores = np.float32([[0, 0, 9, 8], [20, 0, 29, 9]]), np.float32([0.6, 0.9])
        >>> predicted = Detections(boxes, np.array([0, 0]), scores=scores)
        >>> found = find_hits([Pair(one, predicted)], ("cat",))
        >>> found.scores.round(1).tolist(), found.right.tolist()
        ([0.9, 0.6], [False, True])
    """
    met = [_met(pair) for pair in pairs]
    judged = [np.flatnonzero(~_crowd(pair.truth)) for pair in pairs]
    starts = np.cumsum([0, *map(len, judged)])
    there = _object_boxes([(pair.truth, rows) for pair, rows in zip(pairs, judged, strict=True)])
    kept = [np.flatnonzero(meant != _CROWD) for meant, _ in met]
    found = _object_boxes([(pair.found, rows) for pair, rows in zip(pairs, kept, strict=True)])
    place = []
    for (meant, _), rows, objects, start in zip(met, kept, judged, starts, strict=False):
        own = meant[rows]
        place.append(np.where(own >= 0, start + np.searchsorted(objects, np.maximum(own, 0)), _NOTHING))
    values = _joined([_scores(pair.found)[rows] for pair, rows in zip(pairs, kept, strict=True)], np.float64)
    shared = _joined([part[rows] for (_, part), rows in zip(met, kept, strict=True)], np.float32)
    order = np.argsort(-values, kind="stable")
    ordered = ObjectBoxes(found.boxes[order], found.labels[order], found.picture[order], found.row[order])
    meant = _joined(place, np.int64)[order]
    return Matching(classes, len(pairs), there, ordered, values[order], meant, shared[order])


def _met(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """The object of every box (or why it has none), and how much they overlap; boxes beyond MAX_BOXES are left out."""
    truth, found = pair
    meant, best = np.full(len(found), _NOTHING), np.zeros(len(found), np.float32)
    crowd = _crowd(truth)
    own = found.labels[:, None] == truth.labels[None, :]
    shared = np.where(own & ~crowd, overlap(found.boxes, truth.boxes), 0)
    on_crowd = np.where(own & crowd, overlap(found.boxes, truth.boxes, "first"), 0).max(axis=1, initial=0) >= RIGHT
    order = np.argsort(-_scores(found), kind="stable")
    for label in np.unique(found.labels):
        meant[order[found.labels[order] == label][MAX_BOXES:]] = _CROWD
    taken = np.zeros(len(truth), dtype=bool)
    likely = shared.max(axis=1, initial=0) >= RIGHT
    for row in order[likely[order] & (meant[order] == _NOTHING)]:
        fits = np.where(taken, 0, shared[row])
        if fits.max() >= RIGHT:
            meant[row], best[row] = int(fits.argmax()), fits.max()
            taken[meant[row]] = True
    meant[(meant == _NOTHING) & on_crowd] = _CROWD
    return meant, best


def _crowd(truth: Detections) -> np.ndarray:
    return np.zeros(len(truth), dtype=bool) if truth.crowd is None else truth.crowd


def _scores(found: Detections) -> np.ndarray:
    return np.ones(len(found)) if found.scores is None else found.scores.astype(np.float64)


def _object_boxes(parts: Sequence[tuple[Detections, np.ndarray]]) -> ObjectBoxes:
    boxes = np.concatenate([regions.boxes[rows] for regions, rows in parts] or [np.zeros((0, 4), np.float32)])
    picture = [np.full(len(rows), number) for number, (_, rows) in enumerate(parts)]
    labels = [regions.labels[rows] for regions, rows in parts]
    rows = _joined([rows for _, rows in parts], np.int64)
    return ObjectBoxes(boxes, _joined(labels, np.int64), _joined(picture, np.int64), rows)


def _joined(parts: Sequence[np.ndarray], dtype: npt.DTypeLike) -> np.ndarray:
    return np.concatenate([*parts, np.zeros(0)]).astype(dtype)
