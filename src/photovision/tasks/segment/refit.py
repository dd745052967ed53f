"""The temperature of a changed segmenter, fitted to what its own graph predicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.regions import IGNORE
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.graph_constants import set_constants
from photovision.engine.remember import remember_embeddings, usual
from photovision.runtime.bundle import Bundle
from photovision.runtime.neighbours import REFERENCES_FILE
from photovision.tasks.segment.evaluation import label_map
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.calibrate import fit_temperature

MAX_IMAGES = 100
"""Validation images that the temperature is fitted to at most."""
_PIXELS = 1000  # of each
_LOWEST = 1e-6


def refit(bundle: Bundle, training: Dataset, validation: Dataset, unseen: Dataset) -> dict[str, Any]:
    """Make probabilities calibrated again; the temperature in the graph is written, and what is remembered of images.

    Args:
        bundle: in the making.
        training: images that the network learned from, its references where it keeps some.
        validation: labelled images that the model did not learn from.
        unseen: test images, whose predictions stand for the usual ones.

    Returns:
        the entries of bundle.json that changed.

    Raises:
        DataError: no validation image could be read.
    """
    if "temperature" not in bundle.info:
        return {}
    logits, truth = _pixels(Segmenter(bundle), validation)
    temperature = float(bundle.info["temperature"]) * fit_temperature(logits, truth)
    if not set_constants(bundle.graph, {"temperature": np.array(temperature)}):
        return {}
    if (bundle.path / REFERENCES_FILE).is_file():
        seed = int((bundle.info.get("training") or {}).get("seed", 0))
        remember_embeddings(Segmenter(bundle), training, usual(validation, unseen), bundle.path, seed)
    return {"temperature": temperature}


def _pixels(model: Segmenter, validation: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of probabilities float32 (P, C) at random pixels that are evaluated, and their classes int64 (P,)."""
    rng, found = np.random.default_rng(0), list[tuple[np.ndarray, np.ndarray]]()
    labelled = [sample for sample in validation.samples if sample.annotations is not None][:MAX_IMAGES]
    for sample in labelled:
        try:
            found.append(_of_one(model, sample, rng))
        except (UnreadableImage, DataError):
            continue
    if not found:
        raise DataError("none of the validation pictures could be read: check the files")
    logits, truth = zip(*found, strict=True)
    return np.concatenate(logits).astype(np.float32), np.concatenate(truth).astype(np.int64)


def _of_one(model: Segmenter, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of a tile at a random place of one image."""
    whole = model.preprocess.decode(sample.image)
    labels, _ = label_map(sample, model.classes, (whole.height, whole.width))
    tile = model.tile or (whole.height, whole.width)
    high, wide = min(tile[0], whole.height), min(tile[1], whole.width)
    top, left = (int(rng.integers(0, side - own + 1)) for side, own in ((whole.height, high), (whole.width, wide)))
    seen = model.preprocess.resize(whole, (left, top, left + wide, top + high))
    probs = model.session.run(seen[None])["classes"][0]
    rows = (np.arange(probs.shape[1]) + 0.5) * high / probs.shape[1]
    columns = (np.arange(probs.shape[2]) + 0.5) * wide / probs.shape[2]
    at = labels[top + rows.astype(int)[:, None], left + columns.astype(int)[None]].ravel()
    chosen = rng.permutation(np.flatnonzero(at != IGNORE))[:_PIXELS]
    return np.log(np.clip(probs.reshape(len(probs), -1).T[chosen], _LOWEST, 1)), at[chosen]
