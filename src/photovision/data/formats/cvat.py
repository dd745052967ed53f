"""CVAT for images: one XML file with boxes, polygons and masks (docs.cvat.ai, "CVAT for image", version 1.1).

    data/annotations.xml            the XML file of an export, beside its pictures or above images/
    data/images/1.jpg

Boxes that were turned become outlines. Points, lines, cuboids, skeletons and tracks of videos are told and left out.
Coordinates are written to 0.001 of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from photovision.core.errors import DataError
from photovision.core.files import new_folder, write_text
from photovision.core.regions import Detections
from photovision.core.shapes import MAX_PIXELS, Polygons, Rle, Shape
from photovision.data.annotated import Gathered, Size, number, polygons, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import SPLIT_WORDS, Format, clean
from photovision.data.formats.placing import Placed, detections, place, shown
from photovision.data.formats.streams import Element, xml_elements

_NAMES = ("annotations.xml", "annotations/annotations.xml")
_BASES = ("", "images/", "images/default/", "data/")
_OTHER = ("points", "polyline", "cuboid", "skeleton", "ellipse")


def detects(path: Path) -> bool:
    """An XML file that begins like CVAT's, or a folder with one."""
    file = _file_of(path)
    if file is None:
        return False
    with file.open("rb") as stream:
        return b"<annotations" in stream.read(4096)


def read(path: Path, *, multilabel: bool | None = None, label_column: str | None = None) -> Dataset:
    """Read the XML file; raises DataError with the line where it is none."""
    file = _file_of(path)
    if file is None:
        raise DataError(f"{path} holds no annotations.xml: export as 'CVAT for images' with the pictures beside it")
    root = path if path.is_dir() else file.parent
    found = Gathered(root, path, "cvat")
    labels = {clean(name): None for element in xml_elements(file, "label") if (name := element.findtext("name"))}
    classes = {name: index for index, name in enumerate(labels)}
    for place_, image in enumerate(xml_elements(file, "image")):
        _image(found, classes, f"{file.name}, image {place_ + 1}", image)
    if sum(1 for _ in xml_elements(file, "track")):
        found.problem(file.name, "tracks", "tracks of a video are not read: export it as 'CVAT for images'")
    return found.dataset(list(classes))


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/annotations.xml, all or nothing."""
    with new_folder(path) as folder:
        names = "".join(f"<label><name>{escape(name)}</name></label>" for name in dataset.classes)
        meta = f"  <meta><task><labels>{names}</labels></task></meta>"
        lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>", meta]
        for position, placed in enumerate(place(dataset, folder / "images")):
            lines += _lines(position, placed)
        write_text(folder / "annotations.xml", "\n".join([*lines, "</annotations>", ""]))


def _file_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() == ".xml" else None
    return next((path / name for name in _NAMES if (path / name).is_file()), None)


def _image(found: Gathered, classes: dict[str, int], where: str, image: Element) -> None:
    name = image.get("name", "")
    name = next((base + name for base in _BASES if found.exists(base + name)), name)
    declared = size_of(image.get("height"), image.get("width"))
    split = SPLIT_WORDS.get(image.get("subset", "").lower())
    position = found.picture(name, declared, split=split)
    if position is None:
        return
    for place_, item in enumerate(image):
        at = f"{where}, <{item.tag}> {place_ + 1}"
        if item.tag in _OTHER:
            found.fault(position, at, f"a {item.tag} is neither box nor outline nor mask")
        elif item.tag in _READERS:
            try:
                box, shape = _READERS[item.tag](item, found.sizes[position] or declared)
                label = clean(item.get("label", ""))
                if not label:
                    raise DataError("it has no label")
                found.thing(position, classes.setdefault(label, len(classes)), box, shape)
            except DataError as error:
                found.fault(position, at, error)


Read = tuple[list[float] | None, Shape | None]


def _box(item: Element, _: Size | None) -> Read:
    box = [number(item.get(side)) for side in ("xtl", "ytl", "xbr", "ybr")]
    turned = number(item.get("rotation", "0"))
    if any(map(math.isnan, [*box, turned])):
        raise DataError("a box should have finite xtl, ytl, xbr and ybr")
    if not turned:
        return box, None
    x, y, angle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, math.radians(turned)
    corners = [(a - x, b - y) for a, b in ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))]
    cos, sin = math.cos(angle), math.sin(angle)
    return None, polygons([[v for a, b in corners for v in (x + a * cos - b * sin, y + a * sin + b * cos)]])


def _polygon(item: Element, _: Size | None) -> Read:
    values = [number(cell) for point in item.get("points", "").split(";") for cell in point.split(",")]
    if any(map(math.isnan, values)):
        raise DataError("points should be finite numbers x,y;x,y;...")
    return None, polygons([values])


def _mask(item: Element, size: Size | None) -> Read:
    """Run lengths, row after row, of the part of the picture that the box encloses; the first is of background."""
    left, top, width, height = (number(item.get(name)) for name in ("left", "top", "width", "height"))
    counts = [number(cell) for cell in item.get("rle", "").split(",")]
    if any(map(math.isnan, [left, top, width, height, *counts])) or min(left, top, width - 1, height - 1) < 0:
        raise DataError("a mask should have finite left, top, width, height and rle")
    if size is None or size[0] * size[1] > MAX_PIXELS or left + width > size[1] or top + height > size[0]:
        raise DataError("a mask should lie within its picture, whose width and height are needed")
    runs = np.array(counts, dtype=np.int64)
    if (runs < 0).any() or int(runs.sum()) != int(width) * int(height):
        raise DataError(f"the run lengths of a mask should sum to {width:.0f} x {height:.0f} pixels")
    whole = np.zeros(size, dtype=bool)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(int(height), int(width))
    whole[int(top) : int(top + height), int(left) : int(left + width)] = inside
    return None, Rle.of(whole)


_READERS: dict[str, Callable[[Element, Size | None], Read]] = {"box": _box, "polygon": _polygon, "mask": _mask}


def _lines(position: int, placed: Placed) -> list[str]:
    height, width = placed.size
    subset = f' subset="{placed.split.capitalize()}"' if placed.split else ""
    name = quoteattr(placed.file.name)
    found = detections(placed.sample)
    inner = [_line(found, row) for row in range(len(found))] if found is not None else []
    head = f'  <image id="{position}" name={name}{subset} width="{width}" height="{height}">'
    return [head, *inner, "  </image>"]


def _line(found: Detections, row: int) -> str:
    label = quoteattr(found.names[row])
    shape = found.masks[row] if found.masks is not None else None
    if isinstance(shape, Polygons):
        points = ";".join(f"{shown(x)},{shown(y)}" for x, y in shape.parts[0].tolist())
        return f'    <polygon label={label} source="manual" occluded="0" points="{points}" z_order="0"></polygon>'
    x1, y1, x2, y2 = found.boxes[row].tolist()
    if isinstance(shape, Rle):
        return f"    <mask label={label} {_runs(shape)}></mask>"
    edges = f'xtl="{shown(x1)}" ytl="{shown(y1)}" xbr="{shown(x2)}" ybr="{shown(y2)}"'
    return f'    <box label={label} source="manual" occluded="0" {edges} z_order="0"></box>'


def _runs(shape: Rle) -> str:
    x1, y1, x2, y2 = (int(value) for value in shape.box)
    if x2 <= x1:  # an empty mask still needs a pixel to be told
        x2, y2 = x1 + 1, y1 + 1
    inside: Any = shape.bitmap()[y1:y2, x1:x2]
    rle = ", ".join(map(str, Rle.of(inside.T).counts.tolist()))
    edges = f'left="{x1}" top="{y1}" width="{x2 - x1}" height="{y2 - y1}"'
    return f'source="manual" occluded="0" rle="{rle}" {edges} z_order="0"'


FORMAT = Format(detects, read, write, frozenset(("boxes", "outlines", "masks", "several", "splits", "spare classes")))
