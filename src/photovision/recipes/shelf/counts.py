"""How many objects there are, from the probabilities of boxes: the Poisson-binomial distribution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

LEVEL = 0.95


class Count(NamedTuple):
    """How many objects there are.

    Attributes:
        expected: the mean.
        low, high: bounds within which the number lies with a probability of at least 95%.
        boxes: boxes that the model itself would show, from its thresholds on.
    """

    expected: float
    low: int
    high: int
    boxes: int

    def to_json(self) -> dict[str, Any]:
        """`{"expected", "low", "high", "boxes"}`."""
        return {"expected": round(self.expected, 3), "low": self.low, "high": self.high, "boxes": self.boxes}


def distribution(probabilities: Iterable[float]) -> npt.NDArray[np.float64]:
    """float64 (N + 1,): how probable 0, 1, ... N successes are of N independent trials with their own probabilities.

    Example:
        >>> distribution([0.5, 0.5]).tolist()
        [0.25, 0.5, 0.25]
    """
    found = np.ones(1)
    for p in probabilities:
        found = np.convolve(found, (1 - p, p))
    return found


def count(probabilities: npt.NDArray[np.float32], boxes: int) -> Count:
    """Expected number and interval, if every probability is true and the boxes are right independently of each other.

    What no box speaks of is not in it, nor that two boxes may mean the same object.

    Args:
        probabilities: float32 (N,), 0 to 1: that a box is an object.
        boxes: how many of them the model would show.

    Example:
        >>> count(np.float32([1, 1, 0.5]), 3)
        Count(expected=2.5, low=2, high=3, boxes=3)
    """
    upto = np.cumsum(distribution(probabilities.astype(np.float64).tolist()))
    low = int(np.searchsorted(upto, (1 - LEVEL) / 2, side="right"))
    high = int(np.searchsorted(upto, 1 - (1 - LEVEL) / 2 - 1e-12, side="left"))
    return Count(float(probabilities.sum()), low, min(high, len(probabilities)), boxes)
