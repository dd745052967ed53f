"""Weather: what is in the air between the camera and the thing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

from photovision.core.types import Floats, Image

Stroke = tuple[float, float, float, float, float, int]
"""A falling thing on film: x, y, dx, dy and width in pixels, brightness 0 to 255."""


def fog(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Light scattered in between: transmission falls with depth (Koschmieder 1924), deeper at the top, in drifts."""
    density = (0.42, 0.70, 1.02, 1.42, 1.95)[severity - 1]
    height, width, _ = image.shape
    air = (np.array([220, 224, 229]) + rng.uniform(-10, 10)).astype(np.float32)
    depth = 0.7 + 0.55 * (1 - np.arange(height, dtype=np.float32)[:, None] / height)
    depth = depth + 1.1 * (drifts(height, width, rng) - 0.5)
    through = np.exp(-density * np.maximum(depth, 0.05))[..., None]
    return np.asarray(air + (image - air) * through, np.uint8)


def rain(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Drops that the exposure draws out to streaks, near and far, in dull light, behind a veil of finer ones."""
    share = (0.28, 0.46, 0.64, 0.82, 1.0)[severity - 1]
    veil = (0.08, 0.15, 0.23, 0.32, 0.42)[severity - 1]
    slant = rng.uniform(-0.35, 0.35)
    far = _strokes(image, rng, 260, share, (0.05, 0.11), 0.0045, slant, (80, 140))
    near = _strokes(image, rng, 70, share, (0.13, 0.28), 0.0075, slant, (120, 210))
    streaks = _film(image, [*far, *near], soft=0.002) * np.float32(0.85 / 255)
    dull = 0.95 - 0.22 * share
    shown = image * np.float32(dull * (1 - veil)) + np.array([128, 134, 140], np.float32) * veil
    shown += streaks[..., None] * (np.float32(225) - shown)
    return np.asarray(shown, np.uint8)


def snow(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Flakes near and far on their way down, in a picture that the snow whitens."""
    share = (0.24, 0.42, 0.60, 0.80, 1.0)[severity - 1]
    white = (0.10, 0.19, 0.28, 0.37, 0.46)[severity - 1]
    slant = rng.uniform(-0.8, 0.8)
    far = _strokes(image, rng, 330, share, (0.002, 0.012), 0.012, slant, (150, 230))
    mid = _strokes(image, rng, 110, share, (0.006, 0.026), 0.022, slant, (200, 255))
    near = _strokes(image, rng, 18, share, (0.02, 0.05), 0.05, slant, (150, 210))
    flakes = np.maximum(_film(image, [*far, *mid], soft=0.004), _film(image, near, soft=0.016)) / np.float32(255)
    grey = image.mean(2, dtype=np.float32)[..., None]
    shown = image + (grey - image) * (0.8 * white)
    shown += white * (np.array([238, 241, 246], np.float32) - shown)  # light from all sides
    shown += flakes[..., None] * (np.float32(250) - shown)
    return np.asarray(shown, np.uint8)


def drifts(height: int, width: int, rng: np.random.Generator) -> Floats:
    """Fractal clouds: random grids, each twice as fine and nearly half as strong; float32 (H, W), 0 to 1, mean 0.5."""
    field = np.zeros((height, width), np.float32)
    total, strength = 0.0, 1.0
    for octave in range(5):
        cells = 2 + 2**octave
        grid = Pillow.fromarray(rng.random((cells, cells), np.float32))
        field += np.asarray(grid.resize((width, height), Pillow.Resampling.BICUBIC)) * np.float32(strength)
        total, strength = total + strength, strength * 0.55
    return np.asarray(np.clip(0.5 + (field / np.float32(total) - 0.5) * 1.6, 0, 1))


def _strokes(
    image: Image,
    rng: np.random.Generator,
    most: int,
    share: float,
    lengths: tuple[float, float],
    width: float,
    slant: float,
    bright: tuple[int, int],
) -> Iterable[Stroke]:
    """The first `share` of `most` falling things; lengths and width are shares of the picture's side."""
    height, wide, _ = image.shape
    side = min(height, wide)
    # A small picture holds fewer of them, each at least two thirds of a pixel wide, so that they stay things.
    most = max(4, round(most * min(1.0, (side / 224) ** 0.6)))
    dice = rng.random((most, 6))[: max(1, round(most * share))]
    for x, y, length, lean, brightness, thick in dice.tolist():
        long = side * (lengths[0] + (lengths[1] - lengths[0]) * length)
        tilt = slant + 0.12 * (lean - 0.5)
        across = max(0.66, side * width * (0.7 + 0.6 * thick))
        shade = round(bright[0] + (bright[1] - bright[0]) * brightness)
        yield x * wide, y * height, long * float(np.sin(tilt)), long * float(np.cos(tilt)), across, shade


def _film(image: Image, strokes: Iterable[Stroke], soft: float) -> Floats:
    """Strokes drawn on black, finer than the picture, then averaged and softened by a share of its side.

    Returns:
        float32 (H, W), 0 to 255.
    """
    height, width, _ = image.shape
    fine = 4 if min(height, width) < 96 else 2
    film = Pillow.new("L", (width * fine, height * fine))
    draw = ImageDraw.Draw(film)
    for x, y, dx, dy, across, shade in strokes:
        thick = max(1, round(across * fine))
        ends = (x * fine, y * fine, (x + dx) * fine, (y + dy) * fine)
        draw.line(ends, fill=shade, width=thick)
        if thick > 3:  # round ends
            for px, py in (ends[:2], ends[2:]):
                r = thick / 2
                draw.ellipse((px - r, py - r, px + r, py + r), fill=shade)
    blurred = film.reduce(fine).filter(ImageFilter.GaussianBlur(soft * min(height, width)))
    return np.asarray(blurred, np.float32)
