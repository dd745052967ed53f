"""Pictures of fields: which day and which plot each is of, as a table, folders or the camera tell.

field.csv: file_name,date,plot            a table beside the pictures; other names of the columns are understood
2024-06-01/A1/0001.jpg                    folders of days and plots, in either order
A1/IMG_20240601_101500.jpg                the camera's date inside the file, else one in its name
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from photovision.core.errors import DataError, UsageError
from photovision.core.image import captured
from photovision.core.types import Sample
from photovision.data.dataset import Problem
from photovision.data.formats import FORMATS, SPLIT_WORDS, Format, clean
from photovision.data.formats.folder import pictures_below
from photovision.data.formats.locate import ImageLocator, shown
from photovision.data.formats.rows import SUFFIXES, Row, columns_of, read_rows, text_of
from photovision.data.formats.table_columns import FILE_NAMES, LABEL_NAMES, squeezed

DATES = ("date", "day", "captured", "captured_at", "capture_date", "datetime", "timestamp", "time")
PLOTS = ("plot", "field", "parcel", "block", "bed", "row", "site", "zone")
"""Columns that are taken for days and plots where none is named."""
_DAY = re.compile(r"(?<!\d)(19\d\d|20\d\d)([-_./:]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_EUROPEAN = re.compile(r"(?<!\d)(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(19\d\d|20\d\d)(?!\d)")
_PLAIN = frozenset(("images", "pictures", "photos", "data", "field", "leaves", *SPLIT_WORDS))


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture of a field.

    Attributes:
        sample: the picture; its target is the class that the data name, None where they do not.
        day: when it was taken; None where nothing tells.
        plot: where; "" where nothing tells.
    """

    sample: Sample
    day: date | None
    plot: str


@dataclass(frozen=True, eq=False)
class Shots:
    """Pictures of fields, and files that a table names but that cannot be used."""

    all: tuple[Shot, ...]
    problems: tuple[Problem, ...] = ()


def read_shots(
    source: Path, classes: Sequence[str] = (), *, date_column: str | None = None, plot_column: str | None = None
) -> Shots:
    """Find the pictures with their days and plots.

    Args:
        source: a table, a folder with a metadata table, pictures with boxes or masks in any format, or folders.
        classes: folders of these names are classes, no plots.
        date_column, plot_column: columns, or attributes; None takes one of DATES and PLOTS.

    Raises:
        DataError: it does not exist, or holds no picture.
        UsageError: a column that was named is not there.
    """
    if not source.exists():
        raise DataError(f"{source} does not exist: check the path of the pictures")
    table = _table(source)
    if table is not None:
        return _from_table(table, classes, date_column, plot_column)
    known = next((form for form in _annotated() if form.detects(source)), None)
    if known is not None:
        dataset = known.read(source)
        columns = tuple(dict.fromkeys(name for sample in dataset.samples for name in sample.groups))
        day, plot = _column(columns, date_column, DATES), _column(columns, plot_column, PLOTS)
        rows = [
            (sample, sample.groups.get(day or "", ""), sample.groups.get(plot or "", "")) for sample in dataset.samples
        ]
        return Shots(tuple(_shot(*row, classes) for row in rows), dataset.problems)
    for name in (date_column, plot_column):
        if name is not None:
            raise UsageError(f"{source} is a folder of pictures without a table: no column '{name}' can be there")
    found = tuple(_below(source, classes)) if source.is_dir() else ()
    if not found:
        raise DataError(f"{source} holds no pictures: expected pictures in folders, or a table with file_name and date")
    return Shots(found)


def day_of(text: str) -> date | None:
    """The day that a text names, as in 2024-06-01, 20240601, 2024:06:01 10:15:00 or 1.6.2024; None where it does not.

    Example:
        >>> day_of("IMG_20240601_101500"), day_of("1.6.2024"), day_of("row 7")
        (datetime.date(2024, 6, 1), datetime.date(2024, 6, 1), None)
    """
    written = _DAY.search(text)
    parts = (written[1], written[3], written[4]) if written else ()
    if not written and (written := _EUROPEAN.search(text)):
        parts = (written[3], written[2], written[1])
    try:
        return date(*map(int, parts)) if parts else None
    except ValueError:  # the 31st of June
        return None


def _table(source: Path) -> Path | None:
    if source.is_file():
        return source if source.suffix.lower() in SUFFIXES else None
    return next((source / f"metadata{s}" for s in SUFFIXES if (source / f"metadata{s}").is_file()), None)


def _annotated() -> Iterator[Format]:
    for name in FORMATS.names():
        if name not in ("table", "folder"):
            form: Format = FORMATS.load(name)
            yield form


def _from_table(table: Path, classes: Sequence[str], date_column: str | None, plot_column: str | None) -> Shots:
    rows = read_rows(table)
    columns = columns_of(rows)
    file = _column(columns, None, FILE_NAMES)
    if file is None:
        raise DataError(f"{table} needs a column 'file_name' with the pictures' paths, got: {', '.join(columns)}")
    label = _column(columns, None, LABEL_NAMES)
    day, plot = _column(columns, date_column, DATES), _column(columns, plot_column, PLOTS)
    shots, problems = [], []
    seen: set[str] = set()
    located = ImageLocator(table.parent).find_all(text_of(row.get(file)) for row in rows)
    for row in rows:
        name = text_of(row.get(file))
        found = located[name].file
        if not found or found in seen:
            why = (
                ("repeated", "the table names it more than once")
                if found
                else (located[name].kind, located[name].message)
            )
            problems.append(Problem(shown(name) or "?", *why))
            continue
        seen.add(found)
        target = (clean(_text(row, label)),) if _text(row, label) else None
        shots.append(_shot(Sample(found, table.parent / found, target), _text(row, day), _text(row, plot), classes))
    if not shots:
        raise DataError(f"{table} names no picture that is there: paths should be relative to its folder")
    return Shots(tuple(shots), tuple(problems))


def _text(row: Row, column: str | None) -> str:
    return text_of(row.get(column or ""))


def _column(columns: Sequence[str], asked: str | None, usual: Sequence[str]) -> str | None:
    if asked is not None:
        if asked not in columns:
            raise UsageError(f"there is no column '{asked}': there are {', '.join(columns) or 'none'}")
        return asked
    by_name = {squeezed(name): name for name in reversed(columns)}
    return next((by_name[squeezed(name)] for name in usual if squeezed(name) in by_name), None)


def _shot(sample: Sample, day: str, plot: str, classes: Sequence[str] = ()) -> Shot:
    """What columns do not tell, folders, the camera and the file's name may."""
    folders = sample.id.split("/")[:-1]
    own = day_of(day) or next((found for part in reversed(folders) if (found := day_of(part))), None)
    own = own or _by_camera(sample) or day_of(sample.id.rpartition("/")[2])
    rest = [part for part in folders if not day_of(part) and part not in classes and part.lower() not in _PLAIN]
    return Shot(sample, own, plot or "/".join(rest))


def _by_camera(sample: Sample) -> date | None:
    written = captured(sample.image).time if isinstance(sample.image, Path) else None
    return day_of(written) if written else None


def _below(root: Path, classes: Sequence[str]) -> Iterator[Shot]:
    names = set(classes)
    for parts, files in pictures_below(root).items():
        target = next(((part,) for part in reversed(parts) if part in names), None)
        for file in files:
            path = "/".join((*parts, file))
            yield _shot(Sample(clean(path), root / path, target), "", "", classes)
