"""Image-level distance: how far a picture's pooled features are from those of good pictures (Mahalanobis).

Rippel, Mertens and Merhof, "Modeling the distribution of normal data in pre-trained deep features for anomaly
detection" (ICPR 2020), with the shrinkage of Ledoit and Wolf (2004). It finds diffuse changes, such as another colour
of the whole picture, that no single patch shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats, Ints
from photovision.trust.metrics.statistics import Vector


@dataclass(frozen=True, eq=False)
class PooledGaussian:
    """The law of pooled features of good pictures.

    Attributes:
        mean: float32 (L,).
        matrix: float32 (L, R); the distance is the norm of (features - mean) @ matrix.
    """

    mean: Floats
    matrix: Floats

    def distances(self, pooled: Floats) -> Vector:
        """Distances of pooled features float32 (N, L): float64 (N,)."""
        norms: Vector = np.linalg.norm((pooled - self.mean) @ self.matrix, axis=1).astype(np.float64)
        return norms


def fit_pooled(pooled: Floats) -> PooledGaussian:
    """Learn from pooled features float32 (N, L) of good pictures, N at least 2."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    mean, spread = pooled.mean(0, dtype=np.float64), pooled.std(0, dtype=np.float64) + 1e-6
    standard = (pooled - mean) / spread
    shrinkage = float(np.clip(ledoit_wolf_shrinkage(standard, assume_centered=True), 1e-4, 1.0))
    _, singular, axes = np.linalg.svd(standard, full_matrices=False)
    # The shrunk covariance is (1 - s) S + s m I: along the axes of S its inverse root is known, elsewhere it is flat.
    variance = singular**2 / len(pooled)
    flat = shrinkage * max(float(variance.sum()) / standard.shape[1], 1e-12)
    along = 1 / np.sqrt((1 - shrinkage) * variance + flat)
    matrix = np.eye(standard.shape[1]) / np.sqrt(flat) + (axes.T * (along - 1 / np.sqrt(flat))) @ axes
    return PooledGaussian(mean.astype(np.float32), (matrix / spread[:, None]).astype(np.float32))


def held_out_distances(pooled: Floats, folds: Ints) -> Vector:
    """Distance of each good picture, float32 (N, L), from the law of the other folds' pictures: float64 (N,)."""
    found = np.empty(len(pooled))
    for fold in np.unique(folds):
        held = folds == fold
        found[held] = fit_pooled(pooled[~held]).distances(pooled[held])
    return found
