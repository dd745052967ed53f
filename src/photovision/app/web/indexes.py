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


class Indexes:
    """The indexes of a page; safe to use from several threads, of which one at a time uses an index.

    Args:
        state: the page.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._guard = threading.Lock()
        self._open: dict[str, tuple[object, Index, threading.Lock]] = {}
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
        """An index for one thread at a time, opened at first use and when it was changed.

        Raises:
            UsageError: there is none yet, or its pictures lie outside the folder of the page.
            ModelError: it is damaged.
        """
        place = self.place_of(name).place
        with self._guard:
            known = self._open.pop(name, None)
            stamp = _stamp(place)
            if known is not None and known[0] != stamp:
                with known[2]:
                    known[1].close()
                known = None
            if known is None:
                known = stamp, self.opened(name), threading.Lock()
            self._open[name] = known
            self._close_oldest()
        with known[2]:
            yield known[1]

    def opened(self, name: str) -> Index:
        """An index of one's own, to be closed; raises as `using` does."""
        from photovision.retrieval.index import Index, is_index

        place = self.place_of(name).place
        if not is_index(place):
            raise UsageError(f"{name} is not indexed yet: index it first")
        opened = Index(place)
        if not self._state.covers(opened.folder):
            opened.close()
            raise UsageError(f"{name} is an index of {opened.folder}, outside the folder of this page")
        return opened

    def describe(self, place: IndexPlace) -> dict[str, Any]:
        """For the page: what there is to search, and whether it can be searched already."""
        from photovision.retrieval.index import is_index

        known: dict[str, Any] = {"name": place.name, "own": place.pictures is None, "pictures": None, "error": None}
        if not is_index(place.place):
            return known
        try:
            with self.opened(place.name) as opened:
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
            for _, opened, lock in self._open.values():
                with lock:
                    opened.close()
            self._open.clear()

    def _close_oldest(self) -> None:
        while len(self._open) > MOST_OPEN:
            _, opened, lock = self._open.pop(next(iter(self._open)))
            with lock:
                opened.close()

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


def _stamp(place: Path) -> tuple[object, ...]:
    """What changes when an index is written."""
    from photovision.retrieval.index import INDEX_FILE, STORE_FILE

    found = []
    for name in (INDEX_FILE, STORE_FILE, f"{STORE_FILE}-wal"):
        try:
            facts = (place / name).stat()
            found.append((facts.st_mtime_ns, facts.st_size))
        except OSError:
            found.append((0, 0))
    return tuple(found)
