"""What an anomaly detector predicts, in the form in which the local page draws it."""

from __future__ import annotations

from typing import Any

import numpy as np

from photovision.core.page_layers import LARGEST, as_url, layer
from photovision.core.regions import IGNORE
from photovision.core.result import Size
from photovision.tasks.anomaly.detector import CLASSES, AnomalyDetector
from photovision.tasks.anomaly.heatmap import enlarged
from photovision.tasks.anomaly.prediction import Anomaly

_BAD = CLASSES.index("anomalous")


def answer(model: AnomalyDetector, value: Anomaly, size: Size) -> dict[str, Any]:
    """The verdict, the hot regions, the layer that shows them, and what the verdict promises."""
    factor = min(1.0, LARGEST / max(size))
    hot = enlarged(value.heatmap, (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))) >= 1
    found = value.json_fields(size)
    promised = model.promised()
    return {
        **found,
        "size": list(size),
        "boxes": [{**box, "label": "hot", "class": _BAD} for box in found["boxes"]],
        "layer": as_url(layer(np.where(hot, _BAD, IGNORE).astype(np.int32))),
        "false_alarms": promised.false_alarms,
        "good_images": promised.n,
    }
