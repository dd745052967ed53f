"""Parquet tables, also those of the Hugging Face Hub, which hold the pictures themselves and the names of classes.

Pictures inside a table are written out once, into the user's cache, a few at a time, so that memory stays small. That
takes the room of the table a second time. In return a picture is a file like any other: it is opened by any thread,
worker process, page or converter without knowledge of Parquet, in any order, and fingerprinted by its size. Rows read
on demand would need none of that room, but a row group (often hundreds of megabytes) for every picture drawn at random.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.core.errors import DataError, MissingExtra
from photovision.core.files import write_text
from photovision.core.image import SUFFIXES
from photovision.core.image_formats import SUFFIXES as PICTURES
from photovision.core.system import cache_folder
from photovision.data.formats.split_names import split_named

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

_SHARD = re.compile(r"-\d{5}-of-(\d{5})$")
_BEGINNINGS = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}
_AT_ONCE = 64
_LOOKED_AT = 100
"""Rows without a picture, at the beginning, before a column counts as one that holds none."""
_FOLDERS = 50
"""Folders that are looked into for shards; class folders are more, or hold none."""
_LIST = "files.json"
_USUAL = frozenset(("image", "img", "picture", "photo", "jpg", "jpeg", "png", "pixel_values", "image_bytes"))
_SLACK, _GROWTH = 1 << 28, 100
"""Pictures may take 100 times the table's own size, and 256 MiB more, before it counts as made to fill the disk."""


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """All rows without pictures, only with their names; numbers of classes as the names that the table gives them."""
    opened = _open(path)
    features = _features(opened.schema_arrow)
    columns = [(field.name, _kind(field)) for field in opened.schema_arrow]
    wanted = [f"{name}.path" if kind == "struct" else name for name, kind in columns if kind != "binary"]
    classes = {name: words for name, feature in features.items() if (words := _class_names(feature)) is not None}
    try:
        rows: list[dict[str, Any]] = opened.read(columns=wanted).to_pylist()
    except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's own errors are among them
        raise _unreadable(path, error) from None
    for row in rows:
        for name in (name for name, kind in columns if kind == "struct"):
            row[name] = (row.get(name) or {}).get("path")
        for name in classes.keys() & row.keys():
            row[name] = _named(path, name, row[name], classes[name])
    return rows


def picture_column(path: Path) -> str | None:
    """The column that holds the pictures themselves; None where there is none, or where it only names them.

    Of several, one called "image" or the like; a mask is rarely called so.
    """
    opened = _open(path)
    for field in sorted(opened.schema_arrow, key=lambda field: field.name.lower() not in _USUAL):
        if _kind(field) and any(content for _, content in islice(_contents(path, opened, field), _LOOKED_AT)):
            return str(field.name)
    return None


def unpack(paths: Sequence[Path], column: str, names: Sequence[str]) -> tuple[Path, list[list[str]]]:
    """Write the pictures of tables into the user's cache, unless they are there already.

    Args:
        paths: the tables, each with the column.
        column: the column that holds pictures.
        names: a folder's name for each table, all different.

    Returns:
        The folder, and for each table the file of each of its rows, relative to the folder; "" for a row without one.

    Raises:
        DataError: a table cannot be read, there is no room on the disk, or it is made to fill the disk.
    """
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = hashlib.sha256(repr((facts, column, list(names))).encode()).hexdigest()[:16]
    folder = cache_folder() / "tables" / key
    if not (folder / _LIST).is_file():
        try:
            _fill(folder, paths, column, names)
        except OSError as error:
            raise DataError(
                f"the pictures in {paths[0]} cannot be unpacked into {folder.parent} ({error.strerror}): make room, or"
                " name another folder with the environment variable PHOTOVISION_CACHE"
            ) from None
    files: list[list[str]] = json.loads((folder / _LIST).read_text(encoding="utf-8"))
    return folder, files


def _fill(folder: Path, paths: Sequence[Path], column: str, names: Sequence[str]) -> None:
    """Make the folder of pictures; it is there as a whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
        new = Path(temporary) / folder.name
        written = [_written(path, column, new, name) for path, name in zip(paths, names, strict=True)]
        write_text(new / _LIST, json.dumps(written))
        try:
            new.rename(folder)
        except OSError:
            if not (folder / _LIST).is_file():  # else another process was quicker
                raise


def _written(path: Path, column: str, folder: Path, name: str) -> list[str]:
    """Write the pictures of one table below `folder`; their files relative to it."""
    opened = _open(path)
    field = opened.schema_arrow.field(column)
    (folder / name).mkdir(parents=True)
    files, left = [], path.stat().st_size * _GROWTH + _SLACK
    for number, (called, content) in enumerate(_contents(path, opened, field)):
        if not content:
            files.append("")
            continue
        left -= len(content)
        if left < 0:
            raise DataError(f"{path} unpacks to more than {_GROWTH} times its size, which no pictures do: leave it out")
        file = f"{name}/{number:08d}{_suffix(content, called)}"
        (folder / file).write_bytes(content)
        files.append(file)
    return files


def _contents(
    path: Path, opened: pyarrow.parquet.ParquetFile, field: pyarrow.Field
) -> Iterator[tuple[str, bytes | None]]:
    """The name, "" if none, and the bytes of every picture, a few at a time in memory."""
    try:
        for group in range(opened.num_row_groups):  # asked for all of them at once, pyarrow reads all of them at once
            for batch in opened.iter_batches(_AT_ONCE, row_groups=[group], columns=[field.name]):
                for cell in batch.column(0):
                    value = cell.as_py()
                    inner = value if isinstance(value, dict) else {"bytes": value}
                    yield str(inner.get("path") or ""), inner.get("bytes")
    except (OSError, ValueError, NotImplementedError) as error:
        raise _unreadable(path, error) from None


def _kind(field: pyarrow.Field) -> str:
    """ "struct" for {bytes, path}, "binary" for bytes, "" for a column that cannot hold pictures."""
    import pyarrow

    if not pyarrow.types.is_struct(field.type):
        return "binary" if _is_binary(field.type) else ""
    inner = {part.name: part.type for part in field.type}
    return "struct" if "path" in inner and "bytes" in inner and _is_binary(inner["bytes"]) else ""


def _is_binary(kind: pyarrow.DataType) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _suffix(content: bytes, called: str) -> str:
    """A suffix for a picture's file: that of its name, else by how it begins; .jpg where neither tells."""
    own = os.path.splitext(called)[1].lower()
    if own in SUFFIXES:
        return own
    return next((suffix for start, suffix in _BEGINNINGS.items() if content.startswith(start)), ".jpg")


def _features(schema: pyarrow.Schema) -> dict[str, Any]:
    """What the Hub's metadata say of every column; {} where there are none, or they make no sense."""
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _class_names(feature: Any) -> list[str] | None:
    """The names of a ClassLabel, or of a list of them; None for any other feature."""
    if isinstance(feature, list) and len(feature) == 1:
        return _class_names(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return _class_names(feature.get("feature"))
    names = feature.get("names")
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if named and feature.get("_type") == "ClassLabel" else None


def _named(path: Path, column: str, value: Any, names: Sequence[str]) -> Any:
    """The name of a class for its number; -1 is the Hub's word for unknown."""
    if isinstance(value, list):
        return [_named(path, column, one, names) for one in value]
    if not isinstance(value, int) or value == -1:
        return None if isinstance(value, int) else value
    if not 0 <= value < len(names):
        raise DataError(f"{path}: the column '{column[:80]}' has the class {value}, but names only {len(names)}")
    return names[value]


def _open(path: Path) -> pyarrow.parquet.ParquetFile:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "reading Parquet tables") from None
    try:
        return pyarrow.parquet.ParquetFile(path, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [""])[0][:150]
    return DataError(f"{path} is not a readable Parquet file ({reason}): write it again")


def shards_in(folder: Path) -> list[tuple[Path, str | None]]:
    """The Parquet files of a folder as the Hub names them, with the split that each belongs to.

    train.parquet, data/train-00000-of-00002.parquet, train/0000.parquet, or these in the folder of one configuration.
    Raises DataError where there are several configurations.
    """
    inner = [entry for entry in islice(sorted(folder.iterdir()), _FOLDERS) if entry.is_dir()]
    own = _shards_at(folder)
    configurations = {} if own else {entry: found for entry in inner if (found := _shards_at(entry))}
    if len(configurations) > 1:
        named = ", ".join(sorted(entry.name for entry in configurations))
        raise DataError(f"{folder} holds several configurations of a data set ({named[:200]}): name the folder of one")
    return own or next(iter(configurations.values()), [])


def missing_shards(paths: Sequence[Path]) -> list[str]:
    """A line for each set of shards of which some are not there."""
    there = Counter((_SHARD.sub("", path.stem), int(found[1])) for path in paths if (found := _SHARD.search(path.stem)))
    return [
        f"{total - count:,} of the {total:,} shards of '{name[:80]}' are not there, and their pictures are missing"
        for (name, total), count in there.items()
        if count < total
    ]


def _shards_at(folder: Path) -> list[tuple[Path, str | None]]:
    found: list[tuple[Path, str | None]] = []
    for name in sorted(os.listdir(folder)) if not folder.name.startswith(".") else ():
        base, suffix = os.path.splitext(name)
        if suffix.lower() in PICTURES:  # of which there may be many
            continue
        stem = _SHARD.sub("", base)
        if suffix.lower() == ".parquet" and (stem != base or split_named(stem)):
            found.append((folder / name, split_named(stem)))
        elif split_named(name) and (folder / name).is_dir():
            found += [(file, split_named(name)) for file in sorted((folder / name).glob("*.parquet"))]
    return found
