"""Verification: how often pairs of different people are matched (FMR), and of one person are not (FNMR).

Pairs share people, so they are not independent: intervals come from a bootstrap over people (Bolle, Ratha and Pankanti
2004), and where nothing went wrong from Clopper and Pearson's bound over as many trials as there are pairs of people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.statistics import Estimate

_LEVEL = 0.95
_DRAWS = 400


@dataclass(frozen=True, eq=False)
class FacePairs:
    """Compared pairs.

    Attributes:
        scores: float (N,).
        first, second: int64 (N,), the number of the person of each side, 0 to P - 1; equal in genuine pairs.
        people: how many there are, P.
    """

    scores: Floats
    first: Ints
    second: Ints
    people: int

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def units(self) -> int:
        """Different pairs of people among them: as many trials as may count as independent."""
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        return len(np.unique(low * self.people + high))

    def take(self, rows: np.ndarray) -> FacePairs:
        """Some of them."""
        return FacePairs(self.scores[rows], self.first[rows], self.second[rows], self.people)

    @property
    def genuine(self) -> FacePairs:
        """Those of one person."""
        return self.take(self.first == self.second)

    @property
    def impostor(self) -> FacePairs:
        """Those of two people."""
        return self.take(self.first != self.second)


def all_pairs(vectors: Floats, people: Sequence[Any]) -> FacePairs:
    """Every pair of pictures, by the cosine of their vectors, float (N, K) of unit norm; people name whose they are."""
    _, numbers = np.unique(np.asarray(people, dtype=str), return_inverse=True)
    rows, columns = np.triu_indices(len(vectors), 1)
    scores = np.asarray(vectors @ vectors.T, np.float32)[rows, columns]
    count = int(numbers.max(initial=-1)) + 1
    return FacePairs(scores, numbers[rows].astype(np.int64), numbers[columns].astype(np.int64), count)


def clopper_pearson(k: int, n: int, level: float = _LEVEL) -> tuple[float, float]:
    """The exact interval of a share, k of n (Clopper and Pearson 1934); (0, 1) where n is 0.

    Example:
        >>> [round(bound, 4) for bound in clopper_pearson(0, 102)]
        [0.0, 0.0355]
    """
    if not 0 <= k <= n:
        raise UsageError(f"a share needs 0 <= k <= n, got k = {k} and n = {n}")
    from scipy.stats import beta  # takes half a second to load

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high


def match_rate(pairs: FacePairs, threshold: float, *, seed: int = 0) -> Estimate:
    """Share of the pairs whose score reaches a threshold: of impostor pairs the FMR, of genuine ones 1 - FNMR.

    Raises UsageError where there are no pairs.
    """
    if not len(pairs):
        raise UsageError("a share of no pairs does not exist: give at least one")
    reached = pairs.scores >= threshold
    value = float(reached.mean())
    if reached.all() or not reached.any():
        low, high = clopper_pearson(round(value * pairs.units), pairs.units)
        return Estimate(value, low, high)
    # Sums per pair of people once, so that a draw costs a product of a few thousand numbers.
    keys, groups = np.unique(pairs.first * pairs.people + pairs.second, return_inverse=True)
    hits, sizes = np.bincount(groups, weights=reached), np.bincount(groups).astype(np.float64)
    first, second = np.divmod(keys, pairs.people)
    shares = []
    for weight in _weights(pairs, first, second, seed):
        total = float(weight @ sizes)
        if total:
            shares.append(float(weight @ hits) / total)
    low, high = np.percentile(shares, [100 * (1 - _LEVEL) / 2, 100 * (1 + _LEVEL) / 2])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def threshold_at(impostor: FacePairs, fmr: float, *, seed: int = 0, interval: bool = True) -> Estimate:
    """The least score that at most a share `fmr` of impostor pairs reach, with its interval over people.

    Without `interval`, which takes hundreds of times as long, its bounds are the value itself.

    Raises UsageError where there are no pairs.
    """
    if not len(impostor):
        raise UsageError("a threshold needs pairs of different people: give at least two people")
    order = np.argsort(-impostor.scores, kind="stable")
    scores, first, second = impostor.scores[order], impostor.first[order], impostor.second[order]
    value = _quantile(scores, np.ones(len(scores)), fmr)
    if not interval:
        return Estimate(value, value, value)
    drawn = [_quantile(scores, weight, fmr) for weight in _weights(impostor, first, second, seed)]
    low, high = np.percentile(drawn, [100 * (1 - _LEVEL) / 2, 100 * (1 + _LEVEL) / 2])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _weights(pairs: FacePairs, first: Ints, second: Ints, seed: int) -> Any:
    """How often each pair counts in each draw of people: once for every two drawn copies of its people."""
    rng = np.random.default_rng(seed)
    present = np.unique(np.concatenate([pairs.first, pairs.second]))
    for _ in range(_DRAWS):
        counts = np.zeros(pairs.people)
        counts[present] = rng.multinomial(len(present), np.full(len(present), 1 / len(present)))
        yield np.where(first == second, counts[first], counts[first] * counts[second])


def _quantile(falling: Floats, weights: np.ndarray, share: float) -> float:
    """Just above the score at which the summed weights, from the highest score on, exceed a share of all."""
    summed = np.cumsum(weights)
    row = int(np.searchsorted(summed, share * summed[-1], side="right"))
    return float(np.nextafter(np.float32(falling[min(row, len(falling) - 1)]), np.float32(np.inf)))
