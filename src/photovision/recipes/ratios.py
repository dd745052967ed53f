"""Ratios: figures that are one sum over pictures divided by another, compared between pictures and between conditions.

Recall is objects found / objects, precision is right boxes / boxes, overlap (IoU) is pixels shared / pixels of either,
and the area of a class is its pixels / all pixels. Objects and pixels of one picture are not independent, so whatever
is stated here resamples or exchanges whole pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from photovision.core.errors import UsageError
from photovision.trust.fairness.contrasts import shift
from photovision.trust.metrics.statistics import Estimate, Vector, bootstrap_sums, difference, wilson

Bools = npt.NDArray[np.bool_]
N_BOOT = 2000
_EXACT = 12


@dataclass(frozen=True, eq=False)
class Ratios:
    """A figure of N pictures and C classes.

    Attributes:
        part, whole: float64 (N, C), 0 <= part <= whole; the figure of a class is the sum of its parts / of its wholes.

    Example:
        >>> found = Ratios(np.array([[1.0], [3.0]]), np.array([[2.0], [3.0]]))
        >>> found.estimate(0).value
        0.8
    """

    part: Vector
    whole: Vector

    def __post_init__(self) -> None:
        if self.part.shape != self.whole.shape or self.part.ndim != 2 or (self.part > self.whole).any():
            raise UsageError(f"expected parts and wholes (N, C), got {self.part.shape} and {self.whole.shape}")

    def of(self, rows: Bools) -> Ratios:
        """The same of some pictures, bool (N,)."""
        return Ratios(self.part[rows], self.whole[rows])

    @property
    def pooled(self) -> Ratios:
        """All classes as one, (N, 1)."""
        return Ratios(self.part.sum(1, keepdims=True), self.whole.sum(1, keepdims=True))

    def pictures(self, column: int) -> int:
        """How many pictures there are that say anything of a class."""
        return int((self.whole[:, column] > 0).sum())

    def estimate(self, column: int) -> Estimate | None:
        """The figure of a class with its 95% interval by a bootstrap over pictures; None where there is none.

        Where every picture says yes or no, or all agree on 0 or on 1, in which a bootstrap sees no doubt, it is
        Wilson's interval for so many pictures.
        """
        part, whole = self.part[:, column], self.whole[:, column]
        some = whole > 0
        if not some.any():
            return None
        value = float(part.sum() / whole.sum())
        plain = bool((whole[some] == 1).all() and np.isin(part[some], (0, 1)).all())
        if value in (0, 1) or plain:
            n = int(some.sum())
            return Estimate(value, *wilson(round(value * n), n))
        columns = np.column_stack([part[some], whole[some]])
        found = bootstrap_sums(columns, {"ratio": lambda sums: sums[:, 0] / sums[:, 1]}, n_boot=N_BOOT)["ratio"]
        return Estimate(value, max(0.0, found.low), min(1.0, found.high))


class Gap(NamedTuple):
    """Some pictures against others, or one view of the same pictures against another.

    Attributes:
        here, there: the figure of each side.
        gap: here minus there, with its 95% interval.
        p: how often chance alone brings the two sides as far apart.
    """

    here: Estimate
    there: Estimate
    gap: Estimate
    p: float


def between(found: Ratios, column: int | None, member: Bools, strata: np.ndarray | None = None) -> Gap | None:
    """Hold the pictures of `member`, bool (N,), against the others; None where one side says nothing of the class.

    With None for the column all classes are one, and the difference is that which is left with the classes held equal:
    what every picture has beyond its due, which is what it would have if every class fared as it does everywhere. The
    test exchanges pictures, within `strata`, int (N,), where given, and asks how far chance moves that sum.

    Example:
        >>> found = Ratios(np.repeat([[1.0], [0.0]], 20, axis=0), np.ones((40, 1)))
        >>> gap = between(found, 0, np.arange(40) < 20)
        >>> gap.gap.value, gap.p < 0.001
        (1.0, True)
    """
    own = found if column is None else Ratios(found.part[:, [column]], found.whole[:, [column]])
    one = own.pooled
    here, there = one.of(member).estimate(0), one.of(~member).estimate(0)
    if here is None or there is None:
        return None
    due = own.whole * (own.part.sum(0) / np.maximum(own.whole.sum(0), 1e-300))
    beyond, whole = (own.part - due).sum(1), one.whole[:, 0]
    sides = np.column_stack([values * side for side in (member, ~member) for values in (beyond, whole)])
    finish = {"gap": lambda sums: _ratio(sums[:, 0], sums[:, 1]) - _ratio(sums[:, 2], sums[:, 3])}
    gap = bootstrap_sums(sides, finish, n_boot=N_BOOT)["gap"]
    gap = gap if gap.high > gap.low else difference(there, here)  # a bootstrap of equals sees no doubt
    some = whole > 0
    kept = np.zeros(int(some.sum()), int) if strata is None else strata[some]
    return Gap(here, there, gap, shift(beyond[some], member[some], kept))


def change(before: Ratios, after: Ratios, column: int) -> Gap | None:
    """How much a figure changes where the same N pictures are seen in two ways; None where either says nothing.

    The test exchanges the two views of a picture (a sign flip): all ways where at most 12 pictures differ, else by the
    normal curve, whose variance is exact.

    Example:
        >>> before, after = (Ratios(np.full((20, 1), part), np.full((20, 1), 4.0)) for part in (4.0, 1.0))
        >>> gap = change(before, after, 0)
        >>> gap.gap.value, gap.p < 0.001
        (-0.75, True)
    """
    there, here = before.estimate(column), after.estimate(column)
    if here is None or there is None:
        return None
    sums = np.column_stack([side[:, column] for one in (before, after) for side in (one.part, one.whole)])

    finish = {"gap": lambda sums: _ratio(sums[:, 2], sums[:, 3]) - _ratio(sums[:, 0], sums[:, 1])}
    share = (sums[:, 0] + sums[:, 2]).sum() / (sums[:, 1] + sums[:, 3]).sum()
    moved = (sums[:, 2] - share * sums[:, 3]) - (sums[:, 0] - share * sums[:, 1])
    gap = bootstrap_sums(sums, finish, n_boot=N_BOOT)["gap"]
    if not moved.any():  # that no picture changed does not mean that none can
        beyond = wilson(0, before.pictures(column))[1]
        gap = Estimate(0.0, -beyond, beyond)
    return Gap(here, there, gap, _flipped(moved))


def _ratio(part: Vector, whole: Vector) -> Vector:
    """Part by whole, NaN where there is nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Vector = part / whole
    return found


def _flipped(moved: Vector) -> float:
    """How often the sum of numbers is as far from 0 where each may have either sign."""
    from scipy.special import ndtr

    some = moved[np.abs(moved) > 1e-9 * max(float(np.abs(moved).max(initial=0)), 1e-300)]
    total = abs(float(some.sum()))
    if not len(some):
        return 1.0
    if len(some) > _EXACT:
        return float(2 * ndtr(-total / np.sqrt((some**2).sum())))
    signs = 1 - 2 * (np.arange(2 ** len(some))[:, None] >> np.arange(len(some)) & 1)
    return float((np.abs(signs @ some) >= total * (1 - 1e-9)).mean())
