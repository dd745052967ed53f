"""YOLO: a text file of normalised boxes or polygons for each picture, and data.yaml with the names of the classes.

    data/data.yaml                  names: [cat, dog]; train: images/train; val: images/val (folders, lists or files)
    data/images/train/1.jpg
    data/labels/train/1.txt         class, x, y, width, height; or class and a polygon: x1, y1, x2, y2, x3, y3, ...

A line's numbers are shares of the upright picture's width and height. A picture without a text file shows nothing of
the classes. Written are 9 digits, which is nearer than 0.001 of a pixel. Where train and val are the same folder, the
data have no splits.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from photovision.core.errors import DataError, MissingExtra
from photovision.core.files import new_folder, write_text
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Shape
from photovision.data.annotated import Gathered, leaves, unique_classes
from photovision.data.coordinates import number, polygons
from photovision.data.dataset import SPLITS, Dataset
from photovision.data.formats import SPLIT_WORDS, Format
from photovision.data.formats.folder import pictures_below
from photovision.data.formats.placing import Placed, detections, place
from photovision.data.read_options import DEFAULTS, ReadOptions

_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "names.yaml")
_MAX_YAML = 1 << 18
_MAX_DEPTH = 10
_MAX_LABELS = 1 << 28
_MAX_CLASSES = 100_000
_MAX_LINE = 1 << 20


def detects(path: Path) -> bool:
    """A YAML file with names, or a folder with data.yaml."""
    file = _yaml_of(path)
    if file is None:
        return False
    with file.open("rb") as stream:
        lines = stream.read(_MAX_YAML).splitlines()
    return any(line.startswith(b"names:") for line in lines)


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read data.yaml and the text files of its pictures; raises DataError with the place where they are none."""
    file = _yaml_of(path)
    if file is None:
        raise DataError(f"{path} holds no data.yaml: expected one with 'names', 'train' and 'val'")
    settings = _settings(file)
    names = unique_classes(_class_names(file, settings.get("names")), file)
    found = Gathered(file.parent, path, "yolo")
    lists = {split: _pictures(file, settings, value) for split, value in _sides(settings)}
    if not any(lists.values()):  # the folders that the file names are elsewhere, but here are pictures
        found.note(file.name, "elsewhere", "the folders that it names are not here; images/ is read without splits")
        lists = dict.fromkeys(SPLITS[:2], _below(file.parent / "images", file.parent))
    whole = len(lists) > 1 and len({tuple(files) for files in lists.values()}) == 1
    several = not whole and any(lists.get(split) for split in SPLITS[1:])
    used: set[Path] = set()
    for split, files in lists.items():
        for name in files if not whole or split == "train" else ():
            position = found.picture(name, split=split if several or not whole else None, measured=True)
            if position is not None:
                used.add(_labels(found, position, name, len(names)))
    _orphans(found, used)
    return found.dataset(names)


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images, labels and data.yaml, all or nothing."""
    with new_folder(path) as folder:
        sides = set()
        for placed in place(dataset, folder / "images", by_split=True):
            file = folder / "labels" / placed.file.relative_to(folder / "images").with_suffix(".txt")
            found = detections(placed.sample)
            if found is not None:
                write_text(file, "".join(f"{line}\n" for line in _lines(placed, found)))
            sides.add(placed.split)
        named = [split for split in SPLITS if split in sides]
        lines = [f"{split}: images/{split}" for split in named] or ["train: images", "val: images"]
        if named and "val" not in named:
            lines.append(f"val: images/{named[-1]}  # there is none")
        names = [f"  {index}: {json.dumps(name, ensure_ascii=False)}" for index, name in enumerate(dataset.classes)]
        write_text(folder / "data.yaml", "\n".join(["path: .", *lines, "names:", *names, ""]))


def _yaml_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml") else None
    return next((path / name for name in _NAMES if (path / name).is_file()), None)


def _settings(file: Path) -> dict[str, Any]:
    """The YAML file as a dictionary; aliases are refused, because a few of them can stand for a thousand million."""
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra("pyyaml", "detect", "Reading data.yaml") from None
    if file.stat().st_size > _MAX_YAML:
        raise DataError(f"{file} has more than {_MAX_YAML:,} bytes: a data.yaml names classes and folders only")
    try:
        text = file.read_text(encoding="utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):  # one after the other, before anything is made of them
            if isinstance(event, yaml.AliasEvent):
                raise DataError(f"{file} uses YAML aliases (*name), which are not followed: write the values out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise DataError(f"{file}: not readable as YAML (nested too deeply)")
        value = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise DataError(f"{file}{where}: not readable as YAML: correct it") from None
    if not isinstance(value, dict):
        raise DataError(f"{file} should give 'names', 'train' and 'val', but is a {type(value).__name__}")
    return {str(key): one for key, one in value.items()}


def _class_names(file: Path, value: Any) -> list[str]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    good = isinstance(value, dict) and all(
        isinstance(key, int) and 0 <= key < _MAX_CLASSES and isinstance(name, str | int | float)
        for key, name in value.items()
    )
    if not good or not value:
        raise DataError(f"{file}: names should be a list of class names, or numbers from 0 with names")
    return [str(value.get(index, index)) for index in range(max(value) + 1)]


def _sides(settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if key.lower() in SPLIT_WORDS and value:
            yield SPLIT_WORDS[key.lower()], value


def _pictures(file: Path, settings: dict[str, Any], value: Any) -> list[str]:
    """Paths below the root of the pictures of a split, which is a folder, a list in a file, or several of them."""
    found: list[str] = []
    root = file.parent
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str):
            raise DataError(f"{file}: a split should name a folder or a file, got {one!r:.60}")
        place_ = _within(root, settings.get("path"), one)
        if place_ is None:
            continue
        if place_.is_dir():
            found += _below(place_, root)
        else:
            lines = place_.read_text(encoding="utf-8", errors="replace").splitlines()
            near = place_.parent.relative_to(root).as_posix()
            found += [_listed(root, near, line.strip()) for line in lines if line.strip()]
    return list(dict.fromkeys(found))


def _within(root: Path, base: Any, name: str) -> Path | None:
    """The folder or list as people mean it: below `path`, or below the YAML file; never outside the latter."""
    kept = PurePosixPath(name.replace("\\", "/")).as_posix()
    while kept.startswith("../"):  # "../train/images", as exports write it, means the folder beside the file
        kept = kept[3:]
    choices = [f"{base}/{kept}", kept] if isinstance(base, str) else [kept]
    return next((root / c for c in choices if not leaves(c) and (root / c).exists()), None)


def _listed(root: Path, near: str, line: str) -> str:
    """A line of a list: relative to the root, or to the list."""
    name = line.replace("\\", "/").removeprefix("./")
    beside = name if near == "." else f"{near}/{name}"
    return beside if not leaves(name) and not (root / name).is_file() and (root / beside).is_file() else name


def _below(folder: Path, root: Path) -> list[str]:
    if not folder.is_dir():
        return []
    start = folder.relative_to(root).parts
    return ["/".join((*start, *parts, name)) for parts, names in pictures_below(folder).items() for name in names]


def _labels(found: Gathered, position: int, name: str, classes: int) -> Path:
    """Read the text file of a picture: in labels/ instead of the last images/ of its path, else beside it."""
    file = _label_file(found.root, found.files[position])
    if not file.is_file():
        found.note(name, "no label file", "taken as a picture that shows nothing of the classes")
        return file
    if file.stat().st_size > _MAX_LABELS:
        raise DataError(f"{file} has more than {_MAX_LABELS:,} bytes: expected a line for each object")
    size = found.sizes[position]
    with file.open(encoding="utf-8", errors="replace") as lines:
        for count in itertools.count(1):
            line = lines.readline(_MAX_LINE)
            if not line:
                break
            if line.strip():
                try:
                    label, box, shape = _parse(line, size or (1, 1), classes)
                    found.thing(position, label, box, shape)
                except DataError as error:
                    found.fault(position, f"{file.name}, line {count}", error)
    return file


def _label_file(root: Path, name: str) -> Path:
    parts = list(PurePosixPath(name).parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return (root / PurePosixPath(*parts)).with_suffix(".txt")


def _parse(line: str, size: tuple[int, int], classes: int) -> tuple[int, list[float] | None, Shape | None]:
    cells = line.split()
    values = [number(cell) for cell in cells]
    if any(map(math.isnan, values)) or not (len(values) == 5 or (len(values) >= 7 and len(values) % 2)):
        raise DataError("expected a class with x, y, width, height, or with the points of a polygon")
    if not 0 <= values[0] < classes or values[0] != int(values[0]):
        raise DataError(f"the class should be 0 to {classes - 1}, got {cells[0]:.20}")
    height, width = size
    if len(values) == 5:
        x, y, w, h = values[1] * width, values[2] * height, values[3] * width, values[4] * height
        return int(values[0]), [x - w / 2, y - h / 2, x + w / 2, y + h / 2], None
    scaled = [value * (height if place_ % 2 else width) for place_, value in enumerate(values[1:])]
    return int(values[0]), None, polygons([scaled])


def _orphans(found: Gathered, used: set[Path]) -> None:
    """Text files that belong to no picture."""
    folder = found.root / "labels"
    for file in sorted(folder.rglob("*.txt")) if folder.is_dir() else ():
        if file not in used and file.name not in ("classes.txt", "train.txt", "val.txt", "test.txt"):
            found.problem(file.relative_to(found.root).as_posix(), "no picture", "a label file without its picture")


def _lines(placed: Placed, found: Detections) -> Sequence[str]:
    height, width = placed.size
    lines = []
    for row, (label, (x1, y1, x2, y2)) in enumerate(zip(found.labels.tolist(), found.boxes.tolist(), strict=True)):
        shape = found.masks[row] if found.masks is not None else None
        if isinstance(shape, Polygons) and len(shape.parts) == 1:
            values = (shape.parts[0].astype(float) / (width, height)).ravel().tolist()
        else:
            values = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
        lines.append(" ".join([str(label), *(f"{value:.9f}" for value in values)]))
    return lines


FORMAT = Format(detects, read, write, frozenset(("boxes", "outlines", "several", "splits", "spare classes")))
