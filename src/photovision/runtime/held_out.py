"""HeldOut: predictions for pictures that the model did not learn from, with which pictures in use are compared.

A model is surer of the pictures that it learned from than of any others, and a little surer of those that chose when
its training stopped. A comparison with these would find a change where there is none. Kept are embeddings and figures,
never pixels or names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.types import Floats, Ints

HELD_OUT_FILE = "heldout.safetensors"
MAX_IMAGES = 1000
"""Pictures kept at most: 2.5 MB for embeddings of 1,280 numbers."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a model says of N pictures, as few numbers as a comparison needs.

    Attributes:
        best: int64 (N,), the most probable class.
        prob: float32 (N,), its probability.
        novelty: float32 (N,), how unlike the training pictures each is; None for a model without novelty detection.
        embedding: float32 (N, D), to float16's precision; None where embeddings were not kept.
        positions: int64 (N,), where the pictures stand in the data set that was predicted, without those that could
            not be read; None for predictions that were kept, which name no pictures.

    Raises:
        ModelError: the parts differ in length, or are not finite.
    """

    best: Ints
    prob: Floats
    novelty: Floats | None = None
    embedding: Floats | None = None
    positions: Ints | None = None

    def __post_init__(self) -> None:
        parts = [part for part in (self.prob, self.novelty, self.embedding, self.positions) if part is not None]
        single = self.best, self.prob, self.novelty, self.positions
        flat = all(part.ndim == 1 for part in single if part is not None)
        deep = self.embedding is None or self.embedding.ndim == 2
        if not flat or not deep or any(len(part) != len(self.best) for part in parts):
            raise ModelError("answers of held-out pictures should have as many numbers in each of their parts")
        if not all(np.isfinite(part).all() for part in parts):
            raise ModelError("answers of held-out pictures should be finite")

    def __len__(self) -> int:
        return len(self.best)

    @classmethod
    def of(
        cls, probs: Floats, novelty: Floats | None, embedding: Floats | None, positions: Ints | None = None
    ) -> HeldOut:
        """What is kept of answers: probs float32 (N, C), novelty (N,) and embedding (N, D).

        Example:
            >>> HeldOut.of(np.float32([[0.1, 0.9], [0.6, 0.4]]), None, None).best.tolist()
            [1, 0]
        """
        coarse = None if embedding is None else embedding.astype(np.float16).astype(np.float32)
        return cls(probs.argmax(1).astype(np.int64), probs.max(1).astype(np.float32), novelty, coarse, positions)

    def take(self, rows: Ints) -> HeldOut:
        """Some of the pictures, by position."""
        novelty = None if self.novelty is None else self.novelty[rows]
        embedding = None if self.embedding is None else self.embedding[rows]
        positions = None if self.positions is None else self.positions[rows]
        return HeldOut(self.best[rows], self.prob[rows], novelty, embedding, positions)


def write_held_out(answers: HeldOut, folder: Path, seed: int = 0) -> None:
    """Write at most 1,000 of them, drawn at random, into a bundle's folder."""
    from safetensors.numpy import save_file

    chosen = np.sort(np.random.default_rng(seed).permutation(len(answers))[:MAX_IMAGES])
    kept = answers.take(chosen)
    arrays = {"best": kept.best.astype(np.int32), "prob": kept.prob}
    if kept.novelty is not None:
        arrays["novelty"] = kept.novelty
    if kept.embedding is not None:
        arrays["embedding"] = kept.embedding.astype(np.float16)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / HELD_OUT_FILE)


def read_held_out(folder: Path) -> HeldOut | None:
    """Read what `write_held_out` wrote; None where there is nothing; raises ModelError for a damaged file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / HELD_OUT_FILE
    if not path.is_file():
        return None
    try:
        found = load_file(path)
        wide = {name: np.asarray(found[name], np.float32) for name in ("prob", "novelty", "embedding") if name in found}
        return HeldOut(np.asarray(found["best"], np.int64), wide["prob"], wide.get("novelty"), wide.get("embedding"))
    except (SafetensorError, OSError, KeyError, ValueError, ModelError) as error:
        raise ModelError(f"{path} is damaged ({error}); copy the model again or train it again") from None
