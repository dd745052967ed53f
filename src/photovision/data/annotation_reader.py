"""Gathering what an annotation file says, from any format, with one set of checks.

Files come from strangers: names that leave the folder are never opened, numbers that are none are reported with their
place, and what is odd is counted, with the first of each kind named, so that a million faults take little memory.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.geometry import SIDEWAYS, upright_box, upright_shape
from photovision.core.image import Header, read_header
from photovision.core.shapes import Rle, Shape
from photovision.core.types import Floats
from photovision.data.coordinates import Size
from photovision.data.dataset import AnnotationType, Dataset, FileSamples, Problem
from photovision.data.formats import clean, ordered
from photovision.data.formats.locate import SEARCHED, ImageLocator
from photovision.data.formats.tree import list_files
from photovision.data.frames import videos
from photovision.data.packed_detections import DetectionColumns, Objects

NAMED = 1000
_NOT_THERE = ("missing", "outside", "ambiguous")
_SHOWN = 200
_HEAD = 1 << 16
_BEGINNINGS = (b"\xff\xd8", b"\x89PNG")
"""JPEG and PNG say at their beginning what they are; other formats may say it at their end."""
_TURNING = (b"Exif", b"eXIf", b"tiff:Orientation", b"Raw profile type exif")


class Gathered:
    """Pictures and objects found so far.

    Args:
        root: folder that all pictures lie below.
        path: what is read, for messages.
        format: name of the format.
    """

    def __init__(self, root: Path, path: Path, format: str) -> None:
        self.root, self.path, self.format = root, path, format
        self.files: list[str] = []
        self.sizes: list[Size | None] = []
        self.attributes: dict[str, dict[int, str]] = {}
        self.splits: dict[str, list[int]] = {}
        self.objects = Objects()
        self.unknown: set[int] = set()
        self.tags: dict[str, dict[int, tuple[str, ...]]] = {}
        self.bad = 0
        self._split_of: list[str | None] = []
        self._tallies: dict[str, tuple[int, str, str]] = {}
        self.locator = ImageLocator(root)
        self._positions: dict[str, int] = {}
        self._named: dict[str, str] = {}
        self._unlabelled: set[str] = set()
        self._turns: dict[int, tuple[Size, int]] = {}
        self._told: dict[bool, list[Problem]] = {True: [], False: []}
        self._counts: Counter[tuple[bool, str]] = Counter()

    def picture(
        self,
        name: str,
        declared: Size | None = None,
        *,
        split: str | None = None,
        groups: Mapping[str, str] | None = None,
        measured: bool = False,
        below: str = "",
    ) -> int | None:
        """Add a picture; its position, or None where it cannot be used, which is reported.

        Args:
            name: as the file gives it, see `photovision.data.formats.locate`.
            declared: (H, W) that the file gives.
            split: "train", "val" or "test".
            groups: attributes of the picture.
            measured: whether the size is needed, so that a header is read where none is declared.
            below: folder of the annotation file, relative to the root.
        """
        located = self.locator.find(name, below)
        file = located.file
        if file in self._positions:
            again = "the annotations name this picture more than once; the first counts"
            self.problem(file, "repeated", again)
            return None
        if not file:
            self.problem(clean(name)[:_SHOWN] or "?", located.kind, located.message)
            return None
        if located.how:
            self.tally(f"found by {located.how}", file, f"pictures are {SEARCHED[located.how]}")
        header = _header(self.root / file, measured and declared is None)
        if header is None and measured and declared is None:
            self.problem(file, "unreadable", "the size of this file cannot be read, so its boxes cannot be placed")
            return None
        position = len(self.files)
        self._positions[file] = position
        self._named[file] = name if located.how else ""
        self.files.append(file)
        self.sizes.append(self._upright(position, file, declared, header))
        for key, value in (groups or {}).items():
            self.attributes.setdefault(clean(key), {})[position] = value
        self._split_of.append(split)
        if split is not None:
            self.splits.setdefault(split, []).append(position)
        return position

    def again(self, name: str, split: str | None) -> int | None:
        """The position of a picture that was added before, for the same split; None where there is none."""
        located = self.locator.find(name)
        position = self._positions.get(located.file)
        same = position is not None and self._named[located.file] == (name if located.how else "")
        return position if position is not None and same and self._split_of[position] == split else None

    def forget(self, count: int) -> None:
        """Forget the pictures after the first `count`, which have no objects yet: their file turned out to be bad."""
        for position in range(count, len(self.files)):
            self._turns.pop(position, None)
            for values in self.attributes.values():
                values.pop(position, None)
        for file in self.files[count:]:
            self._positions.pop(file)
            self._named.pop(file)
        del self.files[count:], self.sizes[count:], self._split_of[count:]
        self.splits = {name: [i for i in rows if i < count] for name, rows in self.splits.items()}

    def exists(self, name: str) -> bool:
        """Whether a file of that name lies below the root."""
        return not leaves(name) and bool(on_disk(self.root, name))

    def thing(
        self,
        position: int,
        label: int,
        box: Sequence[float] | None,
        shape: Shape | None = None,
        *,
        crowd: bool = False,
        track: int = -1,
    ) -> None:
        """Add an object: x1, y1, x2, y2 and its shape, as drawn; the box of the shape where `box` is None.

        Raises DataError where the box is none; the caller adds the place.
        """
        self._fits(position, shape)
        edges: Floats = np.array(box if box is not None else shape.box if shape is not None else (), dtype=np.float32)
        if edges.shape != (4,) or not np.isfinite(edges).all():
            raise DataError("a box should be 4 finite numbers of pixels")
        if edges[2] < edges[0] or edges[3] < edges[1]:
            raise DataError(f"a box should have x1 <= x2 and y1 <= y2, got {edges.tolist()}")
        if position in self._turns:
            size, orientation = self._turns[position]
            edges = upright_box(edges, size, orientation)
            shape = upright_shape(shape, size, orientation) if shape is not None else None
        self.objects.add(position, label, edges, shape, crowd, track)

    def outline(self, position: int, where: str, read: Callable[[], Shape | None]) -> Shape | None:
        """The outline of an object that has a box; None where `read` raises, which is counted: the box stays good."""
        try:
            shape = read()
            self._fits(position, shape)
            return shape
        except DataError as error:
            self.tally("bad outline", where, f"{error}; the outline is left out, its box is kept")
            return None

    def tag(self, position: int, question: str, names: Sequence[str]) -> None:
        """A label of a whole picture, as an answer to a question such as "weather".

        Where no picture has an object, these are the classes; else they are attributes, see `data.tagged`.
        """
        known = self.tags.setdefault(question, {})
        known[position] = tuple(dict.fromkeys((*known.get(position, ()), *(clean(name) for name in names))))

    def fault(self, position: int | None, place: str, error: DataError | str) -> None:
        """One object that cannot be used: its picture goes on without it."""
        self.bad += 1
        name = self.files[position] if position is not None else self.path.name
        self.note(name, "bad annotation", f"{place}: {error}; this object is left out")

    def problem(self, id: str, kind: str, message: str) -> None:
        """A file that is left out."""
        self._tell(True, Problem(id, kind, message))

    def note(self, id: str, kind: str, message: str) -> None:
        """Something odd about a file that is used all the same."""
        self._tell(False, Problem(id, kind, message))

    def alphabetical(self, classes: dict[str, int]) -> tuple[str, ...]:
        """Put classes that were numbered as they came into their fixed order; `classes` is name -> number."""
        names = ordered(classes)
        place = {classes[name]: index for index, name in enumerate(names)}
        for row, label in enumerate(self.objects.labels):
            self.objects.labels[row] = place[label]
        return names

    def name_the_rest(self) -> None:
        """Name the pictures beside those that were added which no annotation names: what they show is unknown."""
        folders = {file.rpartition("/")[0] for file in self.files}
        for parts, names in list_files(self.root).pictures.items():
            folder = "/".join(parts)
            for name in names if folder in folders else ():
                file = f"{folder}/{name}" if folder else name
                if file not in self._positions:
                    self.unlabelled(file)

    def tally(self, kind: str, where: str, message: str) -> None:
        """Something odd that may be so of many objects: one note for each kind, with its first place and the number."""
        count, first, message_of_first = self._tallies.get(kind, (0, where, message))
        self._tallies[kind] = (count + 1, first, message_of_first)

    def unlabelled(self, name: str) -> None:
        """A picture without any annotation: it is left out, unless to be looked at."""
        file = self.locator.find(name).file or clean(name)[:_SHOWN]
        if file not in self._unlabelled:
            self._unlabelled.add(file)
            self.problem(file, "unlabelled", "no annotation tells what is in this picture")

    def dataset(self, classes: Sequence[str], annotation_type: AnnotationType = "boxes") -> Dataset:
        """All of it as a Dataset; raises DataError where there is next to nothing of use in it."""
        self.check()
        if 0 < self.objects.reach() <= 1:
            self.note(
                self.path.name,
                "tiny boxes",
                "no box reaches beyond the first pixel of its picture; if the numbers are fractions of the picture,"
                " multiply them by its width and height",
            )
        names = unique_classes(classes, self.path)
        regions = DetectionColumns(self.objects, len(self.files), names, frozenset(self.unknown))
        samples = FileSamples(self.root, self.files, regions.targets(), self.columns(), regions)
        kept = {name: tuple(positions) for name, positions in self.splits.items()}
        problems, notes = self.told(True), self.told(False)
        return Dataset(samples, names, kept, True, problems, self.format, annotation_type=annotation_type, notes=notes)

    def check(self) -> None:
        """Raise DataError where there is no picture, or most of what the annotations name cannot be used."""
        if not self.files:
            first = next((f"; first: {p.id}: {p.message}" for p in self._told[True]), "")
            raise DataError(f"{self.path} names no picture that is there{first}")
        missing = sum(self._counts[(True, kind)] for kind in _NOT_THERE)
        if missing > len(self.files):
            first = next(p.id for p in self._told[True] if p.kind in _NOT_THERE)
            raise DataError(
                f"{missing:,} of the pictures named in {self.path} are not below {self.root}, first '{first}':"
                " keep the pictures beside their annotations"
            )
        if self.bad > len(self.objects):
            first = next(p.message for p in self._told[False] if p.kind == "bad annotation")
            raise DataError(f"{self.path}: {self.bad:,} annotations cannot be used, most of all; first: {first}")

    def columns(self) -> dict[str, list[str]]:
        """Attributes of all pictures; `video` is found from names and folders where the file tells none."""
        columns = {key: [found.get(i, "") for i in range(len(self.files))] for key, found in self.attributes.items()}
        if "video" not in columns and any(found := videos(self.files)):
            columns["video"] = found
            many = len(set(found) - {""})
            self.note(
                self.path.name, "video", f"names and folders tell of {many:,} videos; frames of one stay together"
            )
        return columns

    def told(self, left_out: bool) -> tuple[Problem, ...]:
        """Problems or notes, with a line for those of a kind that are too many to be named."""
        more = [
            Problem(self.path.name, kind, f"and {count - NAMED:,} more of this kind")
            for (out, kind), count in self._counts.items()
            if out == left_out and count > NAMED
        ]
        return (*self._told[left_out], *more, *(() if left_out else self._tallied()))

    def _tallied(self) -> list[Problem]:
        return [
            Problem(self.path.name, kind, f"{first}: {message}" + (f"; {count:,} such in all" if count > 1 else ""))
            for kind, (count, first, message) in self._tallies.items()
        ]

    def _fits(self, position: int, shape: Shape | None) -> None:
        """Raise DataError where a mask has another size than its picture, as it was drawn."""
        size = self._turns[position][0] if position in self._turns else self.sizes[position]
        if isinstance(shape, Rle) and size is not None and shape.size != size:
            raise DataError(f"a mask of {shape.size} pixels (H, W) does not fit its picture of {size}")

    def _tell(self, left_out: bool, problem: Problem) -> None:
        self._counts[(left_out, problem.kind)] += 1
        if self._counts[(left_out, problem.kind)] <= NAMED:
            self._told[left_out].append(problem)

    def _upright(self, position: int, file: str, declared: Size | None, header: Header | None) -> Size | None:
        """The upright size, and what EXIF does to the boxes, reported where it does or might do something."""
        if header is None or header.orientation == 1:
            if header is not None and declared is not None and declared == header.size[::-1] != header.size:
                self.note(file, "swapped", f"the annotations give height and width as {declared}, it has {header.size}")
                return header.size
            return declared if declared is not None else header.size if header is not None else None
        upright, turn = header.size, header.orientation
        if turn in SIDEWAYS and upright[0] != upright[1] and declared is not None:
            if declared == upright[::-1]:
                self._turns[position] = (declared, turn)
                self.note(file, "turned", "drawn on the stored pixels, which EXIF turns: its boxes were turned, too")
            return upright
        self.note(
            file,
            "maybe turned",
            "EXIF turns it, and nothing tells whether its boxes were drawn upright; taken as upright",
        )
        return upright


def leaves(name: str) -> bool:
    """Whether a name leads out of its folder: absolute, with a drive, or through ".."."""
    posix = name.replace("\\", "/")
    return posix.startswith("/") or bool(PureWindowsPath(name).drive) or ".." in PurePosixPath(posix).parts


def on_disk(root: Path, name: str) -> str:
    """The name under which the file exists below `root`, which may differ in Unicode form; "" if none does."""
    if not name or "\0" in name or len(name) > 4096:
        return ""
    posix = PurePosixPath(name.replace("\\", "/") if "\\" in name and "/" not in name else name).as_posix()
    for form in (posix, unicodedata.normalize("NFC", posix), unicodedata.normalize("NFD", posix)):
        try:
            if os.path.isfile(os.path.join(root, form)):
                return form
        except (ValueError, UnicodeEncodeError):
            return ""
    return ""


def unique_classes(classes: Sequence[str], path: Path) -> tuple[str, ...]:
    """Cleaned class names; raises DataError where two are equal or one is empty."""
    names = tuple(clean(name) for name in classes)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or "" in names:
        what = f"'{twice[0]}' is there twice" if twice else "one is empty"
        raise DataError(f"{path}: class names should be different and not empty, but {what}: rename it")
    return names


def _header(path: Path, wanted: bool) -> Header | None:
    """The header, where it is wanted or EXIF may turn the picture; None where neither is so, or it cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            if not head.startswith(_BEGINNINGS):
                return read_header(head + file.read())
            if not wanted and not any(word in head for word in _TURNING):
                return None
            try:
                return read_header(head)
            except UnreadableImage:  # so long a preview that the size comes later
                return read_header(head + file.read())
    except (OSError, UnreadableImage):
        return None
