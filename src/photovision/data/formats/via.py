"""VGG Image Annotator, versions 1 and 2: a project, or annotations as JSON or CSV (robots.ox.ac.uk/~vgg/software/via).

    data/[train/]via_project.json           "_via_img_metadata": {name: {"filename", "regions", "file_attributes"}}
    data/[train/]via_export_json.json       the same without "_via_img_metadata" around it
    data/[train/]via_export_csv.csv         a row for each region, with JSON in its cells
    data/[train/]1.jpg

Rectangles, polygons, circles and ellipses are read; points and lines are left out. The class is the region attribute
that `label_column` names, else "class", "label" and the like, else the one that most regions have. Where no attribute
has a value, its name is the class if regions have different ones, else all are called "object". For attributes of whole
pictures see `photovision.data.tagged`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Shape
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import ellipse, numbers, polygons
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean
from photovision.data.formats.json_kinds import json_kind
from photovision.data.formats.places import annotation_files, split_of
from photovision.data.formats.streaming_parsers import csv_rows, json_items
from photovision.data.formats.writer import Placed, by_folder, detections, shown
from photovision.data.read_options import DEFAULTS, ReadOptions
from photovision.data.tagged import objects_or_tags

_CLASS = ("class", "label", "name", "type", "category", "object", "class_name")
_FREE = frozenset(("caption", "public_domain", "image_url"))
"""Attributes of pictures that VIA proposes for texts."""
_HEADER = ("filename", "file_attributes", "region_shape_attributes", "region_attributes")
_IMAGES, _ATTRIBUTES = "_via_img_metadata", "_via_attributes"
_LINES = ("point", "polyline", "line")


class _Entry(NamedTuple):
    """What a file says of a picture, or of one region of it."""

    where: str
    name: Any
    attributes: Any
    regions: list[Any]


def detects(path: Path) -> bool:
    """A project or an export of VIA's, or a folder with some."""
    return bool(_files(path))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the files of all folders; raises DataError where none can be read."""
    files = _files(path) or ([path] if path.is_file() else [])
    if not files:
        raise DataError(
            f"{path} holds no project or export of VIA: expected via_project.json or an export beside 1.jpg"
        )
    reading = _ViaReading(Gathered(path if path.is_dir() else path.parent, path, "via"))
    reading.alone = len(files) == 1
    good = []
    for file in files:
        try:
            for entry in _entries(file):
                reading.survey(entry)
            reading.survey_attributes(file)
            good.append(file)
        except DataError as error:
            if len(files) == 1:
                raise
            reading.found.problem(file.relative_to(reading.found.root).as_posix(), "bad file", str(error))
    reading.choose(options.label_column)
    for file in good:
        for entry in _entries(file):
            reading.add(file, entry)
    return reading.dataset(options)


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/[split/]pictures with a project in each folder, all or nothing."""
    with new_folder(path, "data set") as folder:
        for inside, pictures in by_folder(dataset, folder).items():
            entries = {}
            for placed in pictures:
                regions = detections(placed.sample)
                if regions is not None:
                    size = placed.file.stat().st_size
                    entries[f"{placed.file.name}{size}"] = _written(placed, size, regions)
            options = dict.fromkeys(dataset.classes, "")
            attribute = {"type": "dropdown", "description": "", "options": options, "default_options": {}}
            document = {
                "_via_settings": {"project": {"name": path.name}},
                _IMAGES: entries,
                _ATTRIBUTES: {"region": {"class": attribute}, "file": {}},
                "_via_data_format_version": "2.0.10",
                "_via_image_id_list": list(entries),
            }
            write_text(inside / "via_project.json", json.dumps(document, ensure_ascii=False) + "\n")


def is_via_table(file: Path) -> bool:
    """Whether a CSV file is an export of VIA's."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            header = lines.readline(2000).lower()
    except OSError:
        return False
    return file.suffix.lower() == ".csv" and all(name in header for name in _HEADER)


def _files(path: Path) -> list[Path]:
    return annotation_files(
        path, (".json", ".csv"), lambda file: json_kind(file) == "via" or is_via_table(file), all_depths=True
    )


def _entries(file: Path) -> Iterator[_Entry]:
    if file.suffix.lower() == ".csv":
        yield from _table_entries(file)
        return
    count = 0
    for key, place, value in json_items(file, opened=(_IMAGES,)):
        inside = key == _IMAGES and place >= 0
        if not inside and (key.startswith("_via_") or not isinstance(value, dict) or "filename" not in value):
            continue
        count += 1
        where = f"{file.name}, picture {count}"
        regions = value.get("regions") if isinstance(value, dict) else None
        regions = list(regions.values()) if isinstance(regions, dict) else regions  # version 1 numbers them
        if not isinstance(value, dict):
            yield _Entry(where, None, {}, [])
        else:
            found = regions if isinstance(regions, list) else []
            yield _Entry(where, value.get("filename"), value.get("file_attributes"), found)


def _table_entries(file: Path) -> Iterator[_Entry]:
    rows = csv_rows(file)
    header = [name.strip().lstrip("#").lower() for name in next(rows, (0, []))[1] or []]
    if not set(_HEADER) <= set(header):
        raise DataError(f"{file}: expected the columns {', '.join(_HEADER)}, as VIA writes them")
    for line, cells in rows:
        row = dict(zip(header, cells or [], strict=False))
        shape, attributes = _cell(row.get("region_shape_attributes")), _cell(row.get("region_attributes"))
        region = {"shape_attributes": shape, "region_attributes": attributes}
        where = f"{file.name}, line {line}"
        empty = shape == {} and row.get("region_count", "").strip() in ("0", "")
        yield _Entry(where, row.get("filename"), _cell(row.get("file_attributes")), [] if empty else [region])


def _cell(text: str | None) -> Any:
    try:
        return json.loads(text) if text and text.strip() else {}
    except (ValueError, RecursionError):
        return None


class _ViaReading:
    """Reads all files twice: which attributes there are, then the objects."""

    def __init__(self, found: Gathered) -> None:
        self.found = found
        self.classes: dict[str, int] = {}
        self.key: str | None = None
        self.counts: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.alone = False
        self.several = True
        self.by_key = False
        self.texts: dict[str, dict[str, str]] = {}
        self.free = set(_FREE)
        self.positions: dict[str, int | None] = {}

    def survey(self, entry: _Entry) -> None:
        """Count the attributes of regions that have a value."""
        for region in entry.regions:
            attributes = region.get("region_attributes") if isinstance(region, dict) else None
            attributes = attributes if isinstance(attributes, dict) else {}
            self.keys.update(attributes)
            self.several &= len(attributes) == 1
            for key, value in attributes.items():
                self.counts[key] += bool(_names(value, {}))

    def survey_attributes(self, file: Path) -> None:
        """What a project says of attributes: numbers that stand for texts, and which of pictures are free text."""
        if file.suffix.lower() == ".csv":
            return
        for key, place, value in json_items(file, opened=(_IMAGES,)):
            if key != _ATTRIBUTES or place >= 0 or not isinstance(value, dict):
                continue
            for kind in ("region", "file"):
                for name, facts in value.get(kind, {}).items() if isinstance(value.get(kind), dict) else ():
                    options = facts.get("options") if isinstance(facts, dict) else None
                    pairs = options.items() if isinstance(options, dict) else ()
                    named = {k: v for k, v in pairs if k.isdecimal() and isinstance(v, str) and v.strip()}
                    self.texts.setdefault(name, {}).update(named)
                    if kind == "file" and isinstance(facts, dict) and facts.get("type") == "text":
                        self.free.add(name)

    def choose(self, wanted: str | None) -> None:
        """Decide which attribute of regions gives the class."""
        known = [name for name, count in self.counts.items() if count]
        if wanted is not None and known and wanted not in known:
            raise DataError(
                f"{self.found.path} has no region attribute '{wanted}'; it has: {', '.join(known)[:200]}: choose one"
            )
        usual = [name for name in known if name.strip().lower() in _CLASS]
        self.key = (
            wanted if wanted in known else next(iter(usual or sorted(known, key=lambda n: -self.counts[n])), None)
        )
        self.by_key = not known and self.several and len(self.keys) > 1
        others = [name for name in known if name != self.key]
        if others:
            self.found.note(
                self.found.path.name,
                "attributes",
                f"'{clean(self.key or '')}' gives the classes of the objects; left out: {', '.join(others)[:200]}",
            )

    def add(self, file: Path, entry: _Entry) -> None:
        """A picture with its objects, or one more of its objects."""
        if not isinstance(entry.name, str) or not entry.name:
            self.found.problem(entry.where, "bad entry", "a picture should be an object with 'filename' and 'regions'")
            return
        below = file.parent.relative_to(self.found.root).as_posix()
        below = "" if below == "." else below
        known = f"{below}/{entry.name}"
        if known not in self.positions or file.suffix.lower() != ".csv":
            self.positions[known] = self.found.picture(
                entry.name, split=split_of(file, self.found.root, self.alone), below=below
            )
            if (position := self.positions[known]) is not None:
                self._attributes(position, entry.attributes)
        position = self.positions[known]
        if position is None:
            return
        for place, region in enumerate(entry.regions):
            where = entry.where if file.suffix.lower() == ".csv" else f"{entry.where}, region {place + 1}"
            self._region(position, where, region)

    def _attributes(self, position: int, attributes: Any) -> None:
        for key, value in attributes.items() if isinstance(attributes, dict) else ():
            names = _names(value, self.texts.get(key, {}))
            if names and key not in self.free:
                self.found.tag(position, key, names)
            elif names:
                self.found.attributes.setdefault(clean(key), {})[position] = names[0]

    def _region(self, position: int, where: str, region: Any) -> None:
        try:
            shape_ = region.get("shape_attributes") if isinstance(region, dict) else None
            attributes = region.get("region_attributes") if isinstance(region, dict) else None
            if not isinstance(shape_, dict):
                raise DataError("expected 'shape_attributes' with a 'name'")
            if shape_.get("name") in _LINES:
                self.found.tally("points and lines", where, "points and lines are left out")
                return
            label = next(iter(attributes)) if self.by_key and isinstance(attributes, dict) else "object"
            if self.key is not None:
                value = attributes.get(self.key) if isinstance(attributes, dict) else None
                names = _names(value, self.texts.get(self.key, {}))
                if not names:
                    raise DataError(f"it has no value of '{self.key}'")
                label = names[0]
                if len(names) > 1:
                    self.found.tally("several classes", where, f"several values of '{self.key}': the first counts")
            box, shape = _drawn(shape_)
            self.found.thing(position, self.classes.setdefault(label, len(self.classes)), box, shape)
        except DataError as error:
            self.found.fault(position, where, error)

    def dataset(self, options: ReadOptions) -> Dataset:
        """All of it, its classes in alphabetical order."""
        if len(self.found.objects) and self.key is None:
            how = "the names of their attributes are their classes" if self.by_key else "all are called 'object'"
            self.found.note(self.found.path.name, "class names", f"no attribute of a region has a value, so {how}")
        self.found.name_the_rest()
        names = self.found.alphabetical(self.classes)
        if len(self.found.objects) and options.label_column == self.key:
            options = replace(options, label_column=None)
        return objects_or_tags(self.found, names, options, empty_is_none=False)


def _names(value: Any, texts: dict[str, str]) -> list[str]:
    """The values of an attribute: a text, a number, or {value: true} for those that are ticked."""
    if isinstance(value, dict):
        found = [str(key) for key, ticked in value.items() if ticked is True or str(ticked).lower() == "true"]
    else:
        found = [str(value)] if isinstance(value, str | int | float) and not isinstance(value, bool) else []
    return [name for name in (clean(texts.get(one, one)) for one in found) if name and name != "undefined"]


def _drawn(value: dict[str, Any]) -> tuple[list[float] | None, Shape | None]:
    name = value.get("name")
    if name == "rect":
        x, y, width, height = _sides(value, "x", "y", "width", "height")
        return [x, y, x + width, y + height], None
    if name == "circle":
        x, y, radius = _sides(value, "cx", "cy", "r")
        return None, ellipse((x, y), (radius, radius))
    if name == "ellipse":
        x, y, across, down = _sides(value, "cx", "cy", "rx", "ry")
        (turned,) = numbers([value.get("theta", 0)], 1) or (0.0,)
        return None, ellipse((x, y), (across, down), math.degrees(turned))
    if name == "polygon":
        xs, ys = value.get("all_points_x"), value.get("all_points_y")
        flat = None
        if isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys):
            flat = numbers([v for pair in zip(xs, ys, strict=True) for v in pair], 6, 2 * len(xs))
        if flat is None:
            raise DataError("a polygon should have all_points_x and all_points_y, 3 or more finite numbers each")
        return None, polygons([flat])
    raise DataError(f"'{name!s:.40}' is neither rect nor polygon nor circle nor ellipse")


def _sides(value: dict[str, Any], *names: str) -> list[float]:
    found = numbers([value.get(name) for name in names], len(names))
    if found is None:
        raise DataError(f"a {value.get('name')} should have finite {', '.join(names)}")
    return found


def _written(placed: Placed, size: int, regions: Detections) -> dict[str, Any]:
    rows = range(len(regions))
    return {
        "filename": placed.file.name,
        "size": size,
        "regions": [
            {"shape_attributes": _shape_of(regions, row), "region_attributes": {"class": regions.names[row]}}
            for row in rows
        ],
        "file_attributes": {},
    }


def _shape_of(regions: Detections, row: int) -> dict[str, Any]:
    shape = regions.masks[row] if regions.masks is not None else None
    if isinstance(shape, Polygons):
        xs, ys = ([float(shown(value)) for value in column] for column in shape.parts[0].T.tolist())
        return {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    x1, y1, x2, y2 = (float(shown(value)) for value in regions.boxes[row].tolist())
    return {"name": "rect", "x": x1, "y": y1, "width": round(x2 - x1, 3), "height": round(y2 - y1, 3)}


FORMAT = Format(
    detects,
    read,
    write,
    frozenset(("boxes", "outlines", "several", "splits")),
    frozenset(("multilabel", "label_column")),
    annotation_type="boxes",
)
