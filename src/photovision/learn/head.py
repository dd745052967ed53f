"""A regularised linear head on frozen features: a convex problem, solved by scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Floats

STRENGTHS = (0.003, 0.03, 0.3, 3.0)
"""Inverse regularisation strengths that are tried, from strong to weak."""


@dataclass(frozen=True, eq=False)
class Head:
    """A linear layer.

    Attributes:
        weight: float32 (C, D).
        bias: float32 (C,).
        strength: the inverse regularisation strength that validated best.
        score: of validation.
    """

    weight: Floats
    bias: Floats
    strength: float
    score: Metric

    def __call__(self, features: Floats) -> Floats:
        """Logits float32 (N, C) of features (N, D)."""
        return (features @ self.weight.T + self.bias).astype(np.float32)


def fit_head(
    features: Floats,
    targets: Floats,
    val_features: Floats,
    val_targets: Floats,
    score: Callable[[Floats, Floats], Metric],
    *,
    multilabel: bool = False,
    strengths: tuple[float, ...] = STRENGTHS,
    weights: Floats | None = None,
) -> Head:
    """Fit logistic regression for several strengths of regularisation and keep the one that validates best.

    Args:
        features: float32 (N, D); standardised inside, and the standardisation folded into the result.
        targets: float32 (N, C) of 0 and 1.
        val_features, val_targets: the same for validation.
        score: from logits (M, C) and targets (M, C) to the figure to be maximised.
        multilabel: one independent logistic regression a class.
        strengths: to be tried in this order; stops when validation has fallen twice.
        weights: float32 (N,), of mean 1: how much each sample counts; None means equally.
    """
    mean, std = features.mean(0), features.std(0) + 1e-6
    standard = ((features - mean) / std).astype(np.float32)
    best: Head | None = None
    worse = 0
    for strength in strengths:
        weight, bias = _solve(standard, targets, strength, multilabel, weights)
        weight = (weight / std).astype(np.float32)
        bias = (bias - weight @ mean).astype(np.float32)
        logits = val_features @ weight.T + bias
        found = Head(weight, bias, strength, score(logits, val_targets))
        if best is None or found.score.value > best.score.value:
            best, worse = found, 0
        else:
            worse += 1
        if worse == 2:
            break
    assert best is not None
    return best


def _solve(
    features: Floats, targets: Floats, strength: float, multilabel: bool, weights: Floats | None
) -> tuple[Floats, Floats]:
    weight = np.zeros((targets.shape[1], features.shape[1]), np.float32)
    bias = np.full(targets.shape[1], -20.0, np.float32)  # classes without an example are never the answer
    if multilabel:
        for column in range(targets.shape[1]):
            truth = targets[:, column]
            if 0 < truth.sum() < len(truth):
                weight[column], bias[column] = (part[0] for part in _logistic(features, truth, strength, weights))
            elif truth.sum():
                bias[column] = 20.0
        return weight, bias
    labels = targets.argmax(1)
    present = np.unique(labels)
    rows, offsets = _logistic(features, labels, strength, weights)
    if len(present) == 2:  # scikit-learn gives one row for two classes
        rows, offsets = np.concatenate([-rows / 2, rows / 2]), np.concatenate([-offsets / 2, offsets / 2])
    weight[present], bias[present] = rows, offsets
    return weight, bias


def _logistic(features: Floats, labels: np.ndarray, strength: float, weights: Floats | None) -> tuple[Floats, Floats]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # The penalty is made independent of the number of pictures and features, so that one grid fits all data.
    model = LogisticRegression(C=strength * 1000 / features.shape[1], max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # validation judges, not the solver's tolerance
        model.fit(features, labels, sample_weight=weights)
    return model.coef_, model.intercept_
