"""ValidationOutputs: what a classifier's graph gives for labelled held-out images, from which its limits were learned.

A bundle keeps them, so that what was fitted to them can be fitted again for a place whose images are like some of them
more than like others (`photovision.tasks.classify.adapt`), without the images. Kept are numbers, never pixels or names.

Where the network finally learned from its validation images, too (`Bundle.learned_val`), the outputs are out-of-fold:
those of the network before, which stand for what the final one gives for images that it did not learn from
(cross-conformal prediction: Vovk 2015; CV+: Barber et al. 2021). Similarity and distance are then those that the
network before measured, for embeddings of two networks are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.types import Floats, Ints

VALIDATION_FILE = "validation.safetensors"
MAX_IMAGES = 1000
"""Images kept at most: 2.5 MB for embeddings of 1,280 numbers."""
MAX_LOGITS = 1_000_000
"""Logits kept at most, 2 MB: of more classes, fewer images are kept."""


@dataclass(frozen=True, eq=False)
class ValidationOutputs:
    """Outputs for N labelled images that took no part in the training.

    Attributes:
        logits: float32 (N, C), before the temperature.
        truth: int64 (N,) class indices, or (N, C) of 0 and 1 for a multi-label model.
        embedding: float32 (N, D), of unit norm.
        component: int64 (N,): images of one number belong together, as those of one session do.
        similarity: float32 (N,), to the nearest image that the network had learned from, see `runtime.similarity`; None
            where the references of the bundle tell it.
        distance: float32 (N,), to the nearest centre, see `NoveltyDetector.distances`; None likewise.

    Raises:
        ModelError: the parts do not fit together, or are not finite.
    """

    logits: Floats
    truth: Ints
    embedding: Floats
    component: Ints
    similarity: Floats | None = None
    distance: Floats | None = None

    def __post_init__(self) -> None:
        n, classes = self.logits.shape if self.logits.ndim == 2 else (-1, 0)
        several = self.truth.ndim == 2
        shapes = self.truth.shape == ((n, classes) if several else (n,)), self.component.shape == (n,)
        single = [part for part in (self.similarity, self.distance) if part is not None]
        if any(part.shape != (n,) or not np.isfinite(part).all() for part in single):
            raise ModelError("similarity and distance of validation images should be one finite number each")
        if not all(shapes) or self.embedding.ndim != 2 or len(self.embedding) != n or not classes:
            raise ModelError("outputs for validation images should have as many rows in each of their parts")
        if not (np.isfinite(self.logits).all() and np.isfinite(self.embedding).all()):
            raise ModelError("outputs for validation images should be finite")
        if n and not (self.truth.min() >= 0 and self.truth.max() < (2 if several else classes)):
            raise ModelError(f"the truth of validation images should be among {classes} classes")

    def __len__(self) -> int:
        return len(self.logits)

    def at(self, rows: Ints) -> ValidationOutputs:
        """Those of some images, by position; one may be named several times."""
        alike, far = (None if part is None else part[rows] for part in (self.similarity, self.distance))
        whole = self.logits[rows], self.truth[rows], self.embedding[rows], self.component[rows]
        return ValidationOutputs(*whole, alike, far)


def write_validation(outputs: ValidationOutputs, folder: Path, seed: int = 0) -> None:
    """Write at most 1,000 of them, drawn at random, into a bundle's folder; 16 bits a number."""
    from safetensors.numpy import save_file

    most = max(1, min(MAX_IMAGES, MAX_LOGITS // outputs.logits.shape[1]))
    kept = outputs.at(np.sort(np.random.default_rng(seed).permutation(len(outputs))[:most]))
    arrays = {
        "logits": np.clip(kept.logits, -6e4, 6e4).astype(np.float16),
        "truth": kept.truth.astype(np.uint8 if kept.truth.ndim == 2 else np.int32),
        "embedding": kept.embedding.astype(np.float16),
        "component": np.unique(kept.component, return_inverse=True)[1].astype(np.int32),
    }
    more = {"similarity": kept.similarity, "distance": kept.distance}
    arrays |= {name: part.astype(np.float32) for name, part in more.items() if part is not None}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / VALIDATION_FILE)


def read_validation(folder: Path, classes: int) -> ValidationOutputs | None:
    """Read what `write_validation` wrote for a model of so many classes; None where there is nothing.

    Raises:
        ModelError: the file is damaged, or of another model.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / VALIDATION_FILE
    if not path.is_file():
        return None
    try:
        found = load_file(path)
        logits, embedding = (np.asarray(found[name], np.float32) for name in ("logits", "embedding"))
        truth, component = (np.asarray(found[name], np.int64) for name in ("truth", "component"))
        if logits.shape[1:] != (classes,):
            raise ModelError(f"it is of {logits.shape[-1]} classes, not {classes}")
        more = (np.asarray(found[name], np.float32) if name in found else None for name in ("similarity", "distance"))
        return ValidationOutputs(logits, truth, embedding, component, *more)
    except (SafetensorError, OSError, KeyError, ValueError, IndexError, ModelError) as error:
        raise ModelError(f"{path} is damaged ({error}); copy the model again or train it again") from None
