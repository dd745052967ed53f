"""labelme (github.com/wkentaro/labelme, also AnyLabeling): a JSON file for each picture, beside it or in a folder.

    data/[train/]1.jpg
    data/[train/]1.json             shapes with points in pixels; imagePath; flags of the whole picture

Polygons, rectangles, circles and masks are read, polygons with one label and one group_id as the parts of one object;
points and lines are left out. Flags that are set make a classification data set where no picture has a shape; else they
become an attribute. A picture that is only inside its JSON (imageData) is named, for nothing is unpacked here.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.image import decode
from photovision.core.regions import Detections
from photovision.core.shapes import MAX_PIXELS, Polygons, Rle, Shape
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import Size, ellipse, numbers, polygons, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean
from photovision.data.formats.json_kinds import json_kind
from photovision.data.formats.places import annotation_files, split_folder
from photovision.data.formats.streaming_parsers import json_items
from photovision.data.formats.writer import detections, place, shown
from photovision.data.read_options import DEFAULTS, ReadOptions
from photovision.data.tagged import objects_or_tags

MAX_SHAPES = 100_000
"""Shapes that one picture may have: they are held until the end of the file names the picture."""
_LINES = ("point", "points", "line", "linestrip")
_FLAGS = "flags"


def detects(path: Path) -> bool:
    """A JSON file with labelme's shapes, or a folder with some beside pictures."""
    return bool(annotation_files(path, (".json",), _is_labelme))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the JSON files of all pictures; one that cannot be read is left out by itself."""
    files = annotation_files(path, (".json",), _is_labelme, all_beside=True, all_depths=True)
    files = files or ([path] if path.is_file() else [])
    if not files:
        raise DataError(f"{path} holds no JSON files of labelme: expected 1.json with 'shapes' beside 1.jpg")
    found = Gathered(path if path.is_dir() else path.parent, path, "labelme")
    classes: dict[str, int] = {}
    for file in files:
        try:
            _picture(found, file, classes)
        except DataError as error:
            if len(files) == 1:
                raise
            found.problem(file.relative_to(found.root).as_posix(), "bad file", f"{error}; it is left out")
    found.name_the_rest()
    return objects_or_tags(found, found.alphabetical(classes), options, empty_is_none=True)


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/[split/]pictures, each with its JSON file, all or nothing."""
    with new_folder(path, "data set") as folder:
        for placed in place(dataset, folder, by_split=True):
            regions = detections(placed.sample)
            if regions is not None:
                shapes = [shape for row in range(len(regions)) for shape in _shapes_of(regions, row)]
                document: dict[str, Any] = {
                    "version": "5.5.0",
                    "flags": {},
                    "shapes": shapes,
                    "imagePath": placed.file.name,
                    "imageData": None,
                    "imageHeight": placed.size[0],
                    "imageWidth": placed.size[1],
                }
                write_text(placed.file.with_suffix(".json"), json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def _is_labelme(file: Path) -> bool:
    return json_kind(file) == "labelme"


def _picture(found: Gathered, file: Path, classes: dict[str, int]) -> None:
    """Read one file: its shapes wait for the name of the picture, which comes after them."""
    shapes: list[Any] = []
    facts: dict[str, Any] = {}
    for key, place_, value in json_items(file):
        if key == "shapes" and place_ >= 0:
            if place_ >= MAX_SHAPES:
                raise DataError(f"{file} has more than {MAX_SHAPES:,} shapes: split it")
            shapes.append(value)
        elif key == "imageData":
            facts[key] = bool(value)
        else:
            facts[key] = value
    if "shapes" not in facts and not shapes:
        raise DataError(f"{file} should have a list 'shapes', as labelme writes it, but has none")
    name = _named(found, file, facts)
    if name is None:
        return
    declared = size_of(facts.get("imageHeight"), facts.get("imageWidth"))
    position = found.picture(name, declared, split=split_folder(file, found.root), below=_below(found, file))
    if position is None:
        return
    flags = facts.get("flags")
    if isinstance(flags, dict) and flags:
        found.tag(position, _FLAGS, [str(flag) for flag, value in flags.items() if value is True])
    _objects(found, position, file, shapes, classes)


def _below(found: Gathered, file: Path) -> str:
    below = file.parent.relative_to(found.root).as_posix()
    return "" if below == "." else below


def _named(found: Gathered, file: Path, facts: dict[str, Any]) -> str | None:
    """The picture's name: imagePath where it leads to a file, else that of the JSON file; None where there is none."""
    image_path = facts.get("imagePath")
    names = [image_path if isinstance(image_path, str) else "", file.stem]
    name = next((name for name in names if name and found.locator.find(name, _below(found, file)).file), None)
    if name is None and facts.get("imageData"):
        found.problem(
            file.relative_to(found.root).as_posix(),
            "missing",
            f"its picture is only inside the file (imageData), there is no {clean(names[0])[:100] or file.stem}: save"
            " it beside the file, as labelme_export_json does",
        )
        return None
    return name or names[0] or file.stem


def _objects(found: Gathered, position: int, file: Path, shapes: list[Any], classes: dict[str, int]) -> None:
    groups: dict[tuple[str, str], list[Polygons]] = {}
    for place_, value in enumerate(shapes):
        where = f"{file.name}, shapes[{place_}]"
        try:
            if not isinstance(value, dict):
                raise DataError(f"a shape should be an object, got {type(value).__name__}")
            kind = str(value.get("shape_type") or "polygon")
            if kind in _LINES:
                found.tally("points and lines", where, "points and lines are left out")
                continue
            label = clean(str(value.get("label") or ""))
            if not label:
                raise DataError("it has no label")
            if value.get("flags"):
                found.tally("flags of shapes", where, "flags of single shapes are left out")
            box, shape = _drawn(kind, value, found.sizes[position])
            group = value.get("group_id")
            if isinstance(shape, Polygons) and isinstance(group, int | str) and not isinstance(group, bool):
                groups.setdefault((label, str(group)), []).append(shape)
            else:
                found.thing(position, classes.setdefault(label, len(classes)), box, shape)
        except DataError as error:
            found.fault(position, where, error)
    for (label, _), parts in groups.items():
        whole = Polygons(tuple(part for shape in parts for part in shape.parts))
        found.thing(position, classes.setdefault(label, len(classes)), None, whole)


def _drawn(kind: str, value: dict[str, Any], size: Size | None) -> tuple[list[float] | None, Shape | None]:
    points = value.get("points")
    flat = [v for point in points for v in (numbers(point, 2) or [])] if isinstance(points, list) else []
    if not flat or len(flat) != 2 * len(points or ()):
        raise DataError("points should be a list of finite [x, y]")
    if kind == "mask" and len(flat) == 4:
        return None, _mask(value.get("mask"), flat, size)
    if kind == "circle" and len(flat) == 4:
        radius = float(np.hypot(flat[2] - flat[0], flat[3] - flat[1]))
        return None, ellipse((flat[0], flat[1]), (radius, radius))
    if kind == "rectangle" and len(flat) in (4, 8):
        xs, ys = flat[::2], flat[1::2]
        return [min(xs), min(ys), max(xs), max(ys)], None
    if kind in ("polygon", "rotation"):  # the latter is AnyLabeling's turned box
        return None, polygons([flat])
    raise DataError(f"a {kind:.40} of {len(flat) // 2} points is neither polygon nor rectangle nor circle nor mask")


def _mask(text: Any, corners: list[float], size: Size | None) -> Rle:
    """The mask of the whole picture from a small picture in base64 and the place of its corners."""
    try:
        content = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
        inside = np.asarray(decode(content, max_pixels=MAX_PIXELS).convert("L")) > 0
    except (binascii.Error, ValueError, UnreadableImage):
        raise DataError("a mask should be a small picture in base64") from None
    left, top = round(min(corners[::2])), round(min(corners[1::2]))
    if size is None or size[0] * size[1] > MAX_PIXELS or left >= size[1] or top >= size[0]:
        raise DataError("a mask should lie within its picture, whose width and height are needed")
    whole = np.zeros(size, dtype=bool)
    y, x = max(top, 0), max(left, 0)
    part = inside[y - top :, x - left :][: size[0] - y, : size[1] - x]
    whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    return Rle.of(whole)


def _shapes_of(regions: Detections, row: int) -> list[dict[str, Any]]:
    """The shapes of one object: several polygons where its outline has several parts."""
    shape = regions.masks[row] if regions.masks is not None else None
    if isinstance(shape, Polygons):
        parts = [part.tolist() for part in shape.parts]
    else:
        x1, y1, x2, y2 = regions.boxes[row].tolist()
        parts = [[[x1, y1], [x2, y2]]]
    kind = "polygon" if isinstance(shape, Polygons) else "rectangle"
    return [
        {
            "label": regions.names[row],
            "points": [[float(shown(x)), float(shown(y))] for x, y in points],
            "group_id": row if len(parts) > 1 else None,
            "shape_type": kind,
            "flags": {},
        }
        for points in parts
    ]


FORMAT = Format(
    detects,
    read,
    write,
    frozenset(("boxes", "outlines", "parts", "several", "splits")),
    frozenset(("multilabel", "label_column")),
    annotation_type="boxes",
)
