"""Tables with a row for each box: TensorFlow's CSV as Roboflow exports it, keras-retinanet's, Open Images'.

    data/[train/]_annotations.csv       filename,width,height,class,xmin,ymin,xmax,ymax
    data/[train/]1.jpg
    path/1.jpg,10,20,60,80,cat          without a header: path, x1, y1, x2, y2, class (and the picture's width, height)
    ImageID,LabelName,XMin,XMax,...     fractions of the picture, 0 to 1, where no edge of a file is above 2
    filename,xmin,...,unit              "pixels" or "fractions", where the numbers alone leave it open
    image_id,bbox                       "[x, y, width, height]" in one cell, or x, y, width and height in four

A picture with empty cells shows nothing of the classes; one beside the others that no row names is unlabelled. Rows
without a class column are of the class "object". Written is the first of these, to 0.001 of a pixel, with its unit
where all boxes are so small that they could be taken for fractions.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.image import SUFFIXES
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import number, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean
from photovision.data.formats.places import annotation_files, split_of
from photovision.data.formats.split_names import split_named
from photovision.data.formats.streaming_parsers import MAX_LINE, csv_rows
from photovision.data.formats.writer import Placed, by_folder, detections, shown
from photovision.data.read_options import DEFAULTS, ReadOptions

_FILE = (
    "filename",
    "file",
    "image",
    "imageid",
    "imagename",
    "imagepath",
    "path",
    "img",
    "imgpath",
    "filepath",
    "name",
    "patientid",
)
_CLASS = (
    "class",
    "label",
    "labelname",
    "classname",
    "category",
    "categoryname",
    "objectclass",
    "classid",
    "categoryid",
)
_EDGES = {
    "xmin": ("xmin", "x1", "left", "xtl", "bboxxmin", "bboxx1", "xminimum"),
    "ymin": ("ymin", "y1", "top", "ytl", "bboxymin", "bboxy1", "yminimum"),
    "xmax": ("xmax", "x2", "right", "xbr", "bboxxmax", "bboxx2", "xmaximum"),
    "ymax": ("ymax", "y2", "bottom", "ybr", "bboxymax", "bboxy2", "ymaximum"),
}
_BOX = ("bbox", "boundingbox")
_SPANS = (("x",), ("y",), ("width", "w"), ("height", "h"))
_UNIT = ("unit", "units", "coordinates")
_FRACTIONS = {"pixels": False, "pixel": False, "px": False, "fractions": True, "fraction": True, "relative": True}
_FRACTIONS |= {"normalized": True, "normalised": True}
_LARGEST_FRACTION = 2.0
"""Programs round and boxes reach over the edge; no table of pixels has all of its boxes in so small a corner."""
_OTHERS = {"split": ("split", "subset", "set"), "crowd": ("isgroupof", "iscrowd")}
_SUFFIXES = (".csv", ".tsv")
_SAMPLED = 1000
_SHOWN = 40
_NAME = "_annotations.csv"


@dataclass(frozen=True)
class _Columns:
    """Where the parts of a row stand; `names` is the number of the first row with boxes: 1 behind a header, else 0."""

    file: int
    edges: tuple[int, ...]
    label: int | None
    size: tuple[int, int] | None = None
    split: int | None = None
    crowd: int | None = None
    first: int = 0
    left_out: tuple[str, ...] = ()
    spans: bool = False
    unit: int | None = None

    def box(self, cells: Sequence[str]) -> list[float] | None:
        """x1, y1, x2, y2; None where all are empty; NaN where one is no number."""
        if len(self.edges) == 1:
            text = cells[self.edges[0]].strip() if self.edges[0] < len(cells) else ""
            if not text.strip("[]() "):
                return None
            x, y, width, height = ([number(one) for one in text.strip("[]() ").split(",")] + [math.nan] * 4)[:4]
            return [x, y, x + width, y + height]
        texts = [cells[i].strip() if i < len(cells) else "" for i in self.edges]
        if not any(texts):
            return None
        a, b, c, d = map(number, texts)
        return [a, b, a + c, b + d] if self.spans else [a, b, c, d]


def is_box_table(file: Path) -> bool:
    """Whether a table has a row for each box, as far as its first line tells."""
    try:
        return file.suffix.lower() in _SUFFIXES and file.is_file() and _columns(_first(file)) is not None
    except OSError:
        return False


def detects(path: Path) -> bool:
    """A table of boxes, or a folder with some."""
    return bool(annotation_files(path, _SUFFIXES, is_box_table, all_depths=True))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the tables of all folders; rows that cannot be used are left out by themselves."""
    files = annotation_files(path, _SUFFIXES, is_box_table, all_depths=True)
    if not files:
        raise DataError(f"{path} holds no table of boxes: expected the columns filename, class, xmin, ymin, xmax, ymax")
    reading = _BoxTableReading(Gathered(path if path.is_dir() else path.parent, path, "boxcsv"))
    reading.alone = len(files) == 1
    for file in files:
        try:
            reading.table(file)
        except DataError as error:
            if len(files) == 1:
                raise
            reading.found.problem(file.relative_to(reading.found.root).as_posix(), "bad file", str(error))
    reading.found.name_the_rest()
    return reading.found.dataset(reading.found.alphabetical(reading.classes))


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/[split/]pictures with a table in each folder, all or nothing."""
    with new_folder(path, "data set") as folder:
        for inside, pictures in by_folder(dataset, folder).items():
            unit = ("pixels",) if 0 < max(map(_reach, pictures)) <= _LARGEST_FRACTION else ()
            text = io.StringIO()
            table = csv.writer(text, lineterminator="\n")
            table.writerow(("filename", "width", "height", "class", *_EDGES, *_UNIT[: len(unit)]))
            for placed in pictures:
                table.writerows((*row, *unit) for row in _written(placed))
            write_text(inside / _NAME, text.getvalue())


def _reach(placed: Placed) -> float:
    """The largest coordinate of a picture's boxes."""
    regions = detections(placed.sample)
    return float(regions.boxes.max(initial=0)) if regions is not None else 0.0


def _written(placed: Placed) -> Iterator[tuple[object, ...]]:
    """The rows of one picture: none where it has no annotation, one with empty cells where it shows nothing."""
    regions, (height, width) = detections(placed.sample), placed.size
    if regions is None:
        return
    if not len(regions):
        yield placed.file.name, width, height, "", "", "", "", ""
    for name, box in zip(regions.names, regions.boxes.tolist(), strict=True):
        yield placed.file.name, width, height, name, *map(shown, box)


def _first(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        line = lines.readline(MAX_LINE)
    try:
        return next(csv.reader([line], delimiter=max(",;\t", key=line.count)), [])
    except csv.Error:
        return []


def _columns(cells: Sequence[str]) -> _Columns | None:
    """The columns by the names of a header, else those of keras-retinanet; None where they are neither."""
    names = ["".join(letter for letter in cell.lower() if letter.isalnum()) for cell in cells]

    def at(choices: Sequence[str]) -> int | None:
        return next((names.index(name) for name in choices if name in names), None)

    file = at(_FILE)
    edges = [place for choices in _EDGES.values() if (place := at(choices)) is not None]
    box = at(_BOX)
    spans = [] if len(edges) == 4 or box is not None else [at(choices) for choices in _SPANS]
    if spans and None not in spans:
        edges = [place for place in spans if place is not None]
    if file is not None and (len(edges) == 4 or box is not None):
        height, width = at(("imageheight", "height")), at(("imagewidth", "width"))
        height, width = (None if place in edges else place for place in (height, width))
        size = (height, width) if height is not None and width is not None else None
        split, crowd = (at(choices) for choices in _OTHERS.values())
        unit = at(_UNIT)
        used = {file, *edges, box, height, width, split, crowd, unit, label := at(_CLASS)}
        rest = tuple(cell.strip() for place, cell in enumerate(cells) if place not in used and cell.strip())
        kept = tuple(edges) if len(edges) == 4 else (box or 0,)
        in_spans = None not in spans and bool(spans)
        return _Columns(file, kept, label, size, split, crowd, 1, rest, in_spans, unit)
    numbers = [number(cell) for cell in cells[1:5]]
    plain = len(cells) in (6, 8) and os.path.splitext(cells[0].strip())[1].lower() in SUFFIXES
    if plain and (not any(map(math.isnan, numbers)) or not any(cell.strip() for cell in cells[1:6])):
        return _Columns(0, (1, 2, 3, 4), 5, (7, 6) if len(cells) == 8 else None)
    return None


class _BoxTableReading:
    """Reads one table after the other."""

    def __init__(self, found: Gathered) -> None:
        self.found = found
        self.classes: dict[str, int] = {}
        self.named = dict(_descriptions(found.root))
        self.alone = False
        self.boxless: list[tuple[int, str, str]] = []

    def table(self, file: Path) -> None:
        """All rows of a file."""
        columns = _columns(_first(file))
        if columns is None:
            raise DataError(f"{file}: expected the columns filename, class, xmin, ymin, xmax, ymax")
        name = file.relative_to(self.found.root).as_posix()
        stated = _stated_unit(file, columns)
        shares = _in_fractions(file, columns) if stated is None else stated
        if shares and stated is None:
            self.found.note(
                name,
                "fractions",
                "no edge is above 2, so the numbers are read as fractions of the pictures; if they are pixels, add a"
                " column 'unit' with 'pixels'",
            )
        if columns.left_out:
            self.found.note(name, "columns", f"columns that are not used: {', '.join(columns.left_out)[:200]}")
        if columns.label is None:
            self.found.note(name, "class names", "there is no column of classes, so all objects are called 'object'")
        self.boxless = []
        positions: dict[str, int | None] = {}
        for line, cells in _rows(file, columns):
            if cells is None:
                self.found.fault(None, f"{name}, line {line}", "not readable as CSV")
                continue
            picture = cells[columns.file].strip() if columns.file < len(cells) else ""
            if picture not in positions:
                positions[picture] = self._picture(file, columns, picture, cells, shares)
            position = positions[picture]
            if position is not None:
                self._object(position, f"{name}, line {line}", columns, cells, shares)
        for position, where, label in self.boxless:
            if label in self.classes:
                self.found.fault(position, where, "expected a class and 4 finite numbers")
            else:
                self.found.tally("no box", where, f"'{label}' has no box anywhere, so such rows show no object")

    def _picture(self, file: Path, columns: _Columns, name: str, cells: list[str], shares: bool) -> int | None:
        below = file.parent.relative_to(self.found.root).as_posix()
        declared = None
        if columns.size is not None and max(columns.size) < len(cells):
            declared = size_of(cells[columns.size[0]], cells[columns.size[1]])
        split_cell = cells[columns.split] if columns.split is not None and columns.split < len(cells) else ""
        split = split_named(split_cell.strip()) or split_of(file, self.found.root, self.alone)
        return self.found.picture(name, declared, split=split, measured=shares, below="" if below == "." else below)

    def _object(self, position: int, where: str, columns: _Columns, cells: list[str], shares: bool) -> None:
        try:
            box = columns.box(cells)
            label = (
                "object" if columns.label is None else clean(cells[columns.label]) if columns.label < len(cells) else ""
            )
            if box is None:  # a picture without objects
                if label and columns.label is not None:
                    self.boxless.append((position, where, self.named.get(label, label)))
                return
            if any(map(math.isnan, box)) or not label:
                raise DataError("expected a class and 4 finite numbers")
            if shares:
                height, width = self.found.sizes[position] or (1, 1)
                box = [edge * (height if i % 2 else width) for i, edge in enumerate(box)]
            label = self.named.get(label, label)
            crowd = columns.crowd is not None and columns.crowd < len(cells) and cells[columns.crowd].strip() == "1"
            self.found.thing(position, self.classes.setdefault(label, len(self.classes)), box, crowd=crowd)
        except DataError as error:
            self.found.fault(position, where, error)


def _stated_unit(file: Path, columns: _Columns) -> bool | None:
    """Whether a table states that its numbers are fractions; None where it states nothing."""
    if columns.unit is None:
        return None
    rows = (cells[columns.unit] for _, cells in _rows(file, columns) if cells and columns.unit < len(cells))
    units = {unit for cell in rows if (unit := cell.strip().lower())}
    stated = {_FRACTIONS.get(unit) for unit in units}
    if len(stated) > 1 or None in stated:
        names = ", ".join(f"'{unit[:_SHOWN]}'" for unit in sorted(units)[:3])
        raise DataError(f"{file}: the unit of all boxes should be 'pixels' or 'fractions', got {names}")
    return stated.pop() if stated else None


def _in_fractions(file: Path, columns: _Columns) -> bool:
    rows = (cells for _, (_, cells) in zip(range(_SAMPLED), _rows(file, columns), strict=False) if cells)
    edges = [edge for cells in rows for edge in columns.box(cells) or () if not math.isnan(edge)]
    return bool(edges) and max(edges) <= _LARGEST_FRACTION


def _rows(file: Path, columns: _Columns) -> Iterator[tuple[int, list[str] | None]]:
    rows = csv_rows(file)
    if columns.first:
        next(rows, None)
    return rows


def _descriptions(root: Path) -> Iterator[tuple[str, str]]:
    """Open Images calls its classes /m/01g317; class-descriptions*.csv gives their names."""
    for file in sorted(root.glob("class-descriptions*.csv")):
        for _, cells in csv_rows(file):
            if cells and len(cells) == 2:
                yield cells[0].strip(), clean(cells[1])


FORMAT = Format(detects, read, write, frozenset(("boxes", "several", "splits")), annotation_type="boxes")
