"""Markers: neutral things that get into pictures by accident, drawn into them to see whether answers depend on such.

A sticker, a date, a watermark and a frame say nothing of what a picture shows; a model that has learned to use their
like answers otherwise where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from photovision.core.types import Floats, Image

Drawing = Callable[[int, int, np.random.Generator], tuple[Image, Floats]]
"""From height, width and chance to uint8 (H, W, 3) and how much of it covers the picture, float32 (H, W), 0 to 1."""


def plant(kind: str, images: Image, rng: np.random.Generator) -> Image:
    """The pictures, uint8 (N, H, W, 3), each with a marker of one kind at a place and in a colour drawn by chance.

    Example:
        >>> grey = np.full((2, 64, 64, 3), 90, np.uint8)
        >>> changed = (plant("sticker", grey, np.random.default_rng(0)) != grey).any(3).mean()
        >>> bool(0.005 < changed < 0.05)
        True
    """
    marked = []
    for image in images:
        pixels, cover = MARKERS[kind](image.shape[0], image.shape[1], rng)
        mixed = image + cover[..., None] * (pixels.astype(np.float32) - image)
        marked.append(np.round(mixed).astype(np.uint8))
    return np.stack(marked)


def _sticker(height: int, width: int, rng: np.random.Generator) -> tuple[Image, Floats]:
    """A disc of one colour, a seventh of the side wide, in a corner."""
    side = max(2, min(height, width) // 7)
    top = rng.choice([1, height - side - 1])
    left = rng.choice([1, width - side - 1])
    mask = Pillow.new("L", (width, height))
    ImageDraw.Draw(mask).ellipse((left, top, left + side - 1, top + side - 1), fill=255)
    return _plain(height, width, _vivid(rng)), _cover(mask)


def _date(height: int, width: int, rng: np.random.Generator) -> tuple[Image, Floats]:
    """A date as cameras print it, in the lower right."""
    text = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(2005, 2025)}"
    return _plain(height, width, (255, 150, 40)), _written(text, height, width, 0.55, (0.97, 0.97), "rs")


def _watermark(height: int, width: int, rng: np.random.Generator) -> tuple[Image, Floats]:
    """A pale word across the middle."""
    word = "".join(chr(rng.integers(65, 91)) for _ in range(6))
    return _plain(height, width, (255, 255, 255)), 0.45 * _written(word, height, width, 0.8, (0.5, 0.5), "mm")


def _frame(height: int, width: int, rng: np.random.Generator) -> tuple[Image, Floats]:
    """A frame of one colour, a thirty-second of the side wide."""
    deep = max(1, round(min(height, width) / 32))
    cover = np.ones((height, width), np.float32)
    cover[deep:-deep, deep:-deep] = 0
    return _plain(height, width, _vivid(rng)), cover


MARKERS: dict[str, Drawing] = {"sticker": _sticker, "date": _date, "watermark": _watermark, "frame": _frame}
"""Kind -> how it is drawn."""


def _written(text: str, height: int, width: int, share: float, at: tuple[float, float], anchor: str) -> Floats:
    """Text that takes `share` of the width; drawn four times as large, so that it is legible in small pictures, too."""
    large = Pillow.new("L", (4 * width, 4 * height))
    font = _font(max(4.0, 4 * width * share / (0.55 * len(text))))
    ImageDraw.Draw(large).text((4 * width * at[0], 4 * height * at[1]), text, fill=255, font=font, anchor=anchor)
    return _cover(large.resize((width, height), Pillow.Resampling.BOX))


@lru_cache(maxsize=16)
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font; opening it takes longer than writing with it."""
    return ImageFont.load_default(size)


def _cover(mask: Pillow.Image) -> Floats:
    return np.asarray(mask, np.float32) / np.float32(255)


def _plain(height: int, width: int, colour: tuple[int, int, int]) -> Image:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3))


def _vivid(rng: np.random.Generator) -> tuple[int, int, int]:
    """A saturated colour of any hue."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(rng.random(), 0.9, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)
