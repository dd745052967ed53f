"""What an exported embedding model says of its output."""

from __future__ import annotations

from photovision.engine.export_metadata import OutputMetadata
from photovision.tasks.embed.model import EmbeddingModel


def metadata(model: EmbeddingModel) -> OutputMetadata:
    """How the vector is read."""
    lines = [
        "- `embedding`: float32 (N, K), of unit norm. The inner product of two is the cosine of their images; subtract"
        " the mean vector of the images that are searched first, and images that have nothing in common are near 0.",
    ]
    return OutputMetadata({}, lines, ("recall_at_10", "map_at_r"))
