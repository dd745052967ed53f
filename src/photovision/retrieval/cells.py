"""Cells: the vectors of a large index in files of their own, made from the database when they are missing or old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from photovision.core.errors import ModelError
from photovision.core.types import Floats
from photovision.retrieval.engine import Layered, Nearest, approximate, exact, read_nearest, recall, write_nearest
from photovision.retrieval.store import Store

MAX_FRESH = 0.1
"""Share of the vectors that may have come after the cells were made; above, they are made again."""
_ENDINGS = (".faiss", ".ids.npy")


def in_cells(path: Path, store: Store, transform: Callable[[Floats], Floats]) -> Layered:
    """Vectors in cells, read from files or made now.

    Args:
        path: of the files, without their endings.
        store: the database.
        transform: from its vectors to those of a space.
    """
    cells = _read(path)
    if cells is not None:
        ids, vectors = store.vectors(after=int(cells.ids[-1]))
        if len(ids) <= MAX_FRESH * len(cells.ids):
            return Layered(cells, exact(ids, transform(vectors)))
    ids, vectors = store.vectors()
    cells = approximate(ids, transform(vectors))
    write_nearest(cells, path)
    with store.transaction():
        store.set_fact("recall", {**(store.fact("recall") or {}), path.name: recall(cells, transform(vectors))})
    return Layered(cells, exact(ids[:0], vectors[:0]))


def remove_cells(path: Path) -> None:
    """Remove the files, in which vectors lie that are to be forgotten."""
    for ending in _ENDINGS:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _read(path: Path) -> Nearest | None:
    if not all(path.with_name(path.name + ending).is_file() for ending in _ENDINGS):
        return None
    try:
        found = read_nearest(path)
    except ModelError:  # it is made from the database again
        return None
    return found if len(found.ids) else None
