"""How much of a budget is kept for what follows the learning of a segmenter, measured on this machine."""

from __future__ import annotations

import time

from photovision.core.regions import Segmentation
from photovision.core.result import Result
from photovision.data.dataset import Dataset
from photovision.engine import closing
from photovision.engine.splits import TrainingSplits
from photovision.runtime.neighbours import MAX_IMAGES as REFERENCES
from photovision.tasks.segment.evaluation import compared, label_map

_MEASURED = 3  # pictures
_EXPORTS = 2.5  # what writing, comparing and opening the graph takes, in exports of the backbone


def usual_seconds(splits: TrainingSplits) -> float:
    """What follows the learning takes about so many seconds, where nothing has been measured."""
    return 30 + 0.3 * (len(splits.val) + len(splits.test)) + 0.05 * min(len(splits.train), REFERENCES)


def closing_seconds(splits: TrainingSplits, classes: tuple[str, ...], exported: float, each: float) -> float:
    """Seconds for export, parity, what is remembered, the evaluations of val and test, and the report.

    Args:
        splits: pictures with a class for every pixel.
        classes: of the segmenter.
        exported: seconds that writing and opening the graph of the backbone took.
        each: seconds in which a picture is read and goes through the backbone.
    """
    val, test = len(splits.val), len(splits.test)
    predicted = min(len(splits.train), REFERENCES) + val + test
    evaluated = (val + test) * _evaluation_seconds(splits.val, classes)
    return closing.closing_seconds(_EXPORTS * exported, predicted * each, evaluated)


def _evaluation_seconds(val: Dataset, classes: tuple[str, ...]) -> float:
    """Of comparing one predicted mask with the true one, measured with predictions that are turned upside down."""
    samples = val.samples[:_MEASURED]
    started = time.monotonic()
    for sample in samples:
        regions = sample.annotations
        assert isinstance(regions, Segmentation)
        size = regions.labels.shape[0], regions.labels.shape[1]
        labels, _ = label_map(sample, classes, size)
        predicted = Segmentation(labels[::-1] % len(classes), classes)
        compared(classes, sample, Result(None, size, predicted), list(range(len(classes))))
    return (time.monotonic() - started) / len(samples)
