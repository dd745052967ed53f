"""What an evaluation of a detector tells: sentences, tables by class and size, errors, curves, the worst pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import MAX_CLASSES, Bar, bars, heatmap, percent, reliability_diagram
from photovision.core.phrases import count
from photovision.core.report import RIGHT, WRONG, Figure, Finding, Metric, Table
from photovision.core.thumbnail import jpeg
from photovision.tasks.detect.evaluation import DetectEvaluation, opened
from photovision.tasks.detect.metrics import class_rates
from photovision.trust.metrics.box_confidence import curve
from photovision.trust.metrics.detection import SIZES, Matches, curve_of
from photovision.trust.metrics.detection_errors import KINDS, MEANING, Breakdown, break_down, confusion

SHOWN = 9
_SIDE, _GAP = 480, 8
_CURVES = 6
_PAIRS = 15
_RANGES = {"small": "below 32 x 32 pixels", "medium": "32 x 32 to 96 x 96", "large": "above 96 x 96"}


def findings(evaluation: DetectEvaluation) -> Finding:
    """What is particular to detectors in the report of an evaluation; see `engine.evaluation`.

    Returns:
        data: "average_precision" by class, "errors" by their kind, and the "confusion" at the thresholds.
    """
    broken = break_down(evaluation.pairs, len(evaluation.classes))
    kinds = _errors(broken, evaluation)
    confused, most_confused, matrix = _confusions(evaluation)
    first = [_rates_by_class(evaluation), _examples(evaluation, broken)]
    drawn = [*first, _precision_curves(evaluation.matches), confused, _calibration(evaluation)]
    tables = [_class_table(evaluation), _size_table(evaluation), _error_table(kinds)]
    return Finding(
        summary=_summary(broken, evaluation),
        tables=[*tables, *([most_confused] if most_confused else [])],
        figures=[figure for figure in drawn if figure is not None],
        warnings=_warnings(evaluation),
        data={
            "classes": list(evaluation.classes),
            "average_precision": {name: metric.to_json() for name, metric in evaluation.by_class().items()},
            "errors": kinds,
            "confusion": {"classes": [*evaluation.classes, "nothing"], "counts": matrix.tolist()},
        },
    )


def _summary(broken: Breakdown, evaluation: DetectEvaluation) -> tuple[str, ...]:
    """The result, its costliest error, its counts and its scores; most important first."""
    metrics = evaluation.metrics()
    dearest = max(KINDS, key=lambda kind: broken.costs[kind])
    costs = (
        f"The costliest kind of error is '{dearest}', {MEANING[dearest]}: without it, mAP at an IoU of 0.5 would be"
        f" {percent(broken.ap50 + broken.costs[dearest])}."
    )
    sentences = [
        f"Mean average precision is {percent(metrics['map'].value)} over IoU thresholds of 0.5 to 0.95,"
        f" and {percent(metrics['map50'].value)} at 0.5 ({count(len(evaluation.samples), 'picture')}).",
        costs if broken.costs[dearest] > 0 else "No kind of error costs any of the mAP at an IoU of 0.5.",
        f"At its thresholds it finds {percent(metrics['recall_shown'].value)} of the objects, and"
        f" {percent(metrics['precision_shown'].value)} of its boxes are right; the number of boxes in a picture is off"
        f" by {percent(metrics['count_error'].value)} on average{_in_all(metrics)}.",
    ]
    if "d_ece" in metrics:
        sentences.append(
            f"Detection calibration error (D-ECE) is {percent(metrics['d_ece'].value)}: by so much scores differ from"
            " the share of correct boxes, on average."
        )
    return tuple(sentences)


def _in_all(metrics: Mapping[str, Metric]) -> str:
    """Too many and too few may cancel out over all pictures."""
    if "count_ratio" not in metrics:
        return ""
    off = metrics["count_ratio"].value - 1
    return f", and over all pictures there are {percent(abs(off))} too {'many' if off > 0 else 'few'}"


def _class_table(evaluation: DetectEvaluation) -> Table:
    """Objects, average precision, and recall and precision at the threshold of every class; the worst first."""
    by_class, matches = evaluation.by_class(), evaluation.matches
    rows = []
    for name in sorted(by_class, key=lambda name: by_class[name].value):
        label = evaluation.classes.index(name)
        rates = class_rates(evaluation.hits, evaluation.thresholds, label)
        threshold = float(evaluation.thresholds[label])
        rows.append((name, int(matches.objects[label]), by_class[name], *rates, threshold))
    note = (
        "Average precision over IoU thresholds of 0.5 to 0.95; found and right: at the class's threshold, at an IoU of"
        " 0.5. Intervals by a bootstrap over all pictures, where a class has at least 10 objects. Worst first."
    )
    return Table(
        "By class", ("class", "objects", "average precision", "found", "right", "threshold"), tuple(rows), note
    )


def _size_table(evaluation: DetectEvaluation) -> Table:
    """Objects and average precision by COCO's ranges of sizes."""
    matches, metrics = evaluation.matches, evaluation.metrics()
    rows = tuple(
        (size, _RANGES[size], int(sum(one.objects.sum() for one in matches.by[size])), metrics.get(f"map_{size}"))
        for size in SIZES[1:]
    )
    note = "By the area of the box, in pixels of the whole picture; mean over the classes that have such objects."
    return Table("By size", ("size", "what it is", "objects", "average precision"), rows, note)


def _errors(broken: Breakdown, evaluation: DetectEvaluation) -> dict[str, dict[str, float]]:
    """Kind -> how many there are at the thresholds, and what they cost."""
    shown = dict.fromkeys(KINDS, 0)
    for mistake in broken.mistakes:
        if mistake.kind == "missed" or evaluation.shown(mistake.picture)[mistake.row]:
            shown[mistake.kind] += 1
    return {kind: {"count": shown[kind], "cost": broken.costs[kind]} for kind in KINDS}


def _error_table(kinds: Mapping[str, Mapping[str, float]]) -> Table:
    """The kinds of errors, the costliest first."""
    rows = tuple(
        (kind, MEANING[kind], int(kinds[kind]["count"]), Metric(kinds[kind]["cost"], unit="points"))
        for kind in sorted(KINDS, key=lambda kind: -kinds[kind]["cost"])
    )
    note = "Counted are boxes that reach their threshold; objects count as missed where there is no box, however weak."
    return Table("Kinds of errors", ("kind", "what it is", "how many", "cost in mAP at an IoU of 0.5"), rows, note)


def _confusions(evaluation: DetectEvaluation) -> tuple[Figure | None, Table | None, np.ndarray]:
    """The confusion matrix at the thresholds: drawn for few classes, the most frequent for many; and the matrix."""
    matrix = confusion(evaluation.pairs, evaluation.thresholds, len(evaluation.classes))
    names = (*evaluation.classes, "nothing")
    there = np.flatnonzero(matrix.sum(0) + matrix.sum(1))
    note = (
        "Rows are the truth, columns the predictions, at the thresholds and an IoU of 0.5. The last row holds boxes on"
        " nothing, the last column objects that were not found."
    )
    if 0 < len(there) <= MAX_CLASSES:
        kept = [names[i] for i in there]
        drawing = heatmap(matrix[np.ix_(there, there)], kept, "Confusion")
        return Figure("Confusion", svg=drawing, note=note), None, matrix
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:_PAIRS]
    places = [tuple(map(int, np.unravel_index(flat, off.shape))) for flat in order]
    rows = tuple((names[a], names[b], int(off[a, b])) for a, b in places if off[a, b])
    table = Table("Confusion", ("true class", "predicted", "times"), rows, "The most frequent. " + note)
    return None, table if rows else None, matrix


def _precision_curves(matches: Matches) -> Figure | None:
    """Precision against recall at an IoU of 0.5, of the classes with most objects."""
    order = [int(i) for i in np.argsort(-matches.objects, kind="stable")[:_CURVES] if matches.objects[i]]
    series = {}
    for label in order:
        recall, precision = curve_of(matches.by["all"][label])
        if len(recall):
            series[matches.classes[label][:24]] = CurveLine(recall, precision)
    if not series:
        return None
    names = ("Precision against recall", "share of objects found", "share of boxes right")
    drawing = lines(series, *names, x_form="{:.0%}".format, y_form="{:.0%}".format, x_range=(0.0, 1.0))
    few = f" Of the {len(order)} classes with most objects." if len(order) < (matches.objects > 0).sum() else ""
    note = f"Every point is a threshold: a lower one finds more and is less often right.{few}"
    return Figure("Precision against recall", svg=drawing, note=note)


def _calibration(evaluation: DetectEvaluation) -> Figure | None:
    """Stated scores against the share of boxes that are right."""
    found = curve(evaluation.hits)
    if found is None:
        return None
    note = (
        "Of the boxes with such a score, how many are on an object of their class (IoU at least 0.5)? Points below"
        " the dashed line mean over-confidence. Bars are 95% intervals."
    )
    drawing = reliability_diagram(*found, title="Stated score against truth")
    return Figure("Calibration of scores", svg=drawing, note=note)


def _rates_by_class(evaluation: DetectEvaluation) -> Figure | None:
    """Recall and precision at the thresholds, of the classes with most objects."""
    objects = evaluation.matches.objects
    order = [int(i) for i in np.argsort(-objects, kind="stable")[:_CURVES] if objects[i]]
    groups = {}
    for label in order:
        both = class_rates(evaluation.hits, evaluation.thresholds, label)
        named = [Bar(rate.value, rate.low, rate.high, series) for series, rate in enumerate(both) if rate is not None]
        groups[f"{evaluation.classes[label]} ({int(objects[label]):,})"] = named
    if not groups:
        return None
    title = "Recall and precision by class"
    note = (
        "Share of the objects that are found, and of the boxes that are right, with 95% intervals; objects in brackets."
    )
    drawing = bars(groups, title, series=("objects found", "boxes right"))
    return Figure(title, svg=drawing, note=note, first=True)


def _examples(evaluation: DetectEvaluation, broken: Breakdown) -> Figure | None:
    """The pictures with the errors of the highest confidence, then some without an error, each beside its truth."""
    cost = np.zeros(len(evaluation.pairs))
    for mistake in broken.mistakes:
        if mistake.kind == "missed":
            cost[mistake.picture] += 0.5
        elif evaluation.shown(mistake.picture)[mistake.row]:
            cost[mistake.picture] += mistake.score
    order = np.argsort(-cost, kind="stable")
    full = np.array([len(pair.truth) for pair in evaluation.pairs]) > 0
    right = [int(row) for row in order if cost[row] == 0 and full[row]][: SHOWN // 3]
    wrong = [int(row) for row in order if cost[row] > 0][: SHOWN - len(right)]
    pictures = [drawn for row in (*wrong, *right) if (drawn := _drawn(evaluation, broken, row)) is not None]
    if not pictures:
        return None
    note = "Left the truth, right the prediction; costliest errors first. Look for mistakes in the truth, too."
    title = "Wrong and right" if wrong and right else "Wrong" if wrong else "Right"
    return Figure(title, pictures=tuple(pictures), note=note, wide=True, first=True)


def _drawn(evaluation: DetectEvaluation, broken: Breakdown, row: int) -> tuple[bytes, str] | None:
    """The truth beside the prediction, with a caption; None where the picture cannot be read any more."""
    sample, truth = evaluation.samples[row], evaluation.pairs[row].truth
    image = opened(sample)
    if image is None:
        return None
    shown = evaluation.shown(row)
    mistakes = [m for m in broken.mistakes if m.picture == row and (m.kind == "missed" or shown[m.row])]
    wrong = ", ".join(f"{n} {kind}" for kind in KINDS if (n := sum(one.kind == kind for one in mistakes)))
    both = [draw_regions(image, regions, _SIDE) for regions in (truth, evaluation.predicted(row))]
    page = np.concatenate([both[0], np.full((len(both[0]), _GAP, 3), 255, np.uint8), both[1]], axis=1)
    verdict = f"{WRONG}{wrong}" if wrong else f"{RIGHT}all right"
    return jpeg(page), f"{verdict}\n{count(len(truth), 'object')} in {sample.id}"


def _warnings(evaluation: DetectEvaluation) -> tuple[str, ...]:
    """What a careful reader must know of the classes before trusting the figures."""
    found, objects = [], evaluation.matches.objects
    present, few = int((objects > 0).sum()), int(((objects > 0) & (objects < 10)).sum())
    if present < len(evaluation.classes):
        found.append(
            f"The data holds {present} of the {len(evaluation.classes)} classes: the others are not evaluated."
        )
    if few:
        found.append(f"{count(few, 'class', 'classes')} {_have(few)} fewer than 10 objects: read their rows with care.")
    return tuple(found)


def _have(n: int) -> str:
    return "has" if n == 1 else "have"
