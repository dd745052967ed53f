"""What an exported detector says of its outputs."""

from __future__ import annotations

from photovision.engine.export_metadata import OutputMetadata
from photovision.tasks.detect.detector import Detector


def metadata(model: Detector) -> OutputMetadata:
    """Thresholds and the IoU of suppression, and how candidates become boxes."""
    limits = ", ".join(f"{value:.3g}" for value in model.info["thresholds"][:20])
    more = ", ..." if len(model.classes) > 20 else ""
    lines = [
        "- `boxes`: float32 (N, K, 4), x1, y1, x2, y2 in pixels of the input; scale them by the image's sides.",
        f"- `scores`: float32 (N, K, {len(model.classes)}), the probability of every class for each of K candidates.",
        "- `embedding`, where it is there: float32 (N, D) of unit norm, by which whole images are compared.",
        "",
        "Candidates are not yet objects. What is left to do, class by class: keep candidates whose score reaches the"
        f" class's threshold ({limits}{more}), then of boxes that overlap by more than {model.iou:g} (intersection over"
        " union) keep the most probable one.",
    ]
    return OutputMetadata({"thresholds": model.info["thresholds"], "iou": model.iou}, lines)
