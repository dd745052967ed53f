"""The temperature of a place, without labels: stated confidence brought to the accuracy that is to be expected there.

The accuracy to expect comes from the similarity and the confidence of the place's images (`trust.similarity`), and the
temperature is the one at which the mean confidence equals it. It is taken only where the two differ by more than the
estimate is unsure of, and where the same recipe makes the truth more likely in simulated places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.drawing import percent
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.trust.class_mix import HeldOutPlace
from photovision.trust.metrics.statistics import Vector

_STEPS, _WIDEST = 40, 3.0
_PLACES, _HARMED, _LARGEST = 40, 0.25, 500
_BINS, _MOST_WEIGHT = 8, 10.0
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class PlaceTemperature:
    """A change of the temperature, with all that decides whether it is used.

    Attributes:
        factor: by which the temperature is multiplied.
        stated: mean confidence of the place's images before.
        expected: accuracy to expect there.
        trial: float64 (K,), by how much the mean log-likelihood of the truth rises in each simulated place.
    """

    factor: float
    stated: float
    expected: Metric
    trial: Vector

    @property
    def against(self) -> str:
        """Why it is not used, as the end of a sentence; "" where it is."""
        low, high = self.expected.low, self.expected.high
        if low is None or high is None or low <= self.stated <= high:
            return (
                f"the mean confidence here, {percent(self.stated)}, is within the interval of the accuracy that"
                f" held-out pictures as alike as these lead to expect, {self.expected}"
            )
        harmed = float((self.trial < 0).mean()) if len(self.trial) else 1.0
        if harmed > _HARMED or self.trial.mean() <= 0:
            return f"the truth becomes less likely in {percent(harmed)} of the simulated places"
        return ""


def place_temperature(
    probs: Floats, expected: Metric, held_out: HeldOutPlace, shares: Vector, *, seed: int = 0
) -> PlaceTemperature:
    """Find the temperature of a place, and try it.

    Args:
        probs: float (N, C), of the place's images.
        expected: accuracy to expect there.
        held_out: labelled images that count as often as there are such in the place.
        shares: float64 (C,), the mix of classes of the place.
        seed: of the simulated places.
    """
    gains = []
    for rows in held_out.places(shares, min(len(probs), _LARGEST), _PLACES, seed):
        own = held_out.probs[rows]
        factor = factor_for(own, float(held_out.expected[rows].mean()))
        gains.append(_likelihood(tempered(own, factor), held_out, rows) - _likelihood(own, held_out, rows))
    return PlaceTemperature(factor_for(probs, expected.value), float(probs.max(1).mean()), expected, np.array(gains))


def factor_for(probs: Floats, accuracy: float) -> float:
    """The factor of the temperature, 1/3 to 3, at which the mean confidence of probabilities (N, C) is an accuracy.

    Example:
        >>> sure = np.array([[0.9, 0.1], [0.1, 0.9]])
        >>> round(factor_for(sure, 0.75), 2)
        2.0
    """
    low, high = -np.log(_WIDEST), np.log(_WIDEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        surer = float(tempered(probs, float(np.exp(middle))).max(1).mean()) > accuracy
        low, high = (middle, high) if surer else (low, middle)
    return float(np.exp((low + high) / 2))


def tempered(probs: Floats, factor: float) -> Vector:
    """float64 (N, C): probabilities at a temperature that is `factor` times theirs."""
    logs = np.log(np.maximum(np.asarray(probs, np.float64), _LEAST)) / factor
    powers = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def alike_as(here: Floats, held_out: Floats) -> Vector:
    """How often held-out images should count, so that they are as like the training images as those of a place.

    The ratio of the shares in bins of similarity that hold equally many held-out images each, up to 10 and never 0
    (covariate shift: Tibshirani et al. 2019 weight conformal sets so).

    Args:
        here: float (N,), similarity of the place's images to the nearest training image.
        held_out: float (M,), that of the held-out images.

    Returns:
        float64 (M,), 1 on average.
    """
    edges = np.quantile(held_out, np.linspace(0, 1, _BINS + 1)[1:-1])
    places = [np.searchsorted(edges, each) for each in (here, held_out)]
    counts = [np.bincount(place, minlength=_BINS) + 1.0 for place in places]
    ratio = np.clip(counts[0] / counts[0].sum() / (counts[1] / counts[1].sum()), 1 / _MOST_WEIGHT, _MOST_WEIGHT)
    weights = ratio[places[1]]
    return np.asarray(weights / weights.mean())


def _likelihood(probs: np.ndarray, held_out: HeldOutPlace, rows: np.ndarray) -> float:
    return float(np.log(np.maximum(probs[np.arange(len(rows)), held_out.truth[rows]], _LEAST)).mean())
