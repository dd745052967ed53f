"""The predictions of a detector as drift compares them: each image by its boxes together, and by its embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.runtime.held_out import HeldOut
from photovision.tasks.detect.detector import Detector


class BoxDrift:
    """See `photovision.engine.drift.DriftModel`; images are embedded whole, also where boxes are found in tiles."""

    has_found = True
    limit: float | None = None
    false_alarms: float | None = None

    def __init__(self, model: Detector) -> None:
        self._model = model
        self.classes = (*model.classes, "")  # the last is that of images without a box

    def predict(self, dataset: Dataset, progress: ProgressCallback | None = None) -> HeldOut:
        """Predictions on the readable ones of N images."""
        found, embeddings, positions = [], [], []
        answers = self._model.with_outputs(sample.image for sample in dataset.samples)
        for done, (result, outputs) in enumerate(answers, 1):
            if result.value is not None:
                found.append(result.value)
                positions.append(done - 1)
                if "embedding" in outputs:
                    embeddings.append(outputs["embedding"].astype(np.float16))
            if progress:
                progress(done, len(dataset))
        return held_out(found, len(self._model.classes), embeddings, np.array(positions, np.int64))


def held_out(found: Sequence[Detections], classes: int, embeddings: Sequence[np.ndarray], positions: Ints) -> HeldOut:
    """What is kept of the boxes of N images.

    Args:
        found: boxes that are shown, the highest score first.
        classes: how many the detector has; images without a box count as of one more.
        embeddings: float16 (D,) of each; none where they were not kept.
        positions: int64 (N,), where the images stand in their data set.
    """
    return HeldOut(
        np.array([int(one.labels[0]) if len(one) else classes for one in found], np.int64),
        np.array([confidence(one) for one in found], np.float32),
        None,
        np.stack(embeddings).astype(np.float32) if len(embeddings) else None,
        positions,
    )


def confidence(found: Detections) -> float:
    """How sure a detector is of an image: the mean score of its boxes, 0 where there are none."""
    return float(found.scores.mean()) if found.scores is not None and len(found) else 0.0
