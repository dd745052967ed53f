"""What an exported classifier says of its outputs."""

from __future__ import annotations

import json
from typing import Any

from photovision.engine.export_metadata import OutputMetadata
from photovision.tasks.classify.recognizer import Recognizer


def metadata(model: Recognizer) -> OutputMetadata:
    """Temperature, thresholds and prediction sets, and how the probabilities are read."""
    calibration: dict[str, Any] = {name: model.info.get(name) for name in ("temperature", "thresholds")}
    if model.doubt is not None:
        sets = {"coverage": model.doubt.coverage, "least_probability": model.doubt.thresholds().tolist()}
        calibration["prediction_sets"] = sets
    decision = "every class whose probability reaches its threshold is true of the image"
    if not model.multilabel:
        decision = "they sum to 1, and the most probable class is the answer"
    lines = [
        f"- `probs`: float32 (N, {len(model.classes)}), the calibrated probability of every class; {decision}.",
        "- `logits`, `embedding`, where they are there: before calibration, and what the last layer sees.",
    ]
    return OutputMetadata(calibration, lines, ("ece", "coverage"), {"multilabel": json.dumps(model.multilabel)})
