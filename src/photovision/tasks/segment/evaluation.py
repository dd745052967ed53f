"""Evaluation of a segmenter: classes of pixels, and masks of objects, beside the true ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from photovision.core.errors import DataError
from photovision.core.phrases import listed
from photovision.core.progress import ProgressCallback
from photovision.core.regions import IGNORE, Detections, LabelMap, Segmentation
from photovision.core.report import Metric
from photovision.core.result import Result
from photovision.core.types import Ints, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.data.formats.colours import BACKGROUND
from photovision.data.formats.masks import flatten
from photovision.runtime.held_out import HeldOut
from photovision.tasks.segment.drift import held_out
from photovision.tasks.segment.segmenter import Segmenter
from photovision.tasks.segment.summary import ImageSummary
from photovision.trust.metrics.paired_tests import Gains, mask_gains
from photovision.trust.metrics.panoptic import Scenery, panoptic_scores, segment_counts
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.segmentation import (
    confusion_of,
    instance_scores,
    matched,
    outline,
    outline_scores,
    overlap,
)
from photovision.trust.metrics.statistics import Vector


@dataclass(frozen=True, eq=False)
class SegmentEvaluation:
    """How masks compare with the true ones on N images that could be read; an `engine.evaluation.Evaluation`.

    Attributes:
        model: the segmenter; masks are too large to be kept, so it predicts again what is drawn.
        samples: these images.
        positions: where they stand in the dataset, int64 (N,).
        problems: images that could not be read or have no fitting mask.
        confusions: int64 (N, C, C), pixels by true and predicted class.
        outlines: float (N, T, 2), boundary F1 and surface distance of the T classes but the background.
        counts: int64 (N, 3), objects found, predicted too many, missed; None where objects are not separated.
        segments: float64 (N, C, 4) of `trust.metrics.panoptic.segment_counts`; None where objects are not separated.
        answers: see `Evaluation`.
    """

    model: Segmenter
    samples: tuple[Sample, ...]
    positions: Ints
    problems: tuple[Problem, ...]
    confusions: np.ndarray
    outlines: np.ndarray
    counts: np.ndarray | None
    segments: np.ndarray | None
    answers: HeldOut

    @property
    def classes(self) -> tuple[str, ...]:
        """C names."""
        return self.model.classes

    @property
    def background(self) -> int | None:
        """The class that is none of the objects; None where there is none."""
        return background_of(self.classes)

    def metrics(self) -> dict[str, Metric]:
        """See `Evaluation`: "miou", "dice", "boundary_f1", "surface_distance", and where objects are separated those of
        `trust.metrics.segmentation.instance_scores`, and "pq", "sq" and "rq" of `trust.metrics.panoptic`."""
        found = {name: self.figures[name] for name in ("miou", "dice")} | outline_scores(self.outlines)
        if self.counts is not None and self.counts.any():  # else the truth separates no objects
            found |= instance_scores(self.counts)
        return found | {name: self.figures[name] for name in ("pq", "sq", "rq") if name in self.figures}

    @cached_property
    def figures(self) -> dict[str, Metric]:
        """Overlap and panoptic quality of all classes together and of every class that occurs, "iou_NAME"."""
        found = overlap(self.confusions, self.classes, self.background)
        return found | ({} if self.segments is None else panoptic_scores(self.segments, self.classes, self.background))

    def by_class(self) -> dict[str, Metric]:
        """The IoU of every class that occurs."""
        return {name: self.figures[f"iou_{name}"] for name in self.classes if f"iou_{name}" in self.figures}

    @property
    def score_name(self) -> str:
        """See `Evaluation`."""
        return "mean IoU" if self.counts is None else "F1 of objects"

    def score(self) -> Vector:
        """See `Evaluation`: the F1 of objects, or the mean IoU of the classes that occur."""
        if self.counts is not None:
            hits, spare, missed = self.counts.T
            return np.asarray(2 * hits / np.maximum(2 * hits + spare + missed, 1))
        right = np.einsum("ncc->nc", self.confusions)
        union = self.confusions.sum(1) + self.confusions.sum(2) - right
        return np.asarray((right / np.maximum(union, 1)).sum(1) / np.maximum((union > 0).sum(1), 1))

    def rates(self) -> list[Rate]:
        """See `Evaluation`: Dice of the classes but the background, and objects found where they are separated."""
        table = self.confusions
        things = [number for number in range(table.shape[1]) if number != self.background]
        right = np.einsum("ncc->nc", table)[:, things].astype(np.float64)
        both = (table.sum(1) + table.sum(2))[:, things].astype(np.float64)
        shares = 2 * right.sum(0) / np.maximum(both.sum(0), 1)
        found = [Rate("dice", "right", 2 * right.sum(1), both.sum(1), both @ shares)]
        if self.counts is not None:
            hits, spare, missed = self.counts.T.astype(np.float64)
            for name, verb, whole in (("recall", "found", hits + missed), ("precision", "right", hits + spare)):
                found.append(Rate(name, verb, hits, whole, whole * hits.sum() / max(whole.sum(), 1)))
        return found

    def gains(self, other: SegmentEvaluation) -> Gains:
        """See `Evaluation`: of mean IoU and Dice, by a paired bootstrap over images."""
        order = [other.classes.index(name) for name in self.classes]
        turned = other.confusions[:, order][:, :, order]
        return mask_gains(self.confusions, turned, self.classes, self.background)

    def at(self, rows: Ints) -> SegmentEvaluation:
        """See `Evaluation`."""
        return replace(
            self,
            samples=tuple(self.samples[int(row)] for row in rows),
            positions=self.positions[rows],
            confusions=self.confusions[rows],
            outlines=self.outlines[rows],
            counts=None if self.counts is None else self.counts[rows],
            segments=None if self.segments is None else self.segments[rows],
            answers=self.answers.take(rows),
        )


def evaluate(
    model: Segmenter, dataset: Dataset, *, progress: ProgressCallback | None = None, embeddings: bool = False
) -> SegmentEvaluation:
    """Predict every image with masks.

    Args:
        model: the segmenter.
        dataset: images with a class for every pixel, or with a mask for every object; their classes must be among the
            model's, in any order.
        progress: called with (images done, N).
        embeddings: whether embeddings are kept.

    Raises:
        DataError: a class is unknown to the model, no image has masks, or nothing could be read.
    """
    positions = [row for row, sample in enumerate(dataset.samples) if sample.annotations is not None]
    masked = [dataset.samples[row] for row in positions]
    if not masked:
        raise DataError("the data has no masks: an evaluation of a segmenter needs them")
    names = {name for sample in masked if sample.annotations is not None for name in sample.annotations.classes}
    if strange := sorted(names - set(model.classes)):
        raise DataError(f"the segmenter does not know {listed(strange)}: give data whose classes are among its own")
    found, summaries, kept, problems = [], [], [], []
    things = [number for number in range(len(model.classes)) if number != background_of(model.classes)]
    results = model.results(sample.image for sample in masked)
    for done, (sample, result) in enumerate(zip(masked, results, strict=True), 1):
        try:
            found.append(compared(model.classes, sample, result, things))
            summaries.append(_summary(result, embeddings))
            kept.append(done - 1)
        except DataError as error:
            problems.append(Problem(sample.id, "unreadable", str(error)))
        if progress:
            progress(done, len(masked))
    if not found:
        raise DataError(
            f"none of the {len(masked):,} pictures could be evaluated ({problems[0].message}): check the files"
        )
    confusions, outlines, counts, segments = zip(*found, strict=True)
    where = np.array(positions, np.int64)[kept]
    return SegmentEvaluation(
        model,
        tuple(masked[row] for row in kept),
        where,
        tuple(problems),
        np.stack(confusions),
        np.stack(outlines),
        np.stack(counts) if model.instances else None,
        np.stack(segments) if model.instances else None,
        held_out(summaries, where),
    )


def _summary(result: Result[Segmentation], embeddings: bool) -> ImageSummary:
    """Of a picture that was predicted."""
    found = result.value
    assert found is not None
    assert found.confidence is not None
    best = int(np.bincount(found.labels.ravel()).argmax())
    return ImageSummary(best, found.confidence, found.embedding if embeddings else None)


def background_of(classes: tuple[str, ...]) -> int | None:
    """The number of the class that is called "background", or None."""
    return classes.index(BACKGROUND) if BACKGROUND in classes else None


def label_map(sample: Sample, classes: tuple[str, ...], size: tuple[int, int]) -> tuple[LabelMap, LabelMap | None]:
    """The class of every pixel in the model's numbering, int32 (H, W), and the numbers of objects where there are any.

    Raises:
        DataError: the masks are of another size than the picture.
    """
    regions = sample.annotations
    assert regions is not None
    table = np.full(IGNORE + 1, IGNORE, dtype=np.int32)
    own = [classes.index(name) for name in regions.classes]
    if isinstance(regions, Segmentation):
        table[: len(own)] = own
        labels, numbers = table[regions.labels], None
    else:
        assert isinstance(regions, Detections)
        numbers, found = flatten(regions, size)
        table[: len(own) + 1] = [0, *own]
        labels = table[found]
        if regions.crowd is not None:
            crowded = np.isin(numbers, np.flatnonzero(regions.crowd) + 1)
            labels[crowded], numbers[crowded] = IGNORE, 0
    if labels.shape != size:
        raise DataError(f"{sample.id}: its mask has {labels.shape} pixels (H, W), the picture {size}: make them fit")
    return labels, None if numbers is None else numbers.astype(np.int32)


def compared(
    names: tuple[str, ...], sample: Sample, scene: Result[Segmentation], things: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """One picture's part of `SegmentEvaluation`: its confusion, outlines, and counts and segments where there are some.

    Args:
        names: C classes of the segmenter.
        sample: the picture with its truth.
        scene: what is predicted.
        things: numbers of the classes whose outlines are compared.

    Raises:
        UnreadableImage, DataError: the picture cannot be read, or its mask is of another size.
    """
    found = scene.value
    if found is None:
        assert scene.error is not None
        raise scene.error
    labels, numbers = label_map(sample, names, scene.size)
    predicted, judged = found.labels, labels != IGNORE
    fits = [outline(labels == number, (predicted == number) & judged) for number in things]
    counts = segments = None
    if found.instance_map is not None:
        # A truth without objects counts none: there the predicted objects are neither right nor wrong.
        counts = np.zeros(3, np.int64) if numbers is None else np.array(matched(numbers, found.instance_map * judged))
        classes = len(names)
        pair = Scenery(labels, numbers), scenery(found)
        segments = np.zeros((classes, 4)) if numbers is None else segment_counts(*pair, classes)
    return (
        confusion_of(labels, predicted, len(names)),
        np.array([(fit.f1, fit.distance) for fit in fits]).reshape(-1, 2),
        counts,
        segments,
    )


def scenery(found: Segmentation) -> Scenery:
    """A prediction in segments; every object is of one class, which most of its pixels have."""
    if found.instance_map is None or found.objects is None:
        return Scenery(found.labels)
    kinds = np.concatenate([[0], found.objects.labels + 1])
    return Scenery(kinds[found.instance_map], found.instance_map)
