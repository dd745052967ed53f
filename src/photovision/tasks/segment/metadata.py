"""What an exported segmenter says of its outputs."""

from __future__ import annotations

from photovision.engine.export_metadata import OutputMetadata
from photovision.tasks.segment.segmenter import Segmenter


def metadata(model: Segmenter) -> OutputMetadata:
    """The temperature, and how probabilities become masks and objects."""
    depth = [
        "- `depth`: float32 (N, 1, h, w), 0 at an object's edge to 1 in its middle: objects are what is left of the"
        " foreground around pixels deeper than 0.5 (watershed)."
    ]
    lines = [
        f"- `classes`: float32 (N, {len(model.classes)}, h, w), probabilities that sum to 1 for every pixel; the most"
        " probable one is the class. Enlarge them bilinearly to the image.",
        *(depth if model.instances else []),
        "- `embedding`, where it is there: float32 (N, D) of unit norm, by which whole images are compared.",
    ]
    return OutputMetadata({name: model.info.get(name) for name in ("temperature", "thresholds")}, lines)
