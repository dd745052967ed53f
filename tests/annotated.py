"""Small data sets with boxes, outlines and masks for tests, in memory or on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Rle, Shape
from photovision.core.types import Sample
from photovision.data.dataset import Dataset

CLASSES = ("bolt", "nut")


def blob(size: tuple[int, int], box: tuple[int, int, int, int]) -> Rle:
    """The mask of an ellipse that fills a box."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    x1, y1, x2, y2 = box
    across, down = (columns + 0.5 - (x1 + x2) / 2) / (x2 - x1), (rows + 0.5 - (y1 + y2) / 2) / (y2 - y1)
    return Rle.of(across**2 + down**2 <= 0.25)


def ring(box: tuple[float, float, float, float]) -> Polygons:
    """The diamond within a box."""
    x1, y1, x2, y2 = box
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return Polygons((np.array([[x, y1], [x2, y], [x, y2], [x1, y]], dtype=np.float32),))


def objects(boxes: Sequence[Sequence[float]], labels: Sequence[int], shapes: Sequence[Shape | None] = ()) -> Detections:
    """Objects of the two classes."""
    some = tuple(shapes) if any(shape is not None for shape in shapes) else None
    table = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return Detections(table, np.array(labels, dtype=np.int64), CLASSES, masks=some)


def dataset(root: Path, found: Sequence[Detections | None], **rest: Any) -> Dataset:
    """Grainy pictures of 40 x 60 (H x W) pixels with these objects, written below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    samples = []
    for number, regions in enumerate(found):
        file = root / f"part{number}.png"
        noise = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file)
        names = None if regions is None else tuple(name for name in CLASSES if name in regions.names)
        samples.append(Sample(file.name, file, names, {}, regions))
    return Dataset(tuple(samples), CLASSES, multilabel=True, annotation_type="boxes", **rest)


def picture(path: Path, size: tuple[int, int] = (40, 60), orientation: int = 1) -> Path:
    """A JPEG of (H, W) stored pixels with an EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.full((*size, 3), 90, dtype=np.uint8))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, "JPEG", exif=exif)
    return path


def coco(folder: Path, annotations: Any, images: Any = None, categories: Any = None) -> Path:
    """A COCO file beside one picture of 40 x 60 pixels; returns the folder."""
    picture(folder / "images" / "a.jpg")
    known = [{"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}]
    document = {
        "images": known if images is None else images,
        "categories": [{"id": 1, "name": "bolt"}] if categories is None else categories,
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def same(one: Detections, other: Detections, within: float = 0.002) -> bool:
    """Whether both have the same objects, to within so many pixels, in any order."""
    return len(one) == len(other) and all(
        any(
            name == other.names[row]
            and np.abs(box - other.boxes[row]).max() <= within
            and alike(one.masks[i] if one.masks else None, other.masks[row] if other.masks else None, within)
            for row in range(len(other))
        )
        for i, (name, box) in enumerate(zip(one.names, one.boxes, strict=True))
    )


def alike(one: Shape | None, other: Shape | None, within: float) -> bool:
    """Whether two shapes are the same to within so many pixels."""
    if isinstance(one, Rle) and isinstance(other, Rle):
        return one.size == other.size and one.counts.tolist() == other.counts.tolist()
    if isinstance(one, Polygons) and isinstance(other, Polygons):
        return len(one.parts) == len(other.parts) and all(
            a.shape == b.shape and bool(np.abs(a - b).max() <= within)
            for a, b in zip(one.parts, other.parts, strict=True)
        )
    return one is None and other is None
