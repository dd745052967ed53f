"""Weak pictures: kinds of pictures on which a detector or a segmenter does worse, found without labels of them.

`photovision.trust.robustness.slices` searches in embeddings; the graphs of these models give none, so pictures are
described by handcrafted features instead (gradients, colours, a thumbnail: `photovision.trust.baseline`), which tell
places, light and cameras apart rather than meanings. A slice is described by whether it is dark, blurred or full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from photovision.core.drawing import percent
from photovision.core.parallel import in_order
from photovision.core.report import Finding
from photovision.core.types import Floats, Image, Sample
from photovision.trust.baseline import Handmade
from photovision.trust.metrics.detection import Vector
from photovision.trust.robustness.slices import find_slices, finding

FAILS = 0.25
"""The share of pictures, those of the lowest score, that count as failed."""
_SIDE = 28


def weak_pictures(
    images: Image,
    samples: Sequence[Sample],
    score: Vector,
    *,
    name: str,
    groups: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> Finding:
    """Search for kinds of pictures of which more than their share are among the quarter with the lowest score.

    Args:
        images: uint8 RGB (N, H, W, 3), of any one size.
        samples: these pictures.
        score: float64 (N,), how well each fared, 0 to 1.
        name: what the score is called.
        groups: attribute -> one value a picture; used to describe what was found, not to find it.
        seed: of the search.
    """
    limit = float(np.quantile(score, FAILS))
    right = ~((score <= limit) & (score < 1))
    if right.all():
        return Finding((f"Failing slices were not searched: the {name} of every picture is 100%.",))
    limit = float(score[~right].max())  # the quarter may end among perfect scores, which are no failures
    attributes = {**(groups or {}), **_looks(images)}
    found = find_slices(_features(images), right, groups=attributes, seed=seed)
    return finding(found, samples, right, f"are among the quarter with the lowest {name} (at most {percent(limit)})")


def _features(images: Image) -> Floats:
    """Handcrafted features of unit norm about their mean, float32 (N, D)."""
    handmade = Handmade(_SIDE)
    small = np.stack([image for _, image in in_order(list(images), handmade.preprocess.apply)])
    rows = handmade.describe(small)
    rows = rows - rows.mean(0)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _looks(images: Image) -> dict[str, list[str]]:
    """How bright, how rich in contrast and how sharp every picture is, in thirds."""
    grey = images.astype(np.float32).mean(3)
    values = {
        "brightness": (grey.mean((1, 2)), ("dark", "of middle brightness", "bright")),
        "contrast": (grey.std((1, 2)), ("flat", "of middle contrast", "rich in contrast")),
        "sharpness": (np.abs(np.diff(grey, axis=2)).mean((1, 2)), ("smooth", "of middle sharpness", "sharp or grainy")),
    }
    found = {}
    for name, (measured, words) in values.items():
        edges = np.quantile(measured, [1 / 3, 2 / 3])
        found[name] = [words[int(place)] for place in np.digitize(measured, edges)]
    return found
