"""The predictions of an embedding model as drift compares them: embeddings, and the class of the nearest one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.runtime.held_out import HeldOut
from photovision.tasks.embed.model import EmbeddingModel


class EmbeddingDrift:
    """See `photovision.engine.drift.DriftModel`."""

    has_found = False
    limit: float | None = None
    false_alarms: float | None = None

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self.classes = model.classes

    def predict(self, dataset: Dataset, progress: ProgressCallback | None = None) -> HeldOut:
        """Predictions on the readable ones of N images."""
        vectors, _ = self._model.vectors(dataset, progress)
        rows = np.flatnonzero(np.isfinite(vectors).all(1))
        return replace(held_out(self._model, vectors[rows]), positions=rows.astype(np.int64))


def held_out(model: EmbeddingModel, vectors: Floats) -> HeldOut:
    """What is kept of images with embeddings float32 (N, K): the nearest class, and how similar its image is.

    A similarity of -1 to 1 is kept as a share, as probabilities are.
    """
    best, share = np.zeros(len(vectors), np.int64), np.full(len(vectors), 0.5, np.float32)
    known, places = model.references, {name: number for number, name in enumerate(model.classes)}
    if known is not None and known.ids and len(vectors):
        similarity = known.similarity.cosines(vectors)
        nearest = similarity.argmax(1)
        best = np.array([places.get(known.labels[row], 0) for row in nearest.tolist()], np.int64)
        share = ((1 + similarity.max(1)) / 2).clip(0, 1).astype(np.float32)
    kept = vectors.astype(np.float16).astype(np.float32)
    return HeldOut(best, share, None, kept)
