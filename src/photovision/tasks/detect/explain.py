"""Explain a detector: why it predicts its boxes, and why it missed objects."""

from __future__ import annotations

import numpy as np

from photovision.core.regions import Detections
from photovision.core.types import Floats, Image
from photovision.core.window import Window, to_view
from photovision.tasks.detect.detector import Detector
from photovision.trust.explain.regions import RegionExplainer, RegionModel
from photovision.trust.explain.request import ExplainRequest
from photovision.trust.explain.target import BoxTarget


def explainer(model: Detector, request: ExplainRequest) -> RegionExplainer:
    """What explains the boxes of a detector; raises UsageError as `RegionExplainer` does."""

    def predict(image: Image) -> Detections:
        found = model.predict(image)
        assert isinstance(found, Detections)
        return found

    def window(size: tuple[int, int], box: Floats) -> Window:
        return model.preprocess.window(size[1], size[0])

    def target(found: Detections, row: int, window: Window, size: tuple[int, int]) -> BoxTarget:
        box = to_view(found.boxes[[row]], window, model.preprocess.size)[0]
        return BoxTarget(box.astype(np.float32), model.classes.index(found.names[row]))

    return RegionExplainer(RegionModel(model, "box", ("box", "boxes"), predict, window, target), request)
