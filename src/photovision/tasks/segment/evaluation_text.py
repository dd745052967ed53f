"""What an evaluation of a segmenter tells: sentences, a table by class, the worst images."""

from __future__ import annotations

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.errors import UnreadableImage
from photovision.core.image import to_array
from photovision.core.phrases import count
from photovision.core.regions import Segmentation
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.segments import draw_segments
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image, Sample
from photovision.tasks.segment.evaluation import SegmentEvaluation, background_of, label_map, scenery
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.panoptic import renumbered
from photovision.trust.metrics.segmentation import outline_scores

SHOWN = 8
_SIDE, _GAP = 560, 6
_BARS = 6


def findings(evaluation: SegmentEvaluation) -> Finding:
    """What is particular to segmenters in the report of an evaluation; see `engine.evaluation`.

    Returns:
        data["by_class"]: the figures of every class that occurs.
    """
    by_class = _by_class(evaluation)
    first = [_overlap_by_class(by_class), _examples(evaluation)]
    return Finding(
        summary=_summary(evaluation),
        tables=(_class_table(by_class, evaluation),),
        figures=[figure for figure in first if figure is not None],
        data={
            "classes": list(evaluation.classes),
            "by_class": {name: {key: m.to_json() for key, m in row.items()} for name, row in by_class.items()},
            "confusion": evaluation.confusions.sum(0).tolist(),
        },
    )


def _summary(evaluation: SegmentEvaluation) -> tuple[str, ...]:
    metrics = evaluation.metrics()
    sentences = [
        f"Masks overlap the truth by {percent(metrics['miou'].value)} (mean IoU) and {percent(metrics['dice'].value)}"
        f" (Dice) on {count(len(evaluation.samples), 'picture')}."
    ]
    if "surface_distance" in metrics:
        sentences.append(
            f"Outlines are right for {percent(metrics['boundary_f1'].value)} of their length; 95 of 100 of their pixels"
            f" are at most {metrics['surface_distance'].value:.1f} pixels off, on average."
        )
    if evaluation.counts is not None and "instance_f1" in metrics:
        hits, spare, missed = evaluation.counts.sum(0).tolist()
        sentences.append(
            f"Of {count(hits + missed, 'object')}, {hits:,} were found with more than half of their union;"
            f" {spare:,} more were predicted (F1 {percent(metrics['instance_f1'].value)})."
        )
    if "pq" in metrics:
        sentences.append(
            f"Panoptic quality is {percent(metrics['pq'].value)}: the objects found overlap the true ones by"
            f" {percent(metrics['sq'].value)} (SQ), times {percent(metrics['rq'].value)} that are found (RQ)."
        )
    return tuple(sentences)


def _by_class(evaluation: SegmentEvaluation) -> dict[str, dict[str, Metric]]:
    """Class -> name of a figure -> the figure, of the classes that occur, worst first."""
    figures, classes = evaluation.figures, evaluation.classes
    things = [name for number, name in enumerate(classes) if number != evaluation.background]
    found = {}
    for name in classes:
        if f"iou_{name}" not in figures:
            continue
        found[name] = {key: figures[f"{key}_{name}"] for key in ("iou", "dice", "pq") if f"{key}_{name}" in figures}
        if name in things:
            found[name] |= outline_scores(evaluation.outlines[:, [things.index(name)]])
    return dict(sorted(found.items(), key=lambda row: row[1]["iou"].value))


def _class_table(by_class: dict[str, dict[str, Metric]], evaluation: SegmentEvaluation) -> Table:
    pixels = evaluation.confusions.sum((0, 2))
    shares = dict(zip(evaluation.classes, pixels / max(int(pixels.sum()), 1), strict=True))
    names = {"iou": "IoU", "dice": "Dice", "boundary_f1": "boundary F1", "surface_distance": "surface distance"}
    if evaluation.segments is not None:
        names["pq"] = "panoptic quality"
    rows = [
        (name, Metric(float(shares[name])), *(figures.get(key) for key in names)) for name, figures in by_class.items()
    ]
    note = (
        "IoU, Dice and panoptic quality are pooled over all pictures, outlines are means over those with the class;"
        " intervals by a bootstrap over pictures. Worst first."
    )
    return Table("By class", ("class", "share of pixels", *names.values()), tuple(rows), note)


def _overlap_by_class(by_class: dict[str, dict[str, Metric]]) -> Figure | None:
    """The IoU of the classes with the lowest."""
    groups = {name: [Bar(row["iou"].value, row["iou"].low, row["iou"].high)] for name, row in by_class.items()}
    if not groups:
        return None
    few = f" The {_BARS} lowest of {len(groups)} classes." if len(groups) > _BARS else " Lowest first."
    drawing = bars(dict(list(groups.items())[:_BARS]), "IoU by class")
    note = f"Overlap of predicted and true pixels as a share of their union, with 95% intervals.{few}"
    return Figure("IoU by class", svg=drawing, note=note, first=True)


def _examples(evaluation: SegmentEvaluation) -> Figure | None:
    """The worst pictures, then the best ones: truth on the left, prediction on the right."""
    segmenter, score = evaluation.model, evaluation.score()
    ranked = np.argsort(score, kind="stable").tolist()
    few = min(SHOWN // 4, len(ranked) // 3)
    best = ranked[::-1][:few]
    order = [*ranked[: min(SHOWN, len(ranked)) - few], *best]
    drawn = []
    for row in order:
        sample = evaluation.samples[row]
        try:
            image = to_array(segmenter.preprocess.decode(sample.image))
        except UnreadableImage:
            continue
        drawn.append(
            (jpeg(_both(segmenter, sample, image), 88), f"{evaluation.score_name} {percent(score[row])}\n{sample.id}")
        )
    note = "Left the truth, right the prediction. Look for wrong or missing masks in the truth first."
    if segmenter.instances:
        note = f"An object that was found has the colour of the true one. {note}"
    title = "Worst and best" if best else "Worst"
    return Figure(title, pictures=tuple(drawn), note=note, wide=True, first=True) if drawn else None


def _both(segmenter: Segmenter, sample: Sample, image: Image) -> Image:
    """Truth and prediction side by side, each with its legend."""
    classes, background = segmenter.classes, background_of(segmenter.classes)
    labels, numbers = label_map(sample, classes, image.shape[:2])
    found = segmenter.predict(image)
    assert isinstance(found, Segmentation)
    predicted = scenery(found)
    own = predicted.numbers if predicted.numbers is None or numbers is None else renumbered(predicted.numbers, numbers)
    sides = [
        draw_segments(image, named, numbered, classes, side=_SIDE, title=title, background=background)
        for named, numbered, title in ((labels, numbers, "Truth"), (predicted.labels, own, "Prediction"))
    ]
    page = np.full((max(side.shape[0] for side in sides), 2 * _SIDE + _GAP, 3), 255, dtype=np.uint8)
    for side, left in zip(sides, (0, _SIDE + _GAP), strict=True):
        page[: side.shape[0], left : left + _SIDE] = side
    return page
