"""Evaluate a segmenter: its masks held against the truth, class by class, with the worst pictures first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image import to_array
from photovision.core.phrases import count, listed
from photovision.core.progress import ProgressCallback
from photovision.core.regions import IGNORE, Detections, LabelMap, Segmentation
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.result import Result
from photovision.core.segments import draw_segments
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image, Ints, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.data.formats.colours import BACKGROUND
from photovision.data.formats.masks import flatten
from photovision.engine.holdout import leak_free
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.detection import Vector
from photovision.trust.metrics.panoptic import Scenery, panoptic_scores, renumbered, segment_counts
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.segmentation import (
    confusion_of,
    instance_scores,
    matched,
    outline,
    outline_scores,
    overlap,
)

SHOWN = 8
_SIDE, _GAP = 560, 6


@dataclass(frozen=True, eq=False)
class SegmentEvaluation:
    """How a segmenter's answers on N pictures compare with the truth.

    Attributes:
        samples: the pictures that could be read.
        confusions: int64 (N, C, C), pixels by true and stated class.
        outlines: float (N, T, 2), boundary F1 and surface distance of the T classes but the background.
        counts: int64 (N, 3), objects found, said too many, missed; None where objects are not told apart.
        problems: pictures that could not be read or have no fitting mask.
        segments: float64 (N, C, 4) of `trust.metrics.panoptic.segment_counts`; None where objects are not told apart.
        classes: C names.
    """

    samples: tuple[Sample, ...]
    confusions: np.ndarray
    outlines: np.ndarray
    counts: np.ndarray | None
    problems: tuple[Problem, ...]
    segments: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    @property
    def score_name(self) -> str:
        """What the score of an image is called."""
        return "mean IoU" if self.counts is None else "F1 of objects"

    def score(self) -> Vector:
        """float64 (N,), 0 to 1: how well each image was segmented."""
        return 1 - np.asarray(self.badness, dtype=np.float64)

    def rates(self) -> list[Rate]:
        """Dice of the classes but the background, and objects found where a model tells objects apart."""
        background = background_of(self.classes)
        things = [number for number in range(len(self.classes)) if number != background]
        right = np.einsum("ncc->nc", self.confusions)[:, things].astype(np.float64)
        both = (self.confusions.sum(1) + self.confusions.sum(2))[:, things].astype(np.float64)
        expected = both @ (2 * right.sum(0) / np.maximum(both.sum(0), 1))
        found = [Rate("dice", "right", 2 * right.sum(1), both.sum(1), expected)]
        if self.counts is not None:
            hits, spare, missed = self.counts.T.astype(np.float64)
            for name, verb, whole in (("recall", "found", hits + missed), ("precision", "right", hits + spare)):
                found.append(Rate(name, verb, hits, whole, whole * hits.sum() / max(whole.sum(), 1)))
        return found

    @property
    def badness(self) -> np.ndarray:
        """float (N,): 1 less the instance F1, or less the mean IoU of the classes that occur, of every picture."""
        if self.counts is not None:
            hits, spare, missed = self.counts.T
            return np.asarray(1 - 2 * hits / np.maximum(2 * hits + spare + missed, 1))
        right = np.einsum("ncc->nc", self.confusions)
        union = self.confusions.sum(1) + self.confusions.sum(2) - right
        return np.asarray(1 - (right / np.maximum(union, 1)).sum(1) / np.maximum((union > 0).sum(1), 1))


def evaluate_masks(
    segmenter: Segmenter, dataset: Dataset, *, leaked: Collection[int] = (), progress: ProgressCallback | None = None
) -> Report:
    """Compare a segmenter's masks with the truth.

    Args:
        segmenter: the model.
        dataset: pictures with a class for every pixel, or with a mask for every object; their classes must be among
            the model's, in any order.
        leaked: positions in `dataset` of pictures that are, resemble or belong with training pictures; mean IoU without
            them is given, too.
        progress: called with (pictures done, N).

    Returns:
        A report of kind "evaluate"; `metrics`: "miou", "dice", "boundary_f1", "surface_distance", and where objects are
        told apart those of `trust.metrics.segmentation.instance_scores`, and "pq", "sq" and "rq" of
        `trust.metrics.panoptic`; all with intervals over pictures. `data["by_class"]`: the figures of every class that
        occurs.

    Raises:
        DataError: a class is unknown to the model, no picture has masks, or nothing could be read.
    """
    return judged_report(segmenter, judge(segmenter, dataset, progress), dataset, leaked)


def judged_report(
    segmenter: Segmenter, judged: SegmentEvaluation, dataset: Dataset, leaked: Collection[int] = ()
) -> Report:
    """The report of `evaluate_masks` on pictures that the segmenter was asked about already."""
    background = background_of(segmenter.classes)
    figures = overlap(judged.confusions, segmenter.classes, background)
    metrics = {name: figures[name] for name in ("miou", "dice")} | outline_scores(judged.outlines)
    if judged.counts is not None and judged.segments is not None:
        quality = panoptic_scores(judged.segments, segmenter.classes, background)
        counted = instance_scores(judged.counts) if judged.counts.any() else {}  # the truth tells no objects apart
        metrics |= counted | {name: quality[name] for name in ("pq", "sq", "rq") if quality}
        figures |= quality

    def rescored(rows: Ints) -> dict[str, Metric]:
        return overlap(judged.confusions[rows], segmenter.classes, background)

    leaks = leak_free(judged.samples, dataset, leaked, metrics, rescored)
    by_class = _by_class(figures, segmenter.classes, judged)
    worst = _worst(segmenter, judged)
    return Report(
        kind="evaluate",
        title=f"How well the segmenter does on {count(len(judged.samples), 'picture')}",
        summary=_story(metrics, judged),
        metrics={**metrics, **leaks.metrics},
        tables=(_class_table(by_class, segmenter.classes, judged),),
        figures=() if worst is None else (worst,),
        warnings=(*leaks.warnings, *_warnings(judged)),
        provenance={
            "model": {"backbone": (segmenter.info.get("backbone") or {}).get("name")},
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
        data={
            "task": "segment",
            "classes": list(segmenter.classes),
            "by_class": {name: {key: m.to_json() for key, m in row.items()} for name, row in by_class.items()},
            "confusion": judged.confusions.sum(0).tolist(),
            "unreadable": [{"id": problem.id, "message": problem.message} for problem in judged.problems],
        },
    )


def judge(segmenter: Segmenter, dataset: Dataset, progress: ProgressCallback | None = None) -> SegmentEvaluation:
    """Ask a segmenter about every picture with masks; raises DataError as `evaluate_masks` does."""
    told = [sample for sample in dataset.samples if sample.regions is not None]
    if not told:
        raise DataError("the data has no masks: an evaluation of a segmenter needs them")
    names = {name for sample in told if sample.regions is not None for name in sample.regions.classes}
    if strange := sorted(names - set(segmenter.classes)):
        raise DataError(f"the segmenter does not know {listed(strange)}: give data whose classes are among its own")
    samples, rows, problems = [], [], []
    things = [number for number in range(len(segmenter.classes)) if number != background_of(segmenter.classes)]
    found = segmenter.results(sample.image for sample in told)
    for done, (sample, scene) in enumerate(zip(told, found, strict=True), 1):
        try:
            rows.append(_compared(segmenter, sample, scene, things))
            samples.append(sample)
        except DataError as error:
            problems.append(Problem(sample.id, "unreadable", str(error)))
        if progress:
            progress(done, len(told))
    if not rows:
        raise DataError(f"none of the {len(told):,} pictures could be judged ({problems[0].message}): check the files")
    confusions, outlines, counts, segments = zip(*rows, strict=True)
    numbered, told_apart = (np.stack(part) if segmenter.instances else None for part in (counts, segments))
    return SegmentEvaluation(
        tuple(samples),
        np.stack(confusions),
        np.stack(outlines),
        numbered,
        tuple(problems),
        told_apart,
        segmenter.classes,
    )


def background_of(classes: tuple[str, ...]) -> int | None:
    """The number of the class that is called "background", or None."""
    return classes.index(BACKGROUND) if BACKGROUND in classes else None


def truth_of(sample: Sample, classes: tuple[str, ...], size: tuple[int, int]) -> tuple[LabelMap, LabelMap | None]:
    """The class of every pixel in the model's numbering, int32 (H, W), and the numbers of objects where there are any.

    Raises:
        DataError: the masks are of another size than the picture.
    """
    regions = sample.regions
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


def _compared(
    segmenter: Segmenter, sample: Sample, scene: Result[Segmentation], things: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    found = scene.value
    if found is None:
        assert scene.error is not None
        raise scene.error
    labels, numbers = truth_of(sample, segmenter.classes, scene.size)
    said, judged = found.labels, labels != IGNORE
    fits = [outline(labels == number, (said == number) & judged) for number in things]
    counts = segments = None
    if found.instance_map is not None:
        # A truth without objects counts none: there the objects said are neither right nor wrong.
        counts = np.zeros(3, np.int64) if numbers is None else np.array(matched(numbers, found.instance_map * judged))
        classes = len(segmenter.classes)
        pair = Scenery(labels, numbers), _scenery(found)
        segments = np.zeros((classes, 4)) if numbers is None else segment_counts(*pair, classes)
    return (
        confusion_of(labels, said, len(segmenter.classes)),
        np.array([(fit.f1, fit.distance) for fit in fits]).reshape(-1, 2),
        counts,
        segments,
    )


def _scenery(found: Segmentation) -> Scenery:
    """An answer in segments; every object is of one class, which most of its pixels have."""
    if found.instance_map is None or found.objects is None:
        return Scenery(found.labels)
    kinds = np.concatenate([[0], found.objects.labels + 1])
    return Scenery(kinds[found.instance_map], found.instance_map)


def _story(metrics: dict[str, Metric], judged: SegmentEvaluation) -> tuple[str, ...]:
    told = [
        f"Masks overlap the truth by {percent(metrics['miou'].value)} (mean IoU) and {percent(metrics['dice'].value)}"
        f" (Dice) on {count(len(judged.samples), 'picture')}."
    ]
    if "surface_distance" in metrics:
        told.append(
            f"Outlines are right for {percent(metrics['boundary_f1'].value)} of their length; 95 of 100 of their pixels"
            f" are at most {metrics['surface_distance'].value:.1f} pixels off, on average."
        )
    if judged.counts is not None and "instance_f1" in metrics:
        hits, spare, missed = judged.counts.sum(0).tolist()
        told.append(
            f"Of {count(hits + missed, 'object')}, {hits:,} were found with more than half of their union;"
            f" {spare:,} more were said (F1 {percent(metrics['instance_f1'].value)})."
        )
    if "pq" in metrics:
        told.append(
            f"Panoptic quality is {percent(metrics['pq'].value)}: the objects found overlap the true ones by"
            f" {percent(metrics['sq'].value)} (SQ), times {percent(metrics['rq'].value)} that are found (RQ)."
        )
    return tuple(told)


def _by_class(
    figures: dict[str, Metric], classes: tuple[str, ...], judged: SegmentEvaluation
) -> dict[str, dict[str, Metric]]:
    """Class -> name of a figure -> the figure, of the classes that occur, worst first."""
    things = [name for number, name in enumerate(classes) if number != background_of(classes)]
    found = {}
    for name in classes:
        if f"iou_{name}" not in figures:
            continue
        found[name] = {key: figures[f"{key}_{name}"] for key in ("iou", "dice", "pq") if f"{key}_{name}" in figures}
        if name in things:
            found[name] |= outline_scores(judged.outlines[:, [things.index(name)]])
    return dict(sorted(found.items(), key=lambda row: row[1]["iou"].value))


def _class_table(by_class: dict[str, dict[str, Metric]], classes: tuple[str, ...], judged: SegmentEvaluation) -> Table:
    pixels = judged.confusions.sum((0, 2))
    shares = dict(zip(classes, pixels / max(int(pixels.sum()), 1), strict=True))
    names = {"iou": "IoU", "dice": "Dice", "boundary_f1": "boundary F1", "surface_distance": "surface distance"}
    if judged.segments is not None:
        names["pq"] = "panoptic quality"
    rows = [
        (name, Metric(float(shares[name])), *(figures.get(key) for key in names)) for name, figures in by_class.items()
    ]
    note = (
        "IoU, Dice and panoptic quality are pooled over all pictures, outlines are means over those with the class;"
        " intervals by a bootstrap over pictures. Worst first."
    )
    return Table("By class", ("class", "share of pixels", *names.values()), tuple(rows), note)


def _worst(segmenter: Segmenter, judged: SegmentEvaluation) -> Figure | None:
    """The worst pictures: truth on the left, answer on the right."""
    badness = judged.badness
    order = [int(row) for row in np.argsort(-badness, kind="stable")[:SHOWN]]
    drawn = []
    for row in order:
        sample = judged.samples[row]
        try:
            image = to_array(segmenter.preprocess.decode(sample.image))
        except UnreadableImage:
            continue
        what = "F1 of objects" if judged.counts is not None else "mean IoU"
        drawn.append((jpeg(_both(segmenter, sample, image), 88), f"{what} {percent(1 - badness[row])}\n{sample.id}"))
    note = "Left the truth, right the answer. Look for wrong or missing masks in the truth first."
    if segmenter.instances:
        note = f"An object that was found has the colour of the true one. {note}"
    return Figure("Worst pictures", pictures=tuple(drawn), note=note, wide=True) if drawn else None


def _both(segmenter: Segmenter, sample: Sample, image: Image) -> Image:
    """Truth and answer side by side, each with its legend."""
    classes, background = segmenter.classes, background_of(segmenter.classes)
    labels, numbers = truth_of(sample, classes, image.shape[:2])
    found = segmenter.predict(image)
    assert isinstance(found, Segmentation)
    said = _scenery(found)
    own = said.numbers if said.numbers is None or numbers is None else renumbered(said.numbers, numbers)
    sides = [
        draw_segments(image, named, numbered, classes, side=_SIDE, title=title, background=background)
        for named, numbered, title in ((labels, numbers, "Truth"), (said.labels, own, "Answer"))
    ]
    page = np.full((max(side.shape[0] for side in sides), 2 * _SIDE + _GAP, 3), 255, dtype=np.uint8)
    for side, left in zip(sides, (0, _SIDE + _GAP), strict=True):
        page[: side.shape[0], left : left + _SIDE] = side
    return page


def _warnings(judged: SegmentEvaluation) -> list[str]:
    found = []
    if judged.problems:
        names = listed([problem.id for problem in judged.problems])
        found.append(f"{count(len(judged.problems), 'picture')} could not be judged and count nowhere: {names}.")
    if len(judged.samples) < 100:
        found.append(f"These figures rest on {count(len(judged.samples), 'picture')} only: the intervals are wide.")
    return found
