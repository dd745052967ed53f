"""Feeds: what the loop learns from, batch by batch.

A batch is a dict of tensors: `inputs` (uint8 pictures (N, H, W, 3) or float feature maps (N, C, H, W)), `targets`
float32 (N, C), soft labels that sum to 1 for single-label data, or (N, M, 5), boxes, and `positions` int64 (N,) of the
samples. Which samples make up batch k of epoch e, and how each is varied, depends on (seed, e, k) alone, so a run can
be resumed at any batch, and shared among processes: each takes its contiguous part of every global batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from photovision.core.parallel import in_order
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image, Sample
from photovision.data.augment.image import Augment, load_pixels, open_picture

Batch = dict[str, torch.Tensor]


class Feed(Protocol):
    """A source of batches.

    Attributes:
        targets: float32 (N, C), the truth of all samples.
    """

    targets: Floats

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """The inputs at these positions, varied as the epoch and the seed say; epoch -1 means not varied."""
        ...


@runtime_checkable
class FeedWithTargets(Protocol):
    """A feed whose truth moves with what is varied of the inputs, such as boxes in mirrored pictures."""

    def truth(self, positions: np.ndarray, epoch: int, seed: int) -> Floats:
        """The targets at these positions in the views that `take` gives for the same arguments."""
        ...


@dataclass(frozen=True)
class Shard:
    """Which part of every global batch this process computes: the `rank`-th of `world` equal ones."""

    rank: int = 0
    world: int = 1

    def of(self, positions: np.ndarray) -> np.ndarray:
        """This process's contiguous part; the number of positions must be a multiple of `world`."""
        size = len(positions) // self.world
        return positions[self.rank * size : (self.rank + 1) * size]


def order(n: int, epoch: int, seed: int, batch_size: int, weights: Floats | None = None) -> np.ndarray:
    """Positions of one epoch, shuffled, filled up to whole batches by starting over; int64 (steps, batch_size).

    Args:
        weights: float (n,), relative frequency of each sample (class-balanced sampling); None means each once.
    """
    rng = np.random.default_rng((seed, epoch))
    steps = max(1, -(-n // batch_size))
    if weights is None:
        shuffled = np.concatenate([rng.permutation(n) for _ in range(-(-steps * batch_size // n))])
    else:
        shuffled = rng.choice(n, steps * batch_size, p=weights / weights.sum())
    return shuffled[: steps * batch_size].reshape(steps, batch_size).astype(np.int64)


def batches(
    feed: Feed, epoch: int, seed: int, batch_size: int, start: int, share: Shard, weights: Floats | None = None
) -> Iterator[Batch]:
    """This process's batches of one epoch from batch `start` on, made ahead of time by one thread."""
    parts = [share.of(row) for row in order(len(feed.targets), epoch, seed, batch_size, weights)[start:]]
    for positions, inputs in in_order(parts, lambda rows: feed.take(rows, epoch, seed), workers=1, ahead=3):
        truth = feed.truth(positions, epoch, seed) if isinstance(feed, FeedWithTargets) else feed.targets[positions]
        targets = torch.from_numpy(truth)
        yield {"inputs": inputs, "targets": targets, "positions": torch.from_numpy(positions)}


class PictureFeed:
    """Pictures decoded and augmented in every epoch, by a pool of threads."""

    def __init__(
        self, samples: Sequence[Sample], targets: Floats, preprocess: Preprocess, augment: Augment, workers: int
    ) -> None:
        self.samples, self.targets = samples, targets
        self.preprocess, self.augment, self.workers = preprocess, augment, workers

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """uint8 (N, H, W, 3)."""

        def view(position: int) -> Image:
            sample = self.samples[position]
            if epoch < 0:
                return load_pixels(sample, self.preprocess)
            rng = np.random.default_rng((seed, epoch, position))
            return self.augment(open_picture(sample, self.preprocess), self.preprocess, rng)

        return torch.from_numpy(np.stack([image for _, image in in_order(map(int, positions), view, self.workers)]))


class SmallPictureFeed:
    """Small pictures held in memory and augmented a batch at a time: shifted, mirrored, partly erased.

    Corruptions and AugMix, where `augment` asks for them, work picture by picture.

    Decoding 60,000 files of 28 pixels every epoch would cost more than the network.
    """

    def __init__(self, images: Image, targets: Floats, augment: Augment, *, shift: int = 2, erase: int = 0) -> None:
        self.images, self.targets, self.augment = images, targets, augment
        self.shift, self.erase = shift, erase

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """uint8 (N, H, W, 3)."""
        if epoch < 0:
            return torch.from_numpy(self.images[positions])
        # Drawn for all samples of the epoch at once: a sample's view depends on neither its batch nor its process.
        draws = _draws(seed, epoch, len(self.images))[positions]
        # In NumPy: torch would start threads of its own here, which get in the way of the network's.
        images = self._moved(positions, draws)
        if self.augment.disturbs:
            for row, position in enumerate(positions):
                images[row] = self.augment.disturb(images[row], np.random.default_rng((seed, epoch, position, 2)))
        return torch.from_numpy(self._erased(images, draws[:, 3:5]) if self.erase else images)

    def _moved(self, positions: np.ndarray, draws: Floats) -> Image:
        """Shifted and mirrored by choosing rows and columns, reflected at the border."""
        _, height, width, _ = self.images.shape
        by = np.minimum((draws[:, :2] * (2 * self.shift + 1)).astype(np.int64), 2 * self.shift) - self.shift
        rows = _reflect(np.arange(height) + by[:, :1], height)
        columns = _reflect(np.arange(width) + by[:, 1:], width)
        if self.augment.flip:
            columns = np.where(draws[:, 2:3] < 0.5, columns[:, ::-1], columns)
        moved: Image = self.images[positions[:, None, None], rows[:, :, None], columns[:, None, :]]
        return moved

    def _erased(self, images: Image, draws: Floats) -> Image:
        _, height, width, _ = images.shape
        top, left = (draws * [height - self.erase, width - self.erase]).astype(np.int64).T[:, :, None]
        y, x = np.arange(height), np.arange(width)
        tall, wide = (y >= top) & (y < top + self.erase), (x >= left) & (x < left + self.erase)
        images[tall[:, :, None] & wide[:, None, :]] = 128
        return images


class FeatureFeed:
    """Feature maps of a frozen trunk, computed once over several augmented views of every picture.

    Args:
        views: float16 (N, C, H, W) each, in memory or memory-mapped; view 0 is the picture as prediction sees it.
        targets: float32 (N, C).
    """

    def __init__(self, views: Sequence[np.ndarray], targets: Floats) -> None:
        self.views, self.targets = views, targets

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """float32 (N, C, H, W): every epoch another view, each picture going through them from a start of its own."""
        return torch.from_numpy(self.chosen(self.views, positions, epoch, seed).astype(np.float32))

    def chosen(self, views: Sequence[np.ndarray], positions: np.ndarray, epoch: int, seed: int) -> np.ndarray:
        """Rows (N, ...) of arrays that hold something of every view: those of the views that `take` gives."""
        numbers = np.zeros(len(positions), dtype=np.int64)
        if epoch >= 0:
            start = (_draws(seed, 0, len(self.targets))[positions, 0] * len(views)).astype(np.int64)
            numbers = (start + epoch) % len(views)
        return np.stack([views[int(view)][position] for view, position in zip(numbers, positions, strict=True)])


class JoinedFeed:
    """One feed after another, as if they were one: positions count through the first, then the second.

    Args:
        first, second: feeds of the same kind of inputs.
    """

    def __init__(self, first: Feed, second: Feed) -> None:
        self.parts = first, second
        self.targets = np.concatenate([first.targets, second.targets])

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """The inputs at these positions, each as its own feed gives it."""
        first, second = self.parts
        own = positions < len(first.targets)
        taken = (
            (np.flatnonzero(own), first, positions[own]),
            (np.flatnonzero(~own), second, positions[~own] - len(first.targets)),
        )
        rows, inputs = zip(*((rows, feed.take(at, epoch, seed)) for rows, feed, at in taken if len(rows)), strict=True)
        return torch.cat(inputs)[torch.from_numpy(np.argsort(np.concatenate(rows)))]


@lru_cache(maxsize=2)
def _draws(seed: int, epoch: int, n: int) -> Floats:
    """float32 (n, 5), uniform from 0 to 1: what one epoch varies of each sample."""
    return np.random.default_rng((seed, epoch, 1)).random((n, 5), dtype=np.float32)


def _reflect(index: np.ndarray, size: int) -> np.ndarray:
    index = np.abs(index)
    return np.clip(np.where(index >= size, 2 * (size - 1) - index, index), 0, size - 1)
