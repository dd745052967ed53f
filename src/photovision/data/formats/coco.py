"""COCO: one JSON file for a split or for all, with boxes, polygons and run lengths (cocodataset.org, "Data format").

    data/annotations/instances_train.json      data/train/_annotations.coco.json      data/annotations.json
    data/images/1.jpg                           data/train/1.jpg                       data/images/1.jpg

Written are the first of these, with each split in its own file. The attributes of a picture lie under "attributes",
the number of a tracked object under "track_id". Coordinates are written to 0.001 of a pixel.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError
from photovision.core.files import new_folder, write_text
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Rle, Shape
from photovision.data.annotated import Gathered, Size, numbers, polygons, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import SPLIT_WORDS, Format
from photovision.data.formats.placing import Placed, detections, place
from photovision.data.formats.split_names import split_named
from photovision.data.formats.streams import json_items
from photovision.data.read_options import DEFAULTS, ReadOptions

_PEEKED = 1 << 16
_WORDS = re.compile(r"[a-z]+")
_LISTS = ("images", "annotations", "categories")
_IMAGES = ("images", "JPEGImages", "data")


def detects(path: Path) -> bool:
    """A JSON file that begins like COCO's, or a folder with one at its root, in annotations/ or in a split's folder."""
    return _is_coco(path) if path.is_file() else bool(_files(path))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read all files of a folder, or one; raises DataError with file and place where it is no COCO file."""
    files = [path] if path.is_file() else _files(path)
    if not files:
        raise DataError(f"{path} holds no COCO file: expected annotations/*.json with 'images' and 'annotations'")
    root = _root(path, files)
    found = Gathered(root, path, "coco")
    classes: dict[str, int] = {}
    for file in files:
        split = _split(file) if len(files) > 1 or split_named(file.parent.name) else None
        _File(file, found, classes, split).read()
    return found.dataset(list(classes))


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/annotations/instances*.json, all or nothing."""
    with new_folder(path) as folder:
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
        self.labels: dict[Any, int] = {}
        self.pictures: dict[Any, int | None] = {}
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
        if not isinstance(value, dict) or not isinstance(value.get("file_name"), str) or not _is_id(value.get("id")):
            self.found.problem(where, "bad entry", "a picture should be an object with 'id' and 'file_name'")
            return
        if value["id"] in self.pictures:
            self.found.problem(where, "repeated", f"the id {value['id']!r} is another picture's, too; the first counts")
            return
        name = self._below(value["file_name"])
        size = size_of(value.get("height"), value.get("width"))
        attributes = value.get("attributes")
        groups = {str(k): str(v) for k, v in attributes.items()} if isinstance(attributes, dict) else {}
        if _is_id(value.get("video_id")):
            groups.setdefault("video", str(value["video_id"]))
        self.pictures[value["id"]] = self.found.picture(name, size, split=self.split, groups=groups)

    def _below(self, name: str) -> str:
        """The path below the root; the base that served last is tried first."""
        for base in self.bases:
            if self.found.exists(base + name):
                self.bases.remove(base)
                self.bases.insert(0, base)
                return base + name
        return name

    def _category(self, place_: str, value: Any) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not _is_id(value.get("id")):
            raise DataError(f"{self.file}, {place_}: a category should be an object with 'id' and 'name'")
        if value["id"] in self.labels:
            raise DataError(
                f"{self.file}, {place_}: the id {value['id']!r} is another category's, too: number them anew"
            )
        self.labels[value["id"]] = self.classes.setdefault(value["name"], len(self.classes))

    def _annotation(self, where: str, value: Any) -> None:
        position: int | None = None
        try:
            if not isinstance(value, dict):
                raise DataError(f"an annotation should be an object, got {type(value).__name__}")
            picture, category = value.get("image_id"), value.get("category_id")
            if not _is_id(picture) or picture not in self.pictures:
                raise DataError(f"image_id {picture!r:.40} is no picture's id")
            position = self.pictures[picture]
            if position is None:  # told already
                return
            if not _is_id(category) or category not in self.labels:
                raise DataError(f"category_id {category!r:.40} is no category's id")
            self._once(value.get("id"))
            shape = _shape(value.get("segmentation"))
            track = value.get("track_id")
            self.found.thing(
                position,
                self.labels[category],
                _box(value.get("bbox"), shape),
                shape,
                crowd=value.get("iscrowd") in (1, True),
                track=track if isinstance(track, int) and 0 <= track < 1 << 62 else -1,
            )
        except DataError as error:
            self.found.fault(position, where, error)

    def _once(self, number: Any) -> None:
        if isinstance(number, int):
            key = hash(number)
            if key in self.seen:
                raise DataError(f"the id {number} is another annotation's, too")
            self.seen.add(key)


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _box(value: Any, shape: Shape | None) -> list[float] | None:
    if value is None and shape is not None:
        return None
    sides = numbers(value, 4)
    if sides is None:
        raise DataError(f"bbox should be 4 finite numbers x, y, width, height, got {value!r:.60}")
    x, y, width, height = sides
    return [x, y, x + width, y + height]


def _shape(value: Any) -> Shape | None:
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        sides = value.get("size")
        size: Size | None = size_of(*sides) if isinstance(sides, list) and len(sides) == 2 else None
        counts = value.get("counts")
        if size is None or not isinstance(counts, list | str):
            raise DataError("run lengths should be an object with 'size' [H, W] and 'counts'")
        return Rle.read(size, counts)
    if not isinstance(value, list) or not all(isinstance(ring, list) for ring in value):
        raise DataError("segmentation should be a list of polygons, or run lengths")
    rings = [numbers(ring, 6, len(ring)) for ring in value]
    if None in rings:
        raise DataError("a polygon should be a list of 6 or more finite numbers x1, y1, x2, y2, ...")
    return polygons([ring for ring in rings if ring is not None])


def _files(folder: Path) -> list[Path]:
    """COCO files of a folder: at its root, in annotations/, or in its split folders; the first place that has some."""
    if not folder.is_dir():
        return []
    splits = [entry for entry in sorted(folder.iterdir()) if split_named(entry.name) and entry.is_dir()]
    for places in ([folder], [folder / "annotations"], splits):
        files = [file for place_ in places if place_.is_dir() for file in sorted(place_.glob("*.json"))]
        instances = [file for file in files if file.name.startswith("instances")] or files
        if kept := [file for file in instances if file.is_file() and _is_coco(file)]:
            return kept
    return []


def _is_coco(file: Path) -> bool:
    if file.suffix.lower() != ".json":
        return False
    try:
        with file.open("rb") as stream:
            head, size = stream.read(_PEEKED), stream.seek(0, 2)
            stream.seek(max(0, size - _PEEKED))
            ends = head + stream.read(_PEEKED)
    except OSError:
        return False
    named = sum(word in ends for word in (b'"images"', b'"annotations"', b'"categories"'))
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and named >= 2


def _root(path: Path, files: list[Path]) -> Path:
    if path.is_dir():
        return path
    folder = files[0].parent
    return folder.parent if folder.name == "annotations" else folder


def _split(file: Path) -> str | None:
    words = [*_WORDS.findall(file.stem.lower()), file.parent.name.lower()]
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)


def _bases(file: Path, root: Path) -> list[str]:
    """Folders below the root, as prefixes, in which the pictures of a file may lie, the likeliest first."""
    own = file.parent.relative_to(root).as_posix()
    own = "" if own == "." else f"{own}/"
    part = file.stem.partition("_")[2]  # instances_train2017.json goes with train2017/
    inside = [f"{base}/" for base in _IMAGES]
    likely = [own, *(own + base for base in inside), *inside, ""]
    named = [f"{part}/", *(f"{base}{part}/" for base in inside)] if part else []
    split = _split(file)
    named += [f"{split}/", *(f"{base}{split}/" for base in inside)] if split else []
    return list(dict.fromkeys(named + likely))


def _document(classes: tuple[str, ...], pictures: list[Placed], base: Path) -> str:
    import json

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, placed in enumerate(pictures, 1):
        height, width = placed.size
        name = placed.file.relative_to(base).as_posix()
        image: dict[str, Any] = {"id": number, "file_name": name, "height": height, "width": width}
        images.append(image | ({"attributes": dict(placed.sample.groups)} if placed.sample.groups else {}))
        found = detections(placed.sample)
        if found is not None:
            annotations += [_object(found, row, number, len(annotations) + row + 1) for row in range(len(found))]
    document = {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
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
FORMAT = Format(detects, read, write, frozenset((*_HOLDS, "spare classes")))
