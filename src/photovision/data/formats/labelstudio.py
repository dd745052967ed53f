"""Label Studio: the JSON export, a list of tasks with rectangles, polygons and brush masks (labelstud.io, "Export").

    data/export.json                the export, beside the pictures or above images/
    data/images/1.jpg

Pictures are found by the end of their path or address, with or without the 8 letters that Label Studio puts before an
uploaded name. Its numbers are percent of the picture, written with 9 digits, nearer than 0.001 of a pixel. Of several
people's annotations the last that was not cancelled counts. A split and attributes are fields of `data` beside the
picture.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from photovision.core.errors import DataError
from photovision.core.files import new_folder, write_text
from photovision.core.image import SUFFIXES
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Rle, Shape
from photovision.data.annotated import Gathered, Size, leaves, numbers, polygons, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean
from photovision.data.formats.brush import read_brush, write_brush
from photovision.data.formats.placing import Placed, detections, place
from photovision.data.formats.split_names import split_named
from photovision.data.formats.streams import json_items
from photovision.data.read_options import DEFAULTS, ReadOptions

_PEEKED = 1 << 16
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
_KINDS = {"rectanglelabels": "box", "polygonlabels": "polygon", "brushlabels": "brush"}


def detects(path: Path) -> bool:
    """A JSON list of tasks, or a folder with one at its root."""
    return _file_of(path) is not None


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the export; raises DataError with the place where it is none."""
    file = _file_of(path)
    if file is None:
        raise DataError(f"{path} holds no Label Studio export: choose 'JSON' when exporting (not 'JSON-MIN')")
    export = _Export(file, Gathered(file.parent, path, "labelstudio"))
    for key, place_, value in json_items(file):
        if key or (place_ < 0 and value != []):
            raise DataError(f"{file}: a Label Studio export should be a list of tasks: export it as 'JSON'")
        if place_ >= 0:
            export.task(f"{file.name}, task {place_ + 1}", value)
    return export.dataset()


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/export.json, all or nothing."""
    with new_folder(path) as folder:
        tasks = [
            json.dumps(_task(n, placed), ensure_ascii=False)
            for n, placed in enumerate(place(dataset, folder / "images"), 1)
        ]
        write_text(folder / "export.json", "[\n" + ",\n".join(tasks) + "\n]\n")


class _Export:
    """Reads one task after the other; classes are numbered as they come, and put into order at the end."""

    def __init__(self, file: Path, found: Gathered) -> None:
        self.file, self.found = file, found
        self.classes: dict[str, int] = {}

    def task(self, where: str, task: Any) -> None:
        """One picture with what people drew."""
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            self.found.problem(where, "bad entry", "a task should be an object with 'data'")
            return
        key, name = self._picture(data)
        people = [one for one in _list(task, "annotations") if isinstance(one, dict) and not one.get("was_cancelled")]
        if not people:
            self.found.unlabelled(name or where)
            return
        results = [one for one in _list(people[-1], "result") if isinstance(one, dict)]
        declared = next((size for one in results if (size := _declared(one)) is not None), None)
        groups = {k: v for k, v in data.items() if isinstance(v, str) and k not in (key, "split")}
        split = split_named(str(data.get("split", "")))
        position = self.found.picture(name or where, declared, split=split, groups=groups, measured=True)
        if position is None:
            return
        if len(people) > 1:
            self.found.note(name, "several people", f"{len(people)} annotated it; the last one counts")
        for place_, one in enumerate(results):
            self._result(position, f"{where}, result {place_ + 1}", one)

    def dataset(self) -> Dataset:
        """All of it, its classes in alphabetical order."""
        from photovision.data.formats import ordered

        names = ordered(self.classes)
        number = {self.classes[name]: index for index, name in enumerate(names)}
        labels = self.found.objects.labels
        for place_, label in enumerate(labels):
            labels[place_] = number[label]
        return self.found.dataset(names)

    def _picture(self, data: dict[str, Any]) -> tuple[str, str]:
        """The field that holds the picture, and its path below the root."""
        texts = {key: value for key, value in data.items() if isinstance(value, str)}
        key = next((k for k in ("image", "img", "picture") if k in texts), "")
        key = key or next((k for k, v in texts.items() if PurePosixPath(_path(v)).suffix.lower() in SUFFIXES), "")
        if not key:
            return "", ""
        parts = PurePosixPath(_path(texts[key]).lstrip("/")).parts
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for name in (tail, f"images/{tail}", _UPLOADED.sub("", tail), f"images/{_UPLOADED.sub('', tail)}"):
                if not leaves(name) and self.found.exists(name):
                    return key, name
        return key, "/".join(parts)

    def _result(self, position: int, where: str, one: dict[str, Any]) -> None:
        kind = str(one.get("type", ""))
        if kind not in _KINDS:
            if kind not in ("choices", "textarea", "rating", "labels"):
                self.found.fault(position, where, f"'{kind:.40}' is neither rectangle nor polygon nor brush")
            return
        try:
            size = _declared(one) or self.found.sizes[position]
            value = one.get("value")
            names = value.get(kind) if isinstance(value, dict) else None
            if size is None or not isinstance(value, dict) or not isinstance(names, list) or not names:
                raise DataError(f"expected 'original_width', 'original_height' and a value with '{kind}'")
            if one.get("image_rotation"):
                self.found.note(
                    self.found.files[position], "maybe turned", f"{where}: drawn on a picture turned by hand"
                )
            label = clean(str(names[0]))
            box, shape = _value(_KINDS[kind], value, size)
            self.found.thing(position, self.classes.setdefault(label, len(self.classes)), box, shape)
        except DataError as error:
            self.found.fault(position, where, error)


def _file_of(path: Path) -> Path | None:
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    return next((file for file in files if file.suffix.lower() == ".json" and _is_export(file)), None)


def _is_export(file: Path) -> bool:
    if not file.is_file():  # a pipe would be waited on for ever
        return False
    try:
        with file.open("rb") as stream:
            head, size = stream.read(_PEEKED), stream.seek(0, 2)
            stream.seek(max(0, size - _PEEKED))
            ends = head + stream.read(_PEEKED)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and b'"data"' in ends and b'"annotations"' in ends


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _path(text: str) -> str:
    """The path in an address: /data/local-files/?d=a/b.jpg, https://..., s3://bucket/a.jpg or a plain path."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    inner = parse_qs(parts.query).get("d", [""])[0]
    return inner or unquote(parts.path) if parts.query or parts.scheme else text


def _declared(one: dict[str, Any]) -> Size | None:
    return size_of(one.get("original_height"), one.get("original_width"))


def _value(kind: str, value: dict[str, Any], size: Size) -> tuple[list[float] | None, Shape | None]:
    height, width = size
    if kind == "brush":
        return None, read_brush(value.get("rle"), size)
    if kind == "polygon":
        points = value.get("points")
        flat = [v for point in points for v in (numbers(point, 2) or [])] if isinstance(points, list) else []
        if not flat or len(flat) != 2 * len(points or ()):
            raise DataError("points should be a list of finite [x, y] in percent")
        return None, polygons([[v * (height if i % 2 else width) / 100 for i, v in enumerate(flat)]])
    sides = numbers([value.get(name) for name in ("x", "y", "width", "height")], 4)
    turned = numbers([value.get("rotation", 0)], 1)
    if sides is None or turned is None:
        raise DataError("a rectangle should have finite x, y, width and height in percent")
    x, y, w, h = sides[0] * width / 100, sides[1] * height / 100, sides[2] * width / 100, sides[3] * height / 100
    if not turned[0]:
        return [x, y, x + w, y + h], None
    cos, sin = math.cos(math.radians(turned[0])), math.sin(math.radians(turned[0]))  # about its upper left corner
    corners = ((0.0, 0.0), (w, 0.0), (w, h), (0.0, h))
    return None, polygons([[v for a, b in corners for v in (x + a * cos - b * sin, y + a * sin + b * cos)]])


def _task(number: int, placed: Placed) -> dict[str, Any]:
    found = detections(placed.sample)
    data = {**placed.sample.groups, "image": f"images/{placed.file.name}"} | (
        {"split": placed.split} if placed.split else {}
    )
    results = (
        [_drawn(found, row, placed.size, f"{number}-{row}") for row in range(len(found))] if found is not None else []
    )
    return {"id": number, "data": data, "annotations": [] if found is None else [{"id": number, "result": results}]}


def _drawn(found: Detections, row: int, size: Size, id: str) -> dict[str, Any]:
    height, width = size
    shape = found.masks[row] if found.masks is not None else None
    label = [found.names[row]]
    if isinstance(shape, Polygons):
        points = np.round(shape.parts[0].astype(float) * 100 / (width, height), 9).tolist()
        kind, value = "polygonlabels", {"points": points, "closed": True}
    elif isinstance(shape, Rle):
        kind, value = "brushlabels", {"format": "rle", "rle": write_brush(shape)}
    else:
        x1, y1, x2, y2 = found.boxes[row].tolist()
        shares = (x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height)
        sides = dict(zip(("x", "y", "width", "height"), (round(100 * share, 9) for share in shares), strict=True))
        kind, value = "rectanglelabels", {**sides, "rotation": 0}
    facts = {"original_width": width, "original_height": height, "image_rotation": 0}
    return {"id": id, "type": kind, "from_name": "label", "to_name": "image", **facts, "value": {**value, kind: label}}


FORMAT = Format(detects, read, write, frozenset(("boxes", "outlines", "masks", "several", "splits", "attributes")))
