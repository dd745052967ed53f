"""Light: too little of it, too much of it in one place, or too little difference of it."""

from __future__ import annotations

import numpy as np

from photovision.core.types import Floats, Image

_LEVELS = 4096
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def _to_linear(values: np.ndarray) -> Floats:
    """From display values 0 to 1 to shares of light (sRGB, IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _to_linear(np.arange(256) / 255)
_light = np.arange(_LEVELS) / (_LEVELS - 1)
_DISPLAY = np.round(255 * np.where(_light <= 0.0031308, 12.92 * _light, 1.055 * _light ** (1 / 2.4) - 0.055)).astype(
    np.uint8
)


def night(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Little light: a short exposure in linear light, colours that fade to blue, and the noise of few photons."""
    exposure = (0.40, 0.25, 0.16, 0.105, 0.07)[severity - 1]
    fade = (0.15, 0.28, 0.40, 0.50, 0.60)[severity - 1]
    photons = (1600, 900, 500, 280, 150)[severity - 1] / grain(image)  # that a white pixel catches
    tint = np.array([1 - 0.35 * fade, 1 - 0.08 * fade, 1 + 0.30 * fade], np.float32)
    light = _LINEAR[image]
    light += fade * ((light @ _LUMA)[..., None] - light)
    light *= exposure * tint
    # Shot noise is Poisson's, near enough a normal one of variance light / photons; the sensor's own adds a floor.
    spread = np.sqrt(light / photons + np.float32(0.0012**2 * grain(image)))
    light += spread * rng.standard_normal(image.shape, np.float32)
    shown: Image = _DISPLAY[(np.clip(light, 0, 1) * (_LEVELS - 1)).astype(np.intp)]
    return shown


def glare(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """A lamp or a low sun in view: bloom, rays, reflections between the lenses, and a veil over the whole picture."""
    power = (0.30, 0.45, 0.62, 0.82, 1.05)[severity - 1]
    height, width, _ = image.shape
    side = min(height, width)
    at = np.array([rng.uniform(0.05, 0.45) * height, rng.uniform(0.1, 0.9) * width], np.float32)
    warm = np.array([1.0, rng.uniform(0.88, 0.97), rng.uniform(0.66, 0.88)], np.float32)
    down = (np.arange(height, dtype=np.float32)[:, None] - at[0]) / side
    right = (np.arange(width, dtype=np.float32)[None, :] - at[1]) / side
    far = down * down + right * right
    glow = 1.3 * np.exp(far * (-1 / (2 * (0.05 + 0.075 * power) ** 2))) + 0.40 / (1 + far / (0.09 * power))
    turn = rng.uniform(0, np.pi)
    for ray in range(3):
        cos, sin = np.cos(turn + ray * np.pi / 3), np.sin(turn + ray * np.pi / 3)
        across, along = right * sin - down * cos, right * cos + down * sin
        glow += 0.5 / ((1 + (across / 0.012) ** 2) * (1 + (along / 0.22) ** 2))
    light = (power * (glow + 0.16))[..., None] * warm
    light += _ghosts(far.shape, at, side, power, rng)
    np.clip(light, 0, 1, out=light)
    lit: Image = (image + (255 - image) * light).astype(np.uint8)
    return lit


def contrast(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Little difference of light: everything drawn towards the picture's mean, and rounded there."""
    kept = (0.60, 0.44, 0.31, 0.21, 0.13)[severity - 1]
    mean = image.mean()
    table = np.round(mean + kept * (np.arange(256) - mean)).astype(np.uint8)
    flat: Image = table[image]
    return flat


def grain(image: Image) -> float:
    """How much variance one pixel's noise has, against a pixel at 224: a small picture averages fewer of them away."""
    return min(1.0, float(np.sqrt(image.shape[0] * image.shape[1])) / 224)


def _ghosts(shape: tuple[int, int], at: Floats, side: int, power: float, rng: np.random.Generator) -> Floats:
    """Faint coloured discs on the line from the light through the picture's middle: float32 (H, W, 3)."""
    height, width = shape
    found = np.zeros((height, width, 3), np.float32)
    middle = np.array([height / 2, width / 2], np.float32)
    for place in (0.6, 1.35, 1.8):
        y, x = at + (middle - at) * place * rng.uniform(0.9, 1.1)
        radius = side * rng.uniform(0.04, 0.10)
        colour = rng.uniform(0.3, 1.0, 3).astype(np.float32) * (0.28 * power)
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        part = found[top : max(0, int(y + radius) + 2), left : max(0, int(x + radius) + 2)]
        down = np.arange(top, top + part.shape[0])[:, None] - y
        right = np.arange(left, left + part.shape[1])[None, :] - x
        part += np.clip(radius - np.hypot(down, right) + 0.5, 0, 1)[..., None] * colour
    return found
