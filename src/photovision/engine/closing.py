"""How much of a budget is kept for what follows the learning, by what this machine took in this very training."""

from __future__ import annotations

_LEAST = 6.0  # seconds for figures, report, card and data sheet
_SAFETY = 1.1


def closing_seconds(graphs: float, predictions: float, more: float = 0.0) -> float:
    """Seconds for export, comparison, what is remembered, evaluations and the report.

    Args:
        graphs: seconds in which graphs will be written and opened, by how long it took before.
        predictions: seconds in which they will predict.
        more: seconds of what else a task does.

    Example:
        >>> round(closing_seconds(5, 4), 1)
        16.5
    """
    return _SAFETY * (_LEAST + graphs + predictions + more)
