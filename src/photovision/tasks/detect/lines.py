"""How predictions of a detector are printed: a line of text, or cells of a table."""

from __future__ import annotations

from collections import Counter
from typing import Any

from photovision.core.regions import Detections
from photovision.core.result import Size
from photovision.core.text import printable
from photovision.tasks.detect.detector import Detector


class BoxLines:
    """Counts by class, and a row for each box."""

    frames = True
    columns = ("label", "score", "x1", "y1", "x2", "y2", "height", "width")

    def __init__(self, model: Detector, top: int) -> None: ...

    def text(self, file: str, value: Detections) -> str:
        """One line; `file` is printable."""
        counts = Counter(value.names).most_common()
        found = ", ".join(f"{count:,} {printable(name)}" for name, count in counts) or "no objects"
        return f"{file}  {found}"

    def rows(self, value: Detections, size: Size) -> list[list[Any]]:
        """Cells of `columns`, a row for each box."""
        return [[box["label"], f"{box['score']:.6f}", *box["xyxy"], *size] for box in value.to_json()]
