"""D-RISE: the picture is shown through random masks; what masks that leave the box have in common matters.

Source: Petsiuk et al. 2021, "Black-box explanation of object detectors via saliency maps". A box is left as far as one
of the same place and class is: overlap times score. Here hidden places are blurred and not black, the box's class
counts and not the likeness of all scores, and the mean is taken off, so that a map also says what speaks against. All
boxes of a picture share the masks, so many cost no more than one. Segmenters are explained likewise, by the mean
probability of a class over a region.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from photovision.core.types import Floats, Image
from photovision.trust.explain.explained_model import blurred, resized
from photovision.trust.explain.target import BATCH, ExplanationTarget, TargetExplainer, TargetScorer

MASKS, CELLS, SHOWN = 480, 14, 0.5
"""Masks a picture, cells along the longer side of a mask, share of cells that is shown."""


def _drise(viewer: TargetScorer, image: Image, aims: Sequence[ExplanationTarget]) -> Floats:
    fill = blurred(image[None])[0].astype(np.float32)
    sharp = image - fill
    weighed = np.zeros((len(aims), *viewer.size), np.float32)
    shown, scores = np.zeros(viewer.size, np.float32), np.zeros(len(aims))
    for masks in _masks(viewer.size):
        views = np.round(fill + masks[..., None] * sharp).astype(np.uint8)
        found = viewer.scores(views, aims)
        weighed += np.tensordot(found.T, masks, axes=1)
        shown += masks.sum(0)
        scores += found.sum(0)
    # The covariance of a place being shown with the box being left.
    return np.asarray((weighed - (scores / MASKS)[:, None, None] * shown) / MASKS, np.float32)


def _masks(size: tuple[int, int]) -> Iterator[Floats]:
    """float32 (B, H, W), 0 to 1: random square cells enlarged smoothly, shifted by part of one; always the same.

    Every second mask shows what the one before hides: the noise of a mean over pairs is smaller.
    """
    rng = np.random.default_rng(0)
    side = max(1, -(-max(size) // CELLS))
    rows, columns = (-(-length // side) + 1 for length in size)
    for _ in range(MASKS // BATCH):
        cells = (rng.random((BATCH // 2, rows, columns)) < SHOWN).astype(np.float32)
        large = resized(cells, (rows * side, columns * side))
        starts = rng.integers(0, side, (BATCH // 2, 2))
        some = np.stack([m[a : a + size[0], b : b + size[1]] for m, (a, b) in zip(large, starts, strict=True)])
        yield np.concatenate([some, 1 - some])


DRISE = TargetExplainer(
    "drise",
    "Which places are seen in those of many random masks through which the answer stays (D-RISE).",
    torch=False,
    kinds=("box", "region"),
    heatmaps=_drise,
)
