"""Rows of a table, whatever file it is kept in: CSV, TSV, JSON Lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, MissingExtra

Row = dict[str, Any]
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def read_rows(path: Path) -> list[Row]:
    """All rows as column -> value, empty ones left out; raises DataError, with the line, where one cannot be read."""
    readers: dict[str, Callable[[Path], list[Row]]] = {".jsonl": _lines, ".parquet": _parquet}
    try:
        rows = readers.get(path.suffix.lower(), _separated)(path)
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a table in UTF-8: save it again as UTF-8") from None
    if not rows:
        raise DataError(f"{path} has no rows: expected one row per picture, with the columns file_name and label")
    return rows


def write_lines(rows: Iterable[Row]) -> str:
    """The rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _separated(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        # Spreadsheets of many countries separate by semicolons; the header shows which one is meant.
        separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            names = [name.strip() for name in next(reader, [])]
            if len(set(names)) != len(names):
                raise DataError(f"{path} has two columns of one name: give each column its own, got {', '.join(names)}")
            return [_row(path, reader.line_num, names, cells) for cells in reader if any(cells)]
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: not readable as CSV ({error}): correct that line"
            ) from None


def _row(path: Path, line: int, names: list[str], cells: list[str]) -> Row:
    if len(cells) > len(names):
        raise DataError(
            f"{path}, line {line}: {len(cells)} cells, but the header names {len(names)} columns: correct that line, or"
            " put cells with commas into quotes"
        )
    return dict(zip(names, cells, strict=False))


def _lines(path: Path) -> list[Row]:
    rows = []
    with path.open(encoding="utf-8-sig") as file:
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


def _parquet(path: Path) -> list[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", "reading Parquet tables") from None
    try:
        rows: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:150]
        raise DataError(f"{path} is not a readable Parquet file ({reason}): write it again") from None
    return rows
