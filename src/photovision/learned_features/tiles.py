"""Plates: the pictures of an atlas: patches, feature maps and filters, large enough to be seen."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from photovision.core.thumbnail import jpeg
from photovision.core.types import Floats, Image

CELL, LARGE = 120, 264
"""Sides in pixels of a small and of a large picture on the page."""
_FEWEST, _LEAST = 0.1, 9
"""A patch shows at least this share of the picture's shorter side and so many pixels: fewer alone say nothing."""
_GRAINY = 40
"""Pictures of at most so many pixels are enlarged with their pixels left visible."""
_COLD_TO_HOT = np.array([(18, 22, 38), (38, 66, 120), (46, 140, 150), (240, 200, 90), (255, 250, 225)], np.float32)


class FieldBox(NamedTuple):
    """A square of pixels: its upper left corner and its side."""

    top: int
    left: int
    side: int


def field_box(size: tuple[int, int], places: tuple[int, int], place: tuple[int, int], side: int) -> FieldBox:
    """The square of `side` pixels around a place of a map, moved into the picture where it would stick out.

    Args:
        size: (H, W) of the picture.
        places: (h, w) of the map.
        place: row and column in the map.
        side: in pixels; cut to the shorter side of the picture.

    Example:
        >>> field_box((100, 100), (10, 10), (5, 0), 20)
        FieldBox(top=45, left=0, side=20)
    """
    side = max(1, min(side, *size))
    corner = []
    for at, count, length in zip(place, places, size, strict=True):
        middle = (at + 0.5) * length / count
        corner.append(int(np.clip(round(middle - side / 2), 0, length - side)))
    return FieldBox(corner[0], corner[1], side)


def patch(picture: Image, field: FieldBox) -> bytes:
    """What a unit sees of a picture, as a JPEG of a cell's size; a frame marks it where more is shown around it."""
    height, width = picture.shape[:2]
    side = max(field.side, min(height, width, max(_LEAST, round(_FEWEST * min(height, width)))))
    middle = field.top + field.side / 2, field.left + field.side / 2
    top = int(np.clip(round(middle[0] - side / 2), 0, height - side))
    left = int(np.clip(round(middle[1] - side / 2), 0, width - side))
    inner = FieldBox(field.top - top, field.left - left, field.side) if side > field.side else None
    return enlarged(picture[top : top + side, left : left + side], CELL, inner)


def enlarged(picture: Image, side: int, frame: FieldBox | None = None) -> bytes:
    """A picture (h, w, 3) as a JPEG whose longer side is `side`, with a frame around a square of it."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    kind = Pillow.Resampling.NEAREST if max(height, width) <= _GRAINY else Pillow.Resampling.BICUBIC
    shown = Pillow.fromarray(np.ascontiguousarray(picture)).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), kind
    )
    if frame is not None:
        x, y, across = frame.left * scale, frame.top * scale, frame.side * scale
        draw = ImageDraw.Draw(shown)
        draw.rectangle((x, y, x + across - 1, y + across - 1), outline=(0, 0, 0), width=3)
        draw.rectangle((x + 1, y + 1, x + across - 2, y + across - 2), outline=(255, 255, 255), width=1)
    return jpeg(np.asarray(shown), quality=85)


def map_tiles(maps: Floats, most: int = 9) -> bytes:
    """The feature maps (C, h, w) with the greatest spread, dark to bright, as one PNG of up to three rows."""
    spread = maps.reshape(len(maps), -1).std(1)
    chosen = np.sort(np.argsort(-spread, kind="stable")[:most])
    tiles = []
    for one in maps[chosen]:
        low, high = float(one.min()), float(one.max())
        shade = (one - low) / (high - low) if high > low else np.zeros_like(one)
        at = shade * (len(_COLD_TO_HOT) - 1)
        below = np.minimum(at.astype(int), len(_COLD_TO_HOT) - 2)
        part = (at - below)[..., None]
        tiles.append((_COLD_TO_HOT[below] * (1 - part) + _COLD_TO_HOT[below + 1] * part).round().astype(np.uint8))
    return _montage(tiles, columns=min(3, len(tiles)), side=max(28, LARGE // 3))


def filter_tiles(weights: Floats, columns: int = 8, most: int = 64) -> bytes:
    """The strongest filters (C, 3, k, k) of a layer that sees RGB, as one PNG; grey stands for weight 0."""
    strength = np.abs(weights).max((1, 2, 3))
    chosen = np.sort(np.argsort(-strength, kind="stable")[:most])
    scaled = weights[chosen] / np.maximum(strength[chosen], 1e-12)[:, None, None, None]
    tiles = list((127.5 + 127.5 * scaled).round().astype(np.uint8).transpose(0, 2, 3, 1))
    return _montage(tiles, columns=min(columns, len(tiles)), side=48)


def _montage(tiles: list[Image], columns: int, side: int, gap: int = 4) -> bytes:
    """Tiles in rows, their pixels left visible, with transparent gaps."""
    scale = max(1, round(side / max(tiles[0].shape[:2])))
    height, width = (length * scale for length in tiles[0].shape[:2])
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        sheet[top : top + height, left : left + width, :3] = tile.repeat(scale, 0).repeat(scale, 1)
        sheet[top : top + height, left : left + width, 3] = 255
    buffer = io.BytesIO()
    Pillow.fromarray(sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
