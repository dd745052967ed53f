"""Planes: the truth of every pixel as layers of a picture, and views in which they move with the pixels.

The first plane holds the class of every pixel, 255 where nobody judges. Where objects are to be separated a second one
holds how deep inside its object a pixel lies, from 0 at the edge to 255 in the middle: every object has one core, and
cores of objects that touch do not touch (after Bai and Urtasun 2017, "Deep watershed transform").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from photovision.core.files import read_file
from photovision.core.image import read_header
from photovision.core.preprocess import Preprocess
from photovision.core.regions import IGNORE, Detections, Segmentation
from photovision.core.shapes import Rle
from photovision.core.types import Image, Sample, check_image
from photovision.core.window import Window, rescaled
from photovision.data.augment.image import Augment, open_picture
from photovision.data.formats.masks import flatten

Planes = np.ndarray
"""uint8 (H, W, 1), or (H, W, 2) with the depths."""
_KEPT = 2 * 2**30  # bytes of planes that are held in memory
_ZOOM = 0.35  # the logarithm of how much larger or smaller than in the picture things are shown


def planes_of(sample: Sample) -> Planes:
    """The truth of a sample's pixels, in its own size: uint8 (H, W, 1), of objects (H, W, 2).

    Objects' classes count from 1, for 0 is what is no object. Later objects cover earlier ones.
    """
    regions = sample.annotations
    if isinstance(regions, Segmentation):
        return regions.labels.astype(np.uint8)[..., None]
    assert isinstance(regions, Detections)
    numbers, classes = flatten(regions, _size(sample, regions))
    if regions.crowd is not None and regions.crowd.any():
        classes[np.isin(numbers, np.flatnonzero(regions.crowd) + 1)] = IGNORE
    return np.stack([classes, (255 * depth(numbers)).round().astype(np.uint8)], axis=-1)


def depth(numbers: np.ndarray) -> np.ndarray:
    """float32 (H, W): how far from its object's edge a pixel lies, as a share of the farthest in that object.

    Args:
        numbers: integers (H, W), the same for the pixels of one object, 0 for none.

    Example:
        >>> depth(np.array([[0, 1, 1, 1, 2]])).tolist()
        [[0.0, 0.5, 1.0, 0.5, 1.0]]
    """
    from scipy import ndimage

    padded = np.pad(numbers.astype(np.int32), 1, mode="edge")
    apart = np.zeros(padded.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(padded, axis=axis) != 0
        for start in (0, 1):
            part = [slice(None), slice(None)]
            part[axis] = slice(start, padded.shape[axis] - 1 + start)
            apart[tuple(part)] |= differs
    inner = (padded > 0) & ~apart
    if not (padded > 0).any():
        return np.zeros(numbers.shape, dtype=np.float32)
    # Pixels at an edge are one pixel deep; those inside one more than they are far from them.
    far = ndimage.distance_transform_edt(inner) if not inner.all() else np.full(padded.shape, 1.0)
    deep = np.where(padded > 0, far + 1, 0)[1:-1, 1:-1]
    most = ndimage.maximum(deep, numbers, np.arange(int(numbers.max()) + 1))
    found: np.ndarray = (deep / np.maximum(np.asarray(most)[numbers.astype(np.int64)], 1e-6)).astype(np.float32)
    return np.where(numbers > 0, found, 0).astype(np.float32)


class MaskedImages(Sequence[Planes]):
    """The planes of every sample, made when they are asked for and kept as far as two gigabytes reach.

    Args:
        samples: pictures with `regions`.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples
        self._held: dict[int, Planes] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index):  # type: ignore[no-untyped-def] # a Sequence's, of which only positions are used
        held = self._held.get(index)
        if held is None:
            held = planes_of(self.samples[index])
            if self._bytes + held.nbytes <= _KEPT:
                self._held[index] = held
                self._bytes += held.nbytes
        return held


@dataclass(frozen=True)
class Look:
    """One way to look at a picture.

    Attributes:
        box: (left, top, right, bottom), the part that is shown, in pixels of the planes.
        flipped: whether it is mirrored left to right.
        turns: quarters of a turn after that, against the clock.
    """

    box: Window
    flipped: bool = False
    turns: int = 0

    def pixels(self, picture: Pillow.Image, size: tuple[int, int], preprocess: Preprocess) -> Image:
        """The part at the preprocessing's size: uint8 (h, w, 3).

        Args:
            picture: RGB; it may have been decoded smaller than the planes.
            size: (W, H) of the planes.
            preprocess: gives the size and the filter.
        """
        part = rescaled(self.box, (size[1], size[0]), (picture.height, picture.width))
        return self._moved(preprocess.resize(picture, part))

    def planes(self, planes: Planes, size: tuple[int, int]) -> Planes:
        """The same part of planes uint8 (H, W, M) at `size` (h, w): uint8 (h, w, M)."""
        layers = []
        for layer in range(planes.shape[2]):
            # Classes must not be mixed; depths may.
            way = Pillow.Resampling.BILINEAR if layer else Pillow.Resampling.NEAREST
            picture = Pillow.fromarray(np.ascontiguousarray(planes[..., layer]))
            layers.append(np.asarray(picture.resize((size[1], size[0]), way, box=self.box)))
        return self._moved(np.stack(layers, axis=-1))

    def _moved(self, layers: np.ndarray) -> np.ndarray:
        layers = layers[:, ::-1] if self.flipped else layers
        return np.ascontiguousarray(np.rot90(layers, self.turns))


@dataclass(frozen=True)
class MaskAugmenter:
    """How pictures and their planes are shown to a network that learns.

    Attributes:
        augment: what is varied of the pixels; its windows and mirrored views hold for the planes, too.
        tile: (H, W) of the part that a network sees at a time, in pixels of the picture; None for the whole.
        turn: whether views are also turned by quarters, where no direction means anything.

    Example:
        >>> look = MaskAugmenter(Augment(), tile=(16, 16)).draw((40, 30), np.random.default_rng(0))
        >>> look.pixels(Pillow.new("RGB", (40, 30)), (40, 30), Preprocess((24, 24))).shape
        (24, 24, 3)
        >>> look.planes(np.zeros((30, 40, 1), np.uint8), (24, 24)).shape
        (24, 24, 1)
    """

    augment: Augment
    tile: tuple[int, int] | None = None
    turn: bool = False

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> Look:
        """A random look at a picture of (W, H)."""
        box = self.augment.window(size, rng) if self.tile is None else self._part(size, rng)
        flipped = self.augment.flip and rng.random() < 0.5
        return Look(box, bool(flipped), int(rng.integers(4)) if self.turn else 0)

    def fixed(self, size: tuple[int, int]) -> Look:
        """The look of validation: the middle of a tile's size, or the whole."""
        width, height = size
        wide, high = (width, height) if self.tile is None else (min(width, self.tile[1]), min(height, self.tile[0]))
        left, top = (width - wide) // 2, (height - high) // 2
        return Look((float(left), float(top), float(left + wide), float(top + high)))

    def _part(self, size: tuple[int, int], rng: np.random.Generator) -> Window:
        assert self.tile is not None
        zoom = float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
        wide, high = min(size[0], self.tile[1] * zoom), min(size[1], self.tile[0] * zoom)
        left, top = rng.uniform(0, size[0] - wide), rng.uniform(0, size[1] - high)
        return left, top, left + wide, top + high


def open_scene(sample: Sample, preprocess: Preprocess, tile: tuple[int, int] | None) -> Pillow.Image:
    """A sample's upright picture: whole where tiles are cut from it, else with enough pixels for random parts."""
    if isinstance(sample.image, np.ndarray):
        check_image(sample.image, sample.id)
        return Pillow.fromarray(sample.image)
    if tile is None:
        return open_picture(sample, preprocess)
    return preprocess.open(sample)


def _size(sample: Sample, regions: Detections) -> tuple[int, int]:
    for shape in regions.masks or ():
        if isinstance(shape, Rle):
            return shape.size[0], shape.size[1]
    if isinstance(sample.image, np.ndarray):
        return sample.image.shape[0], sample.image.shape[1]
    return read_header(read_file(sample.image)).size
