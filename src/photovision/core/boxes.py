"""Boxes, masks and classes of pixels drawn over a picture, one colour a class."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from photovision.core.regions import IGNORE, Detections, Regions, Segmentation
from photovision.core.shapes import Polygons, Rle, Shape
from photovision.core.types import Image
from photovision.core.window import to_view, whole

MASK_SHARE = 0.45
"""How much of a mask's colour is laid over the picture."""
_GOLDEN = 0.618034
MAX_NAMES = 25
"""With more objects in a picture their names would cover it."""


def colour_of(label: int) -> tuple[int, int, int]:
    """The colour of a class, RGB 0 to 255; neighbours in the order of classes are far apart in hue.

    Example:
        >>> colour_of(0) == colour_of(0), colour_of(0) == colour_of(1)
        (True, False)
    """
    red, green, blue = colorsys.hsv_to_rgb((label * _GOLDEN + 0.33) % 1, 0.85 if label % 2 else 0.7, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_regions(
    image: Image,
    regions: Regions,
    side: int | None = None,
    *,
    of: tuple[int, int] | None = None,
    names: bool = True,
) -> Image:
    """The picture with its boxes, names and masks, or with the colour of every pixel's class.

    Args:
        image: uint8 RGB (H, W, 3), upright.
        regions: its boxes, masks or pixel classes, in its pixels.
        side: longest side of the result in pixels, so that lines and letters are as wide in all; the picture's if None.
        of: (H, W) of the picture that the regions are pixels of, where `image` is a smaller one of it.
        names: whether objects are named.

    Returns:
        uint8 RGB, of the picture's shape where `side` is None; `image` itself is left alone.
    """
    height, width = image.shape[:2]
    scale = 1.0 if side is None else side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    page = Pillow.fromarray(np.ascontiguousarray(image)).resize(size, Pillow.Resampling.BILINEAR)
    if isinstance(regions, Segmentation):
        return _classes(page, regions)
    return _objects(page, regions, of or (height, width), names)


def _classes(page: Pillow.Image, regions: Segmentation) -> Image:
    labels = Pillow.fromarray(regions.labels.astype(np.int32)).resize(page.size, Pillow.Resampling.NEAREST)
    values = np.asarray(labels)
    table = np.array([colour_of(label) for label in range(max(len(regions.classes), IGNORE + 1))], dtype=np.float32)
    pixels = np.asarray(page, dtype=np.float32)
    drawn = pixels + MASK_SHARE * (table[values] - pixels)
    drawn[values == IGNORE] = pixels[values == IGNORE] * (1 - MASK_SHARE)
    return np.asarray(drawn.round(), dtype=np.uint8)


def _objects(page: Pillow.Image, regions: Detections, size: tuple[int, int], names: bool) -> Image:
    for row, label in enumerate(regions.labels.tolist()):
        shape = regions.masks[row] if regions.masks is not None else None
        if shape is not None:
            page.paste(colour_of(label), (0, 0), _veil(shape, size, page.size))
    pen = ImageDraw.Draw(page)
    letters = ImageFont.load_default(max(10, min(page.size) // 28))
    line = max(1, min(page.size) // 180)
    for row, (x1, y1, x2, y2) in enumerate(to_view(regions.boxes, whole(size), (page.height, page.width)).tolist()):
        colour = colour_of(int(regions.labels[row]))
        pen.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=colour, width=line)
        if names and len(regions) <= MAX_NAMES and len(regions.classes) != 1:
            _name(pen, page.size, (x1, y1), _text(regions, row), letters, colour)
    return np.asarray(page, dtype=np.uint8)


def _veil(shape: Shape, size: tuple[int, int], page: tuple[int, int]) -> Pillow.Image:
    """How opaque the colour of an object is at every pixel of the page."""
    if isinstance(shape, Rle):
        bits = Pillow.fromarray(shape.bitmap(size).astype(np.uint8) * round(255 * MASK_SHARE))
        return bits.resize(page, Pillow.Resampling.BILINEAR)
    scale = np.array([page[0] / size[1], page[1] / size[0]], dtype=np.float32)
    bits_ = Polygons(tuple(part * scale for part in shape.parts)).bitmap((page[1], page[0]))
    return Pillow.fromarray(bits_.astype(np.uint8) * round(255 * MASK_SHARE))


def _text(regions: Detections, row: int) -> str:
    name = "".join(c if c.isprintable() else "?" for c in regions.names[row])[:40]
    return name if regions.scores is None else f"{name} {regions.scores[row]:.2f}"


def _name(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    corner: tuple[float, float],
    text: str,
    letters: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
) -> None:
    """The name on a ground of the class's colour, above the box where there is room, else in it."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=letters)
    wide, high = right - left + 4, bottom - top + 4
    x = min(max(corner[0], 0), max(size[0] - wide, 0))
    y = corner[1] - high if corner[1] >= high else max(corner[1], 0)
    pen.rectangle((x, y, x + wide, y + high), fill=colour)
    bright = colour[0] * 0.3 + colour[1] * 0.59 + colour[2] * 0.11 > 140
    pen.text((x + 2 - left, y + 2 - top), text, font=letters, fill=(0, 0, 0) if bright else (255, 255, 255))
