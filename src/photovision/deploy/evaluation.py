"""Judging: what a changed detector or segmenter loses, on the same pictures as the model that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from photovision.core.errors import DataError
from photovision.core.report import Metric, Report
from photovision.data.dataset import Dataset
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluate import evaluate_boxes, look
from photovision.tasks.detect.evaluation import DetectEvaluation
from photovision.tasks.segment.evaluation import background_of, evaluate_masks, judge
from photovision.tasks.segment.segmenter import Segmenter
from photovision.tasks.splits import TrainingSplits
from photovision.trust.metrics.detection import Matches, match, scores
from photovision.trust.metrics.paired_tests import box_gains, mask_gains
from photovision.trust.metrics.segmentation import overlap

Places = Detector | Segmenter
FIGURES = {"map": "mAP", "map50": "mAP at .5", "miou": "mean IoU", "dice": "Dice"}
"""Figure -> what people call it."""


class HeldOutEvaluation(Protocol):
    """How one model does on some pictures.

    Attributes:
        pictures: how many.
    """

    @property
    def pictures(self) -> int:
        """How many there are."""
        ...

    def figures(self) -> dict[str, Metric]:
        """The leading figure first."""
        ...

    def gain(self, after: Any) -> dict[str, Metric]:
        """How much better another model does on the same pictures, in points, by the names of `figures`."""
        ...


@dataclass(frozen=True, eq=False)
class HeldBoxes:
    """A detector's answers; mean average precision leads."""

    looked: DetectEvaluation

    @cached_property
    def matches(self) -> Matches:
        """Which box is on which object."""
        return match(self.looked.pairs, self.looked.classes)

    @property
    def pictures(self) -> int:
        """See `HeldOutEvaluation`."""
        return len(self.looked.pairs)

    def figures(self) -> dict[str, Metric]:
        """See `HeldOutEvaluation`."""
        found = scores(self.matches)[0]
        return {name: found[name] for name in ("map", "map50", "map75")}

    def gain(self, after: HeldBoxes) -> dict[str, Metric]:
        """See `HeldOutEvaluation`."""
        return box_gains(self.matches, after.matches).figures


@dataclass(frozen=True, eq=False)
class HeldMasks:
    """A segmenter's answers, int64 (N, C, C) of `confusion_of`; mean IoU leads."""

    confusions: np.ndarray
    classes: tuple[str, ...]

    @property
    def pictures(self) -> int:
        """See `HeldOutEvaluation`."""
        return len(self.confusions)

    def figures(self) -> dict[str, Metric]:
        """See `HeldOutEvaluation`."""
        found = overlap(self.confusions, self.classes, background_of(self.classes))
        return {name: found[name] for name in ("miou", "dice")}

    def gain(self, after: HeldMasks) -> dict[str, Metric]:
        """See `HeldOutEvaluation`."""
        return mask_gains(self.confusions, after.confusions, self.classes, background_of(self.classes)).figures


def hold(model: Places, dataset: Dataset) -> HeldOutEvaluation:
    """Ask a model about every labelled picture; raises DataError as its evaluation does."""
    if isinstance(model, Detector):
        return HeldBoxes(look(model, dataset))
    return HeldMasks(judge(model, dataset).confusions, model.classes)


def proof(model: Places, material: TrainingSplits) -> Report:
    """The evaluation of a model on the test pictures."""
    leaked = material.leaked.tolist()
    if isinstance(model, Detector):
        return evaluate_boxes(model, material.test, leaked=leaked)
    return evaluate_masks(model, material.test, leaked=leaked)


def need_regions(dataset: Dataset, model: Places) -> Dataset:
    """The data as they are; raises DataError where they lack what such a model is judged by."""
    if not any(sample.regions is not None for sample in dataset.samples):
        kind = model.bundle.row.text.noun
        needed = "boxes" if kind == "detector" else "masks"
        raise DataError(f"a {kind} is judged by {needed}, but the data has none: give pictures with {needed}")
    return dataset
