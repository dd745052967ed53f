"""The predictions of a segmenter as drift compares them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.runtime.held_out import HeldOut
from photovision.tasks.segment.segmenter import Segmenter
from photovision.tasks.segment.summary import ImageSummary


class MaskDrift:
    """See `photovision.engine.drift.DriftModel`: the class that covers most, and how sure the model is on average."""

    has_found = True
    limit: float | None = None
    false_alarms: float | None = None

    def __init__(self, model: Segmenter) -> None:
        self._model = model
        self.classes = model.classes

    def predict(self, dataset: Dataset, progress: ProgressCallback | None = None) -> HeldOut:
        """Predictions on the readable ones of N images."""
        found: list[ImageSummary] = []
        rows: list[int] = []
        summaries = self._model.summaries(sample.image for sample in dataset.samples)
        for row, summary in enumerate(summaries):
            if summary is not None:
                found.append(summary)
                rows.append(row)
            if progress:
                progress(row + 1, len(dataset))
        return held_out(found, np.array(rows, np.int64))


def held_out(found: Sequence[ImageSummary], positions: Ints) -> HeldOut:
    """What is kept of the summaries of N images; positions int64 (N,) in their data set."""
    embeddings = [one.embedding for one in found if one.embedding is not None]
    kept = np.stack(embeddings).astype(np.float16) if embeddings and len(embeddings) == len(found) else None
    return HeldOut(
        np.array([one.best for one in found], np.int64),
        np.array([one.confidence for one in found], np.float32),
        embedding=None if kept is None else kept.astype(np.float32),
        positions=positions,
    )
