"""Projection: linear maps from pooled features to embeddings, in closed form.

Principal axes keep what features say of everything; within-class whitening first makes directions short in which
pictures of one class differ (WCCN, Hatch et al. 2006; the first half of linear discriminant analysis).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats, Ints

SHRINKAGES = (0.03, 0.1, 0.3)
"""Shares of a round spread in the spread within classes, of which validation chooses."""


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear layer.

    Attributes:
        weight: float32 (K, D).
        bias: float32 (K,).
    """

    weight: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """float32 (N, K) of unit norm, for features (N, D)."""
        raw = features @ self.weight.T + self.bias
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.asarray(raw / np.maximum(lengths, 1e-12), np.float32)


def principal_axes(features: Floats, width: int) -> Projection:
    """The projection of centred features float32 (N, D) on their first K = `width` principal axes.

    Cosines stay as those of the centred features, as far as the axes hold these.

    Example:
        >>> found = principal_axes(np.float32([[1, 5], [-1, 5], [3, 5]]), 1)
        >>> found(np.float32([[9, 5], [-9, 5]])).round().ravel().tolist() in ([1, -1], [-1, 1])
        True
    """
    return _on_axes(features, np.eye(features.shape[1]), width)


def whitened_axes(features: Floats, labels: Ints, width: int, shrinkage: float) -> Projection:
    """The same after within-class whitening.

    Args:
        features: float32 (N, D).
        labels: int64 (N,), their classes.
        width: K.
        shrinkage: see `SHRINKAGES`; more suits fewer pictures.
    """
    _, rows, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), features.shape[1]))
    np.add.at(means, rows, features)
    means /= counts[:, None]
    inner = features - means[rows]
    spread = inner.T @ inner / len(features)
    round_spread = np.trace(spread) / len(spread) * np.eye(len(spread))
    values, axes = np.linalg.eigh((1 - shrinkage) * spread + shrinkage * round_spread)
    return _on_axes(features, axes / np.sqrt(np.maximum(values, 1e-12)), width)


def _on_axes(features: Floats, change: np.ndarray, width: int) -> Projection:
    """The principal axes of centred features after a linear change float (D, D), and scaled to a mean square of 1."""
    mean = features.mean(0, dtype=np.float64)
    changed = (features - mean) @ change
    scale = float(np.sqrt((changed**2).sum(1).mean())) or 1.0
    _, axes = np.linalg.eigh(changed.T @ changed)
    weight = (change @ axes[:, ::-1][:, :width]).T / scale
    return Projection(weight.astype(np.float32), (-weight @ mean).astype(np.float32))
