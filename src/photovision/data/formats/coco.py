"""COCO: one JSON file for a split or for all, with boxes, polygons and run lengths (cocodataset.org, "Data format").

    data/annotations/instances_train.json      data/train/_annotations.coco.json      data/annotations.json
    data/images/1.jpg                           data/train/1.jpg                       data/images/1.jpg

Written are the first of these, with each split in its own file. The attributes of a picture lie under "attributes",
the number of a tracked object under "track_id". Coordinates are written to 0.001 of a pixel.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Rle, Shape
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import Size, number, numbers, polygons, rotated_box, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean
from photovision.data.formats.json_kinds import json_kind
from photovision.data.formats.places import annotation_files, split_of
from photovision.data.formats.streaming_parsers import json_items
from photovision.data.formats.writer import Placed, detections, place
from photovision.data.read_options import DEFAULTS, ReadOptions

_LISTS = ("images", "annotations", "categories")
_IMAGES = ("images", "JPEGImages", "data")
_OTHERS = {"coco": "key points", "coco-captions": "captions", "coco-panoptic": "panoptic segments"}


def detects(path: Path) -> bool:
    """A JSON file with COCO's lists, or a folder with one at its root, in annotations/ or in a split's folder."""
    return bool(annotation_files(path, (".json",), lambda file: json_kind(file) in _OTHERS))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read all files of a folder, or one; raises DataError with file and place where it is no COCO file."""
    files, others = _files(path)
    if not files:
        why = f"{others[0]} holds {_OTHERS[json_kind(others[0])]}, no boxes" if others else "found none"
        raise DataError(f"{path} holds no COCO file of boxes or outlines: expected annotations/*.json, {why}")
    found = Gathered(_root(path, files), path, "coco")
    classes: dict[str, int] = {}
    for file in files:
        split = split_of(file, found.root, alone=len(files) == 1)
        before, names = len(found.files), dict(classes)
        try:
            _File(file, found, classes, split).read()
        except DataError as error:
            if len(files) == 1:
                raise
            found.forget(before)
            classes = names
            found.problem(file.relative_to(found.root).as_posix(), "bad file", f"{error}; it is left out")
    for file in others:
        found.note(file.relative_to(found.root).as_posix(), "not read", _OTHERS[json_kind(file)] + " are not read")
    if path.is_dir():
        found.name_the_rest()
    return found.dataset(list(classes))


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/annotations/instances*.json, all or nothing."""
    with new_folder(path, "data set") as folder:
        parts: dict[str, list[Placed]] = defaultdict(list)
        for placed in place(dataset, folder / "images"):
            parts[placed.split].append(placed)
        for split, pictures in parts.items():
            name = f"instances_{split}.json" if split else "instances.json"
            write_text(folder / "annotations" / name, _document(dataset.classes, pictures, folder / "images"))


class _File:
    """Reads one file into what was found so far."""

    def __init__(self, file: Path, found: Gathered, classes: dict[str, int], split: str | None) -> None:
        self.file, self.found, self.classes, self.split = file, found, classes, split
        self.bases = _bases(file, found.root)
        self.labels: dict[str, int] = {}
        self.pictures: dict[str, int | None] = {}
        self.seen: set[int] = set()
        self.keys: set[str] = set()

    def read(self) -> None:
        for key, place_, value in json_items(self.file):
            self.keys.add(key)
            if place_ < 0:
                if key in _LISTS and value != []:
                    raise DataError(f"{self.file}: '{key}' should be a list, got {type(value).__name__}")
            elif key == "images":
                self._image(f"images[{place_}]", value)
            elif key == "categories":
                self._category(f"categories[{place_}]", value)
        for key in _LISTS:
            if key not in self.keys:
                raise DataError(f"{self.file}: a COCO file should have a list '{key}', but has none: export it again")
        for key, place_, value in json_items(self.file):
            if key == "annotations" and place_ >= 0:
                self._annotation(f"{self.file.name}, annotations[{place_}]", value)

    def _image(self, place_: str, value: Any) -> None:
        where = f"{self.file.name}, {place_}"
        id = _id(value.get("id")) if isinstance(value, dict) else None
        if id is None or not isinstance(file := value.get("file_name", value.get("coco_url")), str):
            self.found.problem(where, "bad entry", "a picture should be an object with 'id' and 'file_name'")
            return
        if id in self.pictures:
            self.found.problem(where, "repeated", f"the id {id!r:.60} is another picture's, too; the first counts")
            return
        name = self._below(file)
        size = size_of(value.get("height"), value.get("width"))
        attributes = value.get("attributes")
        groups = {str(k): str(v) for k, v in attributes.items()} if isinstance(attributes, dict) else {}
        if video := _id(value.get("video_id")):
            groups.setdefault("video", video)
        position = self.found.again(name, self.split)
        if position is None:
            position = self.found.picture(name, size, split=self.split, groups=groups)
        else:
            self.found.note(clean(name), "repeated", "this picture is named more than once; all its objects are used")
        self.pictures[id] = position

    def _below(self, name: str) -> str:
        """The path below the root; the base that served last is tried first."""
        for base in self.bases:
            if self.found.exists(base + name):
                self.bases.remove(base)
                self.bases.insert(0, base)
                return base + name
        return name

    def _category(self, place_: str, value: Any) -> None:
        id = _id(value.get("id")) if isinstance(value, dict) else None
        if id is None or not isinstance(value.get("name"), str):
            raise DataError(f"{self.file}, {place_}: a category should be an object with 'id' and 'name'")
        if id in self.labels:
            raise DataError(
                f"{self.file}, {place_}: the id {id!r:.60} is another category's, too: give each category its own"
            )
        self.labels[id] = self.classes.setdefault(value["name"], len(self.classes))

    def _annotation(self, where: str, value: Any) -> None:
        position: int | None = None
        try:
            if not isinstance(value, dict):
                raise DataError(f"an annotation should be an object, got {type(value).__name__}")
            picture, category = _id(value.get("image_id")), _id(value.get("category_id"))
            if picture is None or picture not in self.pictures:
                raise DataError(f"image_id {value.get('image_id')!r:.40} is no picture's id")
            position = self.pictures[picture]
            if position is None:  # the picture is left out, which was noted
                return
            if category is None or category not in self.labels:
                raise DataError(f"category_id {value.get('category_id')!r:.40} is no category's id")
            self._once(value.get("id"))
            self._object(position, self.labels[category], where, value)
        except DataError as error:
            self.found.fault(position, where, error)

    def _object(self, position: int, label: int, where: str, value: dict[str, Any]) -> None:
        drawn = value.get("segmentation")
        outlined = drawn is not None and drawn != []
        box = _box(value.get("bbox"))
        if box is None and not outlined:
            raise DataError(f"bbox should be 4 finite numbers x, y, width, height, got {value.get('bbox')!r:.60}")
        shape: Shape | None
        if box is None:
            shape = self._outline(where, drawn)
            self.found.tally("no box", where, "bbox is missing or is no box; it is taken from the outline")
        elif outlined:
            shape = self.found.outline(position, where, lambda: self._outline(where, drawn))
        elif (shape := _rotated(value, box)) is not None:
            box = None
        if value.get("keypoints"):
            self.found.tally("key points", where, "key points are left out; boxes and outlines are kept")
        track = value.get("track_id")
        self.found.thing(
            position,
            label,
            box,
            shape,
            crowd=value.get("iscrowd") in (1, True),
            track=track if isinstance(track, int) and 0 <= track < 1 << 62 else -1,
        )

    def _outline(self, where: str, drawn: Any) -> Shape:
        shape, bad = _shape(drawn)
        if bad:
            self.found.tally("bad part", where, "a part of an outline is no polygon; the other parts are kept")
        return shape

    def _once(self, number: Any) -> None:
        if isinstance(number, int):
            key = hash(number)
            if key in self.seen:
                raise DataError(f"the id {number} is another annotation's, too")
            self.seen.add(key)


def _id(value: Any) -> str | None:
    """An id as text, so that 1 and "1" are the same; None for what is no id."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else None


def _box(value: Any) -> list[float] | None:
    sides = numbers(value, 4)
    return None if sides is None else [sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3]]


def _rotated(value: dict[str, Any], box: list[float]) -> Shape | None:
    """The outline of a box that CVAT turned: bbox is the box before, attributes.rotation the degrees."""
    attributes = value.get("attributes")
    degrees = number(attributes.get("rotation")) if isinstance(attributes, dict) else math.nan
    straight = math.isnan(degrees) or degrees % 360 == 0 or box[2] < box[0] or box[3] < box[1]
    return None if straight else rotated_box(box, degrees)


def _shape(value: Any) -> tuple[Shape, int]:
    """An outline or a mask, and how many parts of it cannot be used; raises DataError where none can."""
    if isinstance(value, dict):
        sides = value.get("size")
        size: Size | None = size_of(*sides) if isinstance(sides, list) and len(sides) == 2 else None
        counts = value.get("counts")
        if size is None or not isinstance(counts, list | str):
            raise DataError("run lengths should be an object with 'size' [H, W] and 'counts'")
        return Rle.read(size, counts), 0
    rings = [value] if isinstance(value, list) and value and not isinstance(value[0], list) else value  # VIA: one ring
    if not isinstance(rings, list) or not all(isinstance(ring, list) for ring in rings):
        raise DataError("segmentation should be a list of polygons, or run lengths")
    good = [part for ring in rings if (part := numbers(ring, 6, len(ring))) is not None and len(part) % 2 == 0]
    if not good:
        raise DataError("a polygon should be a list of 6 or more finite numbers x1, y1, x2, y2, ...")
    return polygons(good), len(rings) - len(good)


def _files(path: Path) -> tuple[list[Path], list[Path]]:
    """COCO files with objects, and those with something else; beside instances_*.json all others are something else."""
    files = annotation_files(path, (".json",), lambda file: json_kind(file) in _OTHERS)
    if path.is_file() and not files:  # asked for by name
        files = [path]
    boxed = [file for file in files if json_kind(file) in ("coco", "")]
    boxed = [file for file in boxed if file.name.startswith("instances")] or boxed
    return boxed, [file for file in files if file not in boxed]


def _root(path: Path, files: list[Path]) -> Path:
    if path.is_dir():
        return path
    folder = files[0].parent
    return folder.parent if folder.name == "annotations" else folder


def _bases(file: Path, root: Path) -> list[str]:
    """Folders below the root, as prefixes, in which the pictures of a file may lie, the likeliest first."""
    own = file.parent.relative_to(root).as_posix()
    own = "" if own == "." else f"{own}/"
    part = file.stem.partition("_")[2]  # instances_train2017.json goes with train2017/
    inside = [f"{base}/" for base in _IMAGES]
    likely = [own, *(own + base for base in inside), *inside, ""]
    named = [f"{part}/", *(f"{base}{part}/" for base in inside)] if part else []
    split = split_of(file, root)
    named += [f"{split}/", *(f"{base}{split}/" for base in inside)] if split else []
    return list(dict.fromkeys(named + likely))


def _document(classes: tuple[str, ...], pictures: list[Placed], base: Path) -> str:
    import json

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for place_, placed in enumerate(pictures, 1):
        height, width = placed.size
        name = placed.file.relative_to(base).as_posix()
        image: dict[str, Any] = {"id": place_, "file_name": name, "height": height, "width": width}
        images.append(image | ({"attributes": dict(placed.sample.groups)} if placed.sample.groups else {}))
        found = detections(placed.sample)
        if found is not None:
            annotations += [_object(found, row, place_, len(annotations) + row + 1) for row in range(len(found))]
    document = {
        "images": images,
        "categories": [{"id": place_, "name": name} for place_, name in enumerate(classes, 1)],
        "annotations": annotations,
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _object(found: Detections, row: int, image: int, number: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(value, 3) for value in found.boxes[row].tolist())
    shape = found.masks[row] if found.masks is not None else None
    area = round((x2 - x1) * (y2 - y1), 3)
    segmentation: Any = []
    if isinstance(shape, Polygons):
        segmentation = [[round(value, 3) for value in part.ravel().tolist()] for part in shape.parts]
        area = round(sum(_area(part.astype(float).tolist()) for part in shape.parts), 3)
    elif isinstance(shape, Rle):
        segmentation, area = {"size": list(shape.size), "counts": shape.text}, float(shape.area)
    value = {
        "id": number,
        "image_id": image,
        "category_id": int(found.labels[row]) + 1,
        "bbox": [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)],
        "area": area,
        "segmentation": segmentation,
        "iscrowd": int(found.crowd is not None and bool(found.crowd[row])),
    }
    track = -1 if found.track_ids is None else int(found.track_ids[row])
    return value | ({"track_id": track} if track >= 0 else {})


def _area(points: list[list[float]]) -> float:
    """Area of a polygon (the shoelace formula)."""
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


_HOLDS = ("boxes", "box sizes", "outlines", "parts", "masks", "crowds", "tracks", "several", "attributes", "splits")
FORMAT = Format(detects, read, write, frozenset((*_HOLDS, "spare classes")), annotation_type="boxes")
