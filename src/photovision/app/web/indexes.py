"""Indexes on the local page: those that lie in its folder, and those of its folders of pictures in the user's cache."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from photovision.app.web.discovery import DEEPEST, MOST_FOLDERS, folders_in
from photovision.app.web.workspace import State, picture_folders
from photovision.core.errors import DataError, PhotovisionError, UsageError

if TYPE_CHECKING:
    from photovision.retrieval.index import Index

MOST_OPEN = 4
"""Indexes that stay open, each with its network and its vectors."""


class SourceRequest(BaseModel, extra="forbid"):
    """Of which pictures something is asked."""

    source: str


class IndexPlace(NamedTuple):
    """Where an index of the page lies, or would lie.

    Attributes:
        name: as the page calls it: that of the folder of pictures, or of the index.
        place: its folder.
        pictures: the folder of pictures of one in the cache; None for one that lies in the folder of the page.
    """

    name: str
    place: Path
    pictures: Path | None


class _OpenIndex(NamedTuple):
    """An index that stays open, and what tells whether it was written since."""

    opened: Index
    made: int | None
    version: int

    def is_current(self, place: Path) -> bool:
        return (_made(place), self.opened.store.version) == (self.made, self.version)


def _made(place: Path) -> int | None:
    """When an index was made, as its file says; None where it is gone."""
    from photovision.retrieval.index import INDEX_FILE

    try:
        return (place / INDEX_FILE).stat().st_mtime_ns
    except OSError:
        return None


class Indexes:
    """The indexes of a page; safe to use from several threads, of which one at a time searches.

    Args:
        state: the page.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._guard = threading.Lock()
        self._open: dict[str, _OpenIndex] = {}
        state.leaving.append(self.close)

    def places(self) -> dict[str, IndexPlace]:
        """Name -> place: one for every folder of pictures, and those that lie in the folder of the page."""
        from photovision.retrieval.search import index_of_folder

        found = {
            name: IndexPlace(name, index_of_folder(path), path) for name, path in picture_folders(self._state).items()
        }
        for path in self._below():
            name = path.relative_to(self._state.inside("")).as_posix()
            found.setdefault(name, IndexPlace(name, path, None))
        return found

    def place_of(self, name: str) -> IndexPlace:
        """The place of that name; raises DataError where there is none."""
        places = self.places()
        if name not in places:
            raise DataError(f"there are no pictures '{name}' here, only {', '.join(places) or 'none'}: reload the page")
        return places[name]

    @contextmanager
    def using(self, name: str) -> Iterator[Index]:
        """An index for one thread at a time, which stays open until it was written or others are used.

        Raises:
            UsageError: there is none yet, or its pictures lie outside the folder of the page.
            ModelError: it is damaged.
        """
        place = self.place_of(name)
        with self._guard:
            known = self._open.pop(name, None)
            if known is not None and not known.is_current(place.place):
                known.opened.close()
                known = None
            if known is None:
                opened = self._opened(place)
                known = _OpenIndex(opened, _made(place.place), opened.store.version)
            self._open[name] = known
            while len(self._open) > MOST_OPEN:
                self._open.pop(next(iter(self._open))).opened.close()
            yield known.opened

    def opened(self, name: str) -> Index:
        """An index of one's own, to be closed; raises as `using` does."""
        return self._opened(self.place_of(name))

    def _opened(self, place: IndexPlace) -> Index:
        from photovision.retrieval.index import Index, is_index

        if not is_index(place.place):
            raise UsageError(f"{place.name} is not indexed yet: index it first")
        opened = Index(place.place)
        if not self._state.covers(opened.folder):
            opened.close()
            raise UsageError(f"{place.name} is an index of {opened.folder}, outside the folder of this page")
        return opened

    def describe(self, place: IndexPlace) -> dict[str, Any]:
        """For the page: what there is to search, and whether it can be searched already."""
        from photovision.retrieval.index import is_index

        known: dict[str, Any] = {"name": place.name, "own": place.pictures is None, "pictures": None, "error": None}
        if not is_index(place.place):
            return known
        try:
            with self._opened(place) as opened:
                if opened.store.array("mean") is not None:  # else it was interrupted before it could be searched
                    known["pictures"] = len(opened)
                known["left_out"] = len(opened.store.left_out())
                known["model"] = opened.description["model"]["name"]
        except PhotovisionError as error:
            known["error"] = str(error)
        return known

    def close(self) -> None:
        """The page ends."""
        with self._guard:
            for known in self._open.values():
                known.opened.close()
            self._open.clear()

    def _below(self) -> Iterator[Path]:
        from photovision.retrieval.index import is_index

        waiting, seen = [] if self._state.folder is None else [(self._state.folder, 0)], 0
        while waiting and seen < MOST_FOLDERS:
            place, depth = waiting.pop(0)
            seen += 1
            if is_index(place):
                yield place
            elif depth < DEEPEST:
                waiting += [(child, depth + 1) for child in folders_in(place)]


def indexes_of(state: State) -> Indexes:
    """Those of a page, for `State.shared`."""
    return Indexes(state)
