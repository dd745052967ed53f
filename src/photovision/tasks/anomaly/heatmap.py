"""Heatmaps at the size of the picture, and the regions where they are hotter than good pictures get.

One scale for all pictures of a model: 1 is the heat that at most the promised share of good pictures reaches anywhere,
so the map of a good picture is empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from photovision.core.types import Floats, Image

_LEAST_AREA = 1e-4  # of the picture
_SIDE = 480


@dataclass(frozen=True)
class HotRegion:
    """A connected part of a picture that departs from good ones.

    Attributes:
        box: (left, top, right, bottom) in pixels of the picture.
        heat: its largest heat, 1 or more.
        area: its share of the picture, 0 to 1.
    """

    box: tuple[float, float, float, float]
    heat: float
    area: float


def relative(heatmap: Floats, limit: float) -> Floats:
    """Heat in units of the limit, float32 of the same shape, 0 where good pictures get, too."""
    heat = heatmap.astype(np.float32) / np.float32(max(limit, 1e-12))
    cooled: Floats = np.where(heat >= 1, heat, 0).astype(np.float32)
    return cooled


def enlarged(heatmap: Floats, size: tuple[int, int]) -> Floats:
    """A heatmap (h, w) at the size (H, W) of the picture, float32, linearly between its places."""
    height, width = size
    grid = Pillow.fromarray(np.ascontiguousarray(heatmap, np.float32))
    return np.asarray(grid.resize((width, height), Pillow.Resampling.BILINEAR), np.float32)


def hot_regions(heatmap: Floats, limit: float, size: tuple[int, int], max_regions: int = 20) -> list[HotRegion]:
    """Connected regions above the limit, the hottest first.

    Args:
        heatmap: float32 (h, w), of the scorer.
        limit: that good pictures keep below.
        size: (H, W) of the picture in pixels.
        max_regions: how many are given at most.
    """
    from scipy.ndimage import find_objects, label, maximum, sum_labels

    # On a grid of a few hundred places, however large the picture is.
    factor = max(1, round(224 / max(heatmap.shape)))
    fine = enlarged(heatmap, (heatmap.shape[0] * factor, heatmap.shape[1] * factor)) / max(limit, 1e-12)
    labels, count = label(fine >= 1)
    if not count:
        return []
    numbers = np.arange(1, count + 1)
    heats, areas = maximum(fine, labels, numbers), sum_labels(np.ones_like(fine), labels, numbers) / fine.size
    high, wide = size[0] / fine.shape[0], size[1] / fine.shape[1]
    found = []
    for heat, area, (rows, columns) in zip(heats, areas, find_objects(labels), strict=True):
        if area >= _LEAST_AREA:
            box = (columns.start * wide, rows.start * high, columns.stop * wide, rows.stop * high)
            found.append(HotRegion(box, float(heat), float(area)))
    return sorted(found, key=lambda region: -region.heat)[:max_regions]


def painted(image: Image, heat: Floats, side: int = _SIDE) -> Image:
    """An image with its heat where it is 1 or more, on one scale for all images: 1 to 3 times the limit.

    Args:
        image: uint8 RGB (H, W, 3).
        heat: float32 (h, w), in units of the limit.
        side: longest side of the result in pixels, at most.
    """
    factor = min(1.0, side / max(image.shape[:2]))
    size = max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))
    small = np.asarray(Pillow.fromarray(image).resize((size[1], size[0]), Pillow.Resampling.BOX))
    hot = enlarged(heat, size)
    strength = np.where(hot >= 1, np.clip(0.35 + (hot - 1) / 4, 0.35, 0.8), 0)[..., None]
    red = np.array([220, 30, 30], np.float32)
    shown: Image = (small * (1 - strength) + red * strength).round().astype(np.uint8)
    return shown
