"""CVAT: one XML file with boxes, polygons and masks of pictures, or of the frames of a video with their tracks
(docs.cvat.ai, "CVAT for images" and "CVAT for videos", version 1.1).

    data/annotations.xml            the XML file of an export, beside its pictures or above images/
    data/images/1.jpg

Boxes that were turned, and ellipses, become outlines. Points, lines, cuboids and skeletons are left out. Tags of
whole pictures make a classification data set where there are no objects; else they become attributes. Coordinates are
written to 0.001 of a pixel. Pictures whose objects all are tracked, of one video and without splits, are written as its
frames (`photovision.data.formats.cvat_tracks`); else the number of a track is the attribute "track_id" of its box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.regions import Detections, Regions
from photovision.core.shapes import MAX_PIXELS, Polygons, Rle
from photovision.core.types import Ints
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import Size, ellipse, number, polygons, rotated_box, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean
from photovision.data.formats.cvat_tracks import Place, ReadPlace, one_video, read_tracks, track_lines
from photovision.data.formats.places import annotation_files
from photovision.data.formats.split_names import split_named
from photovision.data.formats.streaming_parsers import Element, xml_elements
from photovision.data.formats.writer import Placed, detections, place, shown
from photovision.data.read_options import DEFAULTS, ReadOptions
from photovision.data.tagged import objects_or_tags

_BASES = ("", "images/", "images/default/", "data/")
_TRACK = "track_id"
_OTHER = ("points", "polyline", "cuboid", "skeleton")


def detects(path: Path) -> bool:
    """An XML file that begins like CVAT's, or a folder with one."""
    return bool(_files(path))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the XML files; raises DataError with the line where one cannot be read."""
    files = _files(path) or ([path] if path.is_file() else [])
    if not files:
        raise DataError(f"{path} holds no annotations.xml: export as 'CVAT for images' with the pictures beside it")
    found = Gathered(path if path.is_dir() else path.parent, path, "cvat")
    classes: dict[str, int] = {}
    for file in files:
        try:
            _file(found, file, classes)
        except DataError as error:
            if len(files) == 1:
                raise
            found.problem(file.relative_to(found.root).as_posix(), "bad file", f"{error}; it is left out")
    if path.is_dir():
        found.name_the_rest()
    return objects_or_tags(found, list(classes), options, empty_is_none=False)


def _file(found: Gathered, file: Path, classes: dict[str, int]) -> None:
    for element in xml_elements(file, "label"):
        name = clean(element.findtext("name") or "")
        if name and element.findtext("type") != "tag":
            classes.setdefault(name, len(classes))
    own = file.parent.relative_to(found.root).as_posix()
    bases = _BASES if own in (".", "annotations") else [f"{own}/{base}" for base in _BASES]
    for place_, image in enumerate(xml_elements(file, "image")):
        _image(found, bases, classes, f"{file.name}, image {place_ + 1}", image)
    read_tracks(found, file, bases, classes, _READERS.get)


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/annotations.xml, all or nothing."""
    video = one_video(dataset)
    with new_folder(path, "data set") as folder:
        lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
        lines.append(_meta(dataset, video))
        if video:
            lines += _video(dataset, folder / "images")
        else:
            for position, placed in enumerate(place(dataset, folder / "images")):
                lines += _lines(position, placed)
        write_text(folder / "annotations.xml", "\n".join([*lines, "</annotations>", ""]))


def _files(path: Path) -> list[Path]:
    return annotation_files(path, (".xml",), _begins)


def _begins(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return b"<annotations" in stream.read(4096)
    except OSError:
        return False


def _image(found: Gathered, bases: Sequence[str], classes: dict[str, int], where: str, image: Element) -> None:
    name, subset = image.get("name", ""), image.get("subset", "")
    inside = [f"{base}{subset}/" for base in bases] if subset else []
    name = next((base + name for base in (*bases, *inside) if found.exists(base + name)), name)
    declared = size_of(image.get("height"), image.get("width"))
    position = found.picture(name, declared, split=split_named(subset))
    if position is None:
        return
    for place_, item in enumerate(image):
        at = f"{where}, <{item.tag}> {place_ + 1}"
        if any(one.get("name") != _TRACK for one in item.iter("attribute")):
            found.tally("attributes", at, "attributes of single objects and tags are left out")
        if item.tag == "tag":
            if label := clean(item.get("label", "")):
                found.tag(position, "tag", [label])
        elif item.tag in _OTHER:
            found.fault(position, at, f"a {item.tag} is neither box nor outline nor mask")
        elif item.tag in _READERS:
            _object(found, classes, position, at, item, found.sizes[position] or declared)


def _object(found: Gathered, classes: dict[str, int], position: int, at: str, item: Element, size: Size | None) -> None:
    try:
        box, shape = _READERS[item.tag](item, size)
        label = clean(item.get("label", ""))
        if not label:
            raise DataError("it has no label")
        found.thing(position, classes.setdefault(label, len(classes)), box, shape, track=_track_of(item))
    except DataError as error:
        found.fault(position, at, error)


def _track_of(item: Element) -> int:
    """The number of its track, -1 where there is none."""
    track = number(next((one.text for one in item.iter("attribute") if one.get("name") == _TRACK), None))
    return int(track) if track >= 0 and track == int(track) else -1  # NaN compares with nothing


def _box(item: Element, _: Size | None) -> Place:
    box = [number(item.get(side)) for side in ("xtl", "ytl", "xbr", "ybr")]
    turned = number(item.get("rotation", "0"))
    if any(map(math.isnan, [*box, turned])):
        raise DataError("a box should have finite xtl, ytl, xbr and ybr")
    return (None, rotated_box(box, turned)) if turned else (box, None)


def _ellipse(item: Element, _: Size | None) -> Place:
    x, y, across, down = (number(item.get(name)) for name in ("cx", "cy", "rx", "ry"))
    turned = number(item.get("rotation", "0"))
    if any(map(math.isnan, (x, y, across, down, turned))):
        raise DataError("an ellipse should have finite cx, cy, rx and ry")
    return None, ellipse((x, y), (across, down), turned)


def _polygon(item: Element, _: Size | None) -> Place:
    values = [number(cell) for point in item.get("points", "").split(";") for cell in point.split(",")]
    if any(map(math.isnan, values)):
        raise DataError("points should be finite numbers x,y;x,y;...")
    return None, polygons([values])


def _mask(item: Element, size: Size | None) -> Place:
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


_READERS: dict[str, ReadPlace] = {"box": _box, "polygon": _polygon, "mask": _mask, "ellipse": _ellipse}


def _meta(dataset: Dataset, video: bool) -> str:
    """What the task is: its classes, and of a video its frames."""
    tracked = not video and any(_tracks(sample.annotations) is not None for sample in dataset.samples)
    attribute = f"<attribute><name>{_TRACK}</name><mutable>False</mutable><input_type>number</input_type></attribute>"
    more = f"<attributes>{attribute}</attributes>" if tracked else ""
    names = "".join(f"<label><name>{escape(name)}</name>{more}</label>" for name in dataset.classes)
    count = len(dataset)
    size = f"<size>{count}</size><mode>interpolation</mode><start_frame>0</start_frame>"
    facts = f"{size}<stop_frame>{count - 1}</stop_frame>" if video else ""
    return f"  <meta><task>{facts}<labels>{names}</labels></task></meta>"


def _video(dataset: Dataset, folder: Path) -> Iterator[str]:
    frames = tuple(replace(sample, id=f"frame_{n:06d}") for n, sample in enumerate(dataset.samples))
    for _ in place(replace(dataset, samples=frames), folder):
        pass
    found = [sample.annotations for sample in frames if isinstance(sample.annotations, Detections)]
    yield from track_lines(
        found, lambda regions, row, told: _line(replace(regions, track_ids=None), row, told), quoteattr
    )


def _lines(position: int, placed: Placed) -> list[str]:
    height, width = placed.size
    subset = f' subset="{placed.split.capitalize()}"' if placed.split else ""
    name = quoteattr(placed.file.name)
    found = detections(placed.sample)
    rows = range(0 if found is None else len(found))
    inner = [_line(found, row, f"label={quoteattr(found.names[row])}") for row in rows] if found is not None else []
    head = f'  <image id="{position}" name={name}{subset} width="{width}" height="{height}">'
    return [head, *inner, "  </image>"]


def _line(found: Detections, row: int, attributes: str) -> str:
    """One object, with attributes of its element before those of its shape."""
    tracks = _tracks(found)
    inner = f'<attribute name="{_TRACK}">{tracks[row]}</attribute>' if tracks is not None and tracks[row] >= 0 else ""
    shape = found.masks[row] if found.masks is not None else None
    if isinstance(shape, Polygons):
        points = ";".join(f"{shown(x)},{shown(y)}" for x, y in shape.parts[0].tolist())
        return f'    <polygon {attributes} source="manual" occluded="0" points="{points}" z_order="0">{inner}</polygon>'
    x1, y1, x2, y2 = found.boxes[row].tolist()
    if isinstance(shape, Rle):
        return f"    <mask {attributes} {_runs(shape)}>{inner}</mask>"
    edges = f'xtl="{shown(x1)}" ytl="{shown(y1)}" xbr="{shown(x2)}" ybr="{shown(y2)}"'
    return f'    <box {attributes} source="manual" occluded="0" {edges} z_order="0">{inner}</box>'


def _tracks(regions: Regions | None) -> Ints | None:
    return regions.track_ids if isinstance(regions, Detections) else None


def _runs(shape: Rle) -> str:
    x1, y1, x2, y2 = (int(value) for value in shape.box)
    if x2 <= x1:  # an empty mask still needs a pixel to be told
        x2, y2 = x1 + 1, y1 + 1
    inside: Any = shape.bitmap()[y1:y2, x1:x2]
    rle = ", ".join(map(str, Rle.of(inside.T).counts.tolist()))
    edges = f'left="{x1}" top="{y1}" width="{x2 - x1}" height="{y2 - y1}"'
    return f'source="manual" occluded="0" rle="{rle}" {edges} z_order="0"'


FORMAT = Format(
    detects,
    read,
    write,
    frozenset(("boxes", "outlines", "masks", "tracks", "several", "splits", "spare classes")),
    frozenset(("multilabel", "label_column")),
    annotation_type="boxes",
)
