"""Heun's method: from noise to an image, or back, along the velocity that a network tells (Karras et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from photovision.core.types import Floats

Velocity = Callable[[Floats, float], Floats]
"""Images float32 (N, H, W, 3) on their way, and a time from 0 (image) to 1 (noise) -> their velocity."""


def solve(velocity: Velocity, start: Floats, steps: int, *, to_noise: bool = False) -> Floats:
    """Follow the velocity from noise to images, or from images to noise.

    Args:
        velocity: two calls a step, one for the last step to an image.
        start: float32 (N, H, W, 3), noise, or images in -1 to 1.
        steps: of equal length.
        to_noise: whether the way goes from images to noise.

    Example:
        >>> float(solve(lambda x, t: 2 * np.ones_like(x), np.zeros((1, 1, 1, 1), np.float32), 4)[0, 0, 0, 0])
        -2.0
    """
    times = np.linspace(0.0, 1.0, steps + 1) if to_noise else np.linspace(1.0, 0.0, steps + 1)
    place = np.asarray(start, np.float32)
    for here, there in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        step = np.float32(there - here)
        first = velocity(place, here)
        if there == 0:  # the last step is so short of noise that Euler's is as good, and costs half
            return np.asarray(place + step * first, np.float32)
        second = velocity(place + step * first, there)
        place = np.asarray(place + step / 2 * (first + second), np.float32)
    return place


def between(first: Floats, second: Floats, share: float) -> Floats:
    """Noise between two noises on the sphere that noise lies on (slerp, White 2016).

    A straight mean of two noises is too small to be noise: what a network makes of it is a blurred image.

    Example:
        >>> half = between(np.float32([1, 0]), np.float32([0, 1]), 0.5)
        >>> [round(float(value), 3) for value in half]
        [0.707, 0.707]
    """
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    cosine = float(np.clip((first * second).sum() / max(float(lengths[0] * lengths[1]), 1e-12), -1, 1))
    angle = np.arccos(cosine)
    if angle < 1e-4:
        return np.asarray((1 - share) * first + share * second, np.float32)
    weights = np.sin((1 - share) * angle) / np.sin(angle), np.sin(share * angle) / np.sin(angle)
    return np.asarray(weights[0] * first + weights[1] * second, np.float32)
