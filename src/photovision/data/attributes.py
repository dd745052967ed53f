"""Attributes of pictures (camera, site, weather ...) from a table of their own, added to any data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from photovision.core.errors import DataError
from photovision.data.dataset import Dataset
from photovision.data.formats import clean
from photovision.data.formats.rows import SUFFIXES, Row, columns_of, read_rows, text_of
from photovision.data.formats.table_columns import FILE_NAMES, squeezed

MAX_COLUMNS = 100


def with_attributes(dataset: Dataset, table: str | Path) -> Dataset:
    """The dataset with what a table says of its pictures added to their groups; what they have already is replaced.

    Rows are found by the picture's id (its path below the folder of the data), else by its file name alone where no
    other picture, and no other row, has the same one. Pictures that the table does not name stay as they are.

    Args:
        dataset: any.
        table: CSV, TSV, JSON Lines or Parquet with a column file_name; all its other columns are attributes.

    Raises:
        DataError: the table cannot be read, has no such column, no others, or names none of the pictures.
    """
    path = Path(table)
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} should be a table of attributes ({', '.join(SUFFIXES)}), but is not: check the path")
    rows = read_rows(path)
    columns = columns_of(rows)
    named = [name for name in columns if squeezed(name) in FILE_NAMES]
    file = min(named, key=lambda name: FILE_NAMES.index(squeezed(name)), default=None)
    names = [name for name in columns if name != file]
    if file is None or not names or len(names) > MAX_COLUMNS:
        raise DataError(
            f"{path} should have a column 'file_name' and 1 to {MAX_COLUMNS} columns of attributes, but has:"
            f" {', '.join(columns)[:200]}"
        )
    by_id = {text_of(row.get(file)).replace("\\", "/"): row for row in rows}
    by_name = _alone({name: PurePosixPath(name).name for name in by_id})
    own_names = _alone({sample.id: PurePosixPath(sample.id).name for sample in dataset.samples})
    samples, met = [], 0
    for sample in dataset.samples:
        short = PurePosixPath(sample.id).name
        row = by_id.get(sample.id)
        if row is None and own_names.get(short) == sample.id and short in by_name:
            row = by_id[by_name[short]]
        met += row is not None
        samples.append(sample if row is None else replace(sample, groups={**sample.groups, **_groups(row, names)}))
    if not met:
        first = next(iter(by_id), "")
        raise DataError(
            f"{path} names none of the pictures: its first is '{first[:80]}', that of the data"
            f" '{dataset.samples[0].id[:80]}'; use the same paths"
        )
    return replace(dataset, samples=tuple(samples))


def _groups(row: Row, names: list[str]) -> dict[str, str]:
    """The attributes that a row tells; empty cells tell nothing."""
    values = {clean(name): clean(text_of(row.get(name))) for name in names}
    return {name: value for name, value in values.items() if name and value}


def _alone(names: dict[str, str]) -> dict[str, str]:
    """File name -> the only path that ends in it."""
    count = Counter(names.values())
    return {short: path for path, short in names.items() if count[short] == 1}
