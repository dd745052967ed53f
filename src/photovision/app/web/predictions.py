"""What a model of any task says of a picture, and what the data say of it, as the page shows it.

Masks travel as a PNG of three bytes a pixel: the class plus one, 0 for none, then the number of the object, high byte
and low byte. The page gives them their colours, so that classes can be hidden without asking again.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image as Pillow

from photovision.core.boxes import colour_of
from photovision.core.errors import UnreadableImage
from photovision.core.regions import IGNORE, Detections, LabelMap, Regions, Segmentation
from photovision.core.shapes import Polygons, Shape
from photovision.core.types import Image

if TYPE_CHECKING:
    from photovision.app.web.workspace import Model
    from photovision.core.types import Classes
    from photovision.tasks.segment.segmenter import Segmenter

LARGEST = 1600
"""Pixels of the longer side of a layer that lies over a picture."""
MOST_OBJECTS = 2000
"""Objects of one picture that are listed."""


def answer(model: Model, source: bytes | Path) -> dict[str, Any]:
    """What a model says of a picture, with its "task"; `{"error": reason}` of a file that is no picture."""
    from photovision.app.web.recognise import told
    from photovision.tasks.detect.detector import Detector
    from photovision.tasks.segment.segmenter import Segmenter

    try:
        if isinstance(model, Detector):
            seen = next(model.results([source]))
            return of_boxes(seen.value, seen.size) if seen.value is not None else {"error": str(seen.error)}
        if isinstance(model, Segmenter):
            scene = next(model.results([source]))
            return of_scene(scene.value, scene.size) if scene.value is not None else {"error": str(scene.error)}
        return {"task": "classify", **told(model, cast("Classes", model.predict(source)))}
    except UnreadableImage as error:
        return {"error": str(error)}


def of_boxes(found: Detections, size: tuple[int, int]) -> dict[str, Any]:
    """Objects of a picture of `size` (H, W), the surest first as the detector gives them."""
    return {"task": "detect", "size": list(size), "boxes": boxes(found), "left_out": max(0, len(found) - MOST_OBJECTS)}


def boxes(found: Detections) -> list[dict[str, Any]]:
    """`[{"label", "class", "score", "xyxy"}]`, at most `MOST_OBJECTS`; "class" is the class's number."""
    rows = zip(found.to_json()[:MOST_OBJECTS], found.labels.tolist(), strict=False)
    return [{**row, "class": label} for row, label in rows]


def of_scene(scene: Segmentation, size: tuple[int, int]) -> dict[str, Any]:
    """Shares of the classes, the objects where they are told apart, and the layer that shows where they are."""
    areas = [{"label": name, "class": scene.classes.index(name), "share": s} for name, s in scene.areas().items()]
    found: dict[str, Any] = {
        "task": "segment",
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
    for row, shape in enumerate(regions.masks[:MOST_OBJECTS]):
        if shape is not None:
            inside = _bitmap(shape, size, step)
            labels[inside], numbers[inside] = regions.labels[row], row + 1
    return layer(labels, numbers)


def _bitmap(shape: Shape, size: tuple[int, int], step: int) -> np.ndarray:
    if isinstance(shape, Polygons):
        small = -(-size[0] // step), -(-size[1] // step)
        return Polygons(tuple(part / np.float32(step) for part in shape.parts)).bitmap(small)
    return shape.bitmap(size)[::step, ::step]


def mask_file(segmenter: Segmenter, picture: bytes) -> bytes:
    """An indexed PNG whose values are the numbers of the classes, as `photovision predict --output` writes it."""
    labels = cast("Segmentation", segmenter.predict(picture)).labels
    page = Pillow.fromarray(labels.astype(np.uint8))
    page.putpalette([value for label in range(256) for value in colour_of(label)])
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def colours(count: int) -> list[str]:
    """The colour of each class, "#rrggbb", as all pictures that Photovision draws have them."""
    return ["#{:02x}{:02x}{:02x}".format(*colour_of(label)) for label in range(count)]


def counted(regions: Regions | None) -> dict[str, int] | None:
    """Class -> objects of it in one picture, the commonest first; None where objects are not told apart."""
    return dict(Counter(regions.names).most_common()) if isinstance(regions, Detections) else None


def png(page: Image) -> bytes:
    """An uint8 picture (H, W, 3) or (H, W, 4), or bool (H, W), as PNG, quickly rather than small."""
    buffer = io.BytesIO()
    Pillow.fromarray(page).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def as_url(content: bytes, kind: str = "png") -> str:
    """A PNG or "jpeg" as an address that holds all of it."""
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")
