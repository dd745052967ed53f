"""Pictures and pairs to evaluate with: a folder for each person, a table of people, or a table of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, UsageError
from photovision.core.suggest import did_you_mean
from photovision.data.formats.rows import Row, columns_of, read_rows, text_of
from photovision.data.image_paths import walk

_SAME = {
    "1": True,
    "true": True,
    "yes": True,
    "same": True,
    "0": False,
    "false": False,
    "no": False,
    "different": False,
}


@dataclass(frozen=True)
class FaceData:
    """What is evaluated.

    Attributes:
        files: pictures, each with one person.
        people: whose they are; of a table of pairs a number for each person that it can be about.
        pairs: (first, second) positions in `files`; None for every pair.
        groups: column of the user's table -> the group of each picture, "" where the table does not say.
    """

    files: tuple[Path, ...]
    people: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...] | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_face_data(source: str | Path, by: Sequence[str] = ()) -> FaceData:
    """Read a folder with a folder for each person; or a table with file_name and person, or with a, b and same.

    Args:
        source: the folder, or the table (CSV, JSON Lines, Parquet). Pictures lie below the folder of the table.
        by: columns of the table whose groups are compared. Where there are several, so are their combinations.

    Raises:
        DataError: it is neither, or the table does not say what it should.
        UsageError: a column is not there, or there is no table.
    """
    path = Path(source)
    if path.is_dir():
        if by:
            raise UsageError("groups come from a table of your own: give one with file_name, person and the groups")
        return _folder(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist: give a folder with a folder for each person, or a table")
    rows = read_rows(path)
    columns = columns_of(rows)
    for name in by:
        if name not in columns:
            raise UsageError(f"{path} has no column '{name}'{did_you_mean(name, columns)}")
    if {"a", "b", "same"} <= set(columns):
        return _pairs(path, rows, by)
    if {"file_name", "person"} <= set(columns):
        names = [_cell(path, row, "file_name") for row in rows]
        people = tuple(_cell(path, row, "person") for row in rows)
        return FaceData(_placed(path, names), people, None, _groups(rows, by))
    raise DataError(
        f"{path} should have the columns file_name and person, or a, b and same; it has {', '.join(columns)}"
    )


def _folder(path: Path) -> FaceData:
    found = [(file, file.relative_to(path).parts) for file in map(Path, walk(path))]
    files = [(file, parts[0]) for file, parts in found if len(parts) > 1]
    if len({person for _, person in files}) < 2:
        raise DataError(f"{path} should hold a folder for each person, of two people at least")
    return FaceData(tuple(file for file, _ in files), tuple(person for _, person in files))


def _pairs(path: Path, rows: Sequence[Row], by: Sequence[str]) -> FaceData:
    if by:
        raise UsageError("groups are of people: give a table with file_name and person in place of one with pairs")
    files: dict[str, int] = {}
    pairs, same = [], []
    for row in rows:
        one, other = (files.setdefault(_cell(path, row, name), len(files)) for name in ("a", "b"))
        answer = text_of(row.get("same")).lower()
        if answer not in _SAME:
            raise DataError(f"{path}: the column same should be 1 or 0, got '{answer}'")
        pairs.append((one, other))
        same.append(_SAME[answer])
    return FaceData(_placed(path, list(files)), _people(len(files), pairs, same, path), tuple(pairs))


def _people(count: int, pairs: Sequence[tuple[int, int]], same: Sequence[bool], path: Path) -> tuple[str, ...]:
    """A person for each picture, as pairs of the same person connect them."""
    person = list(range(count))

    def root(place: int) -> int:
        while person[place] != place:
            person[place] = person[person[place]]
            place = person[place]
        return place

    for (one, other), alike in zip(pairs, same, strict=True):
        if alike:
            person[root(one)] = root(other)
    for (one, other), alike in zip(pairs, same, strict=True):
        if not alike and root(one) == root(other):
            raise DataError(f"{path} contradicts itself: two pictures are one person by some pairs, and two by another")
    return tuple(str(root(place)) for place in range(count))


def _groups(rows: Sequence[Row], by: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found = {name: tuple(text_of(row.get(name)) for row in rows) for name in by}
    if len(by) > 1:
        joined = zip(*found.values(), strict=True)
        found[" and ".join(by)] = tuple(", ".join(cells) if all(cells) else "" for cells in joined)
    return found


def _cell(path: Path, row: Mapping[str, Any], column: str) -> str:
    text = text_of(row.get(column))
    if not text:
        raise DataError(f"{path}: a row has nothing in its column {column}")
    return text


def _placed(table: Path, names: Sequence[str]) -> tuple[Path, ...]:
    return tuple(table.parent / name for name in names)
