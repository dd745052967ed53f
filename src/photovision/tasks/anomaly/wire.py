"""Anomalies over HTTP and in the record."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.types import Image
from photovision.engine.wire import (
    Answer,
    Explained,
    Facts,
    ImageLimits,
    MapRequest,
    Source,
    Tensor,
    Wire,
    whole_image,
)
from photovision.tasks.anomaly.detector import AnomalyDetector
from photovision.tasks.anomaly.explain import METHOD, coarse
from photovision.tasks.anomaly.heatmap import painted
from photovision.tasks.anomaly.prediction import Anomaly
from photovision.tasks.anomaly.schema import AnomalyExplanation, AnomalyPrediction


@dataclass(frozen=True, eq=False)
class HeatmapOverImage:
    """An explanation: the heatmap of the model itself; see `engine.wire.Explained`."""

    found: Anomaly
    image: Image

    def to_json(self) -> dict[str, Any]:
        """The prediction and its heatmap in numbers."""
        size = self.image.shape[0], self.image.shape[1]
        return {**self.found.json_fields(size), "method": METHOD, "heatmap": coarse(self.found)}

    def png(self) -> bytes:
        """The heat over the image."""
        buffer = io.BytesIO()
        Pillow.fromarray(painted(self.image, self.found.heatmap)).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


class AnomalyWire(Wire[Anomaly]):
    """An anomaly detector; see `Wire`."""

    schema, explanation, methods = AnomalyPrediction, AnomalyExplanation, (METHOD,)
    model: AnomalyDetector

    def facts(self, answer: Answer[Anomaly]) -> Facts:
        """The verdict; 1 - p stands for how sure it is of a defect."""
        value = answer.value
        found = value.json_fields(answer.size)
        return Facts(value.verdict, value.verdict, 1 - value.p, novelty=value.score, found=found)

    def explain(self, source: Source, answer: Answer[Anomaly], request: MapRequest, limits: ImageLimits) -> Explained:
        """Where the image departs from good ones."""
        return HeatmapOverImage(answer.value, whole_image(source, self.model.preprocess, limits))

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """Score, p-value, verdict and heatmap, in units of what good images reach."""
        return {
            "score": ("FP32", [-1]),
            "p": ("FP32", [-1]),
            "verdict": ("BYTES", [-1]),
            "heatmap": ("FP32", [-1, -1, -1]),
        }

    def tensors(self, answers: Sequence[Answer[Anomaly]]) -> dict[str, Tensor]:
        """As `outputs` names them."""
        values = [one.value for one in answers]
        return {
            "score": ("FP32", np.array([one.score for one in values], np.float32)),
            "p": ("FP32", np.array([one.p for one in values], np.float32)),
            "verdict": ("BYTES", [one.verdict for one in values]),
            "heatmap": ("FP32", np.stack([one.heat for one in values])),
        }
