"""Overlay: a heatmap laid over the upright picture, in colours whose lightness grows evenly with the heat."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image as Pillow

from photovision.core import svg
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image

# Lightness, chroma and hue (degrees) of OKLab (Ottosson 2020), from cold to hot; lightness is linear, so that the map
# reads the same in grey, on paper and with colour-blind eyes.
_COLD, _HOT = (0.22, 0.10, 290.0), (0.96, 0.12, 470.0)
_OPAQUE = 0.65
_DIM = 0.35


def heat_colours(heat: Floats) -> Image:
    """Colours for heat 0 to 1 of any shape (...): uint8 RGB (..., 3).

    Example:
        >>> heat_colours(np.float32([0, 1])).tolist()[0] < heat_colours(np.float32([0, 1])).tolist()[1]
        True
    """
    return np.asarray(_table()[np.round(np.clip(heat, 0, 1) * 255).astype(int)], np.uint8)


def overlay(picture: Image, heatmap: Floats, preprocess: Preprocess) -> Image:
    """A heatmap over the upright picture in the picture's own proportions: uint8 RGB (H, W, 3).

    Args:
        picture: uint8 RGB (H, W, 3), the whole upright picture in any size.
        heatmap: float32 over the pixels that the network sees.
        preprocess: tells which part of the picture these pixels are; what lies outside is darkened.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = (round(side) for side in preprocess.window(width, height))
    shape = max(1, right - left), max(1, bottom - top)
    heat = np.asarray(Pillow.fromarray(scaled(heatmap)).resize(shape, Pillow.Resampling.BICUBIC))[..., None]
    heat = np.clip(heat, 0, 1)
    base = picture.astype(np.float32)
    found = base * _DIM
    window = base[top:bottom, left:right]
    # Half of the colour goes, so that the coloured heat and not the picture's own colours is read.
    grey = 0.5 * window + 0.5 * window.mean(-1, keepdims=True)
    share = _OPAQUE * (0.35 + 0.65 * heat)
    found[top:bottom, left:right] = (1 - share) * grey + share * heat_colours(heat[..., 0])
    return np.asarray(np.round(found), np.uint8)


def scaled(heatmap: Floats) -> Floats:
    """Heat 0 to 1: the map's own range; 0.5 everywhere where it has none."""
    low, high = float(heatmap.min()), float(heatmap.max())
    if high <= low:
        return np.full(heatmap.shape, 0.5, np.float32)
    return np.asarray((heatmap - low) / (high - low), np.float32)


def legend() -> str:
    """The colours as an SVG drawing with words at both ends."""
    steps, left, wide = 40, 4.0, svg.WIDTH - 8.0
    parts = []
    for number in range(steps):
        red, green, blue = heat_colours(np.asarray((number + 0.5) / steps, np.float32))
        # Strips overlap by a hair, else their edges shine through.
        parts.append(svg.rect(left + wide * number / steps, 2, wide / steps + 0.7, 14, f"rgb({red},{green},{blue})"))
    parts.append(svg.text(left, 32, "speaks least for the class"))
    parts.append(svg.text(left + wide, 32, "speaks most for it", anchor="end"))
    return svg.document(svg.WIDTH, 38, "Colours of the heatmaps", parts)


@cache
def _table() -> Image:
    """256 colours from cold to hot: uint8 (256, 3)."""
    lightness, chroma, hue = (np.linspace(a, b, 256) for a, b in zip(_COLD, _HOT, strict=True))
    # The ends have little chroma to spare within sRGB, the middle much.
    chroma = chroma + 0.08 * np.sin(np.linspace(0, np.pi, 256))
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ],
        axis=1,
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(cones**3 @ to_rgb.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(255 * encoded), np.uint8)
