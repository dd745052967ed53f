"""Interleaved rounds: the contestants take turns, so that a busy machine hurts them alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def seconds(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each contestant over interleaved rounds, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, work in contestants.items():
            started = time.perf_counter()
            work()
            if number:
                times[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in times.items()}
