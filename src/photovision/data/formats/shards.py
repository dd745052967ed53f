"""Tar shards in webdataset's layout: each picture beside files of its key that say what it is.

    train-000000.tar                    000000017.jpg     the picture
    train-000001.tar                    000000017.json    "label" or "labels", "id", "group"
    val-000000.tar                      000000017.cls     or .txt: its class, a name or a number

A folder of them, one of them, or an address such as s3://bucket/shards, where the index lies beside them. They are not
unpacked: pictures are read where they lie, by an index (see `shard_index`) that is written once. Files that begin with
"train", "val" or "test" are these splits.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from photovision.core.address import RemotePath
from photovision.core.errors import DataError, UsageError
from photovision.core.files import open_regular, put, read_file
from photovision.core.image_formats import SUFFIXES
from photovision.core.system import cache_folder
from photovision.data.dataset import Dataset, Problem
from photovision.data.formats import Format, clean, ordered
from photovision.data.formats.split_names import split_named
from photovision.data.read_options import DEFAULTS, ReadOptions
from photovision.data.shard_index import INDEX, MAX_CLASSES, IndexWriter, ShardSamples, splits_of

BESIDE = (".json", ".cls", ".txt")
"""Suffixes of the files that tell the class of a picture, the first that is there counts."""
_MAX_TEXT = 1 << 20
_LOOKED_AT = 60
_NUMBER = re.compile(r"[-_.]?\d+$")


class ShardEntry(NamedTuple):
    """One picture of a shard: its place there, its name, and its class where a file beside it tells one."""

    offset: int
    length: int
    name: str
    target: list[str] | None
    group: str


def detects(path: Path) -> bool:
    """A folder with an index, or tar files whose pictures have files of the same key beside them."""
    if path.is_dir():
        shards = [] if (path / INDEX).is_file() else _shards_in(path)
        return (path / INDEX).is_file() or (bool(shards) and _is_shard(shards[0]))
    return path.suffix == ".tar" and path.is_file() and _is_shard(path)


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read the index of shards, which is made and kept where there is none."""
    if path.is_dir() and (path / INDEX).is_file():
        return _dataset(ShardSamples(path / INDEX, path))
    shards = _shards_in(path) if path.is_dir() else [path]
    if not shards:
        raise DataError(f"{path} holds no tar shards: give a folder of .tar files, or one of them")
    facts = [(str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns) for one in shards]
    known = cache_folder() / "indexes" / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}.arrow"
    if not known.is_file():
        known.parent.mkdir(parents=True, exist_ok=True)
        part = known.with_suffix(f".{hashlib.sha256(repr(id(facts)).encode()).hexdigest()[:8]}")
        try:
            _write_index(shards, part)
            put(part, known)
        finally:
            part.unlink(missing_ok=True)
    return _dataset(ShardSamples(known, shards[0].parent))


def read_at(address: str) -> Dataset:
    """The shards at an address, whose index is fetched and kept; raises DataError where none lies there."""
    root = RemotePath(address)
    content = read_file(root / INDEX)
    known = cache_folder() / "indexes" / f"{hashlib.sha256(content).hexdigest()[:16]}.arrow"
    known.parent.mkdir(parents=True, exist_ok=True)
    if not known.is_file():
        part = known.with_suffix(".part")
        part.write_bytes(content)
        put(part, known)
    return _dataset(ShardSamples(known, root))


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/[split-]000000.tar and their index, see `data.shards`."""
    from photovision.data.shards import shards as pack

    pack(dataset, path)


def _dataset(samples: ShardSamples) -> Dataset:
    facts = samples.facts
    problems = tuple(Problem(*problem) for problem in facts.problems)
    return Dataset(samples, tuple(facts.classes), splits_of(facts), facts.multilabel, problems, "shards")


def _shards_in(folder: Path) -> list[Path]:
    """The tar files of a folder, those of one split after the other."""
    found = [path for path in folder.iterdir() if path.suffix == ".tar" and not path.name.startswith(".")]
    return sorted(found, key=lambda path: (_split(path) or "", path.name))


def _split(shard: Path) -> str | None:
    return split_named(_NUMBER.sub("", shard.stem))


def _is_shard(path: Path) -> bool:
    """Whether the first pictures have files that tell their classes."""
    try:
        return any(entry.target is not None for entry in islice(entries_of(path), _LOOKED_AT))
    except (DataError, OSError):
        return False


def entries_of(shard: Path) -> Iterator[ShardEntry]:
    """The pictures of a shard, in order; nothing but heads and texts is read.

    Raises DataError for what is no whole tar file, or compressed.
    """
    try:
        with open_regular(shard) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for _, members in groupby(_members(archive), lambda member: _key(member.name)):
                yield from _entries(file, list(members))
    except tarfile.TarError as error:
        raise DataError(f"{shard} is no whole tar file ({str(error)[:80]}): copy it again, or unpack it") from None


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # it would keep all
        if member.isfile() and not member.issparse() and not member.name.rpartition("/")[2].startswith("."):
            yield member


def _key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _entries(file: BinaryIO, members: list[tarfile.TarInfo]) -> Iterator[ShardEntry]:
    """The pictures of one key; the class is that of all of them."""
    suffixes = {Path(member.name).suffix.lower(): member for member in members}
    place, target, id, group = file.tell(), None, "", ""
    for suffix in BESIDE:
        member = suffixes.get(suffix)
        if member is None or member.size > _MAX_TEXT:
            continue
        file.seek(member.offset_data)
        text = file.read(member.size).decode("utf-8", "replace").strip()
        found, own, belongs = _facts(text) if suffix == ".json" else ([clean(text)] if text else None, "", "")
        target, id, group = found if target is None else target, own or id, belongs or group
    file.seek(place)
    for member in members:
        if Path(member.name).suffix.lower() in SUFFIXES:
            yield ShardEntry(member.offset_data, member.size, id or member.name, target, group)


def _facts(text: str) -> tuple[list[str] | None, str, str]:
    """Classes, id and group of a JSON file beside a picture; what is not understood of it says nothing."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return None, "", ""
    if not isinstance(facts, dict):
        return None, "", ""
    label = next((facts[name] for name in ("labels", "label", "class", "cls") if name in facts), None)
    several = label if isinstance(label, list) else [] if label is None else [label]
    names = [clean(str(one)) for one in several if isinstance(one, str | int)]
    own, group = facts.get("id"), facts.get("group")
    return (
        (names if label is not None else None),
        own if isinstance(own, str) else "",
        group if isinstance(group, str) else "",
    )


def _write_index(shards: list[Path], path: Path) -> None:
    """Make the index of shards that have none."""
    with IndexWriter(path) as index:
        codes: dict[tuple[str, ...], int] = {}
        facts = index.facts
        for number, shard in enumerate(shards):
            start, facts.shards = index.count, [*facts.shards, shard.name]
            for entry in entries_of(shard):
                code = -1 if entry.target is None else codes.setdefault(tuple(entry.target), len(codes))
                if len(codes) > MAX_CLASSES:
                    raise DataError(f"{shard}: the texts beside pictures are captions, not classes")
                facts.group = "group" if entry.group else facts.group
                index.add(number, entry.offset, entry.length, f"{shard.name}/{entry.name}", code, b"", entry.group)
            split = _split(shard)
            if split is not None:
                facts.splits[split] = (facts.splits.get(split, (start, 0))[0], index.count)
        if not index.count:
            raise DataError(f"{shards[0]} holds no pictures ({', '.join(sorted(SUFFIXES)[:6])} ...): check the path")
        facts.targets = [list(target) for target in codes]
        facts.classes = list(ordered(name for target in codes for name in target))
        facts.multilabel = any(len(target) != 1 for target in codes)


def check_labels(dataset: Dataset) -> None:
    """Raise UsageError for what shards do not hold."""
    if dataset.annotation_type != "labels":
        raise UsageError("shards hold classes, no boxes, masks or defects: convert the data to another format")


FORMAT = Format(detects, read, write, frozenset(("splits", "several", "unknown", "plain")))
