"""Feeds of pictures, or of their stored maps, with the truth of every pixel, which moves with what is varied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from photovision.core.parallel import in_order
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image, Sample
from photovision.data.augment.mask import Look, MaskAugmenter, MaskedImages, Planes, open_scene
from photovision.learn.feed import FeatureFeed


class PixelFeed:
    """Pictures decoded and augmented in every epoch, their planes with them (`photovision.data.augment.mask`).

    Args:
        samples: pictures with `regions`.
        preprocess: what the network expects.
        view: what is varied.
        workers: threads.
        judged: whether `targets` holds the truth, for validation; else it is empty.

    Attributes:
        targets: uint8 (N, H, W, M), the planes as they are without variation; (N, 0) where not `judged`.
    """

    targets: np.ndarray

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        view: MaskAugmenter,
        workers: int,
        *,
        judged: bool = False,
    ) -> None:
        self.samples, self.preprocess, self.view, self.workers = samples, preprocess, view, workers
        self.scenes = MaskedImages(samples)
        every = np.arange(len(samples))
        self.targets = self.truth(every, -1, 0) if judged else np.zeros((len(samples), 0), dtype=np.uint8)

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """uint8 (N, H, W, 3)."""

        def one(position: int) -> Image:
            sample, size = self.samples[position], self._size(position)
            rng = np.random.default_rng((seed, max(epoch, 0), position))
            look = self._look(size, epoch, rng)
            image = look.pixels(open_scene(sample, self.preprocess, self.view.tile), size, self.preprocess)
            return image if epoch < 0 else self.view.augment.recolour(image, rng)

        return torch.from_numpy(np.stack([view for _, view in in_order(map(int, positions), one, self.workers)]))

    def truth(self, positions: np.ndarray, epoch: int, seed: int) -> np.ndarray:
        """uint8 (N, H, W, M): the planes of the views that `take` gives for the same arguments."""

        def one(position: int) -> Planes:
            rng = np.random.default_rng((seed, max(epoch, 0), position))
            return self._look(self._size(position), epoch, rng).planes(self.scenes[position], self.preprocess.size)

        return np.stack([one(int(position)) for position in positions])

    def _look(self, size: tuple[int, int], epoch: int, rng: np.random.Generator) -> Look:
        return self.view.fixed(size) if epoch < 0 else self.view.draw(size, rng)

    def _size(self, position: int) -> tuple[int, int]:
        planes = self.scenes[position]
        return planes.shape[1], planes.shape[0]


class StoredPixelFeed(FeatureFeed):
    """Stored maps of several views of every picture, with their planes.

    Args:
        views: float16 (N, L) each, rows of maps; view 0 is the picture as prediction sees it.
        planes: uint8 (N, H, W, M) each, the truth of these views.
        judged: whether `targets` holds the truth of view 0, for validation; else it is empty.
    """

    def __init__(self, views: Sequence[np.ndarray], planes: Sequence[np.ndarray], *, judged: bool = False) -> None:
        super().__init__(views, np.asarray(planes[0]) if judged else np.zeros((len(planes[0]), 0), np.uint8))
        self.planes = planes

    def truth(self, positions: np.ndarray, epoch: int, seed: int) -> np.ndarray:
        """uint8 (N, H, W, M): the planes of the views that `take` gives for the same arguments."""
        return self.chosen(self.planes, positions, epoch, seed)
