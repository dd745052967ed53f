"""Predictions for any number of pictures by any number of processes: a folder that they share, and nothing else.

    OUT/work.json            the model, the data, the options, and the units of work: rows of the data, those of a shard
    OUT/results/000017.parquet   the finished unit 17, written whole or not at all: id, prediction (JSON), error
    OUT/.000017.lock         the unit that a process works on; the system frees it, however the process ends

A process takes any unit that is neither finished nor held, until all are finished, so processes may join and leave at
any time, and one that is killed costs its unit at most. A result is named by its unit, so every picture is answered
exactly once. Where a file system cannot lock (some network drives), a unit may be computed twice; its result is equal.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.address import RemotePath, is_address, member_at, member_path
from photovision.core.errors import DataError, MissingExtra, UsageError
from photovision.core.files import beside, read_file, write_bytes, write_json
from photovision.core.lock import Lock
from photovision.core.progress import ProgressCallback
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.shard_index import ChosenSamples, ShardSamples
from photovision.data.unlabelled import read_unlabelled
from photovision.engine.load import load

WORK = "work.json"
RESULTS = "results"
UNIT = 1000
"""Pictures of a unit, where the data are no shards."""
_PAUSE = 0.2
_VERSION = 1


@dataclass(frozen=True)
class WorkList:
    """What is to be predicted.

    Attributes:
        folder: that the processes share.
        model: the bundle's folder; model_digest: SHA-256 of its description.
        data: a path or an address; fingerprint: of the data set.
        units: (first row, row after the last) of each.
        loading: options of `load`; choices: of `with_options`.
        batch_size: images a call of the network; None: the default of the task.
    """

    folder: Path
    model: str
    model_digest: str
    data: str
    fingerprint: str
    units: tuple[tuple[int, int], ...]
    loading: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    batch_size: int | None = None

    def result(self, unit: int) -> Path:
        """The file of a finished unit."""
        return self.folder / RESULTS / f"{unit:06d}.parquet"

    def finished(self) -> set[int]:
        """The units that are finished."""
        names = os.listdir(self.folder / RESULTS)
        return {int(name[:-8]) for name in names if name.endswith(".parquet") and name[:-8].isdigit()}

    @property
    def rows(self) -> int:
        """Pictures in all."""
        return self.units[-1][1]


def new_work(
    folder: Path,
    model: Path,
    data: str,
    *,
    loading: dict[str, Any] | None = None,
    choices: dict[str, Any] | None = None,
    batch_size: int | None = None,
) -> WorkList:
    """The work list in a folder, which is made, or continued where it is of the same model, data and options.

    Raises:
        UsageError: the folder holds something else.
        DataError, MissingExtra: as reading the data.
    """
    _arrow()
    place = data if is_address(data) else os.path.abspath(data)
    dataset = _read(place)
    work = WorkList(
        folder,
        os.path.abspath(model),
        _digest(model),
        place,
        dataset.fingerprint,
        tuple(_units(dataset)),
        {name: value for name, value in (loading or {}).items() if value is not None},
        choices or {},
        batch_size,
    )
    if (folder / WORK).is_file():
        known = open_work(folder)
        if _described(known) != _described(work):
            raise UsageError(f"{folder} holds predictions of another model, other data or options: name a new folder")
        return known
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty, and holds no work list: name a new folder")
    (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    write_json(folder / WORK, {"version": _VERSION, **_described(work)})
    return work


def open_work(folder: Path) -> WorkList:
    """The work list of a folder; raises UsageError where there is none."""
    try:
        facts = json.loads(read_file(folder / WORK))
        if facts.pop("version") != _VERSION:
            raise ValueError
        units = tuple((int(start), int(stop)) for start, stop in facts.pop("units"))
        choices = {name: tuple(v) if isinstance(v, list) else v for name, v in facts.pop("choices").items()}
        return WorkList(folder, units=units, choices=choices, **facts)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise UsageError(
            f"{folder} holds no work list: make one with photovision predict MODEL DATA --results {folder}"
        ) from None


def work_on(work: WorkList, progress: ProgressCallback | None = None) -> int:
    """Finish units until all are, those of others included; the number of units that this process finished.

    Args:
        work: the list.
        progress: called with (pictures of finished units, pictures in all).

    Raises:
        DataError, ModelError: the data or the model are not what the list was made for, or cannot be read.
    """
    if len(work.finished()) == len(work.units):
        return 0
    dataset = _read(work.data)
    if dataset.fingerprint != work.fingerprint or _digest(Path(work.model)) != work.model_digest:
        raise DataError(f"the data or the model of {work.folder} changed since it was begun: begin in a new folder")
    model = load(work.model, **work.loading)
    model = model.with_options(**work.choices) if work.choices else model
    own = 0
    while True:
        finished = work.finished()
        if progress is not None:
            progress(sum(work.units[unit][1] - work.units[unit][0] for unit in finished), work.rows)
        left = [unit for unit in range(len(work.units)) if unit not in finished]
        if not left:
            return own
        done = _finish_one(work, left, model, dataset)
        own += done
        if not done:  # others hold what is left, and may be killed
            time.sleep(_PAUSE)


def _finish_one(work: WorkList, left: Sequence[int], model: Any, dataset: Dataset) -> bool:
    """Finish the first unit that nobody holds; each process begins at another place."""
    start = os.getpid() * 7919 % len(left)
    for unit in (*left[start:], *left[:start]):
        lock = Lock(beside(work.folder / f"{unit:06d}", "lock"))
        if not lock.take(wait=False):
            continue
        try:
            if not work.result(unit).is_file():
                first, stop = work.units[unit]
                samples = [dataset.samples[row] for row in range(first, stop)]
                write_bytes(work.result(unit), _table(_predicted(model, samples, work.batch_size)))
                return True
        finally:
            lock.release()
    return False


def _predicted(model: Any, samples: Sequence[Sample], batch_size: int | None) -> Iterator[tuple[str, str, str]]:
    """(id, prediction as JSON, error) of every sample, in order."""
    with tempfile.TemporaryDirectory(prefix="photovision-") as folder:
        images = [sample.image for sample in _fetched(samples, Path(folder))]
        for sample, result in zip(samples, model.results(iter(images), batch_size=batch_size), strict=True):
            fields = result.to_json()
            error = fields.pop("error", "")
            fields["file"] = sample.id
            yield sample.id, "" if error else json.dumps(fields), error


def _fetched(samples: Sequence[Sample], folder: Path) -> list[Sample]:
    """Samples of a shard at an address, which is fetched as a whole; where it cannot be, each says so for itself."""
    found: list[Sample] = []
    local: dict[Path, Path] = {}
    for sample in samples:
        place = member_at(sample.image) if isinstance(sample.image, RemotePath) else None
        if place is None:
            found.append(sample)
            continue
        if place.shard not in local:
            local[place.shard] = folder / str(len(local))
            try:
                local[place.shard].write_bytes(read_file(place.shard))
            except DataError:
                local[place.shard] = place.shard
        path = member_path(local[place.shard], place.offset, place.length, sample.id)
        found.append(replace(sample, image=path))
    return found


def summary_of(work: WorkList) -> dict[str, Any]:
    """What the finished units hold: pictures, those without a prediction, the first few of these, and a digest.

    The digest is the same however many processes did the work.
    """
    digest, count, lost = hashlib.sha256(), 0, 0
    named: list[dict[str, str]] = []
    for unit in sorted(work.finished()):
        table = _arrow().parquet.read_table(work.result(unit))
        for row in zip(*(table.column(name).to_pylist() for name in ("id", "prediction", "error")), strict=True):
            digest.update(repr(row).encode())
            count, lost = count + 1, lost + bool(row[2])
            if row[2] and len(named) < 20:
                named.append({"id": row[0], "error": row[2]})
    return {"pictures": count, "unreadable": lost, "unreadable_first": named, "digest": digest.hexdigest()}


def _table(rows: Iterator[tuple[str, str, str]]) -> bytes:
    """The Parquet file of a unit."""
    arrow = _arrow()
    text, columns = arrow.string(), tuple(zip(*rows, strict=True))
    table = arrow.table({n: arrow.array(c, text) for n, c in zip(("id", "prediction", "error"), columns, strict=True)})
    file = io.BytesIO()
    arrow.parquet.write_table(table, file)
    return file.getvalue()


def _read(data: str) -> Dataset:
    return read_unlabelled(data).dataset


def _units(dataset: Dataset) -> Iterator[tuple[int, int]]:
    """The rows of each shard; else so many at a time."""
    shards = dataset.samples
    if isinstance(shards, ChosenSamples):  # without their labels
        shards = shards.whole
    if isinstance(shards, ShardSamples) and len(shards) == len(dataset):
        yield from ((rows.start, rows.stop) for rows in shards.shard_rows() if rows)
        return
    yield from ((start, min(start + UNIT, len(dataset))) for start in range(0, len(dataset), UNIT))


def _described(work: WorkList) -> dict[str, Any]:
    """A work list as JSON gives it back, without its folder."""
    facts = {name: value for name, value in vars(work).items() if name != "folder"}
    described: dict[str, Any] = json.loads(json.dumps(facts, default=_plain))
    return described


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _digest(model: Path) -> str:
    """Of the description of a bundle, which states what its graph must be."""
    return hashlib.sha256(read_file(model / "bundle.json")).hexdigest()


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "predicting into a folder of results") from None
    return pyarrow
