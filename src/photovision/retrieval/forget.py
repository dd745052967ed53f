"""forget: pictures that leave an index for good; not a byte of their vectors, names and thumbnails stays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from photovision.core.errors import UsageError
from photovision.core.lock import Lock
from photovision.core.suggest import did_you_mean
from photovision.retrieval.build import LOCK, fit
from photovision.retrieval.cells import remove_cells
from photovision.retrieval.index import SPACES, Index
from photovision.retrieval.search import known_index
from photovision.retrieval.store import IndexedFile


def forget(source: str | Path, files: Iterable[str | Path]) -> list[IndexedFile]:
    """Remove pictures from an index; the picture files themselves stay where they are.

    Vectors, digests, names and thumbnails in the cache go, the database is rewritten, and what was made of all vectors
    (the cells of a large index) is made again. A file that is still in the folder is taken up again by the next
    `index`.

    Args:
        source: an index, or the folder of pictures that one in the cache is of.
        files: paths of pictures, which need not exist any more.

    Returns:
        what was known of their files.

    Raises:
        UsageError: there is no index, one of the files is not in it, or another run is writing it.
    """
    place = known_index(source)
    lock = Lock(place / LOCK)
    if not lock.take(wait=False):
        raise UsageError(f"another run (process {lock.holder()}) is writing {place}: wait for its end")
    try:
        with Index(place) as opened:
            return _forget(opened, list(files))
    finally:
        lock.release()


def _forget(opened: Index, files: list[str | Path]) -> list[IndexedFile]:
    store = opened.store
    known = {one.file: one for one in store.pictures().values()}
    chosen = [known[_name(opened, file, known)] for file in files]
    with store.transaction():
        store.remove_files(one.file for one in chosen)
        fit(store)
        if not len(store):
            store.drop_arrays()
    for space in SPACES:
        remove_cells(opened.path / space)
    store.scrub()
    return chosen


def _name(opened: Index, file: str | Path, known: dict[str, IndexedFile]) -> str:
    """The path of a file below the folder of the pictures, however it is given."""
    text = os.fspath(file)
    for absolute in (
        os.path.abspath(text),
        os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text)),
    ):
        name = os.path.relpath(absolute, opened.folder).replace(os.sep, "/")
        if name in known:
            return name
    if text in known:
        return text
    raise UsageError(f"{file} is not in the index {opened.path}{did_you_mean(text, known)}")
