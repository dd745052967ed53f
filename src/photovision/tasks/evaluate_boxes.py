"""Evaluate a detector: its boxes held against the truth, what goes wrong, and where to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.drawing import percent, reliability_diagram
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image import decode, to_array
from photovision.core.regions import Detections
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg
from photovision.core.types import Floats, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.detector import Detector
from photovision.tasks.story import count, listed
from photovision.trust.calibrate import Reliability, reliability
from photovision.trust.detection import Matches, Pair, f1, match, scores
from photovision.trust.detection_errors import KINDS, MEANING, Breakdown, break_down

Progress = Callable[[int, int], None]

LEAST = 0.001
"""Boxes below this score are not asked for: average precision wants low ones, but those count next to nothing."""
SHOWN = 9
_SIDE = 420


@dataclass(frozen=True, eq=False)
class Looked:
    """What a detector says of N labelled pictures that could be read.

    Attributes:
        samples: these pictures.
        pairs: truth and answer of each, labels counting the detector's classes.
        classes: C names.
        thresholds: float32 (C,), from which score on boxes are shown.
        problems: pictures that could not be read.
    """

    samples: tuple[Sample, ...]
    pairs: tuple[Pair, ...]
    classes: tuple[str, ...]
    thresholds: Floats
    problems: tuple[Problem, ...]

    def shown(self, row: int) -> np.ndarray:
        """bool (M,): which boxes of one picture reach their class's threshold."""
        found = self.pairs[row].found
        assert found.scores is not None
        return np.asarray(found.scores >= self.thresholds[found.labels])


def evaluate_boxes(detector: Detector, dataset: Dataset, *, progress: Progress | None = None) -> Report:
    """Hold a detector's boxes against the truth.

    Args:
        detector: the model; its thresholds decide what is shown and counted as an error, not the average precision.
        dataset: pictures with boxes; their classes must be among the detector's, in any order.
        progress: called with (pictures done, N).

    Returns:
        A report of kind "evaluate"; `metrics` are those of `trust.detection.scores`, "f1" at the thresholds, and
        "count_error".

    Raises:
        DataError: a class is unknown to the detector, there are no boxes, or nothing could be read.
    """
    looked = look(detector, dataset, progress)
    matches = match(looked.pairs, looked.classes)
    figures, by_class = scores(matches)
    metrics = {**figures, "f1": f1(matches, looked.thresholds), "count_error": _count_error(looked)}
    broken = break_down(looked.pairs, len(looked.classes))
    curve = _calibration(matches)
    drawn = [_calibration_figure(curve), _worst(looked, broken)]
    return Report(
        kind="evaluate",
        title=f"How well the detector does on {count(len(looked.samples), 'picture')}",
        summary=_story(metrics, broken, looked),
        metrics=metrics,
        tables=(_class_table(matches, by_class, looked), _error_table(broken, looked)),
        figures=tuple(figure for figure in drawn if figure is not None),
        warnings=tuple(_warnings(looked, dataset, matches)),
        provenance={
            "model": {"backbone": (detector.info.get("backbone") or {}).get("name")},
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
        data={
            "task": "detect",
            "classes": list(looked.classes),
            "average_precision": {name: metric.to_json() for name, metric in by_class.items()},
            "errors": _errors(broken, looked),
            "unreadable": [{"id": problem.id, "message": problem.message} for problem in looked.problems],
        },
    )


def look(detector: Detector, dataset: Dataset, progress: Progress | None = None) -> Looked:
    """Ask a detector about every picture whose boxes are known; raises DataError as `evaluate_boxes` does."""
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
    samples, pairs, problems = [], [], []
    seen = eager.see(sample.image for sample in told)
    for done, (sample, answer) in enumerate(zip(told, seen, strict=True), 1):
        truth = sample.regions
        assert isinstance(truth, Detections)
        if answer.found is None:
            problems.append(Problem(sample.id, "unreadable", str(answer.error)))
        else:
            samples.append(sample)
            pairs.append(Pair(_renumbered(truth, known, detector.classes), answer.found))
        if progress:
            progress(done, len(told))
    if not pairs:
        raise DataError(f"none of the {len(told):,} pictures could be read ({problems[0].message}): check the files")
    return Looked(tuple(samples), tuple(pairs), detector.classes, detector.thresholds, tuple(problems))


def _renumbered(truth: Detections, known: dict[str, int], classes: tuple[str, ...]) -> Detections:
    labels = np.array([known[name] for name in truth.names], dtype=np.int64)
    return replace(truth, labels=labels, classes=classes)


def _count_error(looked: Looked) -> Metric:
    """How far the number of boxes is from the number of objects, mean over pictures with objects, as a share."""
    far = []
    for row, pair in enumerate(looked.pairs):
        there = len(pair.truth) - (0 if pair.truth.crowd is None else int(pair.truth.crowd.sum()))
        if there:
            far.append(abs(int(looked.shown(row).sum()) - there) / there)
    values = np.array(far or [0.0])
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(1000, len(values)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Metric(float(values.mean()), float(low), float(high), len(values))


def _calibration(matches: Matches) -> Reliability | None:
    """Stated scores against the share of boxes that are right, at an overlap of .5, in up to 10 bins."""
    every = matches.by["all"]
    said = np.concatenate([one.scores[one.counts[0]] for one in every])
    right = np.concatenate([one.right[0][one.counts[0]] for one in every])
    kept = said >= 0.05  # the many boxes below would fill nearly all bins
    bins = int(np.clip(kept.sum() // 15, 1, 10))
    if kept.sum() < 15:
        return None
    return reliability(said[kept][:, None].astype(np.float32), right[kept][:, None].astype(np.float32), bins)


def _calibration_figure(curve: Reliability | None) -> Figure | None:
    if curve is None:
        return None
    note = (
        "Of the boxes with such a score, how many are on an object of their class (overlap at least .5)? Below the"
        " dashed line the detector promises more than it keeps. Bars are 95 % intervals."
    )
    drawing = reliability_diagram(*curve, title="Stated score against truth")
    return Figure("Calibration of scores", svg=drawing, note=note)


def _story(metrics: dict[str, Metric], broken: Breakdown, looked: Looked) -> tuple[str, ...]:
    worst = max(KINDS, key=lambda kind: broken.costs[kind])
    return (
        f"Mean average precision is {percent(metrics['map'].value)} over overlaps of .5 to .95, and"
        f" {percent(metrics['map50'].value)} at .5 ({count(len(looked.samples), 'picture')}).",
        f"The costliest kind of error is '{worst}', {MEANING[worst]}: without it, mAP at .5 would be"
        f" {percent(broken.ap50 + broken.costs[worst])}.",
        f"The number of boxes in a picture is off by {percent(metrics['count_error'].value)} on average.",
    )


def _class_table(matches: Matches, by_class: dict[str, Metric], looked: Looked) -> Table:
    limits = dict(zip(looked.classes, looked.thresholds.tolist(), strict=True))
    objects = dict(zip(matches.classes, matches.objects.tolist(), strict=True))
    order = sorted(by_class, key=lambda name: by_class[name].value)
    rows = tuple((name, objects[name], by_class[name], limits[name]) for name in order)
    note = "Intervals by a bootstrap over all pictures, where a class has at least 10 objects. Worst first."
    return Table("By class", ("class", "objects", "average precision", "threshold"), rows, note)


def _errors(broken: Breakdown, looked: Looked) -> dict[str, dict[str, float]]:
    shown = dict.fromkeys(KINDS, 0)
    for mistake in broken.mistakes:
        if mistake.kind == "missed" or looked.shown(mistake.picture)[mistake.row]:
            shown[mistake.kind] += 1
    return {kind: {"count": shown[kind], "cost": broken.costs[kind]} for kind in KINDS}


def _error_table(broken: Breakdown, looked: Looked) -> Table:
    told = _errors(broken, looked)
    rows = tuple(
        (kind, MEANING[kind], int(told[kind]["count"]), Metric(told[kind]["cost"], unit="points"))
        for kind in sorted(KINDS, key=lambda kind: -told[kind]["cost"])
    )
    note = "Counted are boxes that reach their threshold; objects count as missed where there is no box, however weak."
    return Table("Kinds of errors", ("kind", "what it is", "how many", "cost in mAP at .5"), rows, note)


def _worst(looked: Looked, broken: Breakdown) -> Figure | None:
    """The pictures with the surest errors, each with its truth and with the answer."""
    cost = np.zeros(len(looked.pairs))
    for mistake in broken.mistakes:
        if mistake.kind == "missed":
            cost[mistake.picture] += 0.5
        elif looked.shown(mistake.picture)[mistake.row]:
            cost[mistake.picture] += mistake.score
    order = [int(row) for row in np.argsort(-cost, kind="stable")[:SHOWN] if cost[row] > 0]
    pictures = [drawn for row in order for drawn in _drawn(looked, broken, row)]
    if not pictures:
        return None
    note = "Each picture twice: its truth, then the answer. Look for wrong or missing boxes in the truth first."
    return Figure("Worst mistakes", pictures=tuple(pictures), note=note)


def _drawn(looked: Looked, broken: Breakdown, row: int) -> list[tuple[bytes, str]]:
    """The truth and the answer, each with its caption; nothing where the picture cannot be read any more."""
    sample, pair = looked.samples[row], looked.pairs[row]
    try:
        image = to_array(decode(sample.image)) if isinstance(sample.image, Path) else sample.image
    except UnreadableImage:
        return []
    kept = looked.shown(row)
    assert pair.found.scores is not None
    found = Detections(pair.found.boxes[kept], pair.found.labels[kept], looked.classes, pair.found.scores[kept])
    wrong = [m for m in broken.mistakes if m.picture == row and (m.kind == "missed" or kept[m.row])]
    told = ", ".join(f"{n} {kind}" for kind in KINDS if (n := sum(one.kind == kind for one in wrong)))
    captions = (f"true: {count(len(pair.truth), 'object')}\n{sample.id}", f"said: {told}\n{sample.id}")
    drawn = (jpeg(draw_regions(image, regions, _SIDE)) for regions in (pair.truth, found))
    return list(zip(drawn, captions, strict=True))


def _warnings(looked: Looked, dataset: Dataset, matches: Matches) -> list[str]:
    found = []
    if looked.problems:
        names = listed([problem.id for problem in looked.problems])
        found.append(f"{count(len(looked.problems), 'picture')} could not be read and count nowhere: {names}.")
    if dataset.problems:
        found.append(f"{count(len(dataset.problems), 'file')} of the data were left out.")
    present = int((matches.objects > 0).sum())
    if present < len(looked.classes):
        found.append(f"The data holds {present} of the {len(looked.classes)} classes: the others are not judged.")
    few = int(((matches.objects > 0) & (matches.objects < 10)).sum())
    if few:
        found.append(f"{count(few, 'class', 'classes')} have fewer than 10 objects: read their rows with care.")
    if len(looked.samples) < 100:
        found.append(f"These figures rest on {count(len(looked.samples), 'picture')} only: the intervals are wide.")
    return found
