"""Learning curve: how accurate are heads that learn from fewer labels, and what would more labels buy?

Heads learn from parts of the labelled pictures and predict pictures that are never among them. A power law is fitted
to their errors (Cortes et al. 1993; Hestness et al. 2017); the interval comes from the bootstrap over the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats
from photovision.trust.ridge import fit_ridge

MIN_PICTURES = 20
"""Labelled pictures below which there is no curve."""
WORTHWHILE = 0.005
"""Gain in accuracy below which more labels are not worth a person's time."""
_REPEATS, _SIZES, _RESAMPLED = 10, (0.25, 0.4, 0.6, 0.8), 200
_EXPONENTS = np.linspace(0.2, 1.0, 9)
_STRENGTHS = (0.3, 1.0)


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy by number of labels, and what more of them buy.

    Attributes:
        sizes: numbers of labels that heads learned from.
        accuracy: of these, on left-out pictures, 0 to 1.
        more: how many further labels are asked about.
        gain, low, high: accuracy that these would add, and its 95% interval.
    """

    sizes: tuple[int, ...]
    accuracy: tuple[float, ...]
    more: int
    gain: float
    low: float
    high: float

    @property
    def stop(self) -> bool:
        """Whether even the upper bound is not worth the labels."""
        return self.high < WORTHWHILE


def learning_curve(
    features: Floats, targets: Floats, more: int, *, judged: np.ndarray | None = None, seed: int = 0
) -> LearningCurve | None:
    """Measure the curve; None where there are fewer than `MIN_PICTURES` pictures or one class.

    Args:
        features: float (N, D).
        targets: float (N, C) of 0 and 1; a prediction is right where its best class is one of the picture's.
        more: further labels that are asked about.
        judged: bool (N,), pictures that may judge, such as those that were drawn at random; None for all.
        seed: of the parts.
    """
    total = len(features)
    if total < MIN_PICTURES or (targets.sum(0) > 0).sum() < 2:
        return None
    rng = np.random.default_rng(seed)
    may = np.ones(total, bool) if judged is None else judged
    sizes = sorted({max(4, round(part * total)) for part in _SIZES})
    right = np.full((_REPEATS, len(sizes), total), np.nan)
    for turn in right:
        order = rng.permutation(total)
        held = order[: total // 5]
        learning, judging = order[total // 5 :], held[may[held]]
        if len(judging):
            for place, size in enumerate(sizes):
                rows = learning[:size]
                best = fit_ridge(features[rows], targets[rows], _STRENGTHS)(features[judging]).argmax(1)
                turn[place, judging] = targets[judging, best]
    judging = np.flatnonzero(np.isfinite(right).any((0, 1)))
    if len(judging) < MIN_PICTURES // 2:
        return None
    each = np.nanmean(right[:, :, judging], axis=0)  # (sizes, pictures)
    counts = np.array(sizes, float)
    gain = _gain(counts, each.mean(1), total, more)
    draws = rng.integers(0, len(judging), (_RESAMPLED, len(judging)))
    low, high = np.quantile([_gain(counts, each[:, draw].mean(1), total, more) for draw in draws], (0.025, 0.975))
    accuracy = tuple(float(value) for value in each.mean(1))
    return LearningCurve(tuple(sizes), accuracy, more, gain, min(float(low), gain), max(float(high), gain))


def _gain(sizes: np.ndarray, accuracy: np.ndarray, now: int, more: int) -> float:
    """What the power law that fits best adds between `now` and `now + more` labels; never a loss."""
    best, least = 0.0, np.inf
    for exponent in _EXPONENTS:
        falls = sizes**-exponent
        design = np.stack([np.ones_like(falls), falls], axis=1)
        (floor, scale), *_ = np.linalg.lstsq(design, 1 - accuracy, rcond=None)
        if floor < 0:  # no error is below 0
            floor, scale = 0.0, float(falls @ (1 - accuracy) / (falls @ falls))
        error = float(((1 - accuracy - floor - scale * falls) ** 2).sum())
        if error < least:
            best, least = scale * (now**-exponent - (now + more) ** -exponent), error
    return max(float(best), 0.0)
