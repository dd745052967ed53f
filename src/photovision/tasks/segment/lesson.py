"""What one training of a segmenter learns, and how pictures are shown to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.core.types import Sample
from photovision.data.augment.image import Augment
from photovision.data.augment.mask import MaskAugmenter, MaskedImages
from photovision.data.formats.colours import BACKGROUND
from photovision.engine.splits import TrainingSplits
from photovision.models.backbones import Backbone
from photovision.models.segmenter import FACTOR, PLAIN, Decoder
from photovision.tasks.segment.objective import SegmentObjective

MAX_PIXELS = 640 * 640
"""Of the network's input for whole pictures, where no size is asked for: more cost more than they tell."""
_SMALLEST, _LARGEST = 12, 64  # sides in pixels at which a network sees a usual object well
_MEASURED = 32  # pictures whose sides are looked at


@dataclass(frozen=True, eq=False)
class SegmentTraining:
    """What one training learns, and how pictures are shown to it.

    Attributes:
        material: the pictures.
        task: the classes, and whether objects are separated.
        classes: C names.
        source: the backbone and its preprocessing.
        tile: (H, W) in pixels that the network sees at a time; None for whole pictures.
        least: pixels of the smallest thing that counts as an object.
        decoder: how wide and how fine the decoder is.
    """

    material: TrainingSplits
    task: SegmentObjective
    classes: tuple[str, ...]
    source: Backbone
    tile: tuple[int, int] | None
    least: int
    decoder: Decoder = PLAIN

    def resized(self, size: tuple[int, int]) -> SegmentTraining:
        """The same for a network that takes pictures of `size`."""
        preprocess = replace(self.source.preprocess, size=size)
        return replace(self, source=replace(self.source, preprocess=preprocess))

    def view(self, flip: bool, augment: Augment | None = None) -> MaskAugmenter:
        """How pictures are varied, an expert's choice if given; mirrored and turned only where `flip` allows it."""
        height, width = self.source.preprocess.size
        # Under a microscope or from above no direction means anything; in photographs up is up.
        turn = self.tile is not None and height == width
        return MaskAugmenter(augment or Augment(flip=flip), self.tile, turn and flip)


def plan_lesson(material: TrainingSplits, source: Backbone) -> SegmentTraining:
    """Settle classes, the window that the network sees, and what counts as an object.

    Raises:
        DataError: objects are called "background", or the training images hold none.
    """
    dataset = material.dataset
    if dataset.annotation_type == "masks":
        return SegmentTraining(material, SegmentObjective(len(dataset.classes)), dataset.classes, source, None, 1)
    if BACKGROUND in dataset.classes:
        raise DataError(f"objects should not be called '{BACKGROUND}', which is what is no object: rename the class")
    areas = np.concatenate([_areas(sample.annotations) for sample in material.train.samples])
    if not len(areas):
        raise DataError("the training pictures hold no object: add pictures with masks")
    side = float(np.sqrt(np.median(areas)))
    scale = side / float(np.clip(side, _SMALLEST, _LARGEST))
    height, width = (int(np.clip(round(scale * v), 16, 8192)) for v in source.preprocess.size)
    least = max(1, int(np.percentile(areas, 1) / 4))
    classes = (BACKGROUND, *dataset.classes)
    return SegmentTraining(material, SegmentObjective(len(classes), True), classes, source, (height, width), least)


def _areas(regions: object) -> np.ndarray:
    """Pixels of every object, of its mask where it is run-length coded, else of its box."""
    if not isinstance(regions, Detections):
        return np.empty(0)
    sides = regions.boxes[:, 2:] - regions.boxes[:, :2]
    boxes = sides[:, 0] * sides[:, 1]
    counts = [getattr(shape, "counts", None) for shape in regions.masks or (None,) * len(regions)]
    return np.array([box if runs is None else runs[1::2].sum() for box, runs in zip(boxes, counts, strict=True)])


def fitted_size(samples: Sequence[Sample], pixels: float) -> tuple[int, int]:
    """(H, W) in the usual proportions of some pictures: of at most `pixels` pixels, and no larger than the pictures.

    Both are multiples of 32.
    """
    scenes = MaskedImages(
        [samples[i] for i in np.linspace(0, len(samples) - 1, min(_MEASURED, len(samples))).astype(int)]
    )
    height, width = np.median([scene.shape[:2] for scene in scenes], axis=0)
    scale = min(1.0, float(np.sqrt(pixels / (height * width))))
    sides = [max(2 * FACTOR, FACTOR * round(scale * side / FACTOR)) for side in (height, width)]
    return sides[0], sides[1]
