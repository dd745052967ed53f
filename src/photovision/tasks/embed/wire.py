"""Embeddings over HTTP and in the record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.engine.wire import Answer, Facts, Tensor, Wire
from photovision.tasks.embed.model import EmbeddingModel
from photovision.tasks.embed.prediction import ImageEmbedding
from photovision.tasks.embed.schema import EmbeddingPrediction


class EmbeddingWire(Wire[ImageEmbedding]):
    """An embedding model; see `Wire`."""

    schema = EmbeddingPrediction
    model: EmbeddingModel

    def __init__(self, model: EmbeddingModel) -> None:
        super().__init__(model)
        _ = model.references  # read now, since the files may be replaced later

    def facts(self, answer: Answer[ImageEmbedding]) -> Facts:
        """The class of the most similar training image, its similarity as a share, and the embedding."""
        value = answer.value
        share = (1 + value.neighbours[0].similarity) / 2 if value.neighbours else 0.5
        return Facts(value.label, value.label, min(max(share, 0.0), 1.0), embedding=value.vector)

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """The vector, and the class of the most similar training image."""
        return {"embedding": ("FP32", [-1, -1]), "label": ("BYTES", [-1]), "similarity": ("FP32", [-1])}

    def tensors(self, answers: Sequence[Answer[ImageEmbedding]]) -> dict[str, Tensor]:
        """As `outputs` names them; the similarity is NaN where the model remembers no training images."""
        values = [one.value for one in answers]
        near = [one.neighbours[0].similarity if one.neighbours else np.nan for one in values]
        return {
            "embedding": ("FP32", np.stack([one.vector for one in values])),
            "label": ("BYTES", [one.label for one in values]),
            "similarity": ("FP32", np.array(near, np.float32)),
        }
