"""Layers of the local page: masks, heatmaps and boxes in the form in which its scripts lay them over an image.

Masks travel as a PNG of three bytes a pixel: the class plus one, 0 for none, then the number of the object, high byte
and low byte. The page gives them their colours, so that classes can be hidden without asking again.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.regions import IGNORE, Detections, LabelMap, Regions, Segmentation
from photovision.core.shapes import Polygons, Shape
from photovision.core.types import Image

LARGEST = 1600
"""Pixels of the longer side of a layer that lies over a picture."""
MAX_OBJECTS = 2000
"""Objects of one picture that are listed."""


def boxes(found: Detections) -> list[dict[str, Any]]:
    """`[{"label", "class", "score", "xyxy"}]`, at most `MAX_OBJECTS`; "class" is the class's number."""
    rows = zip(found.to_json()[:MAX_OBJECTS], found.labels.tolist(), strict=False)
    return [{**row, "class": label} for row, label in rows]


def layer(labels: LabelMap, numbers: LabelMap | None = None) -> bytes:
    """A PNG as described above.

    Args:
        labels: int32 (H, W), classes, IGNORE for none.
        numbers: int32 (H, W), numbers of objects, 0 for none.
    """
    step = max(1, -(-max(labels.shape) // LARGEST))
    small = labels[::step, ::step]
    page = np.zeros((*small.shape, 3), np.uint8)
    page[..., 0] = np.where(small == IGNORE, 0, np.minimum(small, 253) + 1)
    if numbers is not None:
        kept = np.minimum(numbers[::step, ::step], 0xFFFF)
        page[..., 1], page[..., 2] = kept >> 8, kept & 0xFF
    return png(page)


def layer_of(regions: Regions | None, size: tuple[int, int]) -> bytes | None:
    """The layer of what the data say of a picture of `size` (H, W); None where they have no masks of it.

    Raises DataError where a mask's file is gone or damaged.
    """
    if isinstance(regions, Segmentation):
        return layer(regions.labels)
    if regions is None or regions.masks is None:
        return None
    step = max(1, -(-max(size) // LARGEST))
    labels = np.full((-(-size[0] // step), -(-size[1] // step)), IGNORE, np.int32)
    numbers = np.zeros_like(labels)
    for row, shape in enumerate(regions.masks[:MAX_OBJECTS]):
        if shape is not None:
            inside = _bitmap(shape, size, step)
            labels[inside], numbers[inside] = regions.labels[row], row + 1
    return layer(labels, numbers)


def _bitmap(shape: Shape, size: tuple[int, int], step: int) -> np.ndarray:
    if isinstance(shape, Polygons):
        small = -(-size[0] // step), -(-size[1] // step)
        return Polygons(tuple(part / np.float32(step) for part in shape.parts)).bitmap(small)
    return shape.bitmap(size)[::step, ::step]


def png(page: Image) -> bytes:
    """An uint8 picture (H, W, 3) or (H, W, 4), or bool (H, W), as PNG, quickly rather than small."""
    buffer = io.BytesIO()
    Pillow.fromarray(page).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def as_url(content: bytes, kind: str = "png") -> str:
    """A PNG or "jpeg" as an address that holds all of it."""
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")
