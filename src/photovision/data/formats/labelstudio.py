"""Label Studio: the JSON export, a list of tasks with regions and labels of whole pictures (labelstud.io, "Export").

    data/export.json                the export, "JSON" or "JSON-MIN", beside the pictures or above images/
    data/images/1.jpg

Pictures are found by the end of their path or address, with or without the 8 letters that Label Studio puts before an
uploaded name. Its numbers are percent of the picture, written with 9 digits, nearer than 0.001 of a pixel. Of several
people's annotations the ground truth counts, else the last one that was not cancelled; drafts and predictions never do.
Without a region in any picture, choices and taxonomies make a classification data set; else they become attributes. A
split and attributes are fields of `data` beside the picture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Rle
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import Size
from photovision.data.dataset import Dataset
from photovision.data.formats import Format
from photovision.data.formats.json_kinds import json_kind
from photovision.data.formats.labelstudio_min import whole_task
from photovision.data.formats.labelstudio_results import ResultRegion, declared_size, parts_of, region_shape
from photovision.data.formats.labelstudio_rle import write_brush
from photovision.data.formats.locate import is_picture_name
from photovision.data.formats.places import annotation_files
from photovision.data.formats.split_names import split_named
from photovision.data.formats.streaming_parsers import json_items
from photovision.data.formats.writer import Placed, detections, place
from photovision.data.read_options import DEFAULTS, ReadOptions
from photovision.data.tagged import objects_or_tags


def detects(path: Path) -> bool:
    """A JSON list of tasks, or a folder with one."""
    return bool(_files(path))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the exports; raises DataError with the place where one cannot be read."""
    files = _files(path) or ([path] if path.is_file() else [])
    if not files:
        raise DataError(f"{path} holds no Label Studio export: choose 'JSON' when exporting")
    export = _Export(Gathered(path if path.is_dir() else path.parent, path, "labelstudio"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        export.found.note(path.name, "exports", f"{names[:200]}: of a picture in several of them the last file counts")
    for file in reversed(files):  # Label Studio names them by their time
        small = json_kind(file) == "labelstudio-min"
        for key, place_, value in json_items(file):
            if key or (place_ < 0 and value != []):
                raise DataError(f"{file}: a Label Studio export should be a list of tasks: export it as 'JSON'")
            if place_ >= 0:
                export.task(f"{file.name}, task {place_ + 1}", whole_task(value) if small else value)
    if path.is_dir():
        export.found.name_the_rest()
    return export.dataset(options)


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/export.json, all or nothing."""
    with new_folder(path, "data set") as folder:
        tasks = [
            json.dumps(_task(n, placed), ensure_ascii=False)
            for n, placed in enumerate(place(dataset, folder / "images"), 1)
        ]
        write_text(folder / "export.json", "[\n" + ",\n".join(tasks) + "\n]\n")


class _Export:
    """Reads one task after the other; classes are numbered as they come, and put into order at the end."""

    def __init__(self, found: Gathered) -> None:
        self.found = found
        self.classes: dict[str, int] = {}

    def task(self, where: str, task: Any) -> None:
        """One picture with its regions and its labels."""
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            self.found.problem(where, "bad entry", "a task should be an object with 'data'")
            return
        key, name = _picture_field(data)
        people = [one for one in _annotations(task) if isinstance(one, dict) and not one.get("was_cancelled")]
        if not people:
            if _list(task, "predictions"):
                self.found.tally("predictions", where, "only predictions, which nobody has confirmed; they never count")
            self.found.unlabelled(name or where)
            return
        chosen = next((one for one in people if one.get("ground_truth") is True), people[-1])
        results = [one for one in _list(chosen, "result") if isinstance(one, dict)]
        regions, answers, odd = parts_of(results)
        declared = next((size for one in results if (size := declared_size(one)) is not None), None)
        groups = {k: v for k, v in data.items() if isinstance(v, str) and k not in (key, "split")}
        split = split_named(str(data.get("split", "")))
        position = self.found.picture(name or where, declared, split=split, groups=groups, measured=bool(regions))
        if position is None:
            return
        if len(people) > 1:
            which = "the ground truth" if chosen.get("ground_truth") is True else "the last one"
            self.found.note(self.found.files[position], "several people", f"{len(people)} annotated it; {which} counts")
        for place_, why, bad in odd:
            if bad:
                self.found.fault(position, f"{where}, result {place_ + 1}", why)
            else:
                self.found.tally(why, f"{where}, result {place_ + 1}", f"{why} are left out")
        for answer in answers:
            self.found.tag(position, answer.question, answer.names)
        for region in regions:
            self._region(position, f"{where}, result {region.place + 1}", region)

    def dataset(self, options: ReadOptions) -> Dataset:
        """All of it, its classes in alphabetical order."""
        return objects_or_tags(self.found, self.found.alphabetical(self.classes), options, empty_is_none=True)

    def _region(self, position: int, where: str, region: ResultRegion) -> None:
        try:
            size = declared_size(region.result) or self.found.sizes[position]
            if not region.label:
                raise DataError(f"expected a value with '{region.kind}labels', but it names no class")
            if size is None:
                raise DataError("expected 'original_width' and 'original_height'")
            if region.result.get("image_rotation"):
                self.found.note(
                    self.found.files[position], "maybe turned", f"{where}: drawn on a picture turned by hand"
                )
            box, shape = region_shape(region, size)
            self.found.thing(position, self.classes.setdefault(region.label, len(self.classes)), box, shape)
        except DataError as error:
            self.found.fault(position, where, error)


def _files(path: Path) -> list[Path]:
    return annotation_files(path, (".json",), lambda file: json_kind(file) in ("labelstudio", "labelstudio-min"))


def _picture_field(data: dict[str, Any]) -> tuple[str, str]:
    """The field that holds the picture, by its name or by what it holds, and that picture; "" where there is none."""
    alone = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in data.items()}
    texts = {key: value for key, value in alone.items() if isinstance(value, str)}
    named = next((key for key in ("image", "img", "picture") if key in texts), "")
    key = named or next((key for key, value in texts.items() if is_picture_name(value.partition("?")[0])), "")
    return key, texts.get(key, "")


def _annotations(task: dict[str, Any]) -> list[Any]:
    return _list(task, "annotations") or _list(task, "completions")  # as they were called until 2021


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


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


FORMAT = Format(
    detects,
    read,
    write,
    frozenset(("boxes", "outlines", "masks", "several", "splits", "attributes")),
    frozenset(("multilabel", "label_column")),
    annotation_type="boxes",
)
