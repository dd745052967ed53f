"""Synthetic defects: good pictures with planted faults, from clear to hardly visible, and where they are.

They stand in for bad pictures where a choice has to be made and only good ones may be looked at: CutPaste and scars (Li
et al., "CutPaste", CVPR 2021), and local changes of light, colour, sharpness, grain and shape.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from photovision.core.types import Floats, Image

Rng = np.random.Generator
Mask = np.ndarray


def plant(image: Image, kind: str, rng: Rng) -> tuple[Image, Mask]:
    """Plant a fault of a kind of DEFECTS: the picture uint8 (H, W, 3), and where it changed, bool (H, W)."""
    changed, mask = DEFECTS[kind](image.astype(np.float32), rng)
    planted: Image = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return planted, mask > 0.5


def _strength(rng: Rng, low: float, high: float) -> float:
    """Drawn so that each doubling between the bounds is as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _blob(shape: tuple[int, ...], rng: Rng, low: float, high: float) -> Floats:
    """A soft irregular patch, 0 to 1: float32 (H, W); its radius is `low` to `high` of the shorter side."""
    height, width = shape[:2]
    radius = _strength(rng, low, high) * min(height, width)
    y, x = rng.uniform(0.15, 0.85) * height, rng.uniform(0.15, 0.85) * width
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    angle = np.arctan2(rows - y, columns - x)
    waves = sum(rng.uniform(-0.15, 0.15) * np.cos(n * angle + rng.uniform(0, 6.28)) for n in (1, 2, 3))
    stretch = _strength(rng, 0.5, 2.0)
    distance = np.hypot((rows - y) * stretch, (columns - x) / stretch) / (radius * (1 + waves))
    soft: Floats = (1 / (1 + np.exp(np.clip((distance - 1) * 8, -50, 50)))).astype(np.float32)
    return soft


def _blended(image: Floats, other: Floats, mask: Floats) -> tuple[Floats, Floats]:
    return image + (other - image) * mask[..., None], mask


def _cut_paste(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    shift = [int(rng.integers(side // 6, max(side // 6 + 1, side - side // 6))) for side in image.shape[:2]]
    return _blended(image, np.roll(image, shift, (0, 1)), _blob(image.shape, rng, 0.03, 0.15))


def _scar(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    side, angle = min(height, width), rng.uniform(0, np.pi)
    y, x = rows - rng.uniform(0.2, 0.8) * height, columns - rng.uniform(0.2, 0.8) * width
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    across += rng.uniform(-0.02, 0.02) * side * np.sin(along * rng.uniform(4, 20) / side)
    half, thick = _strength(rng, 0.04, 0.2) * side, _strength(rng, 0.006, 0.02) * side
    mask = np.exp(-((across / thick) ** 2)) * (np.abs(along) < half)
    return image + mask[..., None] * _contrast(image, rng, 0.6, 3.0) * rng.choice([-1, 1]), mask.astype(np.float32)


def _contrast(image: Floats, rng: Rng, low: float, high: float) -> float:
    """Grey levels that are so many times the picture's own local contrast."""
    steps = np.abs(np.diff(image.mean(2), axis=1))
    local = float(steps.sum() / max(steps.size, 1) + image.std() / 4)
    return 1.5 * _strength(rng, low, high) * max(local, 2.0)


def _hole(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    mask = _blob(image.shape, rng, 0.012, 0.05)
    return image + mask[..., None] * _contrast(image, rng, 0.8, 4.0) * rng.choice([-1, 1]), mask


def _light(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    mask = _blob(image.shape, rng, 0.1, 0.4)
    return image + mask[..., None] * _contrast(image, rng, 0.4, 2.0) * rng.choice([-1, 1]), mask


def _colour(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    mask, tint = _blob(image.shape, rng, 0.06, 0.3), rng.normal(size=3)
    tint *= _contrast(image, rng, 0.5, 2.0) / max(np.abs(tint).max(), 1e-6)
    return image + mask[..., None] * tint.astype(np.float32), mask


def _blur(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    from scipy.ndimage import gaussian_filter

    sigma = _strength(rng, 0.005, 0.02) * min(image.shape[:2])
    return _blended(image, gaussian_filter(image, (sigma, sigma, 0)), _blob(image.shape, rng, 0.06, 0.25))


def _grain(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=image.shape[:2]), _strength(rng, 0.6, 3.0))
    noise *= _contrast(image, rng, 0.4, 1.5) / max(float(noise.std()), 1e-6)
    return _blended(image, image + noise[..., None].astype(np.float32), _blob(image.shape, rng, 0.06, 0.25))


def _warp(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    from scipy.ndimage import gaussian_filter, map_coordinates

    shape, side = image.shape[:2], min(image.shape[:2])
    mask = _blob(image.shape, rng, 0.1, 0.3)
    moves = [gaussian_filter(rng.normal(size=shape), 0.04 * side) for _ in range(2)]
    reach = _strength(rng, 0.01, 0.05) * side
    places = [
        grid + mask * move * reach / max(float(np.abs(move).max()), 1e-6)
        for grid, move in zip(np.indices(shape), moves, strict=True)
    ]
    warped = [map_coordinates(image[..., channel], places, order=1, mode="nearest") for channel in range(3)]
    return np.stack(warped, axis=-1).astype(np.float32), mask


def _diffuse(image: Floats, rng: Rng) -> tuple[Floats, Floats]:
    """Many small spots all over, or a slight cast of the whole picture: nothing is far off at one place."""
    if rng.random() < 0.5:
        tint = rng.normal(size=3).astype(np.float32)
        tint *= _contrast(image, rng, 0.2, 0.8) / max(float(np.abs(tint).max()), 1e-6)
        return image + tint, np.ones(image.shape[:2], np.float32)
    mask = np.max([_blob(image.shape, rng, 0.008, 0.025) for _ in range(12)], axis=0)
    return image + mask[..., None] * _contrast(image, rng, 0.4, 2.0) * rng.choice([-1, 1]), mask


DEFECTS: dict[str, Callable[[Floats, Rng], tuple[Floats, Floats]]] = {
    "cut_paste": _cut_paste,
    "scar": _scar,
    "hole": _hole,
    "light": _light,
    "colour": _colour,
    "blur": _blur,
    "grain": _grain,
    "warp": _warp,
    "diffuse": _diffuse,
}
"""Kinds of synthetic defects: name -> function of a float32 picture (H, W, 3) of 0 to 255, and of the dice."""
