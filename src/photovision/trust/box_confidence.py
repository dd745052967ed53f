"""How often a box of some score is right: scores of a detector turned into probabilities, class by class."""

from __future__ import annotations

import numpy as np

from photovision.trust.detection import Matches

_ROUNDS = 30
_PRIOR = 8.0  # boxes that speak for leaving scores as they are, so that few ones do not turn them
_EDGE = 1e-4


def fit_logistic(matches: Matches) -> tuple[list[float], list[float]]:
    """Slope and shift of every class that turn the logit of a score into that of being right (Platt 1999).

    A box is right from an overlap of .5 on. Classes with few boxes stay nearer to slope 1 and shift 0.

    Args:
        matches: of pictures that the detector did not learn from, with boxes of all scores.

    Returns:
        Two lists of C numbers; slopes are above 0, so that the order of the boxes of a class stays.
    """
    slopes, shifts = [], []
    for one in matches.by["all"]:
        counts = one.counts[0]
        scores = np.clip(one.scores[counts], _EDGE, 1 - _EDGE)
        slope, shift = _newton(np.log(scores / (1 - scores)), one.right[0][counts].astype(np.float64))
        slopes.append(slope)
        shifts.append(shift)
    return slopes, shifts


def calibrated(scores: np.ndarray, slope: list[float], shift: list[float]) -> np.ndarray:
    """float32 (..., C): the probabilities that scores (..., C) mean.

    Example:
        >>> calibrated(np.float32([[0.5, 0.5]]), [1.0, 2.0], [0.0, 1.0]).round(3).tolist()
        [[0.5, 0.7310000061988831]]
    """
    clipped = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
    logits = np.log(clipped / (1 - clipped)) * np.array(slope) + np.array(shift)
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), dtype=np.float32)


def _newton(logits: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    design, start = np.column_stack([logits, np.ones_like(logits)]), np.array([1.0, 0.0])
    value = start.copy()
    for _ in range(_ROUNDS):
        probs = 1 / (1 + np.exp(-np.clip(design @ value, -30, 30)))
        slope = design.T @ (right - probs) - _PRIOR * (value - start)
        curve = (design * (probs * (1 - probs))[:, None]).T @ design + _PRIOR * np.eye(2)
        step = np.linalg.solve(curve, slope)
        value += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    # Where boxes are right less often the surer they are, so few boxes say nothing.
    return (float(value[0]), float(value[1])) if value[0] > 0.05 else (1.0, 0.0)
