"""A table beside the pictures: CSV, TSV, JSON Lines or Parquet, as in the Hugging Face imagefolder convention.

    file_name,label,split,group,camera          file_name: name of the picture, see `locate`, or any of `FILE_NAMES`
    images/1.jpg,cat,train,patient 7,B          label, or labels ("a|b", "a;b" or a list) for several at once,
    images/2.jpg,dog,test,patient 9,A           or a column of 0 and 1 for each class
                                                split, group and all other columns are optional attributes

Several rows of a picture with different labels are several labels. The table is named itself, or is called metadata.*
(Roboflow: _classes.csv) and lies at the root of a folder or in each of its split folders. A folder of Parquet files
named like splits, as on the Hugging Face Hub, is a table, too; pictures inside of Parquet are unpacked, see `parquet`.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, UsageError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.data.dataset import Dataset, FileSamples, Problem
from photovision.data.formats import Format, clean, ordered
from photovision.data.formats.box_table import is_box_table
from photovision.data.formats.folder import save_picture
from photovision.data.formats.locate import SEARCHED, ImageLocator, Located, is_picture_name, shown
from photovision.data.formats.parquet import missing_shards, picture_column, shards_in, unpack
from photovision.data.formats.rows import NAMED_SUFFIXES, SUFFIXES, Row, columns_of, read_rows, text_of, write_lines
from photovision.data.formats.scan_table import by_scan
from photovision.data.formats.split_names import split_named
from photovision.data.formats.table_columns import FILE_NAMES, Columns, choose, split_of, squeezed
from photovision.data.formats.table_labels import Target, Unusable, flag
from photovision.data.formats.tree import JUNK
from photovision.data.formats.via import is_via_table
from photovision.data.read_options import DEFAULTS, ReadOptions

NO_SPLIT = frozenset({"", "nan", "none", "null", "na"})
CONFLICTS = 0.05
"""Share of pictures with different labels in different rows from which on these are several labels, not mistakes."""


def detects(path: Path) -> bool:
    """A table file, or a folder with metadata.* at its root or in its split folders."""
    if path.is_file():
        return path.suffix.lower() in NAMED_SUFFIXES and not is_box_table(path) and not is_via_table(path)
    try:
        return bool(_tables_in(path))
    except DataError:  # tables that contradict each other: reading says so
        return True
    except OSError:  # a folder that may not be read
        return False


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the table; raises DataError where a needed column, or most of the pictures, are missing."""
    tables = [(path, None)] if path.is_file() else _tables_in(path)
    if not tables:
        raise DataError(f"{path} holds no metadata.csv, .jsonl or .parquet: name the table itself, or add one")
    inside = _inside(path, [table for table, _ in tables], options)
    if inside is not None:
        lines, locator = _unpacked(path, tables, inside)
        note = f"the pictures are inside the table, in the column '{shown(inside)}'; unpacked into {locator.root}"
        notes = [note, *missing_shards([table for table, _ in tables])]
        return _Reading(path, lines, locator, replace(options, file_column=inside), notes).dataset()
    root = options.root or (path.parent if path.is_file() else path)
    locator = ImageLocator(root)
    notes = missing_shards([table for table, _ in tables])
    lines = [line for table, split in tables for line in _lines(table, locator, split, notes)]
    return _Reading(path, lines, locator, options, notes).dataset()


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/metadata.jsonl, with splits and attributes."""
    split_of = {position: name for name, positions in dataset.splits.items() for position in positions}
    with new_folder(path, "data set") as folder:
        rows: list[Row] = []
        for position, sample in enumerate(dataset.samples):
            file = save_picture(sample, folder / "images", f"{position:06d}")
            row: Row = {"file_name": file.relative_to(folder).as_posix()}
            if sample.target is not None:
                row |= {"labels": list(sample.target)} if dataset.multilabel else {"label": sample.label}
            row |= {"split": split_of[position]} if position in split_of else {}
            rows.append(row | dict(sample.groups))
        write_text(folder / "metadata.jsonl", write_lines(rows))


@dataclass(frozen=True)
class _Line:
    """A row, with the folder of its table relative to the root, the split that this folder is, and its place."""

    row: Row
    below: str
    split: str | None
    place: str


def _lines(table: Path, locator: ImageLocator, split: str | None, notes: list[str]) -> list[_Line]:
    rows, below = read_rows(table), _below(locator.root, table)
    if (widened := by_scan(rows, locator.root)) is not None:
        notes.append(widened.note)
        return [_Line(row, "", split, f"{table}, picture {number}") for number, row in enumerate(widened.rows, 1)]
    columns = columns_of(rows)
    known = any(squeezed(name) in FILE_NAMES for name in columns)
    likely = [name for name in columns if is_picture_name(name) or not known]
    both = ((name, text_of(rows[0].get(name))) for name in likely)
    first = next(
        (name for name, cell in both if locator.find(name, below).file and locator.find(cell, below).file), None
    )
    if first is not None:
        names = [f"column {i + 1}" if len(columns) > 2 else "label" for i in range(len(columns))]
        names[columns.index(first)] = "file_name"
        rows = read_rows(table, names)
        notes.append(f"the first line of {table.name} is a row, not a header; its columns are {', '.join(names)}")
    return [_Line(row, below, split, f"{table}, picture {number}") for number, row in enumerate(rows, 1)]


def _inside(path: Path, tables: Sequence[Path], options: ReadOptions) -> str | None:
    """The column that holds the pictures themselves; None where they are files."""
    if any(table.suffix.lower() != ".parquet" for table in tables):
        return None
    column = picture_column(tables[0])
    if column is None or options.file_column not in (None, column):
        return None
    if options.root is not None:
        raise UsageError(f"{path} holds its pictures itself, in the column '{shown(column)}': leave --root out")
    return column


def _unpacked(path: Path, tables: Sequence[tuple[Path, str | None]], column: str) -> tuple[list[_Line], ImageLocator]:
    top = path.parent if path.is_file() else path
    names = [table.relative_to(top).with_suffix("").as_posix() for table, _ in tables]
    folder, files = unpack([table for table, _ in tables], column, names)
    lines = [
        _Line({**row, column: file}, "", split, f"{table}, picture {number}")
        for (table, split), own in zip(tables, files, strict=True)
        for number, (row, file) in enumerate(zip(read_rows(table), own, strict=True), 1)
    ]
    return lines, ImageLocator(folder)


def _below(root: Path, table: Path) -> str:
    """The folder of the table relative to the root; "" where it lies elsewhere, so that names start from the root."""
    folder, top = table.parent.resolve(), root.resolve()
    return folder.relative_to(top).as_posix().removeprefix(".") if folder.is_relative_to(top) else ""


class _Reading:
    """One pass over the rows of all tables."""

    def __init__(
        self, path: Path, lines: Sequence[_Line], locator: ImageLocator, options: ReadOptions, notes: Sequence[str]
    ) -> None:
        self.path, self.lines, self.options, self.locator = path, lines, options, locator
        self.rows = [line.row for line in lines]
        self.columns: Columns = choose(str(path), self.rows, options, self._finds)
        self.names = [_name(row.get(self.columns.file)) for row in self.rows]
        self.problems: list[Problem] = []
        self.notes = [Problem(path.name, "reading", note) for note in (*notes, *self.columns.notes)]
        self.multilabel = self.columns.labelling.multilabel

    def dataset(self) -> Dataset:
        """All of it; raises DataError where most pictures are missing."""
        rows_of = self._rows_of_files()
        targets = self._targets(rows_of)
        if not targets:
            why = f"; first: {self.problems[0].id}: {self.problems[0].message}" if self.problems else ""
            raise DataError(
                f"{self.path} names no labelled pictures: expected one row per picture with file_name and label{why}"
            )
        files = list(targets)
        first = [rows_of[file][0] for file in files]
        splits: dict[str, list[int]] = {}
        for position, row in enumerate(first):
            split = self._split(row)
            if split is not None:
                splits.setdefault(split, []).append(position)
        self._torn([file for file in files if len({self._split(row) for row in rows_of[file]} - {None}) > 1])
        classes = ordered({*self.columns.labelling.classes, *(label for found in targets.values() for label in found)})
        samples = FileSamples(self.locator.root, files, list(targets.values()), self._attributes(first))
        kept = {name: tuple(positions) for name, positions in splits.items()}
        problems, notes = tuple(self.problems), tuple(self.notes)
        return Dataset(samples, classes, kept, self.multilabel, problems, "table", notes=notes)

    def _finds(self, row: int, name: str) -> bool:
        return bool(self.locator.find(name, self.lines[row].below).file)

    def _rows_of_files(self) -> dict[str, list[int]]:
        """File -> numbers of its rows; those of no file are problems."""
        located: dict[tuple[str, str], Located] = {}
        for below in dict.fromkeys(line.below for line in self.lines):
            names = (name for name, line in zip(self.names, self.lines, strict=True) if line.below == below)
            located |= {(below, name): found for name, found in self.locator.find_all(names, below).items()}
        self._missing_most(located)
        rows_of: dict[str, list[int]] = {}
        for number, (name, line) in enumerate(zip(self.names, self.lines, strict=True)):
            found = located[line.below, name]
            if found.file:
                rows_of.setdefault(sys.intern(found.file), []).append(number)
        for (below, name), found in located.items():
            if not found.file and name:
                self.problems.append(Problem(shown(posixpath.join(below, name)), found.kind, found.message))
        nameless = [line.place for name, line in zip(self.names, self.lines, strict=True) if not name]
        self.problems += [Problem(place, "missing", "the row names no picture") for place in nameless]
        self._searched(located)
        return rows_of

    def _missing_most(self, located: dict[tuple[str, str], Located]) -> None:
        """Raise DataError, with the true cause of the first, where most of the pictures are not found."""
        bad = [(name, found) for (_, name), found in located.items() if not found.file]
        if not any(self.names):
            raise DataError(
                f"the column '{shown(self.columns.file)}' of {self.path} names no pictures: choose another one with"
                " --file-column"
            )
        if len(bad) * 2 > len(located):
            name, found = bad[0]
            advice = (
                "" if self.options.root or "--root" in found.message else "; --root names the folder of the pictures"
            )
            raise DataError(
                f"{len(bad):,} of the {len(located):,} pictures that the column '{shown(self.columns.file)}' of"
                f" {self.path} names are not found, first '{shown(name)}': {found.message}{advice}"
            )

    def _searched(self, located: dict[tuple[str, str], Located]) -> None:
        """Say which pictures do not lie where their names say."""
        for how, words in SEARCHED.items():
            names = [(name, found.file) for (_, name), found in located.items() if found.how == how]
            if names:
                first = f"'{shown(names[0][0])}' is '{shown(names[0][1])}'"
                what = "1 picture is" if len(names) == 1 else f"{len(names):,} pictures are"
                self.notes.append(Problem(self.path.name, "reading", f"{what} {words}; first: {first}"))

    def _targets(self, rows_of: dict[str, list[int]]) -> dict[str, tuple[str, ...]]:
        """File -> its classes; files without a target that can be used are problems."""
        found: dict[str, list[tuple[str, ...]]] = {}
        same: dict[tuple[str, ...], tuple[str, ...]] = {}
        repeated = 0
        denied = self.columns.denied if any(len(rows) > 1 for rows in rows_of.values()) else None
        if denied is not None:
            note = f"where the column '{shown(denied)}' is 0, the label of the row is not true of the picture"
            self.notes.append(Problem(self.path.name, "reading", note))
        for file, rows in rows_of.items():
            targets = [self._target(row, denied) for row in rows]
            usable = [target for target in targets if not isinstance(target, Unusable)]
            if usable:
                found[file] = list(dict.fromkeys(same.setdefault(target, target) for target in usable))
                repeated += len(usable) - len(found[file])
            else:
                self.problems.append(Problem(file, *next(t for t in targets if isinstance(t, Unusable))))
        if repeated:
            what = "1 row repeats" if repeated == 1 else f"{repeated:,} rows repeat"
            self.notes.append(Problem(self.path.name, "reading", f"{what} a picture and its label; each counts once"))
        return self._united(found)

    def _target(self, row: int, denied: str | None) -> Target:
        if denied is not None and flag(self.rows[row].get(denied)) == 0:
            return Unusable("unlabelled", "the table says only what is not in this picture")
        return self.columns.labelling.target(self.rows[row])

    def _united(self, found: dict[str, list[tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
        """The labels of several rows of a picture taken together, or its contradictory rows left out."""
        several = [file for file, targets in found.items() if len(targets) > 1]
        if not several:
            return {file: targets[0] for file, targets in found.items()}
        counted = f"{len(several):,} of {len(found):,} pictures have rows with different labels"
        unite = self.options.multilabel or len(several) >= CONFLICTS * len(found)
        if unite and self.options.multilabel is not False:
            self.multilabel = True
            note = f"{counted}: read as several labels of one picture (--single-label leaves these pictures out)"
            self.notes.append(Problem(self.path.name, "reading", note))
            return {file: tuple(sorted({label for one in targets for label in one})) for file, targets in found.items()}
        for file in several:
            named = " and ".join(f"'{shown('|'.join(target))}'" for target in found[file][:2])
            self.problems.append(Problem(file, "contradictory", f"the table gives it different labels: {named}"))
        return {file: targets[0] for file, targets in found.items() if len(targets) == 1}

    def _torn(self, files: Sequence[str]) -> None:
        """Say which pictures are in several splits."""
        if files:
            what = "1 picture is" if len(files) == 1 else f"{len(files):,} pictures are"
            note = f"{what} in several splits, of which the first counts; first: {shown(files[0])}"
            self.notes.append(Problem(self.path.name, "reading", note))

    def _attributes(self, rows: Sequence[int]) -> dict[str, list[str]]:
        return {
            clean(name): [sys.intern(clean(text_of(self.rows[row].get(name)))) for row in rows]
            for name in self.columns.attributes
        }

    def _split(self, row: int) -> str | None:
        column = self.columns.split
        if column is None:
            return self.lines[row].split
        text = text_of(self.rows[row].get(column))
        if text.lower() in NO_SPLIT:
            return None
        if (split := split_of(column, text)) is None:
            place = self.lines[row].place
            raise DataError(f"{place}: the split should be train, val or test, got '{shown(text)}'")
        return split


def _name(cell: Any) -> str:
    """The name in a cell; "" where it is empty, or holds a list, an object or bytes."""
    return "" if isinstance(cell, list | dict | bytes) else text_of(cell)


def _tables_in(folder: Path) -> list[tuple[Path, str | None]]:
    """Tables that describe the folder: one at its root, or one in each of its split folders, with the split's name.

    A folder that only holds another one, as archives often do, counts as that one.
    """
    if not folder.is_dir():
        return []
    at_root = _table_at(folder)
    if at_root is not None:
        return [(at_root, None)]
    inner = [(entry, split_named(entry.name)) for entry in sorted(folder.iterdir()) if entry.is_dir()]
    found = [(table, split) for entry, split in inner if split is not None and (table := _table_at(entry)) is not None]
    here: list[tuple[Path, str | None]] = [*found] or [*shards_in(folder)]
    if here:
        return here
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name not in JUNK]
    wraps = len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink()
    return _tables_in(entries[0]) if wraps else []


def _table_at(folder: Path) -> Path | None:
    names = (*(f"metadata{suffix}" for suffix in SUFFIXES), "_classes.csv")
    tables = [folder / name for name in names if (folder / name).is_file()]
    tables = [table for table in tables if table.name != "_classes.csv" or _names_files(table)]
    if len(tables) > 1:
        raise DataError(f"{folder} holds {' and '.join(table.name for table in tables)}: keep one, or name it itself")
    return tables[0] if tables else None


def _names_files(table: Path) -> bool:
    """Whether Roboflow's _classes.csv is a table of pictures, not of the values of masks or the numbers of classes."""
    with table.open(encoding="utf-8-sig", errors="replace") as lines:
        return squeezed(lines.readline(4096).partition(",")[0]) in FILE_NAMES


FORMAT = Format(
    detects,
    read,
    write,
    frozenset(("attributes", "splits", "several", "plain", "unknown")),
    frozenset(("multilabel", "label_column", "file_column", "root", "uncertain", "label_separator", "unlabelled")),
)
