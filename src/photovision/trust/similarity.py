"""Accuracy by similarity: what a model gets right, as a function of how alike pictures are to its training pictures.

Fitted to held-out pictures of several degrees of similarity and their scores, it tells without labels what accuracy to
expect in another place (for confidence alone: Guillory et al. 2021; Garg et al. 2022).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.runtime.similarity import EstimateReliability, ExpectedAccuracy, SimilarityBin, expit, terms
from photovision.trust.metrics.statistics import Vector, wilson

MIN_PICTURES = 30
"""Held-out pictures below which nothing is fitted."""
MOST_ERROR = 0.1
"""Mean error for changes that were left out in turn, above which changed pictures tell nothing of other places."""
STEP = 0.1
"""Width of the steps of the curve."""
_RESAMPLES = 200
_FOLDS = 5
_ROUNDS = 25
_PRIOR = np.array([0.0, 1.0, 0.0])  # a calibrated confidence is the accuracy, whatever the similarity
_PRECISION = 1 / np.array([1.0, 0.5, 3.0]) ** 2
_USUAL_SPREAD, _USUAL_FOLDS = 0.3, 3
_LARGEST = 2000  # pictures that an interval is computed from


def fit_expected_accuracy(
    confidence: Floats,
    similarity: Floats,
    score: Vector,
    component: Ints | None = None,
    *,
    name: str = "accuracy",
    change: Ints | None = None,
) -> ExpectedAccuracy | None:
    """Fit accuracy as a function of confidence and similarity.

    Args:
        confidence: float (N,), 0 to 1, of held-out pictures.
        similarity: float (N,), to the nearest training picture.
        score: float (N,), 0 to 1: how good each prediction is.
        component: int (N,): pictures of one number belong together and are resampled together; None: each alone.
        name: what the score is called.
        change: int (N,), 0 for pictures as they are, and a number for each way in which others of them were changed.
            These count only where each change left out is foretold by the others.

    Returns:
        None for fewer than 30 pictures.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> similarity = rng.uniform(0.3, 0.9, 500)
        >>> right = (rng.random(500) < similarity).astype(float)
        >>> found = fit_expected_accuracy(np.full(500, 0.6), similarity, right)
        >>> found.of(np.full(2, 0.6), np.array([0.4, 0.8])).round(1)
        array([0.4, 0.8], dtype=float32)
    """
    n = len(score)
    if n < MIN_PICTURES:
        return None
    change = np.zeros(n, np.int64) if change is None else change
    alone = np.arange(n) if component is None else np.unique(component, return_inverse=True)[1]
    inputs, truth = terms(confidence, similarity), np.asarray(score, np.float64)
    rng = np.random.default_rng(0)
    groups = int(alone.max()) + 1
    draws = (np.bincount(rng.integers(groups, size=groups), minlength=groups)[alone] for _ in range(_RESAMPLES))
    resampled = np.stack([_coefficients(inputs, truth, weights) for weights in draws]).astype(np.float32)
    fitted = _coefficients(inputs, truth, np.ones(n))
    alike = _alike(truth - expit(inputs @ fitted), alone)
    found = ExpectedAccuracy(
        fitted.astype(np.float32),
        resampled,
        _curve(similarity, truth, alike),
        n,
        name,
        usual=float(np.median(similarity[change == 0])),
        changed=int((change > 0).sum()),
    )
    if not found.changed:
        return replace(found, reliability=reliability(inputs, truth, alone, _degrees(inputs[:, 2], alone)))
    left_out = reliability(inputs, truth, alone, change)
    if left_out is not None and left_out.error <= MOST_ERROR:
        return replace(found, reliability=left_out)
    own = change == 0
    return fit_expected_accuracy(confidence[own], similarity[own], score[own], alone[own], name=name)


def estimate(expected: ExpectedAccuracy, confidence: Floats, similarity: Floats, *, seed: int = 0) -> Metric:
    """The mean score to expect of N pictures without labels, with its 95% interval.

    The interval joins what resampled components make of it, the chance of N pictures, and how far such estimates were
    off for degrees of similarity that were left out.

    Args:
        expected: of the model.
        confidence, similarity: float (N,), of the pictures, N above 0.
        seed: of the interval.
    """
    rng = np.random.default_rng(seed)
    n = len(similarity)
    value = float(expected.of(confidence, similarity).mean(dtype=np.float64))
    rows = rng.permutation(n)[:_LARGEST]
    logits = expected.resampled.astype(np.float64) @ terms(confidence[rows], similarity[rows]).T
    spread = _USUAL_SPREAD if expected.reliability is None else expected.reliability.spread
    means = []
    for _ in range(5):
        probs = expit(logits + rng.normal(0, spread, (len(logits), 1)))
        noise = np.sqrt((probs * (1 - probs)).mean(1) / n)
        means.append(probs.mean(1) + noise * rng.normal(size=len(probs)))
    whole = np.array([-0.5, 0.5]) / n  # of N pictures a whole number is right (the correction for continuity)
    low, high = np.clip(np.quantile(np.concatenate(means), [0.025, 0.975]) + whole, 0, 1).tolist()
    return Metric(value, min(low, value), max(high, value), n)


def reliability(inputs: np.ndarray, truth: Vector, component: Ints, degree: Ints) -> EstimateReliability | None:
    """How far estimates lie from the truth for pictures of one degree of similarity, or one change, that was left out.

    Args:
        inputs: float64 (N, 3), see `runtime.similarity.terms`.
        truth: float64 (N,), scores.
        component: int (N,), from 0 on.
        degree: int (N,), equal for those that are left out together.

    Returns:
        None where there are too few pictures to leave some out.
    """
    errors, variances, noise = [], [], []
    for left in np.unique(degree):
        out = degree == left
        if (~out).sum() < MIN_PICTURES or out.sum() < MIN_PICTURES // 3:
            continue
        probs = expit(inputs[out] @ _coefficients(inputs, truth, (~out).astype(np.float64)))
        errors.append(float(probs.mean() - truth[out].mean()))
        variances.append(max(float((probs * (1 - probs)).mean()), 1e-4))
        noise.append(variances[-1] / len(np.unique(component[out])))
    if len(errors) < 3:
        return None
    # Of the squared errors a part is chance; the rest, on the scale of logits, is the model's (method of moments),
    # moved towards what is usual, since so few degrees cannot tell much.
    beyond = np.square(errors) - noise
    scale = np.square(variances)
    usual = _USUAL_FOLDS * _USUAL_SPREAD**2 * scale.mean()
    spread = math.sqrt(max(float(beyond.sum()), 0.0) + usual) / math.sqrt(scale.sum() + _USUAL_FOLDS * scale.mean())
    return EstimateReliability(float(np.abs(errors).mean()), min(spread, 2.0), len(errors))


def _coefficients(inputs: np.ndarray, truth: Vector, weights: np.ndarray) -> Vector:
    """Logistic regression by Newton's steps, with a weak prior and slopes from 0 on, float64 (3,)."""
    middle = float(np.average(inputs[:, 2], weights=weights))
    centred = inputs - [0, 0, middle]
    free = np.ones(3, bool)
    while True:
        beta = np.where(free, _PRIOR, 0.0)
        for _ in range(_ROUNDS):
            probs = expit(centred @ beta)
            slope = centred.T @ (weights * (truth - probs)) - _PRECISION * (beta - _PRIOR)
            curvature = (centred * (weights * probs * (1 - probs))[:, None]).T @ centred + np.diag(_PRECISION)
            step = np.zeros(3)
            step[free] = np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
            beta = beta + step / max(1.0, float(np.abs(step).max()) / 2)
            if np.abs(step).max() < 1e-6:
                break
        below = free & (beta < 0) & [False, True, True]
        if not below.any():
            return np.array([beta[0] - beta[2] * middle, beta[1], beta[2]])
        free &= ~below


def _degrees(similarity: Vector, component: Ints) -> Ints:
    """int64 (N,), 0 to 4: pictures in five groups of rising similarity, those of one component in one."""
    counts = np.bincount(component)
    order = np.argsort(np.bincount(component, similarity) / counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    place = np.empty(len(counts), np.int64)
    place[order] = np.minimum(before * _FOLDS // len(similarity), _FOLDS - 1)
    return place[component]


def _alike(residuals: Vector, component: Ints) -> float:
    """How many pictures of a component count as one, from 1 on (the design effect of Kish)."""
    sums = np.bincount(component, residuals)
    return max(1.0, float((sums**2).sum() / max(float((residuals**2).sum()), 1e-9)))


def _curve(similarity: Floats, score: Vector, alike: float) -> tuple[SimilarityBin, ...]:
    place = np.clip(np.floor(np.asarray(similarity, np.float64) / STEP + 1e-9), -10, 9).astype(int)
    found = []
    for step in np.unique(place):
        inside = place == step
        n, value = int(inside.sum()), float(score[inside].mean())
        low, high = wilson(value * n / alike, n / alike)
        ends = float(round(step * STEP, 1)), float(round((step + 1) * STEP, 1))
        found.append(SimilarityBin(*ends, n, value, low, high, float(np.median(similarity[inside]))))
    return tuple(found)
