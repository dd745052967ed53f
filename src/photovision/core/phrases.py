"""Phrases: numbers and names as parts of a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from photovision.core.drawing import percent
from photovision.core.report import Metric


def spoken(metric: Metric) -> str:
    """A share with its interval, as part of a sentence.

    Example:
        >>> spoken(Metric(0.865, 0.833, 0.893, 498))
        '86.5% (95% interval 83.3 to 89.3%)'
    """
    if metric.low is None or metric.high is None:
        return percent(metric.value)
    return f"{percent(metric.value)} (95% interval {metric.low * 100:.1f} to {metric.high * 100:.1f}%)"


def count(n: int, one: str, many: str = "") -> str:
    """A number with its noun.

    Example:
        >>> count(1, "picture"), count(2, "class", "classes")
        ('1 picture', '2 classes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names, quoted, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], 2)
        "'a', 'b' and 1 more"
    """
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
