"""Augmentation: new views of a training picture, each determined by a seed alone.

A view depends on (seed, epoch, position) and on nothing else: not on the worker, the process, or what ran before. So
training resumes exactly, and two processes see what one would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image as Pillow
from PIL import ImageEnhance

from photovision.core.preprocess import Preprocess
from photovision.core.types import Image, Sample
from photovision.core.window import Window
from photovision.data.corruptions import corrupt
from photovision.data.corruptions.augmix import augmix

_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
_WORST = 4  # of the five severities: the last stays unseen


@dataclass(frozen=True)
class Augment:
    """What is varied, and how much.

    Attributes:
        scale: least share of the picture's area that a view shows, 0 to 1.
        ratio: largest change of proportions, as a factor.
        flip: whether half of the views are mirrored left to right; off where orientation carries meaning (letters).
        jitter: largest relative change of brightness, contrast and saturation.
        corruptions: names from `data.corruptions`; half of the views get one of them, at severity 1 to 4.
        augmix: whether views are mixed with simple operations on them (`data.corruptions.augmix`).

    Example:
        >>> view = Augment()(Pillow.new("RGB", (40, 30)), Preprocess((24, 24)), np.random.default_rng(0))
        >>> view.shape
        (24, 24, 3)
    """

    scale: float = 0.35
    ratio: float = 4 / 3
    flip: bool = True
    jitter: float = 0.3
    corruptions: tuple[str, ...] = ()
    augmix: bool = False

    def __call__(self, picture: Pillow.Image, preprocess: Preprocess, rng: np.random.Generator) -> Image:
        """One view: uint8 RGB at the preprocessing's size."""
        view = preprocess.resize(picture, self.window(picture.size, rng))
        flipped = self.flip and rng.random() < 0.5
        view = self.recolour(view, rng)
        return self.disturb(np.ascontiguousarray(view[:, ::-1]) if flipped else view, rng)

    def recolour(self, view: Image, rng: np.random.Generator) -> Image:
        """A view in another brightness, contrast and saturation: uint8 (H, W, 3)."""
        factors = rng.uniform(1 - self.jitter, 1 + self.jitter, len(_ENHANCERS))
        if not self.jitter:
            return view
        jittered = Pillow.fromarray(view)
        for enhancer, factor in zip(_ENHANCERS, factors, strict=True):
            jittered = enhancer(jittered).enhance(float(factor))
        return np.asarray(jittered)

    @property
    def disturbs(self) -> bool:
        """Whether `disturb` does anything."""
        return self.augmix or bool(self.corruptions)

    def disturb(self, view: Image, rng: np.random.Generator) -> Image:
        """A view after AugMix and a corruption, where they are asked for: uint8 (H, W, 3)."""
        if self.augmix:
            view = augmix(view, rng)
        if self.corruptions and rng.random() < 0.5:
            name = self.corruptions[int(rng.integers(len(self.corruptions)))]
            view = corrupt(view, name, int(rng.integers(1, _WORST + 1)), int(rng.integers(2**63)))
        return view

    def window(self, size: tuple[int, int], rng: np.random.Generator) -> Window:
        """A random window (Inception's random resized crop), clipped to the picture."""
        width, height = size
        area = rng.uniform(self.scale, 1.0)
        stretch = float(np.exp(rng.uniform(-np.log(self.ratio), np.log(self.ratio))))
        shown_w = min(width, width * float(np.sqrt(area * stretch)))
        shown_h = min(height, height * float(np.sqrt(area / stretch)))
        left, top = rng.uniform(0, width - shown_w), rng.uniform(0, height - shown_h)
        return left, top, left + shown_w, top + shown_h


def open_picture(sample: Sample, preprocess: Preprocess) -> Pillow.Image:
    """A sample's upright RGB picture, with enough pixels for random windows of it."""
    return preprocess.open(sample, (2 * preprocess.size[0], 2 * preprocess.size[1]))


def load_pixels(sample: Sample, preprocess: Preprocess) -> Image:
    """A sample at the preprocessing's size, without augmentation: the pixels that prediction sees."""
    if isinstance(sample.image, np.ndarray):
        return preprocess.apply(sample.image)
    shown = replace(preprocess, value_ranges=preprocess.value_ranges or sample.ranges) if sample.ranges else preprocess
    return shown.load(sample.image)
