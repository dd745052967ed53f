"""Latency: how long a finished model takes for one image."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

_FIRST, _RUNS = 2, 12  # the first ones also pay for what is set up at the first use


def milliseconds(model: Any) -> float:
    """Median time of one prediction for one decoded image, for an opened model."""
    image = np.zeros((1, *model.preprocess.size, 3), np.uint8)
    times = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        model.session.run(image)
        times.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(times[_FIRST:])), 3)
