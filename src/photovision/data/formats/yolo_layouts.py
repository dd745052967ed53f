"""How YOLO data sets lie on a disk: where the names of the classes, the pictures of each split and their rows are.

    data.yaml, images/, labels/            Ultralytics, Roboflow, CVAT ("Ultralytics YOLO"): names, splits in data.yaml
    obj.data, obj.names, train.txt, ...    darknet, CVAT ("YOLO 1.1"): names and lists in files that obj.data names
    classes.txt beside pictures or rows    labelImg, Label Studio, Roboflow ("YOLO Darknet"): splits by folders or lists
    images/train/, labels/train/           no names: the numbers of the classes are their names

Names of folders, lists and pictures are those of other machines as often as not, so the ends of them are looked for.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from photovision.core.errors import DataError
from photovision.data.formats.places import annotation_files, split_folder
from photovision.data.formats.split_names import split_named
from photovision.data.formats.tree import Listing, list_files
from photovision.data.formats.yolo_rows import MAX_LINE, is_row
from photovision.data.formats.yolo_yaml import MAX_CLASSES, MAX_YAML, class_names, key_points, read_settings

_YAML = ("data.yaml", "data.yml", "dataset.yaml", "names.yaml")
_NAMES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt", "labels.txt", "names.txt")
_MAX_TEXT = 1 << 26
Split = str | None


@dataclass
class YoloLayout:
    """What a data set names.

    Attributes:
        root: the folder that all lies below.
        source: the file that gives the names of the classes, or the folder.
        listing: all files below the root.
        names: of the classes, None where their numbers are all there is.
        lists: split, or None, -> pictures as they are named, each with the folder that it is named from.
        key_points: numbers of key points in a row, as data.yaml says; 0 where it says nothing.
        notes: kind and message of what is odd.
        list_files: files that name pictures.
    """

    root: Path
    source: Path
    listing: Listing
    names: list[str] | None
    lists: dict[Split, list[tuple[str, str]]] = field(default_factory=dict)
    key_points: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)
    list_files: set[str] = field(default_factory=set)

    def pictures(self, below: Sequence[str] = ()) -> list[str]:
        """Paths of all pictures below a folder, given as its parts."""
        depth = len(below)
        tree = self.listing.pictures.items()
        return ["/".join((*p, name)) for p, names in tree if p[:depth] == tuple(below) for name in names]

    def texts(self) -> Iterator[str]:
        """Paths of all text files that may be label files."""
        for parts, names in self.listing.others.items():
            for name in names:
                if name.lower().endswith(".txt") and name.lower() not in _NAMES:
                    yield "/".join((*parts, name))


class LabelFiles:
    """The label files of a data set, found for their pictures: in labels/ instead of images/, or beside the picture.

    Where neither is there, the only text file of the picture's name counts, wherever it lies.
    """

    def __init__(self, layout: YoloLayout) -> None:
        self.root = layout.root
        self._files = {name for name in layout.texts() if name not in layout.list_files}
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._files):
            self._by_stem[PurePosixPath(name).stem].append(name)
        self._used: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def of(self, picture: str) -> Path | None:
        """The label file of a picture, both below the root; None where there is none."""
        stem = PurePosixPath(picture).stem
        choices = [name for name in _choices(picture) if name in self._files]
        alike = self._by_stem.get(stem) or self._by_stem.get(PurePosixPath(picture).name) or []
        name = choices[0] if choices else alike[0] if len(alike) == 1 else None
        if name is None:
            return None
        self._used.add(name)
        return self.root / name

    def unused(self) -> list[str]:
        """Label files that no picture was found for: those in folders of used ones, or below labels/."""
        folders = {os.path.dirname(name) for name in self._used}
        rest = sorted(self._files - self._used)
        near = [n for n in rest if os.path.dirname(n) in folders or "labels" in PurePosixPath(n).parts[:-1]]
        return [name for name in near if not (self.root / name).stat().st_size or _has_row(self.root / name)]


def _choices(picture: str) -> Iterator[str]:
    parts = list(PurePosixPath(picture).with_suffix(".txt").parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index].lower() in ("images", "image", "img", "imgs", "jpegimages"):
            for labels in ("labels", "Labels", "label", "LABELS"):
                yield "/".join((*parts[:index], labels, *parts[index + 1 :]))
    yield "/".join(parts)


def found_in(path: Path) -> bool:
    """Whether a file or a folder is a data set of YOLO's, as far as a look at a few files tells."""
    if path.is_file():
        return (path.suffix.lower() in (".yaml", ".yml") and _has_names(path)) or path.suffix.lower() == ".data"
    return _yaml_of(path) is not None or bool(annotation_files(path, (".txt",), _has_row))


def layout_of(path: Path) -> YoloLayout:
    """Where everything is; raises DataError where nothing tells."""
    yaml = _yaml_of(path) or next((path / name for name in _YAML if (path / name).is_file()), None)
    if yaml is not None:
        return _by_yaml(yaml)
    data = path if path.is_file() else next(iter(annotation_files(path, (".data",), Path.is_file)), None)
    layout = _by_files(path if path.is_dir() else path.parent, data)
    if layout is None:
        raise DataError(
            f"{path} holds no data.yaml, classes.txt or label files: expected labels/1.txt for images/1.jpg"
        )
    return layout


def _yaml_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml") else None
    files = annotation_files(path, (".yaml", ".yml"), _has_names)
    return min(files, key=lambda file: (file.name not in _YAML, file), default=None)


def _has_names(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return any(line.startswith(b"names:") for line in stream.read(MAX_YAML).splitlines())
    except OSError:
        return False


def _has_row(file: Path) -> bool:
    if file.name.lower() in _NAMES:
        return False
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            return is_row(next((line for _ in range(5) if (line := lines.readline(MAX_LINE)).strip()), ""))
    except OSError:
        return False


def _by_yaml(file: Path) -> YoloLayout:
    settings = read_settings(file)
    root = file.parent
    names = class_names(file, settings.get("names"))
    layout = YoloLayout(root, file, list_files(root), names, key_points=key_points(file, settings.get("kpt_shape")))
    for key, value in settings.items():
        if (split := split_named(key)) is not None and value:
            layout.lists.setdefault(split, []).extend(_pictures(layout, settings.get("path"), value))
    if not any(layout.lists.values()):
        whole = layout.pictures(("images",)) or layout.pictures()
        layout.notes.append(("elsewhere", "the folders that it names are not here; the pictures here are read"))
        layout.lists = _by_folders(root, whole)
    return layout


def _pictures(layout: YoloLayout, base: Any, value: Any) -> list[tuple[str, str]]:
    """Pictures of a split, which is a folder, a list in a file, or several of them."""
    found: list[tuple[str, str]] = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str):
            raise DataError(f"{layout.source}: a split should name a folder or a file, got {one!r:.60}")
        place = _within(layout, base, one)
        if place is None:
            continue
        if place.is_dir():
            found += [(name, "") for name in layout.pictures(place.relative_to(layout.root).parts)]
        else:
            found += _listed(layout, place)
    return list(dict.fromkeys(found))


def _within(layout: YoloLayout, base: Any, name: str) -> Path | None:
    """The folder or list as people mean it: below `path` or the YAML file; else its longest end that is there."""
    root = layout.root
    parts, above = _parts(name), _parts(base) if isinstance(base, str) else []
    whole = [*above, *parts]
    for start in range(len(whole) + (not parts)):
        place = root.joinpath(*whole[start:])
        if place.exists() and _inside(root, place):
            if start > len(above) or name.startswith(("/", "\\")):
                layout.notes.append(("elsewhere", f"{name[:200]} is not here; {'/'.join(whole[start:])} is read"))
            return place
    return None


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..") and "\0" not in part]


def _inside(root: Path, place: Path) -> bool:
    return os.path.realpath(place).startswith(os.path.realpath(root).rstrip(os.sep) + os.sep) or place == root


def _listed(layout: YoloLayout, file: Path) -> list[tuple[str, str]]:
    """The pictures that a list names, a line each, with the folder of the list."""
    root = layout.root
    layout.list_files.add(file.relative_to(root).as_posix())
    near = file.parent.relative_to(root).as_posix()
    return [(line.removeprefix("./"), "" if near == "." else near) for line in _lines(file)]


def _lines(file: Path) -> list[str]:
    if file.stat().st_size > _MAX_TEXT:
        raise DataError(f"{file} has more than {_MAX_TEXT:,} bytes: expected a line for each picture or class")
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _by_files(root: Path, data: Path | None) -> YoloLayout | None:
    """Names from obj.data or classes.txt, splits from lists of pictures, else from folders."""
    layout = YoloLayout(root, root, list_files(root), None)
    settings = dict(_settings(data)) if data is not None else {}
    named = _existing(layout, settings.get("names", "")) if settings else []
    layout.source, layout.names = _names(root, named or _existing(layout, *_NAMES, ending=".names"))
    lists: dict[Split, list[tuple[str, str]]] = defaultdict(list)
    given = [(key, value) for key, value in settings.items() if split_named(key)]
    for key, value in given:
        for file in _existing(layout, value):
            lists[split_named(key)] += _listed(layout, file)
    for file in _existing(layout, ending=".txt") if not given else ():
        split = split_named(file.stem)
        if split is not None and (lines := _lines(file)) and not is_row(lines[0]):
            lists[split] += _listed(layout, file)
    layout.lists = dict(lists) or _by_folders(root, layout.pictures())
    rows = any(_has_row(root / name) for name in layout.texts())
    return layout if rows or layout.names is not None else None


def _settings(file: Path) -> Iterator[tuple[str, str]]:
    """The lines "key = value" of darknet's .data file."""
    for line in _lines(file):
        key, sign, value = line.partition("=")
        if sign and value.strip():
            yield key.strip().lower(), value.strip()


def _existing(layout: YoloLayout, *names: str, ending: str = "") -> list[Path]:
    """Files below the root with one of these names, whatever folder they are listed in, or with an ending."""
    wanted = {PurePosixPath(name.replace("\\", "/")).name.lower() for name in names if name}
    return [
        layout.root.joinpath(*parts, file)
        for parts, files in layout.listing.others.items()
        for file in files
        if file.lower() in wanted or (ending and file.lower().endswith(ending))
    ]


def _names(root: Path, files: Sequence[Path]) -> tuple[Path, list[str] | None]:
    """The class names, a line each; raises DataError where two files disagree."""
    if not files:
        return root, None
    first = _lines(files[0])
    for other in files[1:]:
        if _lines(other) != first:
            raise DataError(f"{files[0]} and {other} name other classes: give all parts of the data set the same file")
    if len(first) > MAX_CLASSES:
        raise DataError(f"{files[0]} names more than {MAX_CLASSES:,} classes")
    return files[0], first or None


def _by_folders(root: Path, pictures: Sequence[str]) -> dict[Split, list[tuple[str, str]]]:
    """Pictures by the split that one of their folders is named like."""
    lists: dict[Split, list[tuple[str, str]]] = defaultdict(list)
    for name in pictures:
        lists[split_folder(root / name, root)].append((name, ""))
    return dict(lists)
