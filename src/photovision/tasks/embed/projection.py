"""Projection: linear maps from pooled features to embeddings, in closed form.

Principal axes keep what features say of everything; within-class whitening first makes directions short in which
pictures of one class differ (WCCN, Hatch et al. 2006; the first half of linear discriminant analysis).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats, Ints

SHRINKAGES = (0.03, 0.1, 0.3, 0.6, 0.8, 0.9, 0.95)
"""Shares of a round spread in the spread within classes, of which validation chooses."""
LEAST_SPREAD = 0.5
"""What of their `spread` training pictures keep, at least, in a projection that has not learned them by heart."""


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


def whitened_axes(features: Floats, labels: Ints, width: int, shrinkages: Sequence[float]) -> Iterator[Projection]:
    """The same after within-class whitening, for each of some shrinkages.

    Args:
        features: float32 (N, D).
        labels: int64 (N,), their classes.
        width: K.
        shrinkages: see `SHRINKAGES`; more suits fewer pictures.
    """
    _, rows, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), features.shape[1]))
    np.add.at(means, rows, features)
    means /= counts[:, None]
    inner = features - means[rows]
    values, axes = np.linalg.eigh(inner.T @ inner / len(features))
    for shrinkage in shrinkages:
        mixed = (1 - shrinkage) * values + shrinkage * values.mean()
        yield _on_axes(features, axes / np.sqrt(np.maximum(mixed, 1e-12)), width)


def spread(known: Floats, labels: Ints, seen: Floats, classes: Ints) -> float:
    """How far training pictures of a class are from each other, where new ones are 1 away from them.

    Whitening learns what pictures of a class differ in. Where these are fewer than the features have dimensions, it
    can make all differences between training pictures vanish, and none between new ones.

    Args:
        known: float32 (N, K) of unit norm, training pictures; labels: int64 (N,), their classes.
        seen: float32 (M, K), pictures that were not learned from; classes: int64 (M,).

    Returns:
        the ratio of the mean cosine distances within classes; 1 where no class has two of them and one of these.

    Example:
        >>> known, seen = np.float32([[1, 0], [1, 0]]), np.float32([[0, 1]])
        >>> spread(known, np.array([0, 0]), seen, np.array([0]))
        0.0
    """
    inside, across = [], []
    for number in np.intersect1d(labels, classes):
        own, new = known[labels == number], seen[classes == number]
        if len(own) > 1:
            inside.append(1 - (own @ own.T)[~np.eye(len(own), dtype=bool)])
            across.append(1 - (new @ own.T).ravel())
    if not inside:
        return 1.0
    return float(np.concatenate(inside).mean() / max(float(np.concatenate(across).mean()), 1e-9))


def _on_axes(features: Floats, change: np.ndarray, width: int) -> Projection:
    """The principal axes of centred features after a linear change float (D, D), and scaled to a mean square of 1."""
    mean = features.mean(0, dtype=np.float64)
    changed = (features - mean) @ change
    scale = float(np.sqrt((changed**2).sum(1).mean())) or 1.0
    _, axes = np.linalg.eigh(changed.T @ changed)
    weight = (change @ axes[:, ::-1][:, :width]).T / scale
    return Projection(weight.astype(np.float32), (-weight @ mean).astype(np.float32))
