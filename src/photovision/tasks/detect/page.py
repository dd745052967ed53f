"""What a detector predicts, in the form in which the local page draws it."""

from __future__ import annotations

from typing import Any

from photovision.core.page_layers import boxes
from photovision.core.regions import Detections
from photovision.core.result import Size
from photovision.tasks.detect.detector import Detector


def answer(model: Detector, found: Detections, size: Size) -> dict[str, Any]:
    """Objects of an image of `size`, those with the highest scores first, as the detector gives them."""
    listed = boxes(found)
    return {"size": list(size), "boxes": listed, "left_out": len(found) - len(listed)}
