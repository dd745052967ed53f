"""What became of the time that a training was given: what was not tried, and why it took longer, in words."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from photovision.engine.progress import duration

TOLERANCE = 0.1, 5.0
"""A share of the budget, and seconds: what took no longer than both together is not called late."""
_BUSY = 0.3  # cores of other programs from which on they are named as the reason
_SPARE = 1.15  # minutes are named that do on a machine a little slower


def enough_minutes(seconds: float) -> float:
    """A round number of minutes in which so many seconds fit.

    Example:
        >>> [enough_minutes(seconds) for seconds in (20, 80, 400, 1000)]
        [0.5, 2.0, 8, 20]
    """
    minutes = _SPARE * seconds / 60
    step = 0.5 if minutes < 3 else 1 if minutes < 10 else 5
    return step * math.ceil(minutes / step)


def time_told(training: Mapping[str, Any]) -> list[str]:
    """Sentences on the time of a training; none where it kept its budget and tried everything.

    Args:
        training: of bundle.json: "minutes", "seconds", "not_tried" and "others", cores that other programs took.

    Example:
        >>> left_out = [{"stage": "fine-tuned", "minutes": 6}]
        >>> time_told({"minutes": 2, "seconds": 110, "not_tried": left_out, "others": 0.1})
        ['Not tried for lack of time: fine-tuned (6 min would do).']
        >>> time_told({"minutes": 2, "seconds": 300, "others": 1.4})[0][:60]
        'It took 5 min of 2 min asked: the machine was busy, other pr'
    """
    found = []
    named = [f"{one['stage']} ({one['minutes']:g} min would do)" for one in training.get("not_tried") or ()]
    if named:
        found.append(f"Not tried for lack of time: {', '.join(named)}.")
    asked, took, others = 60 * training["minutes"], training["seconds"], training.get("others") or 0.0
    if took > asked * (1 + TOLERANCE[0]) + TOLERANCE[1]:
        why = "what cannot be left out takes longer here"
        if others >= _BUSY:
            why = f"the machine was busy, other programs took {others:.1f} of its {os.cpu_count()} cores"
        found.append(f"It took {duration(took)} of {duration(asked)} asked: {why}.")
    return found
