"""Verdicts as lines for people and as rows of CSV."""

from __future__ import annotations

from photovision.core.result import Size
from photovision.tasks.anomaly.detector import AnomalyDetector
from photovision.tasks.anomaly.prediction import Anomaly


class VerdictPrinter:
    """See `photovision.engine.printer.Printer`."""

    columns = ("verdict", "p", "score", "x1", "y1", "x2", "y2")

    def __init__(self, model: AnomalyDetector) -> None:
        pass  # a prediction says all of itself

    def text(self, value: Anomaly) -> list[tuple[str, str]]:
        """The verdict with its p-value, and where the hottest region is."""
        place = ""
        if value.regions:
            left, top, right, bottom = (round(float(side)) for side in value.regions[0].box)
            more = f" and {len(value.regions) - 1} more" if len(value.regions) > 1 else ""
            place = f"  at {left},{top} to {right},{bottom}{more}"
        return [(value.verdict, f"p {value.p:.3f}, score {value.score:.2f}{place}")]

    def rows(self, value: Anomaly, size: Size) -> list[list[str]]:
        """A row for each region, or one without a box."""
        head = [value.verdict, f"{value.p:.6f}", f"{value.score:.6f}"]
        return [[*head, *(f"{side:.1f}" for side in one.box)] for one in value.regions] or [[*head, *[""] * 4]]
