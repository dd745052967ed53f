"""AugMix (Hendrycks et al. 2020): a picture mixed with others made of it by chains of simple operations.

None of the operations is among the corruptions that a robustness suite tests, so what it gains there is not bought by
training on the test. The paper's rotation is left out for that reason.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from photovision.core.types import Image
from photovision.data.corruptions.geometry import warp

AUGMIX = "augmix"
"""Its name where training asks for it like for a corruption."""
CHAINS, DEEPEST = 3, 3


def augmix(image: Image, rng: np.random.Generator) -> Image:
    """The picture, mixed with three chains of one to three operations: uint8 (H, W, 3).

    Weights come from a uniform Dirichlet distribution, the share of the picture itself from a uniform one.

    Example:
        >>> augmix(np.full((8, 8, 3), 90, np.uint8), np.random.default_rng(0)).shape
        (8, 8, 3)
    """
    weights = rng.dirichlet(np.ones(CHAINS)).astype(np.float32)
    own = np.float32(rng.random())
    mixed = image * own
    for weight in weights:
        chained = image
        for _ in range(int(rng.integers(1, DEEPEST + 1))):
            chained = _OPERATIONS[int(rng.integers(len(_OPERATIONS)))](chained, rng)
        mixed += chained * ((1 - own) * weight)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def _posterise(image: Image, rng: np.random.Generator) -> Image:
    kept: Image = image & np.uint8(256 - 2 ** int(rng.integers(4, 7)))
    return kept


def _solarise(image: Image, rng: np.random.Generator) -> Image:
    return np.where(image < int(rng.integers(128, 250)), image, 255 - image).astype(np.uint8)


def _autocontrast(image: Image, rng: np.random.Generator) -> Image:
    return np.asarray(ImageOps.autocontrast(Pillow.fromarray(image)))


def _equalise(image: Image, rng: np.random.Generator) -> Image:
    return np.asarray(ImageOps.equalize(Pillow.fromarray(image)))


def _shear(image: Image, rng: np.random.Generator) -> Image:
    by = float(rng.uniform(-0.25, 0.25))
    sideways = rng.random() < 0.5
    return warp(image, ((1.0, by), (0.0, 1.0)) if sideways else ((1.0, 0.0), (by, 1.0)), (0.0, 0.0))


def _translate(image: Image, rng: np.random.Generator) -> Image:
    y, x = rng.uniform(-0.15, 0.15, 2) * image.shape[:2]
    return warp(image, ((1.0, 0.0), (0.0, 1.0)), (float(x), float(y)))


_OPERATIONS: tuple[Callable[[Image, np.random.Generator], Image], ...] = (
    _posterise,
    _solarise,
    _autocontrast,
    _equalise,
    _shear,
    _translate,
)
