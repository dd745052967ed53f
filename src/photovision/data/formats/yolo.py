"""YOLO: a text file of normalised boxes or polygons for each picture, and a file with the names of the classes.

    data/data.yaml                  names: [cat, dog]; train: images/train; val: images/val (folders, lists or files)
    data/images/train/1.jpg
    data/labels/train/1.txt         a row for each object, see `photovision.data.formats.yolo_rows`

Layouts without data.yaml are those of `photovision.data.formats.yolo_layouts`. A row's numbers are shares of the
upright picture's width and height; 9 digits are written, nearer than 0.001 of a pixel. A picture without a text file
shows nothing of the classes. Where train and val are the same folder, the data have no splits.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons
from photovision.data.annotation_reader import Gathered, unique_classes
from photovision.data.coordinates import Size
from photovision.data.dataset import SPLITS, Dataset
from photovision.data.formats import Format
from photovision.data.formats.writer import Placed, detections, place
from photovision.data.formats.yolo_layouts import LabelFiles, YoloLayout, found_in, layout_of
from photovision.data.formats.yolo_rows import MAX_LINE, rows_of
from photovision.data.read_options import DEFAULTS, ReadOptions

_MAX_LABELS = 1 << 28
_MAX_NUMBER = 1 << 30


def detects(path: Path) -> bool:
    """A YAML file with names, or a folder with one or with label files."""
    return found_in(path)


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the rows of all pictures; raises DataError with the place where they are none."""
    layout = layout_of(path)
    found = Gathered(layout.root, path, "yolo")
    for kind, message in layout.notes:
        found.note(layout.source.name, kind, message)
    names = None if layout.names is None else unique_classes(layout.names, layout.source)
    lists = layout.lists
    whole = len(lists) > 1 and len({tuple(files) for files in lists.values()}) == 1
    several = not whole and any(lists.get(split) for split in SPLITS[1:])
    reader = _YoloReader(found, layout, names)
    for split, files in lists.items():
        for name, below in files if not whole or split == "train" else ():
            position = found.picture(name, split=split if several or not whole else None, measured=True, below=below)
            if position is not None:
                reader.add(position)
    return reader.dataset()


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images, labels and data.yaml, all or nothing."""
    with new_folder(path, "data set") as folder:
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


class _YoloReader:
    """Reads the label files of pictures; classes without names are numbered as they come."""

    def __init__(self, found: Gathered, layout: YoloLayout, names: tuple[str, ...] | None) -> None:
        self.found, self.names = found, names
        self.root = layout.root
        self.labels = LabelFiles(layout)
        self.rows = rows_of((self.root / name for name in self.labels), layout.key_points)
        self.numbers: dict[int, int] = {}
        self.used = 0
        if self.rows.note:
            found.note(layout.source.name, "key points", self.rows.note)

    def add(self, position: int) -> None:
        """The objects of a picture."""
        name = self.found.files[position]
        file = self.labels.of(name)
        if file is None:
            self.found.note(name, "no label file", "taken as a picture that shows nothing of the classes")
            return
        self.used += 1
        if file.stat().st_size > _MAX_LABELS:
            self.found.problem(file.relative_to(self.root).as_posix(), "bad file", f"more than {_MAX_LABELS:,} bytes")
            return
        size = self.found.sizes[position] or (1, 1)
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            for count in itertools.count(1):
                line = lines.readline(MAX_LINE)
                if not line:
                    break
                if line.strip():
                    self._object(position, size, f"{file.name}, line {count}", line)

    def _object(self, position: int, size: Size, where: str, line: str) -> None:
        try:
            number, box, shape, left_out = self.rows.parse(line, size)
            if number >= (_MAX_NUMBER if self.names is None else len(self.names)):
                most = _MAX_NUMBER if self.names is None else len(self.names)
                raise DataError(f"the class should be 0 to {most - 1}, got {number}")
            label = number if self.names is not None else self.numbers.setdefault(number, len(self.numbers))
            self.found.thing(position, label, box, shape)
            if left_out:
                self.found.tally(left_out, where, f"{left_out} after the box or the outline: left out")
        except DataError as error:
            self.found.fault(position, where, error)

    def dataset(self) -> Dataset:
        """All of it; raises DataError where no picture has a label file."""
        self.found.check()
        if not self.used:
            raise DataError(
                f"{self.found.path}: none of {len(self.found.files):,} pictures has a label file, first"
                f" {self.found.files[0]}: expected a .txt file of its name in labels/ instead of images/, or beside it"
            )
        for name in self.labels.unused():
            self.found.problem(name, "no picture", "a label file without its picture")
        if self.names is not None:
            return self.found.dataset(self.names)
        self.found.note(
            self.found.path.name,
            "class names",
            "no file names the classes (data.yaml, classes.txt), so their numbers are their names",
        )
        return self.found.dataset(self.found.alphabetical({str(n): label for n, label in self.numbers.items()}))


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


FORMAT = Format(
    detects,
    read,
    write,
    frozenset(("boxes", "outlines", "several", "splits", "spare classes")),
    annotation_type="boxes",
)
