"""Edits: what happens to pictures between one folder and the next, done to the user's own ones to measure errors.

Every edit is determined by its picture and a seed, and changes it as much as the table of acceptance says.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image as Pillow
from PIL import ImageEnhance

Edit = Callable[[Pillow.Image, np.random.Generator], Pillow.Image]
"""From an RGB picture to an RGB picture."""
_TILT = 15.0  # degrees


def _saved_again(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=20)
    buffer.seek(0)
    with Pillow.open(buffer, formats=("JPEG",)) as copy:
        return copy.convert("RGB")


def _smaller(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    size = max(1, picture.width // 4), max(1, picture.height // 4)
    return picture.resize(size, Pillow.Resampling.BICUBIC)


def _brighter(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    return ImageEnhance.Brightness(picture).enhance(1.5)


def _grey(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    return picture.convert("L").convert("RGB")


def _mirrored(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    return picture.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)


def _turned(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    turns = (Pillow.Transpose.ROTATE_90, Pillow.Transpose.ROTATE_270)
    return picture.transpose(turns[int(rng.integers(2))])


def _tilted(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    return picture.rotate(_TILT if rng.integers(2) else -_TILT, Pillow.Resampling.BICUBIC)


def _cropped(share: float) -> Edit:
    def crop(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
        side = math.sqrt(share)
        width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
        left = int(rng.integers(picture.width - width + 1))
        top = int(rng.integers(picture.height - height + 1))
        return picture.crop((left, top, left + width, top + height))

    return crop


EDITS: Mapping[str, Edit] = {
    "saved again (JPEG 20)": _saved_again,
    "quarter size": _smaller,
    "1.5 times as bright": _brighter,
    "grey": _grey,
    "mirrored": _mirrored,
    "quarter turn": _turned,
    "tilted by 15 degrees": _tilted,
    "crop of 80%": _cropped(0.8),
    "crop of 50%": _cropped(0.5),
    "crop of 25%": _cropped(0.25),
}
"""Name -> edit; shares of crops are of the area."""
EXPECTED: Mapping[str, tuple[str, ...]] = {
    "saved again (JPEG 20)": ("same_picture",),
    "quarter size": ("same_picture",),
    "1.5 times as bright": ("same_picture",),
    "grey": ("same_picture",),
    "mirrored": ("turned",),
    "quarter turn": ("turned",),
    "tilted by 15 degrees": ("turned",),
    "crop of 80%": ("crop",),
    "crop of 50%": ("crop",),
    "crop of 25%": ("crop",),
}
"""Name -> the verdicts that are right for it."""
