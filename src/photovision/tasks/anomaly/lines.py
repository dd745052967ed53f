"""How predictions of an anomaly detector are printed and drawn: lines, tables, heat over an image."""

from __future__ import annotations

from typing import Any

from photovision.core.result import Size
from photovision.core.types import Image
from photovision.tasks.anomaly.detector import AnomalyDetector
from photovision.tasks.anomaly.heatmap import painted
from photovision.tasks.anomaly.prediction import Anomaly


class VerdictLines:
    """The verdict with its p-value, and a row for each hot region."""

    frames = True
    columns = ("verdict", "p", "score", "x1", "y1", "x2", "y2", "height", "width")

    def __init__(self, model: AnomalyDetector, top: int) -> None: ...

    def text(self, file: str, value: Anomaly) -> str:
        """One line; `file` is printable."""
        place = ""
        if value.regions:
            left, top, right, bottom = (round(float(side)) for side in value.regions[0].box)
            more = f" and {len(value.regions) - 1:,} more" if len(value.regions) > 1 else ""
            place = f"  at {left},{top} to {right},{bottom}{more}"
        return f"{file}  {value.verdict}  p {value.p:.3f}{place}"

    def rows(self, value: Anomaly, size: Size) -> list[list[Any]]:
        """Cells of `columns`, a row for each region, or one without a box."""
        head = [value.verdict, f"{value.p:.6f}", f"{value.score:.6f}"]
        boxes = [[f"{side:.1f}" for side in one.box] for one in value.regions]
        return [[*head, *box, *size] for box in boxes or [[""] * 4]]


def draw(image: Image, value: Anomaly) -> Image:
    """An image, uint8 RGB (H, W, 3), with its heat at its own size; nothing over a good one."""
    return painted(image, value.heatmap, max(image.shape[:2]))
