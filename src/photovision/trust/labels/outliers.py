"""Outliers: pictures that resemble nothing else in the data, by the distance to their neighbours among features.

The distance to the k-th nearest neighbour among features of unit length (Sun, Ming, Zhu and Li, "Out-of-distribution
detection with deep nearest neighbors", ICML 2022), here among the pictures themselves, with the features' signed square
roots, which keep single loud features from ruling (Perronnin, Sánchez and Mensink, ECCV 2010). More than k strays of
one kind are each other's neighbours: a class that nobody named, not outliers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.statistics import Vector

NEIGHBOURS = 10
MIN_PICTURES = 100
FALSE_ALARMS = 0.05
"""Outliers that a homogeneous data set, whatever its size, has on average, if its distances are normally spread."""

_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Outliers:
    """How far each of N pictures is from the others.

    Attributes:
        named: positions of the outliers, the farthest first.
        score: float64 (N,), squared distance to the k-th neighbour, in robust standard deviations above the median.
        limit: pictures above this score are named.
    """

    named: Ints
    score: Vector
    limit: float


def outliers(features: Floats, *, neighbours: int = NEIGHBOURS, false_alarms: float = FALSE_ALARMS) -> Outliers:
    """Find pictures that are much farther from all others than pictures usually are.

    Args:
        features: float (N, D), finite, N at least 100.
        neighbours: k.
        false_alarms: see FALSE_ALARMS.

    Raises:
        UsageError: fewer pictures, or features that are not finite.

    Example:
        >>> features = np.random.default_rng(0).normal(5, 1, (300, 32)).astype(np.float32)
        >>> features[4, :16] = 0
        >>> outliers(features).named
        array([4])
    """
    from scipy.special import ndtri

    if features.ndim != 2 or len(features) < max(MIN_PICTURES, neighbours + 1):
        raise UsageError(f"outliers need features (N, D) of at least {MIN_PICTURES} pictures, got {features.shape}")
    if not np.isfinite(features).all():
        raise UsageError("outliers need finite features: leave out unreadable pictures first")
    distance = _kth(_unit(features), neighbours)
    # The upper half alone sets the scale: what lies below the median says nothing of far pictures.
    middle, upper = np.quantile(distance, (0.5, 0.8413))
    score: Vector = (distance - middle) / max(float(upper - middle), 1e-9)
    limit = float(-ndtri(false_alarms / len(features)))
    order = np.argsort(-score, kind="stable").astype(np.int64)
    return Outliers(order[score[order] > limit], score, limit)


def _unit(features: Floats) -> Floats:
    roots = np.sign(features) * np.sqrt(np.abs(features))
    unit: Floats = (roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return unit


def _kth(unit: Floats, neighbours: int) -> Vector:
    """Squared distance to the k-th nearest other row: float64 (N,)."""
    found = np.empty(len(unit))
    for start in range(0, len(unit), _BLOCK):
        part = unit[start : start + _BLOCK]
        squared = 2 - 2 * part @ unit.T
        squared[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf  # nobody is his own neighbour
        found[start : start + len(part)] = np.partition(squared, neighbours - 1, axis=1)[:, neighbours - 1]
    return found
