"""Tar shards of a data set: pictures as they are in tars of 64 to 256 MB, which any program reads, with an index.

Each picture is NNNNNNNNN.jpg beside NNNNNNNNN.cls, the number of its class, and NNNNNNNNN.json with its id, labels and
group, as webdataset, Ray Data, DALI and datasets expect them. `index.parquet` has a row for each: uri, offset, length,
sha1, label, group, id, split.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.files import read_file
from photovision.core.folder import new_folder
from photovision.core.image_formats import SUFFIXES, format_of
from photovision.core.parallel import in_order
from photovision.core.progress import ProgressCallback
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.formats.shards import check_labels
from photovision.data.sessions import PATIENT
from photovision.data.shard_index import INDEX, IndexWriter, rows_of

PARQUET = "index.parquet"
SIZE = 128
MIN_SIZE, MAX_SIZE = 1, 4096
"""Megabytes of a shard: usual is 64 to 256."""
_BLOCK = 512


@dataclass(frozen=True)
class ShardsWritten:
    """What was written: shards, pictures and their bytes, and the files that were left out, with the reason."""

    shards: int
    pictures: int
    bytes: int
    left_out: tuple[tuple[str, str], ...]


class _Content(NamedTuple):
    content: bytes
    suffix: str


def shards(
    dataset: Dataset, path: Path, *, size: int = SIZE, group: str = "", progress: ProgressCallback | None = None
) -> ShardsWritten:
    """Write a data set as tar shards with their index, all of it or nothing.

    Args:
        dataset: of pictures with classes, or without any.
        path: the new folder.
        size: megabytes of a shard.
        group: the attribute that becomes the column "group", such as "site"; "" for the patient, else
            the first that samples have.
        progress: called with (pictures written, N).

    Raises:
        UsageError: boxes or masks, a size out of bounds, or something of the user's is in the way.
        DataError: there is no picture to write.
    """
    check_labels(dataset)
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise UsageError(f"a shard should have {MIN_SIZE} to {MAX_SIZE:,} megabytes, got {size}")
    with new_folder(path, "data set") as folder:
        with IndexWriter(folder / INDEX) as index:
            done = _Shards(dataset, folder, index, size << 20, group).write(progress)
        _write_parquet(folder)
        return done


class _Shards:
    """The writing of one data set."""

    def __init__(self, dataset: Dataset, folder: Path, index: IndexWriter, size: int, group: str) -> None:
        self.dataset, self.folder, self.index, self.size, self.group = dataset, folder, index, size, group
        self.codes: dict[tuple[str, ...], int] = {}
        self.left_out: list[tuple[str, str]] = []
        self.bytes = 0

    def write(self, progress: ProgressCallback | None) -> ShardsWritten:
        facts, done = self.index.facts, 0
        facts.classes, facts.multilabel = list(self.dataset.classes), self.dataset.multilabel
        for split, positions in _by_split(self.dataset):
            start = self.index.count
            samples = (self.dataset.samples[int(position)] for position in positions)
            self._write_split(split or "data", in_order(samples, _content), done, progress)
            done += len(positions)
            if split:
                facts.splits[split] = (start, self.index.count)
        if not self.index.count:
            raise DataError("no picture could be read, so there is nothing to write: run photovision check on the data")
        facts.targets = [list(target) for target in self.codes]
        facts.problems = [(id, "left out", why) for id, why in self.left_out[:1000]]
        return ShardsWritten(len(facts.shards), self.index.count, self.bytes, tuple(self.left_out))

    def _write_split(
        self,
        name: str,
        pictures: Iterator[tuple[Sample, _Content | UnreadableImage]],
        done: int,
        progress: ProgressCallback | None,
    ) -> None:
        file: BinaryIO | None = None
        number = 0
        try:
            for count, (sample, found) in enumerate(pictures, 1):
                if progress is not None:
                    progress(done + count, len(self.dataset))
                if isinstance(found, UnreadableImage):
                    self.left_out.append((sample.id, str(found)))
                    continue
                if file is None or file.tell() >= self.size:
                    file = self._next(file, f"{name}-{number:06d}.tar")
                    number += 1
                self._add(file, sample, found)
        finally:
            self._end(file)

    def _next(self, file: BinaryIO | None, name: str) -> BinaryIO:
        self._end(file)
        self.index.facts.shards.append(name)
        return (self.folder / name).open("xb")

    def _end(self, file: BinaryIO | None) -> None:
        if file is not None:
            file.write(bytes(2 * _BLOCK))
            self.bytes += file.tell()
            file.close()

    def _add(self, file: BinaryIO, sample: Sample, found: _Content) -> None:
        key, classes = f"{self.index.count:09d}", self.dataset.classes
        group = self._group(sample)
        offset = _member(file, key + found.suffix, found.content)
        code = -1
        if sample.target is not None:
            code = self.codes.setdefault(sample.target, len(self.codes))
            if len(sample.target) == 1:
                _member(file, f"{key}.cls", str(classes.index(sample.target[0])).encode())
        facts = {"id": sample.id, "labels": sample.target, "group": group}
        _member(file, f"{key}.json", json.dumps({k: v for k, v in facts.items() if v is not None}).encode())
        digest = hashlib.sha1(found.content, usedforsecurity=False).digest()
        name = sample.id if Path(sample.id).suffix.lower() in SUFFIXES else sample.id + found.suffix
        shard = len(self.index.facts.shards) - 1
        self.index.add(shard, offset, len(found.content), name, code, digest, group)

    def _group(self, sample: Sample) -> str:
        facts = self.index.facts
        first = PATIENT if PATIENT in sample.groups else next(iter(sample.groups), "")
        facts.group = facts.group or self.group or first
        return sample.groups.get(facts.group, "")


def _by_split(dataset: Dataset) -> Iterator[tuple[str, Sequence[int]]]:
    """The positions of each split, and under "" of those in none, where there are some."""
    yield from dataset.splits.items()
    if not dataset.splits:
        yield "", range(len(dataset))
        return
    free = np.ones(len(dataset), dtype=bool)
    for positions in dataset.splits.values():
        free[np.asarray(positions, np.int64)] = False
    if free.any():
        yield "", np.flatnonzero(free).tolist()


def _content(sample: Sample) -> _Content | UnreadableImage:
    """The bytes of a picture as they are; pixels as PNG. What only has the name of a picture is not copied."""
    try:
        if isinstance(sample.image, np.ndarray):
            file = io.BytesIO()
            Pillow.fromarray(sample.image).save(file, "PNG")
            return _Content(file.getvalue(), ".png")
        content = read_file(sample.image)
        kind = format_of(io.BytesIO(content))
    except UnreadableImage as error:
        return error
    except DataError as error:
        return UnreadableImage(str(error))
    except OSError as error:
        return UnreadableImage(f"cannot be opened ({error.strerror})")
    suffix = sample.image.suffix.lower()
    return _Content(content, suffix if suffix in SUFFIXES else f".{kind.lower()}")


def _member(file: BinaryIO, name: str, content: bytes) -> int:
    """Append a member; the place of its bytes. Without times and owners, so that equal data make equal shards."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    file.write(info.tobuf(tarfile.USTAR_FORMAT))
    offset = file.tell()
    file.write(content)
    file.write(bytes(-len(content) % _BLOCK))
    return offset


def _write_parquet(folder: Path) -> None:
    """The index for other programs."""
    import pyarrow as arrow
    import pyarrow.parquet

    from photovision.data.shard_index import ShardSamples

    facts = ShardSamples(folder / INDEX, folder).facts
    text = arrow.string()
    fields = [("uri", text), ("offset", arrow.int64()), ("length", arrow.int64()), ("sha1", text), ("label", text)]
    schema = arrow.schema([*fields, ("group", text), ("id", text), ("split", text)])
    labels = ["|".join(target) for target in facts.targets]
    start = 0
    with pyarrow.parquet.ParquetWriter(folder / PARQUET, schema) as writer:
        for batch in rows_of(folder / INDEX):
            shard, offset, length, id, label, sha1, group = (batch.column(number) for number in range(7))
            columns = {
                "uri": [facts.shards[number] for number in shard.to_pylist()],
                "offset": offset,
                "length": length,
                "sha1": [one.hex() for one in sha1.to_pylist()],
                "label": [labels[code] if code >= 0 else None for code in label.to_pylist()],
                "group": group,
                "id": id,
                "split": [_split_at(facts.splits, row) for row in range(start, start + batch.num_rows)],
            }
            writer.write_table(arrow.table(columns, schema=schema))
            start += batch.num_rows


def _split_at(splits: dict[str, tuple[int, int]], row: int) -> str | None:
    return next((name for name, (start, stop) in splits.items() if start <= row < stop), None)
