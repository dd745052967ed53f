"""What goes wrong in a detector, and what each kind of error costs.

After Bolya et al. 2020 (TIDE): every wrong box has one of five kinds, every object without a box is missed, and the
cost of a kind is what average precision at an overlap of .5 would gain if an oracle mended it alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.trust.metrics.detection import MAX_BOXES, Pair, average_precision

RIGHT, NEAR = 0.5, 0.1
"""From this overlap on a box is right; below the second it has nothing to do with the object."""
KINDS = ("localisation", "classification", "both", "duplicate", "background", "missed")
MEANING = {
    "localisation": "right class, but the box fits badly, with an overlap of .1 to .5",
    "classification": "a good box of the wrong class",
    "both": "wrong class, and the box fits badly",
    "duplicate": "a second box on an object that has one",
    "background": "no object there",
    "missed": "an object without any box, not even a bad one",
}
_HIT, _IGNORED = "right", "ignored"


class Mistake(NamedTuple):
    """One error.

    Attributes:
        picture: which pair it is in.
        kind: one of KINDS.
        row: the box in `found`; the object in `truth` where it is missed.
        score: of the box; NaN where an object is missed.
    """

    picture: int
    kind: str
    row: int
    score: float


@dataclass(frozen=True, eq=False)
class Breakdown:
    """All errors of a detector.

    Attributes:
        mistakes: every one.
        ap50: mean average precision at an overlap of .5, 0 to 1.
        costs: kind -> by how much `ap50` would rise if errors of that kind were mended.
    """

    mistakes: tuple[Mistake, ...]
    ap50: float
    costs: dict[str, float]

    def counts(self, threshold: float = 0.0) -> dict[str, int]:
        """How many errors of each kind, boxes below the threshold left out."""
        found = Counter(one.kind for one in self.mistakes if not one.score < threshold)
        return {kind: found[kind] for kind in KINDS}


@dataclass(frozen=True, eq=False)
class _Judgement:
    """What one picture's boxes are: kind, and the object that they should have been on (-1: none)."""

    kinds: list[str]
    meant: npt.NDArray[np.int64]
    missed: list[int]


def break_down(pairs: Sequence[Pair], classes: int) -> Breakdown:
    """Sort out the errors of a detector on N pictures.

    Args:
        pairs: pictures, with boxes found at a low threshold, since average precision counts them all.
        classes: how many classes there are.
    """
    judged = [_judge(pair) for pair in pairs]
    mistakes: list[Mistake] = []
    for number, (pair, one) in enumerate(zip(pairs, judged, strict=True)):
        values = _scores(pair.found)
        mistakes += [
            Mistake(number, kind, row, float(values[row])) for row, kind in enumerate(one.kinds) if kind in KINDS
        ]
        mistakes += [Mistake(number, "missed", row, float("nan")) for row in one.missed]
    whole = _ap50(pairs, judged, classes, None)
    costs = {kind: _ap50(pairs, judged, classes, kind) - whole for kind in KINDS}
    return Breakdown(tuple(mistakes), whole, costs)


def confusion(pairs: Sequence[Pair], thresholds: np.ndarray, classes: int) -> npt.NDArray[np.int64]:
    """What was called what: int64 (C + 1, C + 1), rows what is there, columns the prediction; the last is nothing.

    Boxes take objects of their own class first; those left over take objects left over, whatever their class, from an
    overlap of .5 on.

    Args:
        pairs: pictures.
        thresholds: float (C,), from which score on a box of a class is shown.
        classes: C.
    """
    table = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for truth, found in pairs:
        rows = np.flatnonzero(_scores(found) >= thresholds[found.labels] - 1e-9)
        shown = Detections(found.boxes[rows], found.labels[rows], scores=_scores(found)[rows].astype(np.float32))
        judged = _judge(Pair(truth, shown))
        free = np.ones(len(truth), dtype=bool) if truth.crowd is None else ~truth.crowd
        free[judged.meant[np.array([kind == _HIT for kind in judged.kinds], dtype=bool)]] = False
        shared = overlap(shown.boxes, truth.boxes)
        for row in np.argsort(-_scores(shown), kind="stable"):
            kind, label = judged.kinds[row], shown.labels[row]
            if kind == _HIT:
                table[label, label] += 1
            elif kind != _IGNORED:
                fits = np.where(free, shared[row], 0)
                taken = int(fits.argmax()) if fits.max(initial=0) >= RIGHT else -1
                table[truth.labels[taken] if taken >= 0 else classes, label] += 1
                if taken >= 0:
                    free[taken] = False
        np.add.at(table[:, classes], truth.labels[free], 1)
    return table


def _scores(found: Detections) -> np.ndarray:
    return np.ones(len(found)) if found.scores is None else found.scores.astype(np.float64)


def _judge(pair: Pair) -> _Judgement:
    truth, found = pair
    crowd = np.zeros(len(truth), bool) if truth.crowd is None else truth.crowd
    shared = overlap(found.boxes, truth.boxes)
    same = found.labels[:, None] == truth.labels[None, :]
    kinds, meant = ["background"] * len(found), np.full(len(found), -1)
    taken = np.zeros(len(truth), dtype=bool)
    for row in np.argsort(-_scores(found), kind="stable"):  # the surest first takes its object
        fits = np.where(same[row] & ~taken & ~crowd & (shared[row] >= RIGHT), shared[row], -1)
        if len(fits) and fits.max() >= 0:
            kinds[row], meant[row] = _HIT, int(fits.argmax())
            taken[meant[row]] = True
    on_crowd = overlap(found.boxes, truth.boxes[crowd], "first").max(axis=1, initial=0) >= RIGHT
    for row in range(len(found)):
        if kinds[row] != _HIT:
            kinds[row], meant[row] = (_IGNORED, -1) if on_crowd[row] else _kind(shared[row], same[row], crowd)
    known = taken.copy()
    for kind, at in zip(kinds, meant, strict=True):
        if kind in ("localisation", "classification"):
            known[at] = True
    return _Judgement(kinds, meant, np.flatnonzero(~known & ~crowd).tolist())


def _kind(shared: np.ndarray, same: np.ndarray, crowd: np.ndarray) -> tuple[str, int]:
    """The kind of a box that is not right, and the object that it should have been on."""
    own, other = np.where(same & ~crowd, shared, 0), np.where(same | crowd, 0, shared)
    best, best_other = own.max(initial=0), other.max(initial=0)
    if NEAR <= best < RIGHT:
        return "localisation", int(own.argmax())
    if best_other >= RIGHT:
        return "classification", int(other.argmax())
    if best >= RIGHT:
        return "duplicate", -1
    return ("both" if best_other >= NEAR else "background"), -1


def _ap50(pairs: Sequence[Pair], mistakes: Sequence[_Judgement], classes: int, mended: str | None) -> float:
    """Mean average precision at .5, with the errors of one kind mended."""
    rows: list[tuple[float, int, bool]] = []
    objects = np.zeros(classes, dtype=np.int64)
    for pair, one in zip(pairs, mistakes, strict=True):
        objects += _objects(pair, one, classes, mended)
        rows += _rows(pair, one, mended)
    values = np.array([row[0] for row in rows])
    labels = np.array([row[1] for row in rows], dtype=np.int64)
    right = np.array([row[2] for row in rows], dtype=bool)
    found = []
    for label in np.flatnonzero(objects):
        own = np.flatnonzero(labels == label)
        own = own[np.argsort(-values[own], kind="stable")]
        found.append(average_precision(right[own], int(objects[label])))
    return float(np.mean(found)) if found else 0.0


def _objects(pair: Pair, judged: _Judgement, classes: int, mended: str | None) -> np.ndarray:
    kept = np.ones(len(pair.truth), bool) if pair.truth.crowd is None else ~pair.truth.crowd
    if mended == "missed":
        kept = kept.copy()
        kept[judged.missed] = False
    return np.bincount(pair.truth.labels[kept], minlength=classes)


def _rows(pair: Pair, judged: _Judgement, mended: str | None) -> list[tuple[float, int, bool]]:
    """(score, class, whether it is right) of the boxes that are left, most probable first."""
    values, rows = _scores(pair.found), []
    taken = {int(at) for kind, at in zip(judged.kinds, judged.meant, strict=True) if kind == _HIT}
    counted: Counter[int] = Counter()
    for row in np.argsort(-values, kind="stable"):
        kind, label, at = judged.kinds[row], int(pair.found.labels[row]), int(judged.meant[row])
        counted[label] += 1
        if kind == _IGNORED or counted[label] > MAX_BOXES:
            continue
        if kind == mended:
            # Moved, or called rightly, the box is right, unless its object has a box: then it is one too many.
            if at < 0 or at in taken:
                continue
            taken.add(at)
            rows.append((float(values[row]), int(pair.truth.labels[at]), True))
        else:
            rows.append((float(values[row]), label, kind == _HIT))
    return rows
