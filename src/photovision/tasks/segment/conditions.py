"""Segmentations under corruptions: what the audit's check of conditions needs of a segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image as Pillow

from photovision.core.drawing import percent
from photovision.core.errors import DataError
from photovision.core.regions import LabelMap
from photovision.core.segments import draw_segments
from photovision.core.types import Image, Sample
from photovision.data.corruptions.transform_targets import MOVING, moved_labels
from photovision.engine.audit_context import AuditContext
from photovision.engine.checks import Shown
from photovision.tasks.detect.evaluation import opened
from photovision.tasks.segment.evaluation import background_of, label_map
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.detection import Vector, resamples
from photovision.trust.metrics.segmentation import confusion_of, pooled

_MAX_CLASSES = 20  # with more, what moves pixels is left out: every class would go through it as an image
_MAX_SIDE = 768  # of images that are corrupted, in pixels
_N_BOOT = 100
_SIDE = 260


@dataclass(frozen=True, eq=False)
class CorruptedSegmentations:
    """An `UnderCorruption` of a segmenter: Dice and mean IoU."""

    context: AuditContext
    max_images = 500

    @property
    def model(self) -> Segmenter:
        """What is audited."""
        model: Segmenter = self.context.model
        return model

    @property
    def left_out(self) -> tuple[str, ...]:
        """See `UnderCorruption`."""
        return MOVING if len(self.model.classes) > _MAX_CLASSES else ()

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W) of the images that are corrupted: one window of the model."""
        height, width = self.model.tile or self.model.preprocess.size
        return min(height, _MAX_SIDE), min(width, _MAX_SIDE)

    @cached_property
    def background(self) -> int | None:
        """The number of the class that is no object."""
        return background_of(self.model.classes)

    def views(self, rows: Sequence[int]) -> tuple[list[Image], list[LabelMap]]:
        """Windows of images and the class of their every pixel."""
        views = [self._view(self.context.samples[row]) for row in rows]
        return [image for image, _ in views], [labels for _, labels in views]

    def predict(self, images: Sequence[Image]) -> list[LabelMap]:
        """The class of every pixel."""
        found = self.model.predict(list(images))
        assert isinstance(found, list)
        return [one.labels for one in found]

    def measure(
        self, truth: Sequence[LabelMap], name: str, severity: int, predicted: list[LabelMap]
    ) -> dict[str, Vector]:
        """See `UnderCorruption`."""
        weights, count = resamples(len(truth), _N_BOOT, self.context.seed), len(self.model.classes)
        tables = []
        for row, (labels, found) in enumerate(zip(truth, predicted, strict=True)):
            moved = self._moved(labels, name, severity, (self.context.seed, row))
            tables.append(confusion_of(moved, found, count))
        sums = weights @ np.stack(tables).reshape(len(truth), -1)
        return pooled(sums.reshape(-1, count, count), self.background)

    def example(self, rows: Sequence[int], truth: Sequence[LabelMap]) -> int:
        """Position of the image in which most is of a class but the background, of up to half of it."""
        return int(np.argmin([abs(float((labels != self.background).mean()) - 0.4) for labels in truth]))

    def drawn(
        self, image: Image, truth: LabelMap, predicted: LabelMap, name: str, severity: int, seed: tuple[int, int]
    ) -> Shown:
        """An image with the classes of its pixels, and its Dice."""
        classes = self.model.classes
        table = confusion_of(self._moved(truth, name, severity, seed), predicted, len(classes))
        dice = float(pooled(table[None], self.background)["dice"][0])
        page = draw_segments(image, predicted, None, classes, side=_SIDE, background=self.background)
        alone = page[: round(_SIDE * image.shape[0] / image.shape[1])]  # without its legend
        return alone, f"Dice {percent(dice) if np.isfinite(dice) else 'unknown'}"

    def _moved(self, labels: LabelMap, name: str, severity: int, seed: tuple[int, int]) -> LabelMap:
        return moved_labels(labels, len(self.model.classes), name, severity, seed) if name else labels

    def _view(self, sample: Sample) -> tuple[Image, LabelMap]:
        """One window of an image and the class of its every pixel, both of `size`: its middle, or the whole, scaled.

        Raises:
            DataError: it cannot be read any more, or its masks are of another size.
        """
        image = opened(sample)
        if image is None:
            raise DataError(f"{sample.id} cannot be read any more")
        labels, _ = label_map(sample, self.model.classes, image.shape[:2])
        if self.model.tile is not None:
            return _middle(image, self.size), _middle(labels, self.size)
        whole = self.model.preprocess.apply(image)
        box = self.model.preprocess.window(image.shape[1], image.shape[0])
        scaled = Pillow.fromarray(labels.astype(np.int32)).resize(self.size[::-1], Pillow.Resampling.NEAREST, box=box)
        return whole, np.asarray(scaled, dtype=np.int32)


def _middle(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle (H, W) of an image or its labels, mirrored at the border where it is smaller."""
    lacking = [max(0, side - have) for side, have in zip(size, values.shape, strict=False)]
    edges = [(lack // 2, lack - lack // 2) for lack in lacking] + [(0, 0)] * (values.ndim - 2)
    whole = np.pad(values, edges, mode="symmetric") if any(lacking) else values
    top, left = ((have - side) // 2 for have, side in zip(whole.shape, size, strict=False))
    return np.ascontiguousarray(whole[top : top + size[0], left : left + size[1]])
