"""The predictions of an anomaly detector as drift compares them: the scores of images in use, against held-out ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.data.dataset import Dataset
from photovision.runtime.held_out import HeldOut
from photovision.tasks.anomaly.detector import AnomalyDetector

VERDICTS = ("good", "unsure", "anomalous")


class AnomalyDrift:
    """See `photovision.engine.drift.DriftModel`."""

    has_found = True
    classes = VERDICTS

    def __init__(self, model: AnomalyDetector) -> None:
        self._model = model
        self.limit: float | None = model.promised().threshold
        self.false_alarms: float | None = model.false_alarms

    def predict(self, dataset: Dataset, progress: ProgressCallback | None = None) -> HeldOut:
        """Predictions on the readable ones of N images."""
        scores, positions = [], []
        for done, result in enumerate(self._model.results(sample.image for sample in dataset.samples), 1):
            if result.value is not None:
                scores.append(result.value.score)
                positions.append(done - 1)
            if progress:
                progress(done, len(dataset))
        return replace(held_out(self._model, scores), positions=np.array(positions, np.int64))


def held_out(model: AnomalyDetector, scores: Iterable[float]) -> HeldOut:
    """What is kept of some scores: verdicts, 1 - p, and the scores themselves as novelty."""
    judged = [(float(score), *model.judged(float(score))) for score in scores]
    return HeldOut(
        np.array([VERDICTS.index(verdict) for _, _, verdict in judged], np.int64),
        np.array([1 - p for _, p, _ in judged], np.float32),
        np.array([score for score, _, _ in judged], np.float32),
    )
