"""References: what a model remembers of the pictures it learned from, to show which of them a new picture is like.

Kept are embeddings, classes and names, never pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.types import Floats
from photovision.runtime.similarity import SimilarityIndex

REFERENCES_FILE = "references.safetensors"
MAX_IMAGES = 2048
"""Training pictures that a bundle remembers at most: 5 MB for embeddings of 1,280 numbers."""


class Neighbour(NamedTuple):
    """A training picture that is like another picture; `similarity` as of `runtime.similarity`, -1 to 1."""

    id: str
    label: str
    similarity: float


@dataclass(frozen=True, eq=False)
class NeighbourIndex:
    """Embeddings of training pictures.

    Attributes:
        embeddings: float16 (M, D), of unit norm.
        ids: M sample ids.
        labels: M labels; of multi-label pictures all names, joined by " + ".
    """

    embeddings: np.ndarray
    ids: tuple[str, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or not len(self.embeddings) == len(self.ids) == len(self.labels):
            raise ModelError("references should have as many names and labels as embeddings")

    def nearest(self, embedding: Floats, k: int = 5) -> list[Neighbour]:
        """The k training pictures whose embeddings are most like `embedding`, float (D,) of unit norm; nearest first.

        Example:
            >>> known = NeighbourIndex(np.eye(3, dtype=np.float16), ("1.jpg", "2.jpg", "3.jpg"), ("a", "b", "b"))
            >>> known.nearest(np.float32([0, 1, 0]), 1)
            [Neighbour(id='2.jpg', label='b', similarity=1.0)]
        """
        similar = self.similarity.cosines(np.asarray(embedding, np.float32)[None])[0]
        order = np.argsort(-similar, kind="stable")[:k]
        return [Neighbour(self.ids[i], self.labels[i], float(similar[i])) for i in order]

    @cached_property
    def similarity(self) -> SimilarityIndex:
        """How alike pictures are to these."""
        return SimilarityIndex.around(self.embeddings)


def write_references(references: NeighbourIndex, folder: Path) -> None:
    """Write them into a bundle's folder."""
    from safetensors.numpy import save_file

    names = {"ids": json.dumps(references.ids), "labels": json.dumps(references.labels)}
    save_file({"embeddings": references.embeddings.astype(np.float16)}, folder / REFERENCES_FILE, metadata=names)


def read_references(folder: Path) -> NeighbourIndex | None:
    """Read what `write_references` wrote; None where there is nothing; raises ModelError for a damaged file."""
    from safetensors import SafetensorError, safe_open

    path = folder / REFERENCES_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            names, embeddings = file.metadata() or {}, file.get_tensor("embeddings")
        ids, labels = (_texts(json.loads(names[part])) for part in ("ids", "labels"))
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}); copy the model again or train it again") from None
    return NeighbourIndex(embeddings, ids, labels)


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("names should be texts")
    return tuple(str(value) for value in values)
