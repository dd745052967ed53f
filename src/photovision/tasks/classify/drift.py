"""The predictions of a classifier as drift compares them."""

from __future__ import annotations

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.data.dataset import Dataset
from photovision.runtime.held_out import HeldOut
from photovision.tasks.classify.recognizer import Recognizer


class ClassDrift:
    """See `photovision.engine.drift.DriftModel`."""

    has_found = False

    def __init__(self, model: Recognizer) -> None:
        self._model = model
        self.classes = model.classes
        self.limit = None if model.doubt is None else model.doubt.limit
        self.false_alarms = None if model.doubt is None else model.doubt.false_alarms

    def predict(self, dataset: Dataset, progress: ProgressCallback | None = None) -> HeldOut:
        """Predictions on the readable ones of N images."""
        found = self._model.respond(dataset, progress, embeddings=True)
        rows = np.flatnonzero(np.isfinite(found.probs).all(1))
        novelty = None if self.limit is None else found.novelty[rows]
        embeddings = None if found.embeddings is None else found.embeddings[rows]
        return HeldOut.of(found.probs[rows], novelty, embeddings, rows.astype(np.int64))
