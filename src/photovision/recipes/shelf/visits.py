"""What changed on a shelf between two visits: what appeared, vanished or moved, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from photovision.core.image import decode, to_array
from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.core.types import Floats, Image
from photovision.core.value_range import ValueRanges
from photovision.recipes.basket.appearance import alike, colours, cut
from photovision.recipes.shelf.align import Alignment
from photovision.video.tracker import assign

SURE = 0.3
"""Changes with less confidence are kept for machines and reported as doubtful."""
_SAME_PLACE = 0.3  # intersection over union of two boxes of one object
_FAR = 0.35  # of the picture's diagonal: what moved farther is called vanished and appeared
_SIMILAR, _SIZES = 0.5, 0.6  # least intersection of colour histograms, and of the smaller to the larger side


@dataclass(frozen=True, eq=False)
class ShelfChange:
    """One difference between two visits.

    Attributes:
        kind: "appeared", "vanished" or "moved".
        label: class of the object.
        confidence: 0 to 1: it was there once and not at the other time, and the place looks different.
        before, now: float32 (4,) in pixels of the new picture, or None.
    """

    kind: str
    label: str
    confidence: float
    before: Floats | None
    now: Floats | None

    @property
    def sure(self) -> bool:
        """Whether it is worth telling."""
        return self.confidence >= SURE

    def to_json(self) -> dict[str, Any]:
        """`{"kind", "class", "confidence", "before", "now"}`, boxes as xyxy in pixels of the new picture."""
        facts: dict[str, Any] = {"kind": self.kind, "class": self.label, "confidence": round(self.confidence, 4)}
        for name, box in (("before", self.before), ("now", self.now)):
            facts[name] = None if box is None else [round(value, 1) for value in box.tolist()]
        return facts


@dataclass(frozen=True, eq=False)
class AlignedView:
    """One picture of a visit and what is in it.

    Attributes:
        name: the file's name without its ending: pictures of one shelf have the same one at every visit.
        file: path of the picture.
        size: (H, W) in pixels of the upright picture.
        found: boxes with probabilities, doubtful ones, too.
        shown: bool (N,), those that the model itself would show.
        hiders: float32 (M, 4), boxes of persons, who stand before a shelf and do not belong to it.
        ranges: what is black and what is white in pictures of more than 8 bits, for the model.
    """

    name: str
    file: str
    size: tuple[int, int]
    found: Detections
    shown: np.ndarray
    hiders: Floats = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    ranges: ValueRanges = ()

    @property
    def image(self) -> Image:
        """uint8 RGB (H, W, 3), decoded at each call, so that many pictures take no memory."""
        return to_array(decode(self.file, ranges=self.ranges))


def changes(before: AlignedView, now: AlignedView, alignment: Alignment) -> list[ShelfChange]:
    """What appeared, vanished or moved, the surest first.

    A change of an object has the confidence p (1 - q) (1 - r): p that it is in one picture, q that one of its class is
    at that place in the other, r how much the place looks the same in both. So what a detector overlooks once is no
    change as long as the pixels are the same.

    Args:
        before, now: the same shelf at two visits.
        alignment: of the first to the second picture.
    """
    placed = alignment.place(before.found.boxes)
    inside = overlap(placed, np.array([[0, 0, now.size[1], now.size[0]]], dtype=np.float32), "first")[:, 0] >= 0.5
    gone = _lonely("vanished", before.found, placed, before.shown & inside, now.found, now.found.boxes, alignment)
    seen = _seen_before(now.found.boxes, alignment)
    new = _lonely("appeared", now.found, now.found.boxes, now.shown & seen, before.found, placed, alignment)
    moved = _moved(gone, new, now, before, alignment)
    taken = {id(one) for pair in moved for one in pair[:2]}
    left = [change for change in (*gone, *new) if id(change) not in taken]
    return sorted([*left, *(pair[2] for pair in moved)], key=lambda change: -change.confidence)


def _lonely(
    kind: str,
    mine: Detections,
    boxes: Floats,
    rows: np.ndarray,
    others: Detections,
    theirs: Floats,
    alignment: Alignment,
) -> list[ShelfChange]:
    """A change for every object of `rows` that none of its class in the other picture is the same as."""
    if mine.scores is None or others.scores is None or not rows.any():
        return []
    near = overlap(boxes, theirs) if len(theirs) else np.zeros((len(boxes), 0), dtype=np.float32)
    near = near * (mine.labels[:, None] == others.labels[None])
    partner = np.zeros(len(boxes))
    of, to = assign(1 - near.astype(np.float64), 1 - _SAME_PLACE)
    partner[of] = others.scores[to]
    found = []
    for row in np.flatnonzero(rows).tolist():
        box = boxes[row]
        confidence = float(mine.scores[row]) * (1 - float(partner[row])) * (1 - alignment.unchanged(box))
        sides = (box, None) if kind == "vanished" else (None, box)
        if confidence > 0.01:
            found.append(ShelfChange(kind, mine.names[row], confidence, *sides))
    return found


def _seen_before(boxes: Floats, alignment: Alignment) -> np.ndarray:
    """bool (N,): whether the reference shows these places of the new picture at all."""
    known = np.isfinite(alignment.before)
    rows = []
    for x1, y1, x2, y2 in np.rint(boxes * alignment.scale).astype(int).tolist():
        part = known[max(y1, 0) : max(y2, y1 + 1, 1), max(x1, 0) : max(x2, x1 + 1, 1)]
        rows.append(bool(part.size and part.mean() >= 0.5))
    return np.array(rows, dtype=bool)


def _moved(
    gone: list[ShelfChange], new: list[ShelfChange], now: AlignedView, before: AlignedView, alignment: Alignment
) -> list[tuple[ShelfChange, ShelfChange, ShelfChange]]:
    """Pairs of one class, size and look that are near each other, with the change that they are together."""
    gone, new = [one for one in gone if one.sure], [one for one in new if one.sure]
    if not gone or not new:
        return []
    back, was, here = np.linalg.pinv(alignment.matrix), before.image, now.image
    limit = _FAR * float(np.hypot(*now.size))
    cost = np.full((len(gone), len(new)), 2.0)
    for i, old in enumerate(gone):
        for j, fresh in enumerate(new):
            assert old.before is not None
            assert fresh.now is not None
            sides = _sides(old.before), _sides(fresh.now)
            sizes = float((np.minimum(*sides) / np.maximum(*sides)).min())
            far = float(np.hypot(*(_middle(old.before) - _middle(fresh.now)))) / limit
            if old.label == fresh.label and sizes >= _SIZES and far <= 1:
                origin = np.concatenate([_through(back, old.before[:2]), _through(back, old.before[2:])])
                if alike(colours(cut(was, origin)), colours(cut(here, fresh.now))) >= _SIMILAR:
                    cost[i, j] = far
    pairs = zip(*assign(cost, 1.0), strict=True)
    return [
        (
            gone[i],
            new[j],
            ShelfChange("moved", gone[i].label, min(gone[i].confidence, new[j].confidence), gone[i].before, new[j].now),
        )
        for i, j in pairs
    ]


def _through(matrix: np.ndarray, point: Floats) -> np.ndarray:
    x, y, depth = matrix @ np.array([*point.tolist(), 1.0])
    return np.array([x, y]) / (depth or 1e-9)


def _sides(box: Floats) -> np.ndarray:
    return np.asarray(np.maximum(box[2:] - box[:2], 1))


def _middle(box: Floats) -> np.ndarray:
    return (box[:2] + box[2:]) / 2
