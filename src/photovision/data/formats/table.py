"""A table beside the pictures: CSV, TSV, JSON Lines or Parquet, as in the Hugging Face imagefolder convention.

    file_name,label,split,group,camera          file_name: path of the picture, relative to the table
    images/1.jpg,cat,train,patient 7,B          label, or labels ("a|b", "a;b" or a list) for several at once
    images/2.jpg,dog,test,patient 9,A           split, group and all other columns are optional attributes

The table is named itself, or is called metadata.* and lies at the root of a folder or in each of its split folders.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from photovision.core.errors import DataError
from photovision.core.files import new_folder, write_text
from photovision.data.dataset import Dataset, FileSamples, Problem
from photovision.data.formats import Format, clean, ordered
from photovision.data.formats.folder import save_picture
from photovision.data.formats.rows import SUFFIXES, Row, read_rows, write_lines
from photovision.data.formats.split_names import split_named
from photovision.data.read_options import DEFAULTS, ReadOptions

FILE_COLUMNS = ("file_name", "file", "path", "image", "filename", "image_path")
LABEL_COLUMNS = ("label", "class", "category", "target")
LABELS_COLUMN = "labels"
SPLIT_COLUMN = "split"
UNKNOWN = frozenset({"", "nan", "none", "null"})


def detects(path: Path) -> bool:
    """A table file, or a folder with metadata.* at its root or in its split folders."""
    return path.suffix.lower() in SUFFIXES if path.is_file() else bool(_tables_in(path))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the table; raises DataError where a needed column, or most of the pictures, are missing."""
    tables = [(path, None)] if path.is_file() else _tables_in(path)
    if not tables:
        raise DataError(f"{path} holds no metadata.csv, .jsonl or .parquet: name the table itself, or add one")
    root = path.parent if path.is_file() else path
    found = _Found()
    for table, split in tables:
        rows = read_rows(table)
        roles = _Roles.of(table, rows, options.multilabel, options.label_column)
        below = table.parent.relative_to(root).as_posix()
        _collect(found, root, "" if below == "." else f"{below}/", roles, rows, split)
    return _dataset(found, root, path)


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/images and `path`/metadata.jsonl, with splits and attributes."""
    split_of = {position: name for name, positions in dataset.splits.items() for position in positions}
    with new_folder(path) as folder:
        rows: list[Row] = []
        for position, sample in enumerate(dataset.samples):
            file = save_picture(sample, folder / "images", f"{position:06d}")
            row: Row = {"file_name": file.relative_to(folder).as_posix()}
            if sample.target is not None:
                row |= {LABELS_COLUMN: list(sample.target)} if dataset.multilabel else {"label": sample.label}
            row |= {SPLIT_COLUMN: split_of[position]} if position in split_of else {}
            rows.append(row | dict(sample.groups))
        write_text(folder / "metadata.jsonl", write_lines(rows))


@dataclass
class _Found:
    """What the rows gave so far."""

    files: dict[str, int] = field(default_factory=dict)
    targets: list[tuple[str, ...]] = field(default_factory=list)
    attributes: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, list[int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    known_targets: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    multilabel: bool = False
    rows: int = 0


@dataclass(frozen=True)
class _Roles:
    """Which column plays which part."""

    table: Path
    file: str
    label: str | None
    labels: str | None
    indicators: tuple[str, ...]
    split: str | None
    attributes: tuple[str, ...]

    @property
    def multilabel(self) -> bool:
        return self.label is None

    @classmethod
    def of(cls, table: Path, rows: Sequence[Row], multilabel: bool | None, label_column: str | None) -> _Roles:
        columns = tuple(dict.fromkeys(name for row in rows for name in row))
        by_name = {name.strip().lower(): name for name in reversed(columns)}
        file = next((by_name[name] for name in FILE_COLUMNS if name in by_name), None)
        shown = ", ".join(columns) or "none"
        if file is None:
            raise DataError(
                f"{table} needs a column 'file_name' with the pictures' paths, but its columns are: {shown}"
            )
        if label_column is not None and label_column not in columns:
            raise DataError(f"{table} has no column '{label_column}' to take labels from; its columns are: {shown}")
        label = label_column or next((by_name[name] for name in LABEL_COLUMNS if name in by_name), None)
        labels = by_name.get(LABELS_COLUMN)
        split = by_name.get(SPLIT_COLUMN)
        if label is not None and (multilabel or isinstance(_first(rows, label), list)):
            # Asked for several labels: a list in the label column will do where there is no column of that name.
            label, labels = None, labels if labels and label_column is None else label
        elif label is not None:
            labels = None
        rest = tuple(name for name in columns if name not in (file, label, labels, split))
        indicators: tuple[str, ...] = ()
        if label is None and labels is None:
            indicators = tuple(name for name in rest if _is_indicator(rows, name)) if multilabel else ()
            if len(indicators) < 2:
                raise DataError(
                    f"{table} needs a column 'label' (or 'labels', or several columns of 0 and 1 together with"
                    f" --multilabel), but its columns are: {shown}; name another one with --label-column"
                )
        attributes = tuple(name for name in rest if name not in indicators)
        return cls(table, file, label, labels, indicators, split, attributes)

    def target(self, row: Row) -> tuple[str, ...] | None:
        """The row's true classes; None where it does not say."""
        if self.indicators:
            return tuple(clean(name) for name in self.indicators if _text(row.get(name)) in ("1", "true"))
        if self.label is not None:
            label = clean(_text(row.get(self.label)))
            return None if label.lower() in UNKNOWN else (label,)
        value = row.get(self.labels or "")
        if value is None:
            return None
        parts = value if isinstance(value, list) else str(value).replace(";", "|").split("|")
        return tuple(sorted({clean(_text(part)) for part in parts} - {""}))


def _collect(
    found: _Found, root: Path, below: str, roles: _Roles, rows: Sequence[Row], folder_split: str | None
) -> None:
    if found.rows and roles.multilabel != found.multilabel:
        raise DataError(
            f"{roles.table} and the table before it disagree about single labels: give all the same columns"
        )
    found.multilabel = roles.multilabel
    found.rows += len(rows)
    for number, row in enumerate(rows, 1):
        name = _text(row.get(roles.file)).strip()
        target = roles.target(row)
        problem = _problem(found, root, below, name, target)
        if problem is not None:
            found.problems.append(problem)
            continue
        position = len(found.files)
        found.files[sys.intern(_on_disk(root, _posix(below + name)))] = position
        found.targets.append(found.known_targets.setdefault(target, target) if target is not None else ())
        _attributes(found, roles, row, position)
        split = _split(roles, row, number) if roles.split is not None else folder_split
        if split is not None:
            found.splits.setdefault(split, []).append(position)


def _problem(found: _Found, root: Path, below: str, name: str, target: tuple[str, ...] | None) -> Problem | None:
    """Why this row cannot be used, if so."""
    shown = clean(below + name)
    posix = _posix(name)
    # Tables come from strangers: one must not make us open files outside its own folder.
    if posix.startswith("/") or PureWindowsPath(name).drive or ".." in PurePosixPath(posix).parts or "\0" in name:
        return Problem(shown, "outside", "the table names a file outside its own folder, which is never opened")
    file = _on_disk(root, _posix(below + name)) if name else ""
    if not file:
        return Problem(shown, "missing", "the table names this file, but it is not there")
    if file in found.files:
        return Problem(shown, "repeated", "the table names this file more than once; the first row counts")
    return Problem(shown, "unlabelled", "the table gives no label for this file") if target is None else None


def _attributes(found: _Found, roles: _Roles, row: Row, position: int) -> None:
    for name in roles.attributes:
        column = found.attributes.setdefault(clean(name), [])
        column.extend([""] * (position - len(column)))
        text = _text(row.get(name))
        column.append("" if text.lower() in UNKNOWN else sys.intern(text))


def _split(roles: _Roles, row: Row, number: int) -> str | None:
    text = _text(row.get(roles.split or "")).strip().lower()
    if text in UNKNOWN:
        return None
    split = split_named(text)
    if split is None:
        raise DataError(f"{roles.table}, picture {number}: the split should be train, val or test, got '{text}'")
    return split


def _dataset(found: _Found, root: Path, path: Path) -> Dataset:
    for kind, what in (("missing", "do not exist"), ("outside", "lie outside its folder")):
        bad = [problem.id for problem in found.problems if problem.kind == kind]
        if len(bad) * 2 > found.rows:
            raise DataError(
                f"{len(bad):,} of the {found.rows:,} files named in {path} {what}, first '{bad[0]}':"
                f" paths should be relative to the table's folder, {root}"
            )
    if not found.files:
        raise DataError(f"{path} names no labelled pictures: expected one row per picture with file_name and label")
    attributes: Mapping[str, list[str]] = {
        name: column + [""] * (len(found.files) - len(column)) for name, column in found.attributes.items()
    }
    classes = ordered(label for target in found.known_targets for label in target)
    splits = {name: tuple(positions) for name, positions in found.splits.items()}
    samples = FileSamples(root, list(found.files), found.targets, attributes)
    return Dataset(samples, classes, splits, found.multilabel, tuple(found.problems), "table")


def _tables_in(folder: Path) -> list[tuple[Path, str | None]]:
    """Tables that describe the folder: one at its root, or one in each of its split folders, with the split's name."""
    if not folder.is_dir():
        return []
    at_root = _table_at(folder)
    if at_root is not None:
        return [(at_root, None)]
    inner = [(entry, split_named(entry.name)) for entry in sorted(folder.iterdir()) if _is_split(entry)]
    return [(table, split) for entry, split in inner if (table := _table_at(entry)) is not None]


def _is_split(entry: Path) -> bool:
    return split_named(entry.name) is not None and entry.is_dir()


def _table_at(folder: Path) -> Path | None:
    tables = [folder / f"metadata{suffix}" for suffix in SUFFIXES if (folder / f"metadata{suffix}").is_file()]
    if len(tables) > 1:
        raise DataError(f"{folder} holds {' and '.join(table.name for table in tables)}: keep one, or name it itself")
    return tables[0] if tables else None


def _posix(name: str) -> str:
    """Tables made on Windows name files with backslashes."""
    return name if "/" in name or "\\" not in name else name.replace("\\", "/")


def _on_disk(root: Path, name: str) -> str:
    """The name under which the file exists, which may differ in Unicode form (macOS decomposes); "" if none does."""
    for form in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
        if os.path.isfile(os.path.join(root, form)):
            return form
    return ""


def _first(rows: Sequence[Row], column: str) -> Any:
    return next((row[column] for row in rows if row.get(column) is not None), None)


def _is_indicator(rows: Sequence[Row], column: str) -> bool:
    return {_text(row.get(column)) for row in rows} <= {"0", "1", "true", "false"}


def _text(value: Any) -> str:
    """A cell as text: 1.0 and True as a spreadsheet shows them, so that CSV and Parquet give the same classes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


FORMAT = Format(
    detects,
    read,
    write,
    frozenset(("attributes", "splits", "several", "plain", "unknown")),
    frozenset(("multilabel", "label_column")),
)
