"""Detections under corruptions: what the audit's check of conditions needs of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.regions import Detections
from photovision.core.types import Image
from photovision.core.window import crop_boxes, whole
from photovision.data.corruptions.transform_targets import BOXLESS, moved_boxes
from photovision.engine.audit_context import MAX_IMAGES, AuditContext
from photovision.engine.checks import Shown
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluation import DetectEvaluation, kept
from photovision.trust.metrics.detection import Pair, Vector, resamples
from photovision.trust.metrics.matching import find_hits

_MIN_SCORE = 0.01  # boxes below count next to nothing for average precision, and there are many conditions
_N_BOOT = 100
_BATCH = 8
_SIDE = 260


@dataclass(frozen=True, eq=False)
class CorruptedDetections:
    """An `UnderCorruption` of a detector: mAP at an IoU of 0.5, recall, and false boxes per image."""

    context: AuditContext
    left_out = BOXLESS
    max_images = MAX_IMAGES

    @property
    def evaluation(self) -> DetectEvaluation:
        """What is audited."""
        evaluation: DetectEvaluation = self.context.evaluation
        return evaluation

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of what the network sees."""
        size: tuple[int, int] = self.context.model.preprocess.size
        return size

    @cached_property
    def eager(self) -> Detector:
        """The detector at a low threshold, for average precision."""
        own: Detector = self.context.model
        return Detector(own.bundle, threshold=_MIN_SCORE, iou=own.iou, most=own.most)

    def views(self, rows: Sequence[int]) -> tuple[list[Image], list[Detections]]:
        """Images and their objects in pixels of what the network sees."""
        return [*self.context.pixels(rows)], [self._truth(row) for row in rows]

    def predict(self, images: Sequence[Image]) -> list[Detections]:
        """Boxes in pixels of what the network sees."""
        found = []
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH]
            outputs = self.eager.session.run(np.stack(part))
            for row in range(len(part)):
                boxes = self.eager.boxes(
                    {name: value[row] for name, value in outputs.items()}, self.size, whole(self.size)
                )
                found.append(Detections(boxes.xyxy, boxes.labels, self.evaluation.classes, boxes.scores))
        return found

    def measure(
        self, truth: Sequence[Detections], name: str, severity: int, predicted: list[Detections]
    ) -> dict[str, Vector]:
        """See `UnderCorruption`."""
        weights, seed = resamples(len(truth), _N_BOOT, self.context.seed), self.context.seed
        moved = [moved_boxes(one, self.size, name, severity, (seed, row)) for row, one in enumerate(truth)]
        hits = find_hits([Pair(*both) for both in zip(moved, predicted, strict=True)], self.evaluation.classes)
        found, spare, missed = (weights @ hits.tally(self.evaluation.thresholds)).T
        recall = found / np.maximum(found + missed, 1)
        return {"map50": hits.ap50(weights), "recall_shown": recall, "false_boxes": spare / len(truth)}

    def example(self, rows: Sequence[int], truth: Sequence[Detections]) -> int:
        """Position of a telling image: a typical number of objects, as many of them found as possible."""
        tally = self.evaluation.hits.tally(self.evaluation.thresholds)[rows]
        there = tally[:, 0] + tally[:, 2]
        typical = np.abs(there - np.median(there[there > 0])) if there.any() else there
        return int(np.lexsort((-self.evaluation.score()[rows], typical))[0])

    def drawn(
        self, image: Image, truth: Detections, predicted: Detections, name: str, severity: int, seed: tuple[int, int]
    ) -> Shown:
        """An image with the boxes that are shown, and what became of its objects."""
        classes, scores = self.evaluation.classes, predicted.scores
        assert scores is not None
        shown = kept(predicted, np.flatnonzero(scores >= self.evaluation.thresholds[predicted.labels]))
        hits = find_hits([Pair(moved_boxes(truth, self.size, name, severity, seed), shown)], classes)
        found, spare, missed = hits.tally(np.zeros(len(classes), np.float32))[0].tolist()
        return draw_regions(image, shown, _SIDE), f"{found} of {found + missed} found, {spare} false"

    def _truth(self, row: int) -> Detections:
        height, width = self.evaluation.sizes[row]
        window = self.context.model.preprocess.window(width, height)
        return crop_boxes(self.evaluation.pairs[row].truth, window, self.size)
