"""A feed of pictures with boxes, or of what the lower part of a detector says of them.

A frozen lower part is run by the fast runtime. Where a training is short, a few views of every picture come again and
again, and what the lower part says of them is kept in memory; a long one sees new views in every epoch.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from photovision.core.files import read_file
from photovision.core.image import read_header
from photovision.core.parallel import in_order
from photovision.core.preprocess import Preprocess
from photovision.core.regions import Detections
from photovision.core.types import Floats, Image, Sample
from photovision.core.window import whole
from photovision.data.augment.box import BoxAugmenter, open_whole, targets_in_window
from photovision.data.augment.image import load_pixels
from photovision.data.augment.mosaic import Piece, pieces, truth
from photovision.models.assign import NOTHING
from photovision.runtime.session import Session

_KEPT = np.dtype(np.float16)
_MOST_KEPT = 2**29  # bytes of maps in memory


class BoxFeed:
    """Pictures augmented differently in every epoch, their boxes with them.

    Args:
        samples: pictures with `Detections`; those without count as empty.
        preprocess: what the network expects.
        view: what is varied.
        workers: threads.
        lower: the frozen part, whose outputs are learned from; None gives pictures.

    Attributes:
        views: how many views of every picture there are, each in an epoch of its own, before they come again; 0: new
            ones in every epoch.
        plain: whether the first of them shows pictures as they are: where few steps are learned, what is varied of
            them costs more than it teaches.
        targets: float32 (N, M, 5), class and box of every object in pixels of the input, as they are without variation;
            rows of NOTHING fill up.
    """

    targets: Floats

    def __init__(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        view: BoxAugmenter,
        workers: int,
        lower: Session | None = None,
    ) -> None:
        self.samples, self.preprocess, self.view = samples, preprocess, view
        self.workers, self.lower = workers, lower
        self.views, self.plain = 0, False
        self._kept: dict[tuple[int, int, int], np.ndarray] = {}
        self._busy = threading.Lock()
        self.sizes = sizes_of(samples)
        self.most = max([1, *(len(found_in(sample)) for sample in samples)])
        rows = [
            targets_in_window(found_in(s), whole(size), preprocess.size)
            for s, size in zip(samples, self.sizes, strict=True)
        ]
        self.targets = self._filled(rows)

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """uint8 pictures (N, H, W, 3), or of the lower part its maps float32 (N, C, h, w); of several maps float32
        (N, K), all their numbers, one map after the other."""
        if self.lower is None:
            return torch.from_numpy(self._images(positions, self._view(epoch), seed))
        # A session answers one call at a time; batches are made ahead in another thread.
        with self._busy:
            return torch.from_numpy(self._maps(positions, self._view(epoch), seed))

    def fits(self, views: int, shape: tuple[int, ...]) -> bool:
        """Whether the maps of so many views, each (C, h, w), may be kept in memory."""
        return views * len(self.samples) * math.prod(shape) * _KEPT.itemsize <= _MOST_KEPT

    def _view(self, epoch: int) -> int:
        view = epoch % self.views if self.views and epoch >= 0 else epoch
        return view - 1 if self.plain and epoch >= 0 else view

    def _images(self, positions: np.ndarray, view: int, seed: int) -> Image:
        def image(position: int) -> Image:
            if view < 0:
                return load_pixels(self.samples[position], self.preprocess)
            return self._image(*self._pieces(position, view, seed))

        return np.stack([image for _, image in in_order(map(int, positions), image, self.workers)])

    def _maps(self, positions: np.ndarray, view: int, seed: int) -> Floats:
        assert self.lower is not None
        names = [(seed, view, position) for position in positions.tolist()]
        new = sorted({name for name in names if name not in self._kept})
        found = dict[tuple[int, int, int], np.ndarray]()
        if new:
            images = self._images(np.array([position for *_, position in new]), view, seed)
            # Rounded also where they are not kept, so that a run that is resumed learns from the same numbers.
            found = dict(zip(new, _joined(self.lower.run(images)).astype(_KEPT), strict=True))
            if (self.views or view < 0) and self.fits(max(1, self.views), found[new[0]].shape):
                self._kept |= {name: value.copy() for name, value in found.items()}
        rows = [found[name] if name in found else self._kept[name] for name in names]
        return np.stack(rows).astype(np.float32)

    def truth(self, positions: np.ndarray, epoch: int, seed: int) -> Floats:
        """float32 (N, M, 5), as `targets`, of the views that `take` gives."""
        view = self._view(epoch)
        if view < 0:
            return np.asarray(self.targets[positions], dtype=np.float32)
        rows = []
        for position in map(int, positions):
            # What is shown is drawn first of all, so the pixels are not needed here.
            shown, _ = self._pieces(position, view, seed)
            rows.append(truth([(piece, self._rows(piece)) for piece in shown]))
        return self._filled(rows)

    def _pieces(self, position: int, epoch: int, seed: int) -> tuple[list[Piece], np.random.Generator]:
        rng = np.random.default_rng((seed, epoch, position))
        return pieces(self.view, position, self.sizes, self.preprocess.size, rng), rng

    def _image(self, shown: Sequence[Piece], rng: np.random.Generator) -> Image:
        image = np.empty((*self.preprocess.size, 3), np.uint8)
        for piece in shown:
            picture, size = open_whole(self.samples[piece.position], self.preprocess)
            left, top, right, bottom = piece.place
            part = piece.draw.pixels(picture, size, piece.preprocess(self.preprocess))
            image[top:bottom, left:right] = self.view.recolour(part, rng)
        return image

    def _rows(self, piece: Piece) -> Floats:
        found = found_in(self.samples[piece.position])
        return piece.draw.truth(found, piece.preprocess(self.preprocess))

    def _filled(self, rows: Sequence[Floats]) -> Floats:
        most = max([self.most, *(len(row) for row in rows)])  # views of several pictures may hold more
        filled = np.full((len(rows), most, 5), NOTHING, dtype=np.float32)
        for target, row in zip(filled, rows, strict=True):
            target[: len(row)] = row
        return filled


def _joined(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The only map as it is, of several maps all their numbers, (N, K)."""
    maps = list(outputs.values())
    return maps[0] if len(maps) == 1 else np.concatenate([one.reshape(len(one), -1) for one in maps], axis=1)


def found_in(sample: Sample) -> Detections:
    """The truth of a sample; without objects where it has none."""
    if isinstance(sample.annotations, Detections):
        return sample.annotations
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def sizes_of(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """(H, W) of every picture, upright, from the heads of their files."""
    return [
        read_header(read_file(sample.image)).size
        if isinstance(sample.image, Path)
        else (sample.image.shape[0], sample.image.shape[1])
        for sample in samples
    ]
