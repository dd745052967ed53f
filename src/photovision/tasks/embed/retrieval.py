"""Retrieval: images ranked for queries by similarity, and how early those of the query's class come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats, Ints
from photovision.runtime.similarity import SimilarityIndex
from photovision.trust.metrics.statistics import Vector

KEPT = 10
"""Images that are kept of every ranking."""
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class Ranking:
    """What N searches found among M images.

    Attributes:
        found: int64 (N, k), positions of the images most similar to each query; k is at most 10.
        similarity: float32 (N, k), -1 to 1, falling.
        first: int64 (N,), the rank of the first image of the query's class, from 0 on; M where there is none.
        precision: float64 (N,), average precision within the first R, where R is how many images of the query's class
            there are (mAP@R, Musgrave et al. 2020); 0 where there is none.
        relevant: int64 (N,), R.
    """

    found: Ints
    similarity: Floats
    first: Ints
    precision: Vector
    relevant: Ints

    def at(self, rows: Ints) -> Ranking:
        """Of some queries, int64 (Q,)."""
        return Ranking(
            self.found[rows], self.similarity[rows], self.first[rows], self.precision[rows], self.relevant[rows]
        )


def rank(
    queries: Floats, labels: Sequence[str], gallery: Floats, names: Sequence[str], *, own: bool = False
) -> Ranking:
    """Rank a gallery for every query by the cosine of centred embeddings.

    Args:
        queries: float32 (N, K), embeddings.
        labels: N classes.
        gallery: float (M, K), embeddings that are searched.
        names: M classes.
        own: whether the gallery is the queries themselves, of which none is its own result.

    Raises:
        ModelError: the gallery is empty.
    """
    known = {name: number for number, name in enumerate(sorted({*labels, *names}))}
    wanted = np.array([known[name] for name in labels], np.int64)
    there = np.array([known[name] for name in names], np.int64)
    index, parts = SimilarityIndex.around(gallery), []
    for start in range(0, len(queries), _CHUNK):
        rows = slice(start, start + _CHUNK)
        similarity = index.cosines(queries[rows])
        if own:
            similarity[np.arange(len(similarity)), np.arange(start, start + len(similarity))] = -np.inf
        parts.append(_ranked(similarity, wanted[rows], there, max(1, min(KEPT, len(names) - own))))
    return Ranking(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _ranked(similarity: Floats, wanted: Ints, there: Ints, kept: int) -> tuple[np.ndarray, ...]:
    """The fields of a `Ranking` for similarities float32 (N, M); an image of similarity -inf is no result."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    sorted_ = np.take_along_axis(similarity, order, 1)
    right = (there[order] == wanted[:, None]) & np.isfinite(sorted_)
    relevant = right.sum(1)
    first = np.where(relevant > 0, right.argmax(1), len(there))
    rank = np.arange(1, len(there) + 1)
    inside = right & (rank <= relevant[:, None])
    precision = (inside * right.cumsum(1) / rank).sum(1) / np.maximum(relevant, 1)
    return order[:, :kept].astype(np.int64), sorted_[:, :kept], first, precision, relevant
