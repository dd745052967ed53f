"""Geometry: the thing partly hidden, at another distance, or at another angle."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from photovision.core.types import Image

_BLOCKS = 4


def occlusion(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Things in front: four boards, plain or grainy, that grow around their places with the severity."""
    share = (0.06, 0.12, 0.19, 0.27, 0.36)[severity - 1]
    height, width, _ = image.shape
    hidden = image.copy()
    quarters = rng.permutation(4)
    for block in range(_BLOCKS):
        row, column = divmod(int(quarters[block]), 2)  # one in each quarter, so that they hide different things
        y, x = (row + rng.uniform(0.3, 0.7)) * height / 2, (column + rng.uniform(0.3, 0.7)) * width / 2
        stretch = float(np.exp(rng.uniform(-0.45, 0.45)))
        part = share * rng.uniform(0.7, 1.3) / _BLOCKS
        tall, wide = height * np.sqrt(part * stretch), width * np.sqrt(part / stretch)
        top, left = max(0, round(y - tall / 2)), max(0, round(x - wide / 2))
        rows, columns = slice(top, top + max(1, round(tall))), slice(left, left + max(1, round(wide)))
        level, grainy = rng.uniform(60, 190) + rng.uniform(-18, 18, 3), rng.random() < 0.5
        board = hidden[rows, columns]
        texture = np.random.default_rng(rng.integers(2**32)).normal(0, 22, (*board.shape[:2], 1))
        board[:] = np.clip(level + texture * grainy, 0, 255)
    return hidden


def scale(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Nearer or farther away, at even chances; farther away the border is reflected."""
    height, width, _ = image.shape
    left, top, right, bottom = shown_window((height, width), severity, rng)
    padded, edge_y, edge_x = _reflected(image, max(0.0, -top), max(0.0, -left))
    box = (left + edge_x, top + edge_y, right + edge_x, bottom + edge_y)
    return np.asarray(padded.resize((width, height), Pillow.Resampling.BICUBIC, box=box))


def shown_window(size: tuple[int, int], severity: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """What `scale` shows of a picture of (H, W): (left, top, right, bottom) in its pixels; farther away it is larger
    than the picture, which is mirrored at its borders."""
    factor = (1.13, 1.27, 1.43, 1.61, 1.82)[severity - 1]
    farther = rng.random() < 0.5
    times = factor if farther else 1 / factor**0.8  # nearer, parts are lost
    tall, wide = size[0] * times, size[1] * times
    left, top = (size[1] - wide) / 2, (size[0] - tall) / 2
    return left, top, left + wide, top + tall


def rotation(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Turned to the left or right about its middle, the border reflected."""
    angle = np.deg2rad((8, 16, 25, 36, 50)[severity - 1] * (1 if rng.random() < 0.5 else -1))
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return warp(image, ((cos, -sin), (sin, cos)), (0.0, 0.0))


def warp(image: Image, matrix: tuple[tuple[float, float], tuple[float, float]], shift: tuple[float, float]) -> Image:
    """A picture whose pixel p (x, y from the middle) shows the place matrix @ p + shift, reflected at the border."""
    height, width, _ = image.shape
    (a, b), (d, e) = matrix
    reach_x = (abs(a) * width + abs(b) * height) / 2 + abs(shift[0])
    reach_y = (abs(d) * width + abs(e) * height) / 2 + abs(shift[1])
    padded, edge_y, edge_x = _reflected(image, max(0.0, reach_y - height / 2), max(0.0, reach_x - width / 2))
    x, y = width / 2, height / 2
    c, f = x + shift[0] + edge_x - a * x - b * y, y + shift[1] + edge_y - d * x - e * y
    moved = padded.transform((width, height), Pillow.Transform.AFFINE, (a, b, c, d, e, f), Pillow.Resampling.BICUBIC)
    return np.asarray(moved)


def _reflected(image: Image, y: float, x: float) -> tuple[Pillow.Image, int, int]:
    """The picture with at least (y, x) pixels more on every side, and how many they are."""
    edge_y, edge_x = int(y) + 2, int(x) + 2
    padded = np.pad(image, ((edge_y, edge_y), (edge_x, edge_x), (0, 0)), mode="symmetric")
    return Pillow.fromarray(padded), edge_y, edge_x
