"""Shares: what pictures add up to (objects found of those that are there ...), compared between kinds of pictures.

Objects of one picture are not independent, so nothing here counts objects as if they were: intervals resample whole
pictures, and tests ask how pictures would look in other company. Classes are held equal by indirect standardisation:
what is compared is how far a share is from what it would be if every class fared in it as it does everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from photovision.core.types import Floats
from photovision.trust.fairness.contrasts import shift
from photovision.trust.metrics.detection import Vector
from photovision.trust.metrics.matching import Matching, ObjectBoxes
from photovision.trust.metrics.statistics import Estimate, bootstrap_sums, wilson

_N_BOOT = 400


@dataclass(frozen=True, eq=False)
class Rate:
    """A share over N pictures.

    Attributes:
        name: what it is called: "recall", "precision" ...
        verb: its verb, as in "are found".
        part, whole: float64 (N,), what each picture adds above and below the line.
        expected: float64 (N,), what `part` would be if every class fared here as everywhere.
    """

    name: str
    verb: str
    part: Vector
    whole: Vector
    expected: Vector

    def of(self, member: np.ndarray, seed: int = 0) -> Estimate:
        """The share in some pictures, bool (N,), with a bootstrap over them; 0 where they hold nothing."""
        part, whole = self.part[member], self.whole[member]
        total = float(whole.sum())
        if not total:
            return Estimate(0.0, 0.0, 1.0)
        value = float(part.sum()) / total
        if value in (0.0, 1.0):  # a bootstrap would see no doubt where there is some
            return Estimate(value, *wilson(round(part.sum()), round(total)))
        columns = np.column_stack([part, whole])
        finish = {"share": lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1e-9)}
        found = bootstrap_sums(columns, finish, n_boot=_N_BOOT, seed=seed)["share"]
        return Estimate(value, max(0.0, found.low), min(1.0, found.high))

    def gap(self, member: np.ndarray, others: np.ndarray, seed: int = 0) -> Estimate:
        """The share in some pictures less that in others, both bool (N,), with the classes held equal."""
        off = self.part - self.expected
        sides = [side for one in (member, others) for side in (off * one, self.whole * one)]
        finish = {"gap": _difference}
        return bootstrap_sums(np.column_stack(sides), finish, n_boot=_N_BOOT, seed=seed)["gap"]

    def p(self, member: np.ndarray, known: np.ndarray) -> float:
        """The two-sided p of that difference, `others` being the rest of `known`: pictures dealt out by lot."""
        off = (self.part - self.expected)[known]
        return shift(off, member[known], np.zeros(int(known.sum()), dtype=int))


def recall(hits: Matching, thresholds: Floats) -> Rate:
    """The share of objects that are found, a box being shown from its class's threshold on."""
    return _share("recall", "found", hits, hits.there, hits.seen(thresholds))


def precision(hits: Matching, thresholds: Floats) -> Rate:
    """The share of shown boxes that are on an object."""
    kept = np.flatnonzero(hits.shown(thresholds))
    found = hits.found
    shown = ObjectBoxes(found.boxes[kept], found.labels[kept], found.picture[kept], found.row[kept])
    return _share("precision", "right", hits, shown, hits.right[kept])


def of_pictures(name: str, verb: str, values: Vector) -> Rate:
    """The mean of one value a picture, float64 (N,) from 0 to 1."""
    values = values.astype(np.float64)
    return Rate(name, verb, values, np.ones(len(values)), np.full(len(values), values.mean()))


class RateKind(NamedTuple):
    """Some things against all others, with the classes held equal; `here` is their own share."""

    n: int
    here: Estimate
    gap: Estimate
    p: float


def compare_things(
    objects: ObjectBoxes, flags: np.ndarray, member: np.ndarray, pictures: int, seed: int = 0
) -> RateKind:
    """Hold some boxes or objects of N pictures against the others of the same pictures and of other ones.

    The test is a score test over pictures: what each adds to the difference, against the root of their squares.

    Args:
        objects: M of them.
        flags: bool (M,), what is compared: found, or right.
        member: bool (M,), at least one on either side.
        pictures: N.
    """
    from scipy.special import ndtr

    off = flags - _rates(objects, flags)
    sides = []
    for side in (member, ~member):
        for values in (off, flags, np.ones(len(flags))):
            sides.append(np.bincount(objects.picture[side], values[side], minlength=pictures))
    finish = {
        "here": lambda sums: sums[:, 1] / np.maximum(sums[:, 2], 1e-9),
        "gap": lambda sums: _difference(sums[:, [0, 2, 3, 5]]),
    }
    found = bootstrap_sums(np.column_stack(sides), finish, n_boot=_N_BOOT, seed=seed)
    pulls = sides[0] / sides[2].sum() - sides[3] / sides[5].sum()
    spread = float(np.sqrt((pulls**2).sum()))
    here = found["here"]
    if here.value in (0.0, 1.0):
        here = Estimate(here.value, *wilson(int(flags[member].sum()), int(member.sum())))
    p = float(2 * ndtr(-abs(pulls.sum()) / spread)) if spread else 1.0
    return RateKind(int(member.sum()), here, found["gap"], p)


def _share(name: str, verb: str, hits: Matching, objects: ObjectBoxes, flags: np.ndarray) -> Rate:
    def by_picture(values: np.ndarray) -> Vector:
        return np.bincount(objects.picture, values, minlength=hits.pictures).astype(np.float64)

    return Rate(name, verb, by_picture(flags), by_picture(np.ones(len(flags))), by_picture(_rates(objects, flags)))


def _rates(objects: ObjectBoxes, flags: np.ndarray) -> Vector:
    """The share of flagged things of each one's class, float64 (M,)."""
    if not len(flags):
        return np.zeros(0)
    rates = np.bincount(objects.labels, flags) / np.maximum(np.bincount(objects.labels), 1)
    return np.asarray(rates[objects.labels])


def _difference(sums: Vector) -> Vector:
    """From (B, 4) sums, above and below the line of two sides, to the difference of their shares."""
    here, there = sums[:, 0] / np.maximum(sums[:, 1], 1e-9), sums[:, 2] / np.maximum(sums[:, 3], 1e-9)
    return np.asarray(here - there)
