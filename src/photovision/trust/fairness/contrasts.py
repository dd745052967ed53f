"""Contrasts: does one group of pictures differ from the others, with the classes held equal?

A group must not be blamed for holding the harder classes. So every test here compares pictures within strata (the true
class), and is exact or nearly so for the small strata that this leaves: it asks how often a random choice of the
group's members within each stratum would look as uneven.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from photovision.trust.metrics.statistics import Estimate, Vector, Z, difference, proportion

_POWER_80 = 0.8416212335729143


class Contrast(NamedTuple):
    """A group against all others.

    Attributes:
        share: of the group that is flagged, and `other`, of the others.
        raw: share minus other, with its 95% interval (Newcombe 1998).
        adjusted: the same within strata (Mantel-Haenszel weights, variance of Sato 1989).
        comparable: share of the group's pictures whose stratum has pictures of others, too, 0 to 1.
        raw_p: of the raw difference, exact, two-sided (Fisher).
        p: the same within strata.
    """

    share: Estimate
    other: Estimate
    raw: Estimate
    adjusted: Estimate
    comparable: float
    raw_p: float
    p: float


def contrast(flags: np.ndarray, member: np.ndarray, strata: np.ndarray) -> Contrast:
    """Hold a group against the others; all arrays are (N,), with at least one picture on either side.

    Args:
        flags: bool, what is compared: right answers, covered truths, false alarms ...
        member: bool, who belongs to the group.
        strata: int, what is held equal.

    Example:
        >>> right = np.array([True] * 30 + [False] * 10 + [True] * 10 + [False] * 30)
        >>> found = contrast(right, np.arange(80) < 40, np.zeros(80, int))
        >>> round(found.raw.value, 2), found.p < 0.001
        (0.5, True)
        >>> contrast(right, np.arange(80) < 40, right.astype(int)).p  # nothing differs among equals
        1.0
    """
    cells = list(_cells(flags, member, strata))
    share = proportion(int(flags[member].sum()), int(member.sum()))
    other = proportion(int(flags[~member].sum()), int((~member).sum()))
    raw = difference(other, share)
    met = sum(cell.inside for cell in cells if cell.outside) / int(member.sum())
    raw_p = _exact(list(_cells(flags, member, np.zeros(len(flags), int))))
    return Contrast(share, other, raw, _mantel_haenszel(cells, raw), met, raw_p, _exact(cells))


def shift(values: np.ndarray, member: np.ndarray, strata: np.ndarray) -> float:
    """Two-sided p that the values of a group, float (N,), are larger or smaller than those of others in its strata.

    The permutation distribution of the group's sum, by its first three moments, which are known exactly (a Pearson III
    curve, as Mielke & Berry 2007 fit it): error rates are skewed, and the normal curve would err in the tail.

    Example:
        >>> values = np.random.default_rng(0).normal(size=200)
        >>> shift(values, np.arange(200) < 30, np.zeros(200, int)) > 0.05
        True
        >>> shift(values + (np.arange(200) < 30), np.arange(200) < 30, np.zeros(200, int)) < 0.001
        True
    """
    from scipy.special import gammainc, gammaincc, ndtr

    gap, variance, third = 0.0, 0.0, 0.0
    for rows in _rows(strata):
        n, k = len(rows), int(member[rows].sum())
        if not 0 < k < n:
            continue
        off = values[rows] - values[rows].mean()
        gap += float(off[member[rows]].sum())
        variance += k * (n - k) / (n * (n - 1)) * float((off**2).sum())
        if n > 2:
            third += k * (n - k) * (n - 2 * k) / (n * (n - 1) * (n - 2)) * float((off**3).sum())
    if variance <= 0:
        return 1.0
    score, skew = gap / np.sqrt(variance), third / variance**1.5
    if abs(skew) < 1e-6:
        return float(2 * ndtr(-abs(score)))
    shape = 4 / skew**2
    place = max(0.0, shape + np.sign(skew) * score * np.sqrt(shape))
    return float(min(1.0, 2 * min(gammainc(shape, place), gammaincc(shape, place))))


def holm(p: Sequence[float]) -> Vector:
    """P-values corrected for their number, float64 in the same order (Holm 1979).

    Of all that are called found below a level, any is false with at most that probability.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def detectable(share: float, n: int, others: int, level: float) -> float:
    """The difference from `share`, 0 to 1, that n pictures against `others` show in 4 of 5 cases at this level.

    Example:
        >>> round(detectable(0.9, 100, 900, 0.05), 3)
        0.089
    """
    from scipy.special import ndtri

    smooth = (share * (n + others) + 1) / (n + others + 2)  # none wrong of all does not mean that none can be
    spread = np.sqrt(smooth * (1 - smooth) * (1 / n + 1 / others))
    return float(min(1.0, (_POWER_80 - ndtri(level / 2)) * spread))


class _Cell(NamedTuple):
    """One stratum: pictures inside and outside of the group, and how many of each are flagged."""

    inside: int
    outside: int
    flagged: int
    flagged_outside: int


def _rows(strata: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(strata, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)


def _cells(flags: np.ndarray, member: np.ndarray, strata: np.ndarray) -> Iterator[_Cell]:
    for rows in _rows(strata):
        inside, flagged = member[rows], flags[rows]
        k = int(inside.sum())
        yield _Cell(k, len(rows) - k, int((flagged & inside).sum()), int((flagged & ~inside).sum()))


def _exact(cells: Sequence[_Cell]) -> float:
    """Fisher's exact test over strata: the sum of independent hypergeometric counts, by convolution."""
    chance, low, seen = np.ones(1), 0, 0
    for cell in cells:
        total = cell.flagged + cell.flagged_outside
        least = max(0, total - cell.outside)
        chance = np.convolve(chance, _hypergeometric(cell, total, least))
        low, seen = low + least, seen + cell.flagged
    return float(min(1.0, chance[chance <= chance[seen - low] * (1 + 1e-7)].sum()))


def _hypergeometric(cell: _Cell, total: int, least: int) -> Vector:
    from scipy.special import gammaln

    k = np.arange(least, min(total, cell.inside) + 1)

    def log_choose(n: int, k: np.ndarray) -> np.ndarray:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    logs = log_choose(cell.inside, k) + log_choose(cell.outside, total - k)
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _mantel_haenszel(cells: Sequence[_Cell], raw: Estimate) -> Estimate:
    """The difference within strata; where no stratum has both sides the raw one, which then is all there is."""
    weights, gap, slope, rest = 0.0, 0.0, 0.0, 0.0
    for a, b, x, y in cells:
        n = a + b
        if not a or not b:
            continue
        weights += a * b / n
        gap += (x * b - y * a) / n
        slope += (a * a * y - b * b * x + a * b * (b - a) / 2) / n**2
        rest += (x * (b - y) + y * (a - x)) / (2 * n)
    if not weights:
        return raw
    value = gap / weights
    half = Z * np.sqrt(max(0.0, value * slope + rest)) / weights
    if half == 0:  # every answer alike: the raw interval knows that this may be luck
        return Estimate(value, value - (raw.value - raw.low), value + (raw.high - raw.value))
    return Estimate(value, float(max(-1.0, value - half)), float(min(1.0, value + half)))
