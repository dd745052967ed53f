"""Is one detector, or one segmenter, really better than another, judged on the same pictures?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from photovision.core import phrases
from photovision.core.boxes import draw_regions
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.overlap import overlap
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections, Regions
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine import compare_text as compare_story
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluate import look
from photovision.tasks.detect.evaluation import DetectEvaluation
from photovision.tasks.segment.evaluation import SegmentEvaluation, background_of, judge
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.detection import match, scores
from photovision.trust.metrics.paired_tests import Gains, box_gains, mask_gains
from photovision.trust.metrics.segmentation import overlap as mask_overlap
from photovision.trust.metrics.statistics import Estimate

SHOWN = 9
_SIDE, _GAP = 360, 6
_SAME = 0.5


@dataclass(frozen=True, eq=False)
class _RegionComparison:
    """Two models held against each other.

    Attributes:
        lead: the figure that decides, and what people call it.
        figures: name -> what A and B reach.
        gains: B less A.
        by_class: class -> what A and B reach.
        pictures: how many both could read.
        problems: names of those that one could not.
        apart: where they disagree most.
    """

    lead: tuple[str, str]
    figures: dict[str, tuple[Metric, Metric]]
    gains: Gains
    by_class: dict[str, tuple[Metric, Metric]]
    pictures: int
    problems: Sequence[str]
    apart: Figure | None


def compare_boxes(a: Detector, b: Detector, dataset: Dataset, progress: Sequence[ProgressCallback | None]) -> Report:
    """Hold two detectors of the same classes against each other; see `photovision.tasks.compare.compare`.

    Mean average precision over overlaps of .5 to .95 decides, by a paired bootstrap over pictures.

    Raises:
        DataError: as for `evaluate_boxes`, or the detectors know different classes.
    """
    _same_classes(a, b)
    first, second = _common_boxes(look(a, dataset, progress[0]), look(b, dataset, progress[1]))
    matches = [match(one.pairs, one.classes) for one in (first, second)]
    (figures_a, class_a), (figures_b, class_b) = (scores(one) for one in matches)
    kept = [name for name in ("map", "map50", "map75", "recall") if name in figures_a]
    gains = box_gains(*matches)
    held = _RegionComparison(
        ("map", "mAP"),
        {name: (figures_a[name], figures_b[name]) for name in kept},
        gains,
        {name: (class_a[name], class_b[name]) for name in gains.by_class},
        len(first.pairs),
        _names(first, second),
        _boxes_apart(first, second),
    )
    return _report(a, b, dataset, held)


def compare_masks(a: Segmenter, b: Segmenter, dataset: Dataset, progress: Sequence[ProgressCallback | None]) -> Report:
    """Hold two segmenters of the same classes against each other; see `photovision.tasks.compare.compare`.

    Mean intersection over union decides, by a paired bootstrap over pictures.

    Raises:
        DataError: as for `evaluate_masks`, or the segmenters know different classes.
    """
    _same_classes(a, b)
    first, second = judge(a, dataset, progress[0]), judge(b, dataset, progress[1])
    rows_a, rows_b = _rows(first.samples, second.samples)
    order = [b.classes.index(name) for name in a.classes]
    tables = first.confusions[rows_a], second.confusions[rows_b][:, order][:, :, order]
    background = background_of(a.classes)
    figures = [mask_overlap(one, a.classes, background) for one in tables]
    gains = mask_gains(*tables, a.classes, background)
    held = _RegionComparison(
        ("miou", "mean IoU"),
        {name: (figures[0][name], figures[1][name]) for name in ("miou", "dice")},
        gains,
        {name: (figures[0][f"iou_{name}"], figures[1][f"iou_{name}"]) for name in gains.by_class},
        len(rows_a),
        _names(first, second),
        _masks_apart(a, b, first, second, rows_a, rows_b),
    )
    return _report(a, b, dataset, held)


def _same_classes(a: Detector | Segmenter, b: Detector | Segmenter) -> None:
    for one, other, name in ((a, b, "A"), (b, a, "B")):
        if alone := [c for c in one.classes if c not in other.classes]:
            raise DataError(
                f"the models know different classes, only {name} knows {phrases.listed(alone)}: compare models of the"
                " same classes"
            )


def _rows(a: Sequence[Sample], b: Sequence[Sample]) -> tuple[list[int], list[int]]:
    """Positions in both of the pictures that both could read; raises DataError where there is none."""
    places = {sample.id: row for row, sample in enumerate(b)}
    rows = [row for row, sample in enumerate(a) if sample.id in places]
    if not rows:
        raise DataError("no picture could be read by both models: check the files")
    return rows, [places[a[row].id] for row in rows]


def _common_boxes(a: DetectEvaluation, b: DetectEvaluation) -> tuple[DetectEvaluation, DetectEvaluation]:
    rows = _rows(a.samples, b.samples)
    first, second = (
        replace(one, samples=tuple(one.samples[r] for r in kept), pairs=tuple(one.pairs[r] for r in kept), sizes=())
        for one, kept in zip((a, b), rows, strict=True)
    )
    return first, second


def _names(a: DetectEvaluation | SegmentEvaluation, b: DetectEvaluation | SegmentEvaluation) -> list[str]:
    return sorted({problem.id for one in (a, b) for problem in one.problems})


def _report(a: Detector | Segmenter, b: Detector | Segmenter, dataset: Dataset, held: _RegionComparison) -> Report:
    (lead, spoken), n = held.lead, held.pictures
    metrics: dict[str, Metric] = {}
    for name, pair in held.figures.items():
        metrics |= {f"{name}_a": pair[0], f"{name}_b": pair[1]}
        if name in held.gains.figures:
            metrics[f"{name}_difference"] = held.gains.figures[name]
    gain = held.gains.figures[lead]
    low, high = gain.low or 0.0, gain.high or 0.0
    better = "b" if low > 0 else "a" if high < 0 else "undecided"
    least = compare_story.DETECTED * (high - low) / 2
    told = compare_story.verdict(better, Estimate(gain.value, low, high), n, least, spoken)
    return Report(
        kind="compare",
        title=f"Is B better than A on {n:,} pictures?",
        summary=(told, *_by_class_story(held)),
        metrics=metrics,
        tables=[compare_story.table(metrics), _class_table(held)],
        figures=[compare_story.drawing(metrics, list(held.figures)), *([held.apart] if held.apart else [])],
        warnings=_warnings(held),
        provenance={
            "a": facts(a.info),
            "b": facts(b.info),
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset)},
            **provenance(),
        },
        data={
            "task": a.bundle.task,
            "verdict": better,
            "detectable": least,
            "by_class": {name: gain.to_json() for name, gain in held.gains.by_class.items()},
        },
    )


def facts(info: dict[str, Any]) -> dict[str, object]:
    """What is told of a model in a comparison."""
    backbone, data = info.get("backbone") or {}, info.get("data") or {}
    found = {"backbone": backbone.get("name"), "chosen": info.get("chosen"), "trained_on": data.get("fingerprint")}
    return {name: value for name, value in found.items() if value is not None}


def _by_class_story(held: _RegionComparison) -> list[str]:
    """The classes in which one is surely better; a sentence each way."""
    told = []
    for winner, sign in (("B", 1), ("A", -1)):
        sure = [
            name
            for name, gain in held.gains.by_class.items()
            if gain.low is not None and gain.high is not None and min(sign * gain.low, sign * gain.high) > 0
        ]
        if sure:
            told.append(f"{winner} is better in {phrases.listed(sure)}.")
    return told


def _class_table(held: _RegionComparison) -> Table:
    rows = [(name, *held.by_class[name], gain) for name, gain in held.gains.by_class.items()]
    rows.sort(key=lambda row: row[3].value)
    note = (
        "Intervals of the differences by a paired bootstrap over pictures. Of 20 classes that do not differ at all,"
        " about one would seem to."
    )
    figure = "average precision" if held.lead[0] == "map" else "IoU"
    return Table(f"By class: {figure}", ("class", "A", "B", "B minus A"), tuple(rows), note)


def _warnings(held: _RegionComparison) -> list[str]:
    found = []
    if held.problems:
        names = phrases.listed(held.problems)
        found.append(f"{phrases.count(len(held.problems), 'picture')} could not be read and count nowhere: {names}.")
    if held.pictures < 100:
        found.append(f"These figures rest on {held.pictures} pictures only: small differences cannot be seen.")
    return found


def _boxes_apart(a: DetectEvaluation, b: DetectEvaluation) -> Figure | None:
    """The pictures with the most probable boxes that only one of the models shows."""
    shown = [(_said(a, row), _said(b, row)) for row in range(len(a.pairs))]
    alone = [(_alone(first, second), _alone(second, first)) for first, second in shown]
    cost = np.array([mine.sum() + theirs.sum() for mine, theirs in alone])
    pictures = []
    for row in np.argsort(-cost, kind="stable")[:SHOWN].tolist():
        if cost[row] > 0:
            only_a, only_b = (int((one > 0).sum()) for one in alone[row])
            told = f"{phrases.count(only_a, 'box', 'boxes')} only A shows, {only_b} only B\n{a.samples[row].id}"
            pictures += _drawn(a.samples[row], (a.pairs[row].truth, *shown[row]), told)
    note = "Each picture three times: the truth, then what A and what B shows."
    return Figure("Where they disagree most", pictures=tuple(pictures), note=note, wide=True) if pictures else None


def _said(one: DetectEvaluation, row: int) -> Detections:
    found, kept = one.pairs[row].found, one.shown(row)
    assert found.scores is not None
    return Detections(found.boxes[kept], found.labels[kept], one.classes, found.scores[kept])


def _alone(mine: Detections, theirs: Detections) -> np.ndarray:
    """float (N,): the scores of boxes that the other model does not have, 0 where it does."""
    assert mine.scores is not None
    same = np.array(mine.names)[:, None] == np.array(theirs.names)[None]
    met = ((overlap(mine.boxes, theirs.boxes) >= _SAME) & same).any(1)
    return np.where(met, 0.0, mine.scores)


def _masks_apart(
    a: Segmenter,
    b: Segmenter,
    first: SegmentEvaluation,
    second: SegmentEvaluation,
    rows_a: list[int],
    rows_b: list[int],
) -> Figure | None:
    """The pictures on which one of the models is much better than the other."""
    badness = first.badness[rows_a], second.badness[rows_b]
    apart = np.abs(badness[0] - badness[1])
    pictures = []
    for row in np.argsort(-apart, kind="stable")[:SHOWN].tolist():
        if apart[row] <= 0:
            break
        sample = first.samples[rows_a[row]]
        said = [_masks(model, sample) for model in (a, b)]
        what = "F1 of objects" if first.counts is not None else "mean IoU"
        told = f"{what}: A {1 - badness[0][row]:.0%}, B {1 - badness[1][row]:.0%}\n{sample.id}"
        assert sample.annotations is not None
        pictures += _drawn(sample, (sample.annotations, *(one for one in said if one is not None)), told)
    note = "Each picture three times: the truth, then what A and what B says."
    return Figure("Where they disagree most", pictures=tuple(pictures), note=note, wide=True) if pictures else None


def _masks(model: Segmenter, sample: Sample) -> Regions | None:
    found = next(iter(model.stream([sample.image])))
    if isinstance(found, UnreadableImage):
        return None
    return found if found.objects is None else found.objects


def _drawn(sample: Sample, every: Sequence[Regions], told: str) -> list[tuple[bytes, str]]:
    """The picture once for each, side by side, with its caption; nothing where it cannot be read any more."""
    try:
        image = to_array(open_sample(sample))
    except UnreadableImage:
        return []
    parts = [draw_regions(image, regions, _SIDE) for regions in every]
    gap = np.full((parts[0].shape[0], _GAP, 3), 255, np.uint8)
    row = [part for one in parts for part in (gap, one)][1:]
    return [(jpeg(np.concatenate(row, axis=1)), told)]
