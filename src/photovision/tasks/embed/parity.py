"""Does an exported or changed graph embed like the model it came from?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.types import Floats
from photovision.engine.parity import GraphParity, Outputs
from photovision.tasks.embed.model import EmbeddingModel

TOLERANCE = 1e-3
"""Largest allowed distance, 1 less the cosine, of the embeddings of an image by two float32 graphs."""
CLOSE = 0.01
"""Distance up to which two embeddings count as the same: neighbours differ by more."""
MIN_AGREEMENT = 0.995
_SLACK = 1e-6


def distances(one: Floats, other: Floats) -> Floats:
    """float32 (N,): 1 less the cosine of the embeddings of N images, float (N, K) each."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray(1 - (one * other).sum(1) / np.maximum(lengths, 1e-12), np.float32)


def same(apart: Floats) -> bool:
    """Whether nearly all of N distances are small; one image may differ."""
    return int((apart > CLOSE).sum()) <= max(1.0, (1 - MIN_AGREEMENT) * len(apart)) + _SLACK


def parity(
    model: EmbeddingModel,
    expected: Sequence[Outputs],
    got: Sequence[Outputs],
    *,
    real: bool = True,
    quantized: bool = False,
) -> GraphParity:
    """Embeddings compared image by image; see `engine.parity.CheckParity`."""
    before, after = (np.concatenate([one["embedding"] for one in each]).astype(np.float32) for each in (expected, got))
    apart = distances(before, after)
    allowed = 1.0 if quantized else CLOSE
    enough = same(apart) if quantized else float(apart.max()) <= CLOSE
    return GraphParity(float((apart <= CLOSE).mean()), float(apart.max()), "pictures", allowed, enough, "cosine")
