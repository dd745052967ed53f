"""What an embedding model predicts, in the form in which the local page shows it."""

from __future__ import annotations

from typing import Any

from photovision.core.result import Size
from photovision.tasks.embed.model import EmbeddingModel
from photovision.tasks.embed.prediction import ImageEmbedding

SHOWN = 10
"""Training images that are shown beside a picture."""


def answer(model: EmbeddingModel, value: ImageEmbedding, size: Size) -> dict[str, Any]:
    """The most similar training images, and the vector."""
    return {**value.json_fields(size), "label": value.label, "size": list(size)}


def similar(model: EmbeddingModel, picture: bytes, target: str | None, tested: bool) -> dict[str, Any]:
    """The training images that a picture is most similar to, as `{"nearest": [{"id", "label", "similarity"}]}`."""
    found = model.with_options(top=SHOWN).predict(picture)
    assert isinstance(found, ImageEmbedding)
    return {"nearest": [{"id": one.id, "label": one.label, "similarity": one.similarity} for one in found.neighbours]}
