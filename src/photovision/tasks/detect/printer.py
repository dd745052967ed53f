"""Boxes as lines for people and as rows of CSV."""

from __future__ import annotations

from collections import Counter

from photovision.core.regions import Detections
from photovision.core.result import Size
from photovision.tasks.detect.detector import Detector


class BoxPrinter:
    """See `photovision.engine.printer.Printer`."""

    columns = ("label", "score", "x1", "y1", "x2", "y2", "height", "width")

    def __init__(self, model: Detector) -> None:
        pass  # boxes say all of themselves

    def text(self, value: Detections) -> list[tuple[str, str]]:
        """How many objects there are of each class, the most frequent first."""
        counts = Counter(value.names).most_common()
        return [(", ".join(f"{count:,} {name}" for name, count in counts) or "nothing", "")]

    def rows(self, value: Detections, size: Size) -> list[list[str]]:
        """A row a box."""
        return [
            [box["label"], f"{box['score']:.6f}", *map(str, box["xyxy"]), *map(str, size)] for box in value.to_json()
        ]
