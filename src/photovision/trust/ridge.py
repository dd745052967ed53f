"""Ridge regression on frozen features: a linear head for few labels, with exact leave-one-out predictions.

Every class is regressed on features as 0 or 1, for one label a picture and for several alike. What the head would say
of a picture had it not learned from it follows from the fit itself (Allen 1974, PRESS), so that no picture has to be
set aside where every one is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.errors import DataError
from photovision.core.types import Floats

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Penalties that are tried, as multiples of the mean squared norm of the centred features."""


@dataclass(frozen=True, eq=False)
class RidgeHead:
    """A linear head.

    Attributes:
        weight: float64 (C, D).
        bias: float64 (C,).
        strength: the penalty whose leave-one-out predictions have the least squared error.
        held_out: float64 (N, C), what a head says of each picture that learned from all others.
    """

    weight: np.ndarray
    bias: np.ndarray
    strength: float
    held_out: np.ndarray

    def __call__(self, features: Floats) -> np.ndarray:
        """Scores float64 (M, C) of features (M, D), about 0 to 1."""
        return np.asarray(np.asarray(features, np.float64) @ self.weight.T + self.bias)


def fit_ridge(features: Floats, targets: Floats, strengths: tuple[float, ...] = STRENGTHS) -> RidgeHead:
    """Fit a head for several penalties, and keep the one that predicts left-out pictures best.

    Args:
        features: float (N, D) of N >= 2 pictures.
        targets: float (N, C) of 0 and 1.
        strengths: penalties to be tried.

    Raises:
        DataError: fewer than 2 pictures.

    Example:
        >>> rows = np.float32([[0, 1], [0, 1.1], [1, 0], [1.1, 0]])
        >>> fit_ridge(rows, np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]).held_out.argmax(1).tolist()
        [0, 0, 1, 1]
    """
    if len(features) < 2:
        raise DataError(f"a head needs at least 2 labelled pictures, got {len(features)}")
    rows, truth = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    mean, level = rows.mean(0), truth.mean(0)
    left, stretch, right = np.linalg.svd(rows - mean, full_matrices=False)
    powers, turned = stretch**2, left.T @ (truth - level)
    unit = max(float(powers.sum()) / len(rows), 1e-12)
    best: RidgeHead | None = None
    least = np.inf
    for strength in strengths:
        shrunk = powers / (powers + strength * unit)
        leverage = np.minimum((left**2) @ shrunk + 1 / len(rows), 1 - 1e-6)
        residual = truth - level - left @ (shrunk[:, None] * turned)
        held_out = truth - residual / (1 - leverage)[:, None]
        error = float(((truth - held_out) ** 2).sum())
        if best is None or error < least:
            weight = (right.T @ ((stretch / (powers + strength * unit))[:, None] * turned)).T
            best, least = RidgeHead(weight, level - weight @ mean, strength, held_out), error
    assert best is not None
    return best
