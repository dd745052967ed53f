"""Blur: a camera that moves, or looks elsewhere than at the thing."""

from __future__ import annotations

import numpy as np

from photovision.core.types import Floats, Image

_FINE = 5  # points a pixel and axis at which a kernel is sampled


def motion_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """A steady movement during the exposure, along a line of random direction."""
    length = 0.9 + (0.015, 0.034, 0.056, 0.080, 0.106)[severity - 1] * min(image.shape[:2])
    angle = rng.uniform(0, np.pi)
    along = (np.arange(max(9, int(length * _FINE))) + 0.5) / max(9, int(length * _FINE)) - 0.5
    return convolve(image, _splat(along * length * np.sin(angle), along * length * np.cos(angle)))


def defocus_blur(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Out of focus: every point becomes the disc of the open aperture."""
    radius = 0.45 + (0.006, 0.012, 0.019, 0.027, 0.036)[severity - 1] * min(image.shape[:2])
    reach = int(radius) + 1
    steps = (np.arange((2 * reach + 1) * _FINE) + 0.5) / _FINE - reach - 0.5
    y, x = np.meshgrid(steps, steps, indexing="ij")
    inside = y * y + x * x <= radius * radius
    return convolve(image, _splat(y[inside], x[inside]))


def convolve(image: Image, kernel: Floats) -> Image:
    """A picture convolved with a kernel (2k + 1, 2k + 1) that sums to 1, reflected at the border."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    height, width, _ = image.shape
    reach = len(kernel) // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric").transpose(2, 0, 1)
    shape = tuple(next_fast_len(side, real=True) for side in padded.shape[1:])
    spectrum = rfft2(padded.astype(np.float32), shape)
    spectrum *= rfft2(kernel, shape)
    blurred = irfft2(spectrum, shape)[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return np.ascontiguousarray(np.clip(np.rint(blurred), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _splat(y: np.ndarray, x: np.ndarray) -> Floats:
    """A kernel from points around its middle, each spread over its four pixels: float32 (2k + 1, 2k + 1), sum 1."""
    reach = int(np.ceil(max(np.abs(y).max(), np.abs(x).max()))) + 1
    size = 2 * reach + 1
    row, column = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    down, right = y - row, x - column
    cell = (row + reach) * size + column + reach
    kernel = np.zeros(size * size)
    for step, weight in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (size, down * (1 - right)),
        (size + 1, down * right),
    ):
        kernel += np.bincount(cell + step, weight, size * size)
    return np.asarray((kernel / kernel.sum()).reshape(size, size), np.float32)
