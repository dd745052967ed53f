"""Small structured pictures for tests: one shape a class, on a shaded, grainy background; no two are alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle", "cross", "stripes", "ring")


def make_picture(kind: int, size: int = 48, seed: int = 0) -> Image.Image:
    """A square RGB picture of shape number `kind`, at a place, in a size and shade that are drawn from `seed`."""
    rng = np.random.default_rng((seed, kind))
    rows, columns = np.mgrid[0:size, 0:size] / size
    slope = rng.uniform(-60, 60, (2, 3))
    ground = rng.uniform(60, 120, 3) + rows[..., None] * slope[0] + columns[..., None] * slope[1]
    mask = Image.new("L", (size, size))
    _draw(ImageDraw.Draw(mask), SHAPES[kind % len(SHAPES)], size, rng)
    shown = np.where(np.asarray(mask)[..., None] > 0, rng.uniform(170, 240, 3), ground)
    grain = rng.normal(0, 12, (size, size, 1))
    return Image.fromarray(np.clip(shown + grain, 0, 255).astype(np.uint8))


def make_folder(
    root: Path, classes: Sequence[str] = ("circle", "square"), per_class: int = 8, size: int = 48, seed: int = 0
) -> Path:
    """Write `per_class` PNG pictures into `root`/class for every class; returns `root`."""
    for kind, name in enumerate(classes):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            make_picture(kind, size, seed * 100_000 + number).save(folder / f"{number:03d}.png")
    return root


def _draw(draw: ImageDraw.ImageDraw, shape: str, size: int, rng: np.random.Generator) -> None:
    radius = rng.uniform(0.2, 0.32) * size
    x, y = rng.uniform(radius, size - radius, 2)
    box = (x - radius, y - radius, x + radius, y + radius)
    width = max(2, round(radius / 3))
    if shape == "circle":
        draw.ellipse(box, fill=255)
    elif shape == "square":
        draw.rectangle(box, fill=255)
    elif shape == "triangle":
        draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=255)
    elif shape == "cross":
        draw.line((x - radius, y, x + radius, y), fill=255, width=width)
        draw.line((x, y - radius, x, y + radius), fill=255, width=width)
    elif shape == "stripes":
        for offset in np.arange(-radius, radius, 2 * width):
            draw.rectangle((x - radius, y + offset, x + radius, y + offset + width - 1), fill=255)
    else:
        draw.ellipse(box, outline=255, width=width)
