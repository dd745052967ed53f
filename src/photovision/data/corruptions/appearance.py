"""Appearance: images given the brightness, colours, contrast, sharpness and noise of those of another place.

A labelled stand-in for a place of which there are no labels: what is seen stays, how a camera shows it changes. Of
each channel the mean and the power at every spatial frequency become those of the place (as amplitude spectra are
exchanged by Yang & Soatto 2020): power that is missing there is taken away, which blurs, and power beyond is added as
noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.types import Image

_RINGS = 24
_LARGEST = 100.0  # of a power: ten of an amplitude


@dataclass(frozen=True, eq=False)
class Appearance:
    """How the images of one place look on average.

    Attributes:
        mean: float64 (3,), of each channel, 0 to 255.
        power: float64 (3, K), mean squared amplitude of each channel in rings of rising spatial frequency.
    """

    mean: np.ndarray
    power: np.ndarray

    @classmethod
    def of(cls, images: Sequence[Image]) -> Appearance:
        """Of N images uint8 (H, W, 3), N above 0.

        Example:
            >>> Appearance.of([np.full((8, 8, 3), 7, np.uint8)]).mean
            array([7., 7., 7.])
        """
        count = min(_count(image.shape) for image in images)
        total = np.zeros((3, count))
        for image in images:
            rings, squares = _rings(image.shape, count), np.abs(_spectrum(image)) ** 2
            total += np.stack([_ring_means(squares[:, :, channel], rings) for channel in range(3)])
        mean = np.mean([image.mean((0, 1)) for image in images], axis=0)
        return cls(mean, total / len(images))

    def towards(self, other: Appearance, image: Image, rng: np.random.Generator) -> Image:
        """An image of this place as it might look in another one, uint8 (H, W, 3)."""
        count = self.power.shape[1]
        rings, there = _rings(image.shape, count), other.of_rings(count)
        ratio = there / np.maximum(self.power, 1e-9)
        # Contrast scales all frequencies alike; beyond it, power can be taken away, or added as noise. The lowest ring
        # of a small image holds nothing but its mean.
        low = ratio[:, 1 : max(3, ratio.shape[1] // 4)] if ratio.shape[1] > 1 else ratio
        contrast = np.clip(np.median(low, axis=1), 1 / _LARGEST, _LARGEST)[:, None]
        kept = np.minimum(ratio, contrast)
        added = np.maximum(there - contrast * self.power, 0)
        spectrum = _spectrum(image) * np.sqrt(kept[:, rings]).transpose(1, 2, 0)
        noise = np.fft.rfft2(rng.normal(size=image.shape), axes=(0, 1)) / np.sqrt(image.shape[0] * image.shape[1])
        spectrum = spectrum + noise * np.sqrt(added[:, rings]).transpose(1, 2, 0)
        spectrum[0, 0] = 0
        size = image.shape[0] * image.shape[1]
        shown = np.fft.irfft2(spectrum * np.sqrt(size), s=image.shape[:2], axes=(0, 1))
        shift = other.mean - self.mean
        own = image.mean((0, 1)) - self.mean  # an image darker than the others stays darker
        found = np.clip(np.rint(shown + self.mean + shift + own * np.sqrt(contrast[:, 0])), 0, 255)
        return np.asarray(found, np.uint8)

    def of_rings(self, count: int) -> np.ndarray:
        """float64 (3, count): the power in another number of rings, as of smaller or larger images."""
        own, wanted = ((np.arange(k) + 0.5) / k for k in (self.power.shape[1], count))
        return np.stack([np.interp(wanted, own, channel) for channel in self.power])


def _spectrum(image: Image) -> np.ndarray:
    """Amplitudes of an image less its mean, (H, W // 2 + 1, 3), such that white noise has its variance everywhere."""
    centred = image.astype(np.float64) - image.mean((0, 1))
    return np.asarray(np.fft.rfft2(centred, axes=(0, 1)) / np.sqrt(image.shape[0] * image.shape[1]))


def _count(shape: tuple[int, ...]) -> int:
    """How many rings of spatial frequency an image has at most, so that none is empty."""
    return max(1, min(_RINGS, min(shape[:2]) // 2))


def _rings(shape: tuple[int, ...], count: int) -> np.ndarray:
    """int (H, W // 2 + 1): in which of so many rings of spatial frequency an amplitude lies."""
    vertical, horizontal = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    return np.asarray(np.minimum(np.hypot(vertical, horizontal) / 0.5 * count, count - 1), int)


def _ring_means(values: np.ndarray, rings: np.ndarray) -> np.ndarray:
    return np.asarray(np.bincount(rings.ravel(), values.ravel()) / np.maximum(np.bincount(rings.ravel()), 1))
