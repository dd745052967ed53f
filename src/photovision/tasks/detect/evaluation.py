"""Looked: what a detector says of labelled pictures, beside their truth, and both drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.phrases import listed
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.result import Size
from photovision.core.types import Floats, Image, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.tasks.detect.detector import Detector
from photovision.trust.metrics.detection import Pair, Vector
from photovision.trust.metrics.matching import Matching, f1_of, find_hits
from photovision.trust.metrics.rates import Rate, precision, recall

LEAST = 0.001
"""Boxes below this score are not asked for: average precision wants low ones, but those count next to nothing."""

MOST_OBJECTS = 100_000
"""A picture with more objects is not judged: nobody drew them."""


@dataclass(frozen=True, eq=False)
class DetectEvaluation:
    """What a detector says of N labelled pictures that could be read.

    Attributes:
        samples: these pictures.
        pairs: truth and answer of each, labels counting the detector's classes.
        classes: C names.
        thresholds: float32 (C,), from which score on boxes are shown.
        problems: pictures that could not be read.
        sizes: (H, W) of each in pixels.
    """

    samples: tuple[Sample, ...]
    pairs: tuple[Pair, ...]
    classes: tuple[str, ...]
    thresholds: Floats
    problems: tuple[Problem, ...]
    sizes: tuple[Size, ...] = ()

    score_name = "F1"

    def score(self) -> Vector:
        """float64 (N,): F1 of every image at the thresholds."""
        return f1_of(self.hits.tally(self.thresholds))

    def rates(self) -> list[Rate]:
        """The recall and precision of boxes that are shown, which images add up to."""
        return [recall(self.hits, self.thresholds), precision(self.hits, self.thresholds)]

    @cached_property
    def hits(self) -> Matching:
        """Which box is on which object."""
        return find_hits(self.pairs, self.classes)

    def shown(self, row: int) -> np.ndarray:
        """bool (M,): which boxes of one picture reach their class's threshold."""
        found = self.pairs[row].found
        assert found.scores is not None
        return np.asarray(found.scores >= self.thresholds[found.labels] - 1e-9)

    def answer(self, row: int) -> Detections:
        """The boxes of one picture that are shown."""
        return kept(self.pairs[row].found, self.shown(row))


def kept(found: Detections, rows: np.ndarray) -> Detections:
    """Some of the boxes, with their scores."""
    assert found.scores is not None
    return Detections(found.boxes[rows], found.labels[rows], found.classes, found.scores[rows])


def look(detector: Detector, dataset: Dataset, progress: ProgressCallback | None = None) -> DetectEvaluation:
    """Ask a detector about every picture whose boxes are known.

    Raises:
        DataError: a class is unknown to the detector, there are no boxes, or nothing could be read.
    """
    known = {name: label for label, name in enumerate(detector.classes)}
    told = [sample for sample in dataset.samples if isinstance(sample.regions, Detections)]
    used = {name for sample in told if isinstance(sample.regions, Detections) for name in sample.regions.names}
    if strange := sorted(used - set(known)):
        raise DataError(
            f"the detector does not know {listed(strange)}: give data whose classes are among its {len(known)}"
        )
    if not used:
        raise DataError("the data has no boxes: an evaluation of a detector needs them")
    eager = Detector(detector.bundle, threshold=LEAST, iou=detector.iou, most=detector.most)
    samples, pairs, sizes, problems = [], [], [], []
    seen = eager.results(sample.image for sample in told)
    for done, (sample, answer) in enumerate(zip(told, seen, strict=True), 1):
        truth = sample.regions
        assert isinstance(truth, Detections)
        if answer.value is None:
            problems.append(Problem(sample.id, "unreadable", str(answer.error)))
        elif len(truth) > MOST_OBJECTS:  # each would be held against every box
            message = f"{sample.id} has {len(truth):,} objects, more than {MOST_OBJECTS:,} in one picture"
            problems.append(Problem(sample.id, "too many objects", message))
        else:
            samples.append(sample)
            pairs.append(Pair(_renumbered(truth, known, detector.classes), answer.value))
            sizes.append(answer.size)
        if progress:
            progress(done, len(told))
    if not pairs:
        raise DataError(f"none of the {len(told):,} pictures could be read ({problems[0].message}): check the files")
    return DetectEvaluation(
        tuple(samples), tuple(pairs), detector.classes, detector.thresholds, tuple(problems), tuple(sizes)
    )


def opened(sample: Sample) -> Image | None:
    """The pixels of a picture; None where it cannot be read any more."""
    try:
        return to_array(open_sample(sample))
    except UnreadableImage:
        return None


def _renumbered(truth: Detections, known: dict[str, int], classes: tuple[str, ...]) -> Detections:
    labels = np.array([known[name] for name in truth.names], dtype=np.int64)
    return replace(truth, labels=labels, classes=classes)
