"""The index of tar shards: where every picture lies, what it is and its label, as columns that are mapped from a file.

`index.arrow` (Arrow's IPC file format, not compressed, so that it is mapped and not read) lies beside shards that
`photovision shards` wrote, with the same rows in `index.parquet` for other programs. Of other shards it is made once
and kept in the user's cache. Opening it takes the same time and memory whatever the number of rows.

    shard int32 | offset int64 | length int64 | id string | label int32 (-1: unknown) | sha1 binary | group string
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from photovision.core.address import member_path
from photovision.core.errors import DataError, MissingExtra
from photovision.core.types import Ints, Sample
from photovision.data.dataset import ColumnSamples

INDEX = "index.arrow"
_VERSION = 1
_FACTS = b"photovision"
_ROWS = 1 << 17
"""Rows of a batch of the file."""
COLUMNS = ("shard", "offset", "length", "id", "label", "sha1", "group")
MAX_CLASSES = 1 << 20


@dataclass
class IndexFacts:
    """What an index says beside its rows.

    Attributes:
        shards: names of the tar files, in order.
        targets: the different targets of pictures, which `label` counts.
        classes: names, in their order.
        multilabel: whether a picture may have several labels.
        splits: name -> (first row, row after the last).
        group: what the column `group` tells, such as "patient"; "" where there are none.
        problems: files that were left out, as (id, kind, message).
    """

    shards: list[str] = field(default_factory=list)
    targets: list[list[str]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    multilabel: bool = False
    splits: dict[str, tuple[int, int]] = field(default_factory=dict)
    group: str = ""
    problems: list[tuple[str, str, str]] = field(default_factory=list)


class IndexWriter:
    """Writes an index row by row, in little memory; a context manager.

    Args:
        path: the new file.

    Attributes:
        facts: written at the end, with what it holds then.
    """

    def __init__(self, path: Path) -> None:
        arrow = _arrow()
        self.facts, self.count = IndexFacts(), 0
        kinds = (arrow.int32, arrow.int64, arrow.int64, arrow.string, arrow.int32, arrow.binary, arrow.string)
        self._schema = arrow.schema([(name, kind()) for name, kind in zip(COLUMNS, kinds, strict=True)])
        self._arrow = arrow
        self._rows: list[tuple[int, int, int, str, int, bytes, str]] = []
        self._writer = arrow.ipc.new_file(str(path), self._schema)

    def add(
        self, shard: int, offset: int, length: int, id: str, label: int, sha1: bytes = b"", group: str = ""
    ) -> None:
        """One picture more."""
        self._rows.append((shard, offset, length, id, label, sha1, group))
        self.count += 1
        if len(self._rows) == _ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            pairs = zip(zip(*self._rows, strict=True), self._schema, strict=True)
            columns = [self._arrow.array(values, one.type) for values, one in pairs]
            self._writer.write_batch(self._arrow.RecordBatch.from_arrays(columns, schema=self._schema))
        self._rows = []

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self._flush()
            content = json.dumps({"version": _VERSION, **vars(self.facts)}).encode()
            facts = self._arrow.RecordBatch.from_arrays(self._last(content), schema=self._schema)
            self._writer.write_batch(facts)
        self._writer.close()

    def _last(self, content: bytes) -> list[Any]:
        """The last row of the file, which holds the facts: they are known only when all rows are."""
        values: list[Any] = [-1, 0, 0, _FACTS.decode(), -1, content, ""]
        return [self._arrow.array([value], one.type) for value, one in zip(values, self._schema, strict=True)]


class ShardSamples(ColumnSamples):
    """Samples of an index, which lies on the disk.

    Args:
        path: the index.
        root: where the shards lie, a folder or a `RemotePath`.

    Raises:
        DataError: it is none, or damaged.
    """

    def __init__(self, path: Path, root: Path) -> None:
        arrow = _arrow()
        try:
            reader = arrow.ipc.open_file(arrow.memory_map(str(path)))
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            last = batches.pop()
            facts = json.loads(last.column(5)[0].as_py())
            version = facts.pop("version")
            self.facts = IndexFacts(**facts)
            if version != _VERSION or last.column(3)[0].as_py() != _FACTS.decode():
                raise ValueError(f"version {version}")
            if any("/" in name or name in ("", "..") for name in self.facts.shards):
                raise ValueError("it names shards outside of its folder")
        except (OSError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError) as error:
            line = (str(error).splitlines() or ["damaged"])[0][:100]
            raise DataError(f"{path} is no index of shards ({line}): delete it, or write the shards again") from None
        self.path, self.root, self._batches = path, root, batches
        self._starts = [0, *np.cumsum([batch.num_rows for batch in batches]).tolist()]
        self.targets = tuple(tuple(target) for target in self.facts.targets)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def sample(self, row: int) -> Sample:
        """One of the samples, by its row."""
        number = bisect_right(self._starts, row) - 1
        place = row - self._starts[number]
        shard, offset, length, name, label, _, group = (c[place].as_py() for c in self._batches[number].columns)
        if not (0 <= shard < len(self.facts.shards) and -1 <= label < len(self.targets) and offset >= 0 <= length):
            raise DataError(f"{self.path}: row {row:,} names no shard or label that there is: write the shards again")
        groups = {self.facts.group: group} if self.facts.group and group else {}
        path = member_path(self.root / self.facts.shards[shard], offset, length, name)
        return Sample(name, path, None if label < 0 else self.targets[label], groups)

    def codes(self) -> Ints:
        """int64 (N,): which of `targets` every sample has; -1 where the truth is unknown."""
        return self.column("label").astype(np.int64)

    def column(self, name: str) -> np.ndarray:
        """A column of numbers, (N,)."""
        parts = [batch.column(name).to_numpy() for batch in self._batches]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def at(self, positions: Ints) -> ColumnSamples:
        """The samples at these positions, int64 (M,), in that order."""
        return ChosenSamples(self, positions)

    def shard_rows(self) -> list[range]:
        """The rows of each shard, which lie one after the other."""
        ends = np.searchsorted(self.column("shard"), np.arange(len(self.facts.shards) + 1)).tolist()
        return [range(start, stop) for start, stop in pairwise(ends)]

    def digest(self) -> bytes:
        """The SHA-256 of the index, once read."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def __reduce__(self) -> tuple[type[ShardSamples], tuple[Path, Path]]:
        return ShardSamples, (self.path, self.root)


class ChosenSamples(ColumnSamples):
    """Some of the samples of an index, in any order; 8 bytes each.

    Args:
        samples: all of them.
        positions: int64 (M,).
        labelled: whether they keep their targets.

    Attributes:
        whole: all of them.
    """

    def __init__(self, samples: ColumnSamples, positions: Ints, labelled: bool = True) -> None:
        self.whole, self._positions, self._labelled = samples, positions, labelled
        self.targets = samples.targets if labelled else ()

    def __len__(self) -> int:
        return len(self._positions)

    def sample(self, row: int) -> Sample:
        """One of the samples, by its row."""
        sample = self.whole[int(self._positions[row])]
        return sample if self._labelled else Sample(sample.id, sample.image, None, sample.groups)

    def codes(self) -> Ints:
        """int64 (M,): which of `targets` every sample has; -1 where the truth is unknown."""
        return self.whole.codes()[self._positions] if self._labelled else np.full(len(self), -1)

    def at(self, positions: Ints) -> ColumnSamples:
        """The samples at these positions, int64 (K,), in that order."""
        return ChosenSamples(self.whole, self._positions[positions], self._labelled)

    def digest(self) -> bytes:
        """Of all samples, and of which these are."""
        return hashlib.sha256(self.whole.digest() + self._positions.tobytes()).digest()


def splits_of(facts: IndexFacts) -> Mapping[str, Sequence[int]]:
    """Name of a split -> its rows."""
    return {name: range(start, stop) for name, (start, stop) in facts.splits.items()}


def rows_of(path: Path) -> Iterator[Any]:
    """The batches of an index, without the row of its facts."""
    reader = _arrow().ipc.open_file(_arrow().memory_map(str(path)))
    for number in range(reader.num_record_batches - 1):
        yield reader.get_batch(number)


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise MissingExtra("pyarrow", "reading tar shards") from None
    return pyarrow
