"""Duplicates: groups of pictures of which one would do; every pair was checked, no chain makes a group.

Candidates are files and pixels that are equal, near-duplicates by perceptual hash, and neighbours in either space;
each is compared pixel by pixel with the one that is kept. Frames of a burst and other pictures that are merely
alike are no duplicates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage
from photovision.core.progress import Listener, Progress, visible
from photovision.data.near_duplicates import near_pairs
from photovision.engine.progress import narrated
from photovision.retrieval.features import decoded
from photovision.retrieval.index import Index
from photovision.retrieval.search import open_index
from photovision.retrieval.store import IndexedFile
from photovision.retrieval.verdicts import SAME_FILE, SAME_PICTURE, Query, check_pair

MOVABLE = (SAME_FILE, SAME_PICTURE)
"""Verdicts of pictures that another one can stand in for; a crop and a turned picture may be wanted beside it."""
NEAR = {"copies": (0.3, 0.6), "likeness": (0.45, 0.75)}
"""Space -> cosines from which on neighbours are compared pixel by pixel, as whole pictures and as crops, too.

In a folder of few pictures, or of many copies of each, whitening leaves little of what copies have in common."""
_NEIGHBOURS = 10
_PART = 1024
_OPEN = 64  # decoded pictures that are kept for the next pair
_STAGE = "comparing"


class Duplicate(NamedTuple):
    """A picture that another one can stand in for.

    Attributes:
        file: its path.
        verdict: what it is of the picture that is kept.
    """

    file: str
    verdict: str


class DuplicateGroup(NamedTuple):
    """A picture, and those that are the same.

    Attributes:
        kept: path of the largest, of equally large ones the one with most bytes, then of the oldest.
        duplicates: the others, each checked against it.
    """

    kept: str
    duplicates: tuple[Duplicate, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"kept": self.kept, "duplicates": [one._asdict() for one in self.duplicates]}


@dataclass(eq=False)
class _ComparedPictures:
    """The pictures of an index, decoded when they are needed."""

    opened: Index
    files: dict[int, IndexedFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = self.opened.store.pictures()
        self.query = lru_cache(_OPEN)(self._query)

    def path(self, number: int) -> Path:
        return self.opened.folder / self.files[number].file

    def _query(self, number: int) -> Query | None:
        try:
            picture: Pillow.Image = decoded(self.path(number), self.opened.model.preprocess)
        except UnreadableImage:  # it is gone since
            return None
        return Query(picture, np.zeros((4, 1), np.float32), taken=self.files[number].taken)

    def verdict(self, kept: int, other: int, crops: bool) -> str | None:
        """What a picture is of another one; whether it is a crop is looked at where that is asked for."""
        one, two = self.files[kept], self.files[other]
        if one.content == two.content:
            return SAME_FILE
        if one.pixels == two.pixels:
            return SAME_PICTURE
        query, picture = self.query(other), self.query(kept)
        if query is None or picture is None:
            return None
        return check_pair(query, picture.picture, 0, one.taken, crops=crops).verdict


@narrated
def duplicates(source: str | Path, *, listener: Listener = visible) -> list[DuplicateGroup]:
    """Groups of pictures that are the same: equal files, and copies that were saved again, turned or cropped.

    Args:
        source: an index, or a folder of pictures, which is then indexed in the cache.
        listener: of the progress.

    Raises:
        DataError, ModelError, UsageError: as of `photovision.retrieval.search.open_index`.
    """
    with open_index(source, listener=listener) as opened:
        return duplicates_in(opened, listener)


def duplicates_in(opened: Index, listener: Listener) -> list[DuplicateGroup]:
    """`duplicates` of an opened index."""
    pictures = _ComparedPictures(opened)
    near: dict[int, dict[int, bool]] = defaultdict(dict)
    for one, other, crops in _candidates(opened, pictures):
        near[one][other] = near[other][one] = crops or near[one].get(other, False)
    return list(_groups(pictures, near, listener))


def _groups(
    pictures: _ComparedPictures, near: dict[int, dict[int, bool]], listener: Listener
) -> Iterator[DuplicateGroup]:
    """Those kept come first, and take what was checked against themselves only."""
    taken = set[int]()
    order = sorted(near, key=lambda number: _worth(pictures.files[number]))
    rank = {number: place for place, number in enumerate(order)}
    for done, kept in enumerate(order, 1):
        listener(Progress(_STAGE, done, len(order)))
        if kept in taken:
            continue
        found, waiting = [], dict(near[kept])
        seen = {kept, *taken}
        while waiting:
            other = min(waiting, key=lambda number: rank[number])
            crops = waiting.pop(other)
            if other in seen or rank[other] < rank[kept]:
                continue
            seen.add(other)
            verdict = pictures.verdict(kept, other, crops)
            if verdict is not None:
                found.append(Duplicate(str(pictures.path(other)), verdict))
                taken.add(other)
                waiting.update(near[other])  # what is near a copy is perhaps another one: it is checked, too
        if found:
            yield DuplicateGroup(str(pictures.path(kept)), tuple(found))


def _worth(file: IndexedFile) -> tuple[int, int, int, str]:
    """Pictures that are worth more come first."""
    return -file.size[0] * file.size[1], -file.facts.bytes, file.facts.modified, file.file


def _candidates(opened: Index, pictures: _ComparedPictures) -> Iterator[tuple[int, int, bool]]:
    """Pairs of ids that may be one picture, and whether one may be a crop of the other."""
    for key in ("content", "pixels"):
        equal: dict[bytes, list[int]] = defaultdict(list)
        for number, file in pictures.files.items():
            equal[getattr(file, key)].append(number)
        for members in equal.values():
            yield from _pairs(sorted(members, key=lambda number: _worth(pictures.files[number])))
    ids, looks = opened.store.looks()
    left, right = near_pairs(looks)
    for one, other in zip(ids[left].tolist(), ids[right].tolist(), strict=True):
        yield one, other, False
    yield from _neighbours(opened)


def _pairs(members: list[int]) -> Iterable[tuple[int, int, bool]]:
    """Equal ones, each with the first."""
    return ((members[0], other, False) for other in members[1:])


def _neighbours(opened: Index) -> Iterator[tuple[int, int, bool]]:
    """Pairs that are near in the space of copies or of likeness."""
    ids, vectors = opened.store.vectors()
    for space, (least, crops) in NEAR.items():
        searched, transform = opened.nearest(space), opened.transform(space)
        for start in range(0, len(ids), _PART):
            rows = slice(start, start + _PART)
            scores, found = searched.search(np.asarray(transform(vectors[rows]), np.float32), _NEIGHBOURS)
            for own, values, others in zip(ids[rows].tolist(), scores, found.tolist(), strict=True):
                near = (pair for pair in zip(values.tolist(), others, strict=True) if pair[0] >= least)
                yield from ((own, other, value >= crops) for value, other in near if other not in (own, -1))
