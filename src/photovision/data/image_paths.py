"""Pictures: from what a person types (files, folders, patterns, `-`) to picture files, one after the other."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from photovision.core.errors import DataError
from photovision.core.image_formats import SUFFIXES, is_picture
from photovision.core.types import Sample

if TYPE_CHECKING:
    from photovision.data.dataset import Dataset

VIDEOS = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv"))
"""Endings of video files."""


def find_pictures(sources: Iterable[str], lines: Iterable[str] = ()) -> Iterator[str]:
    """Yield paths of picture files in a fixed order, with the names of one folder or pattern in memory at most.

    Args:
        sources: files, which are taken whatever they are called and whether or not they exist; folders, searched
            to the bottom for files that are called like pictures; patterns with `*`, `?` or `**`; "-" for `lines`.
        lines: file names, one a line, such as standard input.

    Raises:
        DataError: a folder or a pattern holds no picture.

    Example:
        >>> list(find_pictures(["a.jpg", "-"], ["b.png", ""]))
        ['a.jpg', 'b.png']
    """
    for source in sources:
        if source == "-":
            yield from (name for name in (line.rstrip("\r\n") for line in lines) if name)
        elif (shards := _shards_at(source)) is not None:
            yield from (str(sample.image) for sample in shards.samples)
        elif os.path.isdir(source):
            yield from _some(walk(source), f"the folder {source} holds no pictures ({_endings()})")
        elif is_pattern(source):
            found = sorted(path for path in glob.iglob(source, recursive=True) if is_picture(path))
            yield from _some(iter(found), f"no picture fits the pattern {source}")
        else:
            yield source


def _shards_at(source: str) -> Dataset | None:
    """The pictures of tar shards, a folder of them or one; None for anything else."""
    if not (source.endswith(".tar") or os.path.isdir(source)):
        return None
    from photovision.data.formats import FORMATS  # here, because single files start faster without them

    shards = FORMATS.load("shards")
    dataset: Dataset | None = shards.read(Path(source)) if shards.detects(Path(source)) else None
    return dataset


def is_pattern(source: str) -> bool:
    """Whether a text has the signs of a pattern and is no file's name."""
    return glob.has_magic(source) and not os.path.lexists(source)


def walk(folder: str | Path) -> Iterator[str]:
    """Picture files in a folder and the folders in it, sorted by name; hidden ones are left out, links followed."""
    from photovision.data.formats.tree import JUNK  # here, because single files start faster without it

    yield from _walk(os.fspath(folder), JUNK, frozenset())


def strangers(folder: str | Path) -> Dataset:
    """Pictures of something else as a dataset whose classes are the folders that they lie in; raises DataError."""
    from photovision.data.dataset import Dataset

    top = Path(folder)
    if not top.is_dir():
        raise DataError(f"{folder} is not a folder: give a folder of pictures of something else")
    paths = [Path(path) for path in _some(walk(top), f"the folder {folder} holds no pictures ({_endings()})")]
    names = [path.relative_to(top).parts[0] if path.parent != top else top.name or "pictures" for path in paths]
    samples = tuple(
        Sample(path.relative_to(top).as_posix(), path, (name,)) for path, name in zip(paths, names, strict=True)
    )
    return Dataset(samples, tuple(sorted(set(names))))


def _walk(folder: str, junk: frozenset[str], above: frozenset[tuple[int, int]]) -> Iterator[str]:
    facts = os.stat(folder)
    here = (facts.st_dev, facts.st_ino)
    if here in above:  # a link back to a folder that contains it
        return
    folders, files = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in junk:
                    continue
                try:
                    if entry.is_dir():
                        folders.append(entry.name)
                    elif is_picture(entry.path) and entry.is_file():
                        files.append(entry.name)
                except OSError:  # a link that leads to itself is left out, as one that leads nowhere is
                    continue
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read ({error.strerror}): check its permissions") from None
    for name in sorted(files):
        yield os.path.join(folder, name)
    for name in sorted(folders):
        yield from _walk(os.path.join(folder, name), junk, above | {here})


def _some(found: Iterator[str], message: str) -> Iterator[str]:
    first = next(found, None)
    if first is None:
        raise DataError(f"{message}: check the path")
    yield first
    yield from found


def _endings() -> str:
    return ", ".join(sorted(SUFFIXES))
