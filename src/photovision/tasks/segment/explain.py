"""Explain a segmenter: why it predicts its objects, or the region of every class but the background."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from photovision.core.regions import Detections, Segmentation
from photovision.core.shapes import Rle
from photovision.core.types import Floats, Image
from photovision.core.window import Window, whole
from photovision.data.formats.colours import BACKGROUND
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.explain.regions import RegionExplainer, RegionModel
from photovision.trust.explain.request import ExplainRequest
from photovision.trust.explain.target import RegionTarget


def explainer(model: Segmenter, request: ExplainRequest) -> RegionExplainer:
    """What explains the regions of a segmenter; raises UsageError as `RegionExplainer` does."""

    def window(size: tuple[int, int], box: Floats) -> Window:
        return _window(model, size, box)

    def target(found: Detections, row: int, window: Window, size: tuple[int, int]) -> RegionTarget:
        mask = found.masks[row] if found.masks is not None else None
        assert mask is not None
        bits = Pillow.fromarray(mask.bitmap(size).astype(np.float32))
        part = np.asarray(bits.resize(model.preprocess.size[::-1], Pillow.Resampling.BILINEAR, box=window))
        return RegionTarget(part >= min(0.5, float(part.max())), model.classes.index(found.names[row]))

    regions = RegionModel(model, "region", ("region", "regions"), lambda image: _regions(model, image), window, target)
    return RegionExplainer(regions, request)


def _regions(model: Segmenter, image: Image) -> Detections:
    """Objects with masks, most probable first; without objects the regions of the classes, largest first."""
    scene = model.predict(image)
    assert isinstance(scene, Segmentation)
    if scene.objects is not None:
        found, scores = scene.objects, scene.objects.scores
        assert scores is not None
        rows = np.argsort(-scores, kind="stable")
        masks = None if found.masks is None else tuple(found.masks[int(row)] for row in rows)
        return Detections(found.boxes[rows], found.labels[rows], found.classes, scores[rows], masks)
    labels = scene.labels
    areas = np.bincount(labels.ravel(), minlength=len(model.classes))
    there = [c for c in np.argsort(-areas, kind="stable").tolist() if areas[c] and model.classes[c] != BACKGROUND]
    shapes = tuple(Rle.of(labels == label) for label in there)
    boxes = np.array([shape.box for shape in shapes], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(there, np.int64), model.classes, masks=shapes)


def _window(model: Segmenter, size: tuple[int, int], box: Floats) -> Window:
    """What the network sees: the whole image, or a tile with the region in its middle."""
    height, width = size
    if model.tile is None or (model.tile[0] >= height and model.tile[1] >= width):
        return whole(size)
    wide, high = min(model.tile[1], width), min(model.tile[0], height)
    left = float(np.clip(round((box[0] + box[2] - wide) / 2), 0, width - wide))
    top = float(np.clip(round((box[1] + box[3] - high) / 2), 0, height - high))
    return left, top, left + wide, top + high
