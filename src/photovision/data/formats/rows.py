"""Rows of a table, whatever file it is kept in: CSV, TSV, text, JSON Lines or Parquet.

Cells of CSV are text, exactly as written but for outer blanks: "01", "1_000", "none" and "TRUE" stay what they are. A
number or truth value of JSON Lines and Parquet becomes the text that a spreadsheet shows. Only an empty cell says
nothing.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from photovision.core.errors import DataError
from photovision.data.formats.parquet import read_parquet

Row = dict[str, Any]
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
NAMED_SUFFIXES = (*SUFFIXES, ".txt", ".ndjson", ".xlsx", ".xls", ".ods")
"""Tables that are read, or refused with advice, where they are named themselves."""
_SPREADSHEETS = frozenset((".xlsx", ".xls", ".ods"))
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_INDEX = frozenset(("", "unnamed: 0"))
"""What pandas calls the column of its row numbers."""


def read_rows(path: Path, names: Sequence[str] | None = None) -> list[Row]:
    """All rows as column -> value, empty ones left out.

    Args:
        path: the table.
        names: of the columns, where the first line of a CSV file is no header but a row.

    Raises:
        DataError: a line cannot be read, or there are no rows.
    """
    suffix = path.suffix.lower()
    if suffix in _SPREADSHEETS:
        raise DataError(f"{path} is a spreadsheet, which is not read: save it as CSV (UTF-8) and name that file")
    readers: dict[str, Callable[[Path], list[Row]]] = {".jsonl": _lines, ".ndjson": _lines, ".parquet": read_parquet}
    try:
        rows = readers[suffix](path) if suffix in readers else _separated(path, names)
    except UnicodeError:
        raise DataError(f"{path} is not a table in UTF-8: save it again as UTF-8") from None
    if not rows:
        raise DataError(f"{path} has no rows: expected one row per picture, with the columns file_name and label")
    return rows


def columns_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """Names of all columns, in the order in which they first occur."""
    return tuple(dict.fromkeys(name for row in rows for name in row))


def text_of(value: Any) -> str:
    """A cell as text: 1.0 and True as a spreadsheet shows them, so that CSV and Parquet give the same classes.

    Example:
        >>> text_of(3.0), text_of(" none "), text_of(float("nan")), text_of(True)
        ('3', 'none', '', 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    return str(value).strip()


def write_lines(rows: Iterable[Row]) -> str:
    """The rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        wide = file.read(2) in _UTF_16
    return path.open(encoding="utf-16" if wide else "utf-8-sig", newline="")


def _separated(path: Path, header: Sequence[str] | None) -> list[Row]:
    with _opened(path) as file:
        separator = _separator(path, file)
        reader = csv.reader(file, delimiter=separator, strict=True, skipinitialspace=separator == " ")
        try:
            names = [name.strip() for name in (header or next(filter(None, reader), []))]
            named = [name for name in names if name]
            if len(set(named)) != len(named):
                raise DataError(f"{path} has two columns of one name: give each column its own, got {', '.join(names)}")
            rows = [_cells(path, reader.line_num, names, cells) for cells in reader if any(map(str.strip, cells))]
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: not readable as CSV ({error}): correct that line"
            ) from None
    return _named(names, rows)


def _separator(path: Path, file: TextIO) -> str:
    """What separates cells, from the first line; the file is left at the header."""
    start, header = 0, file.readline()
    while header and (not header.strip() or header.lower().startswith("sep=")):  # "sep=;" is a hint for Excel
        start = file.tell()
        header = file.readline()
    file.seek(start)
    if path.suffix.lower() == ".tsv":
        return "\t"
    # Spreadsheets of many countries separate by semicolons; the header shows which one is meant.
    found = max(",;\t|", key=header.count)
    return " " if path.suffix.lower() == ".txt" and found not in header else found


def _cells(path: Path, line: int, names: list[str], cells: list[str]) -> list[str]:
    """The cells of a row; raises DataError where there are more of them than columns."""
    more = cells[len(names) :]
    if any(map(str.strip, more)):
        raise DataError(
            f"{path}, line {line}: {len(cells)} cells, but the header names {len(names)} columns: correct that line, or"
            " put cells with commas into quotes"
        )
    return cells[: len(names)]


def _named(names: list[str], rows: list[list[str]]) -> list[Row]:
    """Rows as column -> cell; columns without a name are left out where they are empty or count the rows."""
    kept = []
    for position, name in enumerate(names):
        if name.lower() in _INDEX:
            column = [row[position].strip() if position < len(row) else "" for row in rows]
            counts = position == 0 and len(names) > 2 and _counts(column)  # of two columns it may name the pictures
            if counts or not (name or any(column)):
                continue
        kept.append((position, name or f"column {position + 1}"))
    return [{name: row[position] for position, name in kept if position < len(row)} for row in rows]


def _counts(column: list[str]) -> bool:
    """Whether the cells are the numbers of the rows, from 0 or 1."""
    return any(all(cell == str(start + i) for i, cell in enumerate(column)) for start in (0, 1))


def _lines(path: Path) -> list[Row]:
    rows = []
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise DataError(f'{path}, line {number}: expected one JSON object, such as {{"file_name": "1.jpg"}}')
            rows.append(row)
    return rows
