"""Engine: nearest vectors by cosine, exact for a small index, fast and nearly exact for a large one (faiss).

Below 50,000 vectors all are compared. Above, vectors lie in cells around centroids, and only the nearest cells are
searched, with 8 bits a number (an inverted file, Jégou et al. 2011). Product quantisation with fast scans takes less
memory, and found three quarters of the neighbours among a million dense vectors where this finds nine tenths.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.files import explained, put
from photovision.core.types import Floats, Ints

EXACT = 50_000
"""Vectors from which on a search is approximate."""
NOTHING = -1
"""In place of an id where there are fewer vectors than were asked for."""
_PER_CELL = 64  # vectors that a centroid is learned from
_PROBED = 1 / 512  # share of the cells that are searched
_PART = 100_000
_TRIED = 200  # vectors by which recall is measured
_SEED = 0


class Searchable(Protocol):
    """Vectors that can be searched."""

    def search(self, queries: Floats, k: int) -> tuple[Floats, Ints]:
        """See `Nearest.search`."""
        ...


@dataclass(frozen=True, eq=False)
class Nearest:
    """Vectors that can be searched.

    Attributes:
        ids: int64 (N,), of the vectors.
        index: of faiss, whose numbers are positions in `ids`.
    """

    ids: Ints
    index: Any

    def search(self, queries: Floats, k: int) -> tuple[Floats, Ints]:
        """The k vectors of largest inner product with each query.

        Args:
            queries: float32 (Q, K).
            k: at most; where fewer are found, the ids at the end are NOTHING and their scores -inf.

        Returns:
            float32 (Q, k) scores, falling, and int64 (Q, k) ids.
        """
        k = max(1, min(k, len(self.ids)))
        if not len(self.ids):
            return np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), NOTHING, np.int64)
        scores, rows = self.index.search(np.ascontiguousarray(queries, np.float32), k)
        found = np.where(rows >= 0, self.ids[np.maximum(rows, 0)], NOTHING)
        return np.where(rows >= 0, scores, -np.inf).astype(np.float32), found


def exact(ids: Ints, vectors: Floats) -> Nearest:
    """All vectors, float (N, K), compared with every query."""
    faiss = _faiss()
    index = faiss.IndexFlatIP(vectors.shape[1])
    for start in range(0, len(vectors), _PART):
        index.add(np.ascontiguousarray(vectors[start : start + _PART], np.float32))
    return Nearest(ids, index)


def approximate(ids: Ints, vectors: Floats) -> Nearest:
    """Vectors, float16 or float32 (N, K) with K a multiple of 4, in cells."""
    faiss = _faiss()
    count, width = vectors.shape
    cells = 2 ** max(4, round(math.log2(4 * math.sqrt(count))))
    index = faiss.index_factory(width, f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
    chosen = np.random.default_rng(_SEED).permutation(count)[: _PER_CELL * cells]
    chosen.sort()
    index.train(np.ascontiguousarray(vectors[chosen], np.float32))
    for start in range(0, count, _PART):
        index.add(np.ascontiguousarray(vectors[start : start + _PART], np.float32))
    return Nearest(ids, _tuned(index))


def recall(nearest: Nearest, vectors: Floats, k: int = 10) -> float:
    """Share of the k nearest of some of its own vectors, float (N, K), that a search finds, 0 to 1."""
    rows = np.random.default_rng(_SEED).permutation(len(vectors))[:_TRIED]
    queries = np.ascontiguousarray(vectors[rows], np.float32)
    best = Nearest(nearest.ids[:0], None).search(queries, k)
    for start in range(0, len(vectors), _PART):
        part = exact(nearest.ids[start : start + _PART], vectors[start : start + _PART])
        best = merged(best, part.search(queries, k), k)
    _, found = nearest.search(queries, k)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(best[1].tolist(), found.tolist(), strict=True)]))


def merged(one: tuple[Floats, Ints], other: tuple[Floats, Ints], k: int) -> tuple[Floats, Ints]:
    """The k best of two searches for the same queries: float32 (Q, k) scores, falling, and int64 (Q, k) ids."""
    scores, ids = np.concatenate([one[0], other[0]], axis=1), np.concatenate([one[1], other[1]], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)


def write_nearest(nearest: Nearest, path: Path) -> None:
    """Write a large index, and its ids beside it, whole or not at all."""
    faiss = _faiss()
    with explained(path):
        for suffix, write in (
            (".ids.npy", lambda name: _save_ids(name, nearest.ids)),
            (".faiss", lambda name: faiss.write_index(nearest.index, name)),
        ):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}", suffix=".part")
            os.close(handle)
            try:
                write(name)
                put(Path(name), path.with_name(path.name + suffix))
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise


def read_nearest(path: Path) -> Nearest:
    """Read what `write_nearest` wrote; its largest part stays on the disk until it is needed.

    Raises:
        ModelError: it is damaged.
    """
    faiss = _faiss()
    try:
        ids = np.load(path.with_name(f"{path.name}.ids.npy"), allow_pickle=False)
        index = faiss.read_index(str(path.with_name(f"{path.name}.faiss")), faiss.IO_FLAG_MMAP_IFC)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}.faiss cannot be read ({str(error)[:100]}): delete it, and it is made again") from None
    if ids.dtype != np.int64 or ids.shape != (index.ntotal,):
        raise ModelError(f"{path}.faiss does not belong to its ids: delete both, and they are made again")
    return Nearest(ids, _tuned(index))


@dataclass(frozen=True, eq=False)
class Layered:
    """Vectors in cells, and those that came after these were made, which are all compared."""

    cells: Nearest
    fresh: Nearest

    def search(self, queries: Floats, k: int) -> tuple[Floats, Ints]:
        """See `Nearest.search`."""
        return merged(self.cells.search(queries, k), self.fresh.search(queries, k), k)


def _tuned(index: Any) -> Any:
    faiss = _faiss()
    inner = faiss.extract_index_ivf(index)
    inner.nprobe = max(8, round(inner.nlist * _PROBED))
    return index


def _save_ids(name: str, ids: Ints) -> None:
    with open(name, "wb") as file:
        np.save(file, ids, allow_pickle=False)


def _faiss() -> Any:
    """The library, at its first use: it takes a tenth of a second to load.

    How many threads it takes is left as it is: it shares the setting with torch, whose sums depend on it.
    """
    import faiss

    return faiss
