"""Quantile regression on similarity: how fast a quantile of what a model costs or doubts falls with it."""

from __future__ import annotations

import math

import numpy as np

from photovision.core.types import Floats

STEEPEST = 20.0
_SAME = 1e-3
_FOLDS = 5
_GOLDEN = (math.sqrt(5) - 1) / 2


def quantile_slope(cost: Floats, similarity: Floats, quantile: float) -> float:
    """How fast the quantile of a cost falls with similarity, 0 to 20: quantile regression (Koenker & Bassett 1978).

    For every slope the best intercept is a quantile, and what is left is convex in the slope: golden-section search.

    Args:
        cost, similarity: float (N,).
        quantile: above 0 and below 1.
    """
    if not len(cost) or float(np.ptp(similarity)) < _SAME:
        return 0.0

    def loss(slope: float) -> float:
        above = cost + slope * similarity
        above = above - np.quantile(above, quantile)
        return float(np.where(above > 0, quantile * above, (quantile - 1) * above).sum())

    low, high = 0.0, STEEPEST
    for _ in range(30):
        first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, second) if loss(first) <= loss(second) else (first, high)
    return (low + high) / 2 if low else 0.0


def cross_fitted(cost: Floats, similarity: Floats, coverage: float) -> Floats:
    """float (N,): for every picture the `quantile_slope` of the others, in five folds.

    A slope fitted to the very pictures that thresholds are counted on lies too close to the costliest of them, and
    sets would hold less than the coverage asked (Vovk 2015, cross-conformal predictors).
    """
    fold = np.random.default_rng(0).permutation(len(cost)) % _FOLDS
    rises = [quantile_slope(cost[fold != one], similarity[fold != one], coverage) for one in range(_FOLDS)]
    return np.asarray(np.array(rises)[fold])
