"""CreateML (Apple): a JSON list with the boxes of each picture, one file a folder, as Roboflow and others export it.

    data/[train/]_annotations.createml.json    [{"image": "1.jpg", "annotations": [{"label": "cat", ...}]}]
    data/[train/]1.jpg

Coordinates are x and y of the centre, width and height, in pixels; they are written to 0.001 of a pixel.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import numbers
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean
from photovision.data.formats.json_kinds import json_kind
from photovision.data.formats.places import annotation_files, split_of
from photovision.data.formats.streaming_parsers import json_items
from photovision.data.formats.writer import Placed, by_folder, detections
from photovision.data.read_options import DEFAULTS, ReadOptions

_NAME = "_annotations.createml.json"


def detects(path: Path) -> bool:
    """A JSON list of CreateML's, or a folder with some."""
    return bool(_files(path))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the files of all folders; one of several that cannot be read is left out by itself."""
    files = _files(path) or ([path] if path.is_file() else [])
    if not files:
        raise DataError(f"{path} holds no CreateML file: expected {_NAME}, a list of pictures with 'annotations'")
    found = Gathered(path if path.is_dir() else path.parent, path, "createml")
    classes: dict[str, int] = {}
    for file in files:
        try:
            for key, place_, value in json_items(file):
                if key or (place_ < 0 and value != []):
                    raise DataError(f"{file}: a CreateML file should be a list of pictures: export it again")
                if place_ >= 0:
                    _picture(found, file, f"{file.name}, entry {place_ + 1}", value, classes, len(files) == 1)
        except DataError as error:
            if len(files) == 1:
                raise
            found.problem(file.relative_to(found.root).as_posix(), "bad file", str(error))
    found.name_the_rest()
    return found.dataset(found.alphabetical(classes))


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/[split/]pictures with a JSON file in each folder, all or nothing."""
    with new_folder(path, "data set") as folder:
        for inside, pictures in by_folder(dataset, folder).items():
            entries = [json.dumps(_entry(placed), ensure_ascii=False) for placed in pictures]
            write_text(inside / _NAME, "[\n" + ",\n".join(entries) + "\n]\n")


def _files(path: Path) -> list[Path]:
    return annotation_files(path, (".json",), lambda file: json_kind(file) == "createml", all_depths=True)


def _picture(found: Gathered, file: Path, where: str, value: Any, classes: dict[str, int], alone: bool) -> None:
    name = (value.get("image") or value.get("imagefilename")) if isinstance(value, dict) else None
    if not isinstance(name, str):
        found.problem(where, "bad entry", "an entry should be an object with 'image' and 'annotations'")
        return
    below = file.parent.relative_to(found.root).as_posix()
    position = found.picture(name, split=split_of(file, found.root, alone), below="" if below == "." else below)
    objects = value.get("annotations", value.get("annotation"))
    if position is None:
        return
    if not isinstance(objects, list):
        found.fault(position, where, "'annotations' should be a list")
        return
    for place_, one in enumerate(objects):
        at = f"{where}, annotation {place_ + 1}"
        try:
            sides = one.get("coordinates") if isinstance(one, dict) else None
            box = (
                numbers([sides.get(key) for key in ("x", "y", "width", "height")], 4)
                if isinstance(sides, dict)
                else None
            )
            label = clean(str(one.get("label") or "")) if isinstance(one, dict) else ""
            if box is None or not label:
                raise DataError("expected a 'label' and 'coordinates' of 4 finite numbers x, y, width, height")
            x, y, w, h = box
            edges = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
            found.thing(position, classes.setdefault(label, len(classes)), edges)
        except DataError as error:
            found.fault(position, at, error)


def _entry(placed: Placed) -> dict[str, Any]:
    regions = detections(placed.sample)
    objects = []
    for name, (x1, y1, x2, y2) in (
        zip(regions.names, regions.boxes.tolist(), strict=True) if regions is not None else ()
    ):
        sides = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1}
        objects.append({"label": name, "coordinates": {key: round(side, 3) for key, side in sides.items()}})
    return {"image": placed.file.name, "annotations": objects}


FORMAT = Format(detects, read, write, frozenset(("boxes", "several", "splits")), annotation_type="boxes")
