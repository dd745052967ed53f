"""Calibration: does a stated 90% come true nine times in ten, and the one number that brings it nearer.

A confidence is the probability of the named class for single-label models, and every single probability for
multi-label ones. Bins hold equally many confidences each (equal mass), because equal widths leave most bins empty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats
from photovision.trust.metrics.statistics import Vector, wilson

COLDEST, HOTTEST = 0.05, 20.0
MIN_PICTURES = 20
BINS = 15
_FOLDS = 5


class Reliability(NamedTuple):
    """Stated against measured, one entry a bin, in rising order of confidence.

    Attributes:
        confidence: mean stated probability, float64 (B,), 0 to 1.
        accuracy: share that came true, float64 (B,), with Wilson bounds `low` and `high`.
        counts: confidences in the bin, int64 (B,).
    """

    confidence: Vector
    accuracy: Vector
    low: Vector
    high: Vector
    counts: np.ndarray


def fit_temperature(logits: Floats, truth: np.ndarray, multilabel: bool = False) -> float:
    """The temperature T that makes softmax(logits / T), or sigmoid, most likely on held-out pictures.

    Guo et al. 2017, "On calibration of modern neural networks". A weak prior, log T ~ N(0, 1), keeps T sensible where
    every answer is right and the likelihood alone would run to certainty.

    Args:
        logits: float (N, C), finite.
        truth: int64 (N,) class indices, or 0/1 (N, C) for multi-label.

    Returns:
        T between 0.05 and 20; 1.0 for fewer than 20 pictures.

    Example:
        >>> labels = np.random.default_rng(0).integers(3, size=500)
        >>> logits = np.eye(3, dtype=np.float32)[labels] * 40
        >>> logits[:100] = np.roll(logits[:100], 1, axis=1)  # certain, and one in five wrong
        >>> fit_temperature(logits, labels) > 5
        True
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    expected = logits.shape if multilabel else logits.shape[:1]
    if logits.ndim != 2 or truth.shape != expected:
        raise UsageError(f"expected logits (N, C) and truth {expected}, got {logits.shape} and {truth.shape}")
    if not np.isfinite(logits).all():
        raise UsageError("logits should be finite: leave out unreadable pictures first")
    if len(logits) < MIN_PICTURES:
        return 1.0
    wide = logits.astype(np.float64)

    def cost(log_t: float) -> float:
        scaled = wide / np.exp(log_t)
        if multilabel:
            nll = (np.logaddexp(0, scaled) - truth * scaled).sum()
        else:
            nll = -log_softmax(scaled, axis=1)[np.arange(len(truth)), truth].sum()
        return float(nll + log_t**2 / 2)

    found = minimize_scalar(cost, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def ece(probs: Floats, truth: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error with equal-mass bins (Naeini et al. 2015; Guo et al. 2017), 0 to 1.

    Chance alone makes it positive on few pictures: see `ece_by_chance`.

    Args:
        probs: float (N, C), rows summing to 1 for single-label.
        truth: int64 (N,) class indices, or 0/1 (N, C) for multi-label.

    Example:
        >>> round(ece(np.array([[0.9, 0.1]] * 10, np.float32), np.array([0] * 5 + [1] * 5)), 3)
        0.4
    """
    stated, _ = confidences(probs, truth)
    return float(np.abs(gap_columns(probs, truth, bins).sum(0)).sum() / stated.size)


def ece_by_chance(probs: Floats, truth: np.ndarray, bins: int = BINS, n_sim: int = 100, seed: int = 0) -> float:
    """The ECE that a perfectly calibrated model with these confidences shows on average on so few pictures."""
    stated, _ = confidences(probs, truth)
    which, flat = _bins(stated, bins).ravel(), stated.ravel()
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(n_sim):
        gaps = flat - (rng.random(flat.size) < flat)
        values.append(np.abs(np.bincount(which, gaps, minlength=bins)).sum() / flat.size)
    return float(np.mean(values))


def reliability(probs: Floats, truth: np.ndarray, bins: int = 10) -> Reliability:
    """Stated against measured in equal-mass bins; arguments as for `ece`."""
    stated, came_true = confidences(probs, truth)
    which, flat = _bins(stated, bins).ravel(), stated.ravel()
    count = np.bincount(which, minlength=bins)
    used = count > 0
    count = count[used]
    hits = np.bincount(which, came_true.ravel(), minlength=bins)[used]
    confidence = np.bincount(which, flat, minlength=bins)[used] / count
    bounds = np.array([wilson(round(k), int(n)) for k, n in zip(hits, count, strict=True)])
    return Reliability(confidence, hits / count, bounds[:, 0], bounds[:, 1], count)


def gap_columns(probs: Floats, truth: np.ndarray, bins: int = BINS) -> Vector:
    """What each picture adds to each bin's sum of confidence minus truth: float64 (N, bins), for `bootstrap_sums`."""
    stated, came_true = confidences(probs, truth)
    which, n = _bins(stated, bins), len(stated)
    place = np.arange(n)[:, None] * bins + which
    columns = np.bincount(place.ravel(), (stated - came_true).ravel(), minlength=n * bins)
    return columns.astype(np.float64).reshape(n, bins)


def confidences(probs: Floats, truth: np.ndarray) -> tuple[Vector, Vector]:
    """Stated probabilities and whether they came true, both float64: (N, 1) single-label, (N, C) multi-label."""
    if probs.ndim != 2 or len(probs) == 0 or truth.shape not in (probs.shape, probs.shape[:1]):
        raise UsageError(
            f"expected probs (N, C), N above 0, and truth (N,) or (N, C), got {probs.shape}, {truth.shape}"
        )
    if truth.ndim == 2:
        return probs.astype(np.float64), truth.astype(np.float64)
    return probs.max(1, keepdims=True).astype(np.float64), (probs.argmax(1) == truth).astype(np.float64)[:, None]


def _bins(stated: Vector, bins: int) -> np.ndarray:
    # Equal confidences must share a bin, so edges are quantiles, and bins between equal edges stay empty.
    edges = np.quantile(stated, np.linspace(0, 1, bins + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, stated, side="left"))


def fit_class_shift(logits: Floats, truth: np.ndarray, *, seed: int = 0) -> Vector:
    """What is to be added to each class's logit where classes come in other shares than in the training.

    The shift and a temperature are fitted together by likelihood, the shift with a prior of N(0, 1) in units of
    calibrated logits. It is kept only where it makes held-out pictures more likely in cross-validation, by more than
    two standard errors (Alexandari et al., ICML 2020: bias-corrected temperature scaling).

    Args:
        logits: float (N, C), finite.
        truth: int64 (N,), class indices.
        seed: of the folds.

    Returns:
        float64 (C,), of mean 0; zeros where it does not help.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = (rng.random(400) < 0.2).astype(int)
        >>> logits = np.stack([-2 * labels, 2 * labels], 1) + [0, 3.0] + rng.normal(0, 1, (400, 2))
        >>> shift = fit_class_shift(logits.astype(np.float32), labels)
        >>> bool(shift[0] > 2 and shift[1] < -2)
        True
    """
    n, width = logits.shape
    wide = logits.astype(np.float64)
    if n < MIN_PICTURES or len(np.unique(truth)) < 2:
        return np.zeros(width)
    fold = np.random.default_rng(seed).permutation(n) % _FOLDS
    gain = np.empty(n)
    for number in range(_FOLDS):
        rest, own = fold != number, fold == number
        shift = _shifted_by(wide[rest], truth[rest])
        before = fit_temperature(logits[rest], truth[rest])
        after = fit_temperature((wide[rest] + shift).astype(np.float32), truth[rest])
        gain[own] = _likely(wide[own] + shift, truth[own], after) - _likely(wide[own], truth[own], before)
    helps = gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(n)
    return _shifted_by(wide, truth) if helps else np.zeros(width)


def _likely(logits: Vector, truth: np.ndarray, temperature: float) -> Vector:
    """float64 (N,): the log-likelihoods of the true classes."""
    from scipy.special import log_softmax

    return np.asarray(log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth])


def _shifted_by(logits: Vector, truth: np.ndarray) -> Vector:
    """float64 (C,): the most likely shift with its prior; the temperature is fitted beside it."""
    from scipy.optimize import minimize
    from scipy.special import softmax

    width = logits.shape[1]
    hot = np.eye(width)[truth]

    def cost(values: Vector) -> tuple[float, Vector]:
        scale, shift = np.exp(-values[0]), values[1:]
        moved = logits * scale + shift
        error = softmax(moved, axis=1) - hot
        nll = -_likely(moved, truth, 1.0).sum() + (values**2).sum() / 2
        slopes = np.concatenate([[-(error * logits).sum() * scale], error.sum(0)]) + values
        return float(nll), slopes

    found = minimize(cost, np.zeros(1 + width), jac=True, method="L-BFGS-B").x
    shift = found[1:] * np.exp(found[0])
    return np.asarray(shift - shift.mean())
