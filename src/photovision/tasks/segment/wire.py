"""Masks over HTTP and in the record."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.boxes import colour_of
from photovision.core.errors import MissingExtra, UnreadableImage
from photovision.core.image import pixel_area
from photovision.core.regions import LabelMap, Segmentation
from photovision.core.result import Size
from photovision.core.shapes import Rle
from photovision.core.types import Floats
from photovision.engine.wire import (
    Answer,
    Explained,
    Facts,
    ImageLimits,
    MapRequest,
    Source,
    Tensor,
    Tiled,
    Wire,
    check_windows,
    whole_image,
)
from photovision.runtime.session import Session
from photovision.runtime.tiles import Tiling
from photovision.tasks.detect.schema import BoxExplanations
from photovision.tasks.segment.schema import MaskPrediction
from photovision.tasks.segment.segmenter import OVERLAP, Segmenter

CLASSES_PER_PIXEL, OBJECTS_PER_PIXEL = 16, 64
"""Bytes for each pixel of an image while its classes, or its objects, are made out."""
EXPLAINED = 1
"""Regions of one image that are explained at most; each takes calls of the network of its own."""
_MAX_OBJECTS = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, eq=False)
class MaskFiles:
    """The classes of the pixels of one image, without the pixels themselves: a few files instead of many megabytes.

    Attributes:
        fields: what stands beside "file" in the result.
        mask: an indexed PNG file whose values are the numbers of the classes.
        objects: a PNG file of 16 bits with a number for every object; None where they are not separated.
        form: which of it is in JSON: "none", "png" or "rle".
        outlines: masks as run lengths, where these are asked for.
        confidence: the mean probability of the predicted classes.
        embedding: float32 (D,), which the record keeps; None where the graph gives none.
    """

    fields: dict[str, Any]
    mask: bytes
    objects: bytes | None
    form: str
    outlines: list[dict[str, Any]] | None = None
    confidence: float = 0.0
    embedding: Floats | None = None

    def json_fields(self, size: Size) -> dict[str, Any]:
        """What stands beside "file": "size", "areas", "objects", how many, and the masks asked for."""
        found = dict(self.fields)
        if self.form == "png":
            found["mask"] = base64.b64encode(self.mask).decode()
            if self.objects is not None:
                found["object_mask"] = base64.b64encode(self.objects).decode()
        elif self.outlines is not None:
            found["masks"] = self.outlines
        return found


class MaskWire(Wire[MaskFiles]):
    """A segmenter; see `Wire`."""

    schema, explanation, methods = MaskPrediction, BoxExplanations, ("drise",)
    model: Segmenter

    def __init__(self, model: Segmenter) -> None:
        super().__init__(model)
        if model.instances:
            _check_libraries()

    def way(self, options: Mapping[str, Any]) -> Tiled:
        """Every image is run through tiles, as the model was trained or as the request says."""
        model = self.model.with_options(tile=options["tile"]) if "tile" in options else self.model
        predict = partial(_predicted, model, options.get("masks", "none"))
        return Tiled(predict, OBJECTS_PER_PIXEL if model.instances else CLASSES_PER_PIXEL)

    def facts(self, answer: Answer[MaskFiles]) -> Facts:
        """The shares, how sure the model is on average, and the class that covers most, which stands for the image."""
        found = answer.value
        best, _ = max(found.fields["areas"].items(), key=lambda pair: float(pair[1]))
        return Facts(best, best, found.confidence, embedding=found.embedding, found=found.fields)

    def explain(self, source: Source, answer: Answer[MaskFiles], request: MapRequest, limits: ImageLimits) -> Explained:
        """The map of the largest region."""
        from photovision.tasks.region_maps import explain_regions

        self.check_label(request.label)
        return explain_regions(self.model, source, request, limits, EXPLAINED)

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """Shares of the image and masks as PNG files, since the images of a request differ in size."""
        found = {"size": ("INT64", [-1, 2]), "areas": ("FP32", [-1, len(self.model.classes)]), "mask": ("BYTES", [-1])}
        if self.model.instances:
            found |= {"objects": ("INT64", [-1]), "object_mask": ("BYTES", [-1])}
        return found

    def tensors(self, answers: Sequence[Answer[MaskFiles]]) -> dict[str, Tensor]:
        """As `outputs` names them."""
        fields = [one.value.fields for one in answers]
        areas = [[one["areas"].get(name, 0.0) for name in self.model.classes] for one in fields]
        found: dict[str, Tensor] = {
            "size": ("INT64", np.array([one["size"] for one in fields], np.int64)),
            "areas": ("FP32", np.array(areas, np.float32)),
            "mask": ("BYTES", [one.value.mask for one in answers]),
        }
        if self.model.instances:
            found["objects"] = "INT64", np.array([one["objects"] for one in fields], np.int64)
            found["object_mask"] = "BYTES", [one.value.objects for one in answers]
        return found


def _check_libraries() -> None:
    for library in ("scipy", "skimage"):
        try:
            import_module(library)
        except ModuleNotFoundError:
            raise MissingExtra(library, "separating objects") from None


def _predicted(model: Segmenter, form: str, source: Source, limits: ImageLimits, session: Session) -> Answer[MaskFiles]:
    image = whole_image(source, model.preprocess, limits)
    size = image.shape[0], image.shape[1]
    if model.tile is not None:
        check_windows(len(Tiling(model.tile, OVERLAP).windows(size)), limits)
    found = model.with_session(session).predict(image)
    assert isinstance(found, Segmentation)
    mask = Pillow.fromarray(found.labels.astype(np.uint8))
    mask.putpalette([value for label in range(len(found.classes)) for value in colour_of(label)])
    outlines = _outlines(found) if form == "rle" else None
    pictures = _png(mask), _objects(found.instance_map)
    found = replace(found, pixel_mm2=pixel_area(source))
    fields, sure = found.json_fields(size), found.confidence or 0.0
    return Answer(size, MaskFiles(fields, *pictures, form, outlines, sure, found.embedding))


def _objects(instance_map: LabelMap | None) -> bytes | None:
    if instance_map is None:
        return None
    if int(instance_map.max()) > _MAX_OBJECTS:
        raise UnreadableImage(f"the picture: holds more than {_MAX_OBJECTS:,} objects, which a mask cannot number")
    return _png(Pillow.fromarray(instance_map.astype(np.uint16)))


def _outlines(found: Segmentation) -> list[dict[str, Any]]:
    """A mask for every object, or for every class that occurs, as COCO writes them."""
    if found.objects is not None:
        shapes = [shape for shape in found.objects.masks or () if isinstance(shape, Rle)]
        return [{**one, **_runs(shape)} for one, shape in zip(found.objects.to_json(), shapes, strict=True)]
    present = np.unique(found.labels).tolist()
    return [{"label": found.classes[label], **_runs(Rle.of(found.labels == label))} for label in present]


def _runs(mask: Rle) -> dict[str, Any]:
    return {"segmentation": {"size": list(mask.size), "counts": mask.text}, "area": mask.area}


def _png(picture: Pillow.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
