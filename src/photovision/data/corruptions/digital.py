"""Digital: what sensors and files add."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from photovision.core.types import Image
from photovision.data.corruptions.light import grain

_SMALL, _LARGE = (72, 52, 37, 26, 17), (26, 18, 13, 9, 6)
"""JPEG qualities at 28 and at 224 pixels: a block of 8 x 8 is a twelfth of the one and a 784th of the other."""


def noise(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """A sensor at high gain: normal noise, and more of it where it is bright (shot noise)."""
    spread = (0.055, 0.095, 0.145, 0.205, 0.28)[severity - 1] * 255 * np.sqrt(grain(image))
    table = (spread * np.sqrt(0.5 + np.arange(256) / 255)).astype(np.float32)
    noisy = table[image] * rng.standard_normal(image.shape, np.float32)
    noisy += image
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def jpeg(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Saved as a JPEG of low quality, with halved colour resolution."""
    side = float(np.clip(np.sqrt(image.shape[0] * image.shape[1]), 28, 224))
    large = np.log(side / 28) / np.log(8)
    quality = round(_SMALL[severity - 1] * (1 - large) + _LARGE[severity - 1] * large)
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Pillow.open(buffer, formats=("JPEG",)).convert("RGB"))
