"""Evaluation of a detector: boxes beside the true ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.phrases import listed
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.report import Metric
from photovision.core.result import Size
from photovision.core.types import Floats, Image, Ints, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.held_out import HeldOut
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.drift import held_out
from photovision.tasks.detect.metrics import calibration_errors, count_errors, shown_rates
from photovision.trust.metrics.detection import Matches, Pair, f1, match, scores
from photovision.trust.metrics.matching import Matching, f1_of, find_hits
from photovision.trust.metrics.paired_tests import Gains, box_gains
from photovision.trust.metrics.rates import Rate, precision, recall
from photovision.trust.metrics.statistics import Vector

MIN_SCORE = 0.001
"""Boxes below this score are not predicted: average precision wants low ones, but those count next to nothing."""

MAX_OBJECTS = 100_000
"""An image with more objects is not evaluated: nobody drew them."""


@dataclass(frozen=True, eq=False)
class DetectEvaluation:
    """Boxes beside the true ones of N images that could be read; an `engine.evaluation.Evaluation`.

    Attributes:
        samples: these images.
        positions: where they stand in the dataset, int64 (N,).
        pairs: true and predicted boxes of each, labels counting the detector's classes.
        classes: C names.
        thresholds: float32 (C,), from which score on boxes are shown.
        problems: images that could not be read.
        sizes: (H, W) of each in pixels.
        embeddings: float16 (D,) of each; () where they were not kept.
    """

    samples: tuple[Sample, ...]
    positions: Ints
    pairs: tuple[Pair, ...]
    classes: tuple[str, ...]
    thresholds: Floats
    problems: tuple[Problem, ...]
    sizes: tuple[Size, ...]
    embeddings: tuple[np.ndarray, ...] = ()

    @cached_property
    def hits(self) -> Matching:
        """Which box is on which object."""
        return find_hits(self.pairs, self.classes)

    @cached_property
    def matches(self) -> Matches:
        """The same as the reference decides it, for average precision."""
        return match(self.pairs, self.classes)

    def shown(self, row: int) -> np.ndarray:
        """bool (M,): which boxes of one image reach their class's threshold."""
        found = self.pairs[row].found
        assert found.scores is not None
        return np.asarray(found.scores >= self.thresholds[found.labels] - 1e-9)

    def predicted(self, row: int) -> Detections:
        """The boxes of one image that are shown."""
        return kept(self.pairs[row].found, self.shown(row))

    def metrics(self) -> dict[str, Metric]:
        """See `Evaluation`; those of `trust.metrics.detection.scores`, "f1" and those of `tasks.detect.metrics`."""
        return self._metrics

    def by_class(self) -> dict[str, Metric]:
        """The average precision of every class that has objects."""
        return self._scored[1]

    @cached_property
    def _metrics(self) -> dict[str, Metric]:
        shown = np.array([self.shown(row).sum() for row in range(len(self.samples))], np.int64)
        return {
            **self._scored[0],
            "f1": f1(self.matches, self.thresholds),
            **shown_rates(self.hits, self.thresholds),
            **count_errors(self.hits.objects.sum(1), shown),
            **calibration_errors(self.hits),
        }

    @cached_property
    def _scored(self) -> tuple[dict[str, Metric], dict[str, Metric]]:
        return scores(self.matches)

    @cached_property
    def answers(self) -> HeldOut:
        """See `Evaluation`."""
        shown = [self.predicted(row) for row in range(len(self.samples))]
        return held_out(shown, len(self.classes), self.embeddings, self.positions)

    @property
    def score_name(self) -> str:
        """See `Evaluation`."""
        return "F1"

    def score(self) -> Vector:
        """See `Evaluation`; F1 at the thresholds."""
        return f1_of(self.hits.tally(self.thresholds))

    def rates(self) -> list[Rate]:
        """See `Evaluation`: recall and precision at the thresholds."""
        return [recall(self.hits, self.thresholds), precision(self.hits, self.thresholds)]

    def gains(self, other: DetectEvaluation) -> Gains:
        """See `Evaluation`: of average precision, by a paired bootstrap over images."""
        return box_gains(self.matches, other.matches)

    def at(self, rows: Ints) -> DetectEvaluation:
        """See `Evaluation`."""
        return replace(
            self,
            samples=tuple(self.samples[int(row)] for row in rows),
            positions=self.positions[rows],
            pairs=tuple(self.pairs[int(row)] for row in rows),
            sizes=tuple(self.sizes[int(row)] for row in rows),
            embeddings=tuple(self.embeddings[int(row)] for row in rows) if self.embeddings else (),
        )


def kept(found: Detections, rows: np.ndarray) -> Detections:
    """Some of the boxes, with their scores."""
    assert found.scores is not None
    return Detections(found.boxes[rows], found.labels[rows], found.classes, found.scores[rows])


def evaluate(
    model: Detector, dataset: Dataset, *, progress: ProgressCallback | None = None, embeddings: bool = False
) -> DetectEvaluation:
    """Predict every image whose boxes are known.

    Args:
        model: the detector; its thresholds decide what is shown and counted as an error, not the average precision.
        dataset: images with boxes; their classes must be among the detector's, in any order.
        progress: called with (images done, N).
        embeddings: whether embeddings are kept.

    Raises:
        DataError: a class is unknown to the detector, there are no boxes, or nothing could be read.
    """
    known = {name: label for label, name in enumerate(model.classes)}
    rows = [row for row, sample in enumerate(dataset.samples) if isinstance(sample.annotations, Detections)]
    _check_classes(dataset, known)
    eager = Detector(model.bundle, threshold=MIN_SCORE, iou=model.iou, most=model.most)
    kept_rows, pairs, sizes, kept_embeddings, problems = [], [], [], [], []
    results = eager.with_outputs(dataset.samples[row].image for row in rows)
    for done, (row, (result, outputs)) in enumerate(zip(rows, results, strict=True), 1):
        sample, truth = dataset.samples[row], dataset.samples[row].annotations
        assert isinstance(truth, Detections)
        if result.value is None:
            problems.append(Problem(sample.id, "unreadable", str(result.error)))
        elif len(truth) > MAX_OBJECTS:  # each would be compared with every box
            message = f"{sample.id} has {len(truth):,} objects, more than {MAX_OBJECTS:,} in one picture"
            problems.append(Problem(sample.id, "too many objects", message))
        else:
            kept_rows.append(row)
            pairs.append(Pair(_renumbered(truth, known, model.classes), result.value))
            sizes.append(result.size)
            if embeddings and "embedding" in outputs:
                kept_embeddings.append(outputs["embedding"].astype(np.float16))
        if progress:
            progress(done, len(rows))
    if not pairs:
        raise DataError(f"none of the {len(rows):,} pictures could be read ({problems[0].message}): check the files")
    return DetectEvaluation(
        tuple(dataset.samples[row] for row in kept_rows),
        np.array(kept_rows, np.int64),
        tuple(pairs),
        model.classes,
        model.thresholds,
        tuple(problems),
        tuple(sizes),
        tuple(kept_embeddings),
    )


def _check_classes(dataset: Dataset, known: dict[str, int]) -> None:
    used = {
        name for one in dataset.samples if isinstance(one.annotations, Detections) for name in one.annotations.names
    }
    if strange := sorted(used - set(known)):
        raise DataError(
            f"the detector does not know {listed(strange)}: give data whose classes are among its {len(known)}"
        )
    if not used:
        raise DataError("the data has no boxes: an evaluation of a detector needs them")


def opened(sample: Sample) -> Image | None:
    """The pixels of a picture; None where it cannot be read any more."""
    try:
        return to_array(open_sample(sample))
    except UnreadableImage:
        return None


def _renumbered(truth: Detections, known: dict[str, int], classes: tuple[str, ...]) -> Detections:
    labels = np.array([known[name] for name in truth.names], dtype=np.int64)
    return replace(truth, labels=labels, classes=classes)
