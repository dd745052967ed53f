"""Spaces: two ways to measure how alike pictures are, from one vector of each.

Features of one network share a direction that says nothing of the picture; less their mean (Mu & Viswanath 2018,
"All-but-the-top"), the cosine tells how alike two pictures are: the space of likeness. Divided by the spread in each
direction (whitening, Jégou & Chum 2012), what all pictures of a folder have in common counts less and what one alone
has counts more: the space of copies. Whitening helps copies and harms likeness, so both are kept, from the same
principal components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.types import Floats

COMPONENTS = 256
"""Numbers of a vector, 2 bytes each."""
FITTED_ON = 4096
"""Pictures from which on more of them change nothing: the spaces then stay as they are."""
_SHRINKAGE = 0.1  # of the mean variance, which keeps directions of few pictures from being blown up


@dataclass(frozen=True, eq=False)
class Spaces:
    """Where the vectors of an index come from.

    Attributes:
        mean: float32 (D,), of the embeddings.
        basis: float32 (K, D), principal components, rows of norm 1.
        scale: float32 (K,), what a component is multiplied by in the space of copies.
    """

    mean: Floats
    basis: Floats
    scale: Floats

    def vectors(self, embeddings: Floats) -> Floats:
        """float32 (N, K), of norm 1 or less: vectors of pictures in the space of likeness, from embeddings (N, D).

        A picture unlike all that the spaces were fitted on lies partly outside the components, and is short.
        """
        apart = np.asarray(embeddings, np.float32) - self.mean
        norms = np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9)
        return np.asarray(apart @ self.basis.T / norms, np.float32)

    def copies(self, vectors: Floats) -> Floats:
        """float32 (N, K) of norm 1: vectors of `vectors` in the space of copies."""
        wide = np.asarray(vectors, np.float32) * self.scale
        return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9), np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Its three arrays by name."""
        return {"mean": self.mean, "basis": self.basis, "scale": self.scale}


def fit_spaces(embeddings: Floats) -> Spaces:
    """Mean and principal components of embeddings, float (N, D) with N of 1 or more.

    Where there are few pictures, there are few components.

    Example:
        >>> fit_spaces(np.eye(3, 5, dtype=np.float32)).basis.shape
        (2, 5)
    """
    wide = np.asarray(embeddings, np.float64)
    mean = wide.mean(0)
    apart = wide - mean
    width = wide.shape[1] - wide.shape[1] % 4  # the cells of a large index take vectors apart in fours
    count = max(1, min(COMPONENTS, len(wide) - 1, width))
    if len(wide) > wide.shape[1]:
        values, directions = np.linalg.eigh(apart.T @ apart / len(wide))
        values, basis = values[::-1][:count], directions.T[::-1][:count]
    else:
        _, stretch, rows = np.linalg.svd(apart, full_matrices=False)
        values, basis = stretch[:count] ** 2 / len(wide), rows[:count]
    spread = np.maximum(values, 0) + _SHRINKAGE * max(float(values.mean()), 1e-12)
    facts: Any = (mean, basis, 1 / np.sqrt(spread))
    return Spaces(*(np.asarray(one, np.float32) for one in facts))
