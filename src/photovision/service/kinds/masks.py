"""Masks: what a segmenter says of pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.boxes import colour_of
from photovision.core.errors import MissingExtra, UnreadableImage
from photovision.core.regions import Segmentation
from photovision.core.result import Result
from photovision.core.shapes import Rle
from photovision.runtime.session import Session
from photovision.runtime.tiles import Tiling
from photovision.service.kinds import options as asked
from photovision.service.kinds.kind import (
    Explained,
    ManyCalls,
    Size,
    Source,
    Tensor,
    Why,
    check_windows,
    opened,
    through,
)
from photovision.service.settings import Limits
from photovision.tasks.segment.segmenter import OVERLAP, Segmenter

CLASSES_PER_PIXEL, OBJECTS_PER_PIXEL = 16, 64
"""Bytes for each pixel of a picture while its classes, or its objects, are made out."""
_MOST_OBJECTS = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, eq=False)
class Painted:
    """The classes of the pixels of one picture, without the pixels themselves: a few files instead of many megabytes.

    Attributes:
        told: what the command prints of it, without "file".
        mask: an indexed PNG file whose values are the numbers of the classes.
        objects: a PNG file of 16 bits with a number for every object; None where they are not told apart.
        form: which of it is told in JSON: "none", "png" or "rle".
        outlines: masks as run lengths, where these are asked for.
    """

    told: dict[str, Any]
    mask: bytes
    objects: bytes | None
    form: str
    outlines: list[dict[str, Any]] | None = None

    def to_json(self, file: str | None) -> dict[str, Any]:
        """`{"file", "size": [h, w], "areas": {class: share}}`, "objects", their number, and the masks asked for."""
        found = {"file": file, **self.told}
        if self.form == "png":
            found["mask"] = base64.b64encode(self.mask).decode()
            if self.objects is not None:
                found["object_mask"] = base64.b64encode(self.objects).decode()
        elif self.outlines is not None:
            found["masks"] = self.outlines
        return found

    def facts(self) -> dict[str, Any]:
        """The shares; the class that covers most stands for the picture."""
        best, share = max(self.told["areas"].items(), key=lambda pair: float(pair[1]))
        return {"label": best, "best": best, "prob": share, "found": self.told}


class Segmenting:
    """A segmenter; see `Kind`."""

    name, options = "a segmenter", ("tile", "masks")

    def __init__(self, model: Segmenter) -> None:
        self.model = model
        if model.instances:
            _check_libraries()

    def way(self, options: Mapping[str, str]) -> ManyCalls:
        """Every picture is seen through windows, as the model was trained or as the request says."""
        look = partial(_painted, self.model, asked.tile(options), asked.masks(options))
        return ManyCalls(look, OBJECTS_PER_PIXEL if self.model.instances else CLASSES_PER_PIXEL)

    def explain(self, source: Source, outcome: Painted, why: Why, limits: Limits) -> Explained:
        """The maps of what is found."""
        from photovision.service.kinds.place_maps import explain_places

        return explain_places(self.model, source, why, limits)

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """Shares of the picture and masks as PNG files, since the pictures of a request differ in size."""
        found = {"size": ("INT64", [-1, 2]), "areas": ("FP32", [-1, len(self.model.classes)]), "mask": ("BYTES", [-1])}
        if self.model.instances:
            found |= {"objects": ("INT64", [-1]), "object_mask": ("BYTES", [-1])}
        return found

    def tensors(self, outcomes: Sequence[Painted]) -> dict[str, Tensor]:
        """As `outputs` names them."""
        told = [one.told for one in outcomes]
        areas = [[one["areas"].get(name, 0.0) for name in self.model.classes] for one in told]
        found: dict[str, Tensor] = {
            "size": ("INT64", np.array([one["size"] for one in told], np.int64)),
            "areas": ("FP32", np.array(areas, np.float32)),
            "mask": ("BYTES", [one.mask for one in outcomes]),
        }
        if self.model.instances:
            found["objects"] = "INT64", np.array([one["objects"] for one in told], np.int64)
            found["object_mask"] = "BYTES", [one.objects for one in outcomes]
        return found


def _check_libraries() -> None:
    for library in ("scipy", "skimage"):
        try:
            import_module(library)
        except ModuleNotFoundError:
            raise MissingExtra(library, "serve", "telling objects apart") from None


def _painted(
    model: Segmenter, tile: Size | None, form: str, source: Source, limits: Limits, session: Session
) -> Painted:
    picture = opened(source, model.preprocess, limits)
    window = tile or model.tile
    if window is not None:
        check_windows(len(Tiling(window, OVERLAP).windows((picture.shape[0], picture.shape[1]))), limits)
    (scene,) = through(model, session).with_options(tile=tile).results([picture])
    assert scene.value is not None
    told = scene.to_json()
    del told["file"]
    mask = Pillow.fromarray(scene.value.labels.astype(np.uint8))
    mask.putpalette([value for label in range(len(scene.value.classes)) for value in colour_of(label)])
    outlines = _outlines(scene) if form == "rle" else None
    return Painted(told, _png(mask), _objects(scene), form, outlines)


def _objects(scene: Result[Segmentation]) -> bytes | None:
    numbers = None if scene.value is None else scene.value.instance_map
    if numbers is None:
        return None
    if int(numbers.max()) > _MOST_OBJECTS:
        raise UnreadableImage(f"the picture: holds more than {_MOST_OBJECTS:,} objects, which a mask cannot number")
    return _png(Pillow.fromarray(numbers.astype(np.uint16)))


def _outlines(scene: Result[Segmentation]) -> list[dict[str, Any]]:
    """A mask for every object, or for every class that occurs, as COCO writes them."""
    assert scene.value is not None
    objects = scene.value.objects
    if objects is not None:
        shapes = [shape for shape in objects.masks or () if isinstance(shape, Rle)]
        return [{**told, **_runs(shape)} for told, shape in zip(objects.to_json(), shapes, strict=True)]
    labels = scene.value.labels
    present = np.unique(labels).tolist()
    return [{"label": scene.value.classes[label], **_runs(Rle.of(labels == label))} for label in present]


def _runs(mask: Rle) -> dict[str, Any]:
    return {"segmentation": {"size": list(mask.size), "counts": mask.text}, "area": mask.area}


def _png(picture: Pillow.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
