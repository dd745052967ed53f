"""RISE: the picture is shown through random masks; what masks with a good answer have in common matters.

Source: Petsiuk, Das & Saenko 2018, "RISE: randomized input sampling for explanation of black-box models".
"""

from __future__ import annotations

import numpy as np

from photovision.core.types import Floats, Image, Ints
from photovision.trust.explain.explained_model import BATCH, ExplainedModel, Explainer, blurred, resized

MASKS, CELLS, SHOWN = 256, 7, 0.5
"""Masks a picture, cells along each side of a mask, share of cells that is shown."""


def _rise(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    masks = _masks(subject.size)
    return np.stack([_one(subject, masks, image, int(c)) for image, c in zip(images, classes, strict=True)])


def _one(subject: ExplainedModel, masks: Floats, image: Image, target: int) -> Floats:
    """Masks are weighted by log-odds, less their mean: probabilities near 1 or 0 would leave little to tell apart."""
    fill = blurred(image[None])[0].astype(np.float32)
    odds = np.empty(len(masks), np.float32)
    for start in range(0, len(masks), BATCH):
        shown = masks[start : start + BATCH, ..., None]
        views = np.round(fill + shown * (image - fill)).astype(np.uint8)
        odds[start : start + BATCH] = subject.log_odds(views, np.full(len(views), target))
    return np.asarray(np.tensordot(odds - odds.mean(), masks, axes=1) / len(masks), np.float32)


def _masks(size: tuple[int, int]) -> Floats:
    """float32 (M, H, W), 0 to 1: random cells enlarged smoothly, shifted by part of a cell; always the same ones."""
    rng = np.random.default_rng(0)
    height, width = (-(-side // CELLS) for side in size)
    cells = (rng.random((MASKS, CELLS + 1, CELLS + 1)) < SHOWN).astype(np.float32)
    large = resized(cells, ((CELLS + 1) * height, (CELLS + 1) * width))
    down, right = rng.integers(0, height, MASKS), rng.integers(0, width, MASKS)
    return np.stack([m[a : a + size[0], b : b + size[1]] for m, a, b in zip(large, down, right, strict=True)])


RISE = Explainer(
    "rise",
    "Which places are seen in those of many random masks through which the answer stays (RISE).",
    torch=False,
    of_class=True,
    heatmaps=_rise,
)
