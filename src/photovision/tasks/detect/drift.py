"""The predictions of a detector as drift compares them: each image by its boxes together, and by its embedding."""

from __future__ import annotations

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
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
        best, prob, embedding, positions = [], [], [], []
        answers = self._model.with_outputs(sample.image for sample in dataset.samples)
        for done, (result, outputs) in enumerate(answers, 1):
            if result.value is not None:
                best.append(int(result.value.labels[0]) if len(result.value) else len(self.classes) - 1)
                prob.append(confidence(result.value))
                positions.append(done - 1)
                if "embedding" in outputs:
                    embedding.append(outputs["embedding"].astype(np.float16))
            if progress:
                progress(done, len(dataset))
        return HeldOut(
            np.array(best, np.int64),
            np.array(prob, np.float32),
            None,
            np.stack(embedding).astype(np.float32) if embedding else None,
            np.array(positions, np.int64),
        )


def confidence(found: Detections) -> float:
    """How sure a detector is of an image: the mean score of its boxes, 0 where there are none."""
    return float(found.scores.mean()) if found.scores is not None and len(found) else 0.0
