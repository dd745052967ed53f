"""What a segmenter predicts, in the form in which the local page draws it."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
from PIL import Image as Pillow

from photovision.core.boxes import colour_of
from photovision.core.page_layers import as_url, boxes, layer
from photovision.core.regions import Segmentation
from photovision.core.result import Size
from photovision.tasks.segment.segmenter import Segmenter


def answer(model: Segmenter, scene: Segmentation, size: Size) -> dict[str, Any]:
    """Shares of the classes, the objects where they are separated, and the layer that shows where they are."""
    areas = [{"label": name, "class": scene.classes.index(name), "share": s} for name, s in scene.areas().items()]
    found: dict[str, Any] = {
        "size": list(size),
        "areas": sorted(areas, key=lambda one: -one["share"]),
    }
    if scene.objects is not None and scene.instance_map is not None:
        pixels = np.bincount(scene.instance_map.ravel(), minlength=len(scene.objects) + 1)[1:].tolist()
        first = scene.classes.index(scene.objects.classes[0]) if scene.objects.classes else 0
        rows = zip(boxes(scene.objects), pixels, strict=False)
        found["objects"] = [{**row, "class": row["class"] + first, "pixels": area} for row, area in rows]
        found["count"] = len(scene.objects)
    return {**found, "layer": as_url(layer(scene.labels, scene.instance_map))}


def mask_file(segmenter: Segmenter, picture: bytes) -> bytes:
    """An indexed PNG whose values are the numbers of the classes, as `photovision predict --output` writes it."""
    labels = cast("Segmentation", segmenter.predict(picture)).labels
    page = Pillow.fromarray(labels.astype(np.uint8))
    page.putpalette([value for label in range(256) for value in colour_of(label)])
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()
