"""What an evaluation of a detector tells: sentences, tables by class and size, errors, curves, the worst pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import MAX_CLASSES, heatmap, percent, reliability_diagram
from photovision.core.phrases import count
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import jpeg
from photovision.tasks.detect.evaluation import DetectEvaluation, opened
from photovision.trust.metrics.box_confidence import curve, d_ece, la_ece
from photovision.trust.metrics.detection import SIZES, Matches, curve_of, f1
from photovision.trust.metrics.detection_errors import KINDS, MEANING, Breakdown, break_down, confusion
from photovision.trust.metrics.statistics import bootstrap_sums, wilson

SHOWN = 9
_SIDE, _GAP = 480, 8
_CURVES = 6
_PAIRS = 15
_RANGES = {"small": "below 32 x 32 pixels", "medium": "32 x 32 to 96 x 96", "large": "above 96 x 96"}


def findings(looked: DetectEvaluation) -> Finding:
    """What is particular to detectors in the report of an evaluation; see `engine.evaluation`.

    Returns:
        metrics: "f1", "recall_shown" and "precision_shown" at the thresholds, "count_error" and "count_ratio" (boxes
        for one object), and "d_ece" and "la_ece" where there are enough boxes.
    """
    matches = looked.matches
    metrics = {"f1": f1(matches, looked.thresholds), **shown_shares(looked)}
    metrics |= {**_counted(looked), **_calibration_errors(looked)}
    broken = break_down(looked.pairs, len(looked.classes))
    kinds = errors(broken, looked)
    confused, most_confused, matrix = confusions(looked)
    drawn = [precision_curves(matches), confused, calibration(looked), worst(looked, broken)]
    tables = [class_table(looked), size_table(looked), error_table(kinds)]
    return Finding(
        summary=summary({**looked.metrics(), **metrics}, broken, looked),
        metrics=metrics,
        tables=[*tables, *([most_confused] if most_confused else [])],
        figures=[figure for figure in drawn if figure is not None],
        warnings=warnings(looked),
        data={
            "classes": list(looked.classes),
            "average_precision": {name: metric.to_json() for name, metric in looked.by_class().items()},
            "errors": kinds,
            "confusion": {"classes": [*looked.classes, "nothing"], "counts": matrix.tolist()},
        },
    )


def summary(metrics: Mapping[str, Metric], broken: Breakdown, looked: DetectEvaluation) -> tuple[str, ...]:
    """The result, its costliest error, its counts and its scores; most important first."""
    dearest = max(KINDS, key=lambda kind: broken.costs[kind])
    costs = (
        f"The costliest kind of error is '{dearest}', {MEANING[dearest]}: without it, mAP at .5 would be"
        f" {percent(broken.ap50 + broken.costs[dearest])}."
    )
    told = [
        f"Mean average precision is {percent(metrics['map'].value)} over overlaps of .5 to .95, and"
        f" {percent(metrics['map50'].value)} at .5 ({count(len(looked.samples), 'picture')}).",
        costs if broken.costs[dearest] > 0 else "No kind of error costs any of the mAP at .5.",
        f"At its thresholds it finds {percent(metrics['recall_shown'].value)} of the objects, and"
        f" {percent(metrics['precision_shown'].value)} of its boxes are right; the number of boxes in a picture is off"
        f" by {percent(metrics['count_error'].value)} on average{_in_all(metrics)}.",
    ]
    if "d_ece" in metrics:
        told.append(
            f"Its scores are {percent(metrics['d_ece'].value)} from the share of boxes that is right, on average."
        )
    return tuple(told)


def _in_all(metrics: Mapping[str, Metric]) -> str:
    """Too many and too few may cancel out over all pictures."""
    if "count_ratio" not in metrics:
        return ""
    off = metrics["count_ratio"].value - 1
    return f", and over all pictures there are {percent(abs(off))} too {'many' if off > 0 else 'few'}"


def class_table(looked: DetectEvaluation) -> Table:
    """Objects, average precision, and recall and precision at the threshold of every class; the worst first."""
    by_class, matches = looked.by_class(), looked.matches
    limits = dict(zip(looked.classes, looked.thresholds.tolist(), strict=True))
    objects = dict(zip(matches.classes, matches.objects.tolist(), strict=True))
    order = sorted(by_class, key=lambda name: by_class[name].value)
    rows = tuple((name, objects[name], by_class[name], *_at(looked, name), limits[name]) for name in order)
    note = (
        "Average precision over overlaps of .5 to .95. Found and right: at the class's threshold, at an overlap of .5."
        " Intervals by a bootstrap over all pictures, where a class has at least 10 objects. Worst first."
    )
    return Table("By class", ("class", "objects", "average precision", "found", "right", "threshold"), rows, note)


def _at(looked: DetectEvaluation, name: str) -> tuple[Metric | None, Metric | None]:
    """Recall and precision of one class at its threshold."""
    hits, label = looked.hits, looked.classes.index(name)
    own = hits.shown(looked.thresholds) & (hits.found.labels == label)
    right, shown = (np.bincount(hits.found.picture[rows], minlength=hits.pictures) for rows in (own & hits.right, own))
    return _ratio(right, hits.objects[:, label]), _ratio(right, shown)


def _ratio(part: np.ndarray, whole: np.ndarray) -> Metric | None:
    """A share with a bootstrap over pictures, n being those that hold something; None where there is nothing."""
    total, n = int(whole.sum()), int((whole > 0).sum())
    if not total:
        return None
    value = float(part.sum()) / total
    if value in (0.0, 1.0):
        return Metric(value, *wilson(int(part.sum()), total), n)
    finish = {"share": lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1)}
    found = bootstrap_sums(np.column_stack([part, whole]), finish, n_boot=400)["share"]
    return Metric(value, found.low, found.high, n)


def shown_shares(looked: DetectEvaluation) -> dict[str, Metric]:
    """`recall_shown` and `precision_shown`: of all objects and of all boxes at the thresholds."""
    hits, spare, missed = looked.hits.tally(looked.thresholds).T
    found = {"recall_shown": _ratio(hits, hits + missed), "precision_shown": _ratio(hits, hits + spare)}
    return {name: metric or Metric(0.0, 0.0, 1.0, 0) for name, metric in found.items()}


def size_table(looked: DetectEvaluation) -> Table:
    """Objects and average precision by COCO's ranges of sizes."""
    matches, metrics = looked.matches, looked.metrics()
    rows = tuple(
        (size, _RANGES[size], int(sum(one.objects.sum() for one in matches.by[size])), metrics.get(f"map_{size}"))
        for size in SIZES[1:]
    )
    note = "By the area of the box, in pixels of the whole picture; mean over the classes that have such objects."
    return Table("By size", ("size", "what it is", "objects", "average precision"), rows, note)


def errors(broken: Breakdown, looked: DetectEvaluation) -> dict[str, dict[str, float]]:
    """Kind -> how many there are at the thresholds, and what they cost."""
    shown = dict.fromkeys(KINDS, 0)
    for mistake in broken.mistakes:
        if mistake.kind == "missed" or looked.shown(mistake.picture)[mistake.row]:
            shown[mistake.kind] += 1
    return {kind: {"count": shown[kind], "cost": broken.costs[kind]} for kind in KINDS}


def error_table(told: Mapping[str, Mapping[str, float]]) -> Table:
    """The kinds of errors, the costliest first."""
    rows = tuple(
        (kind, MEANING[kind], int(told[kind]["count"]), Metric(told[kind]["cost"], unit="points"))
        for kind in sorted(KINDS, key=lambda kind: -told[kind]["cost"])
    )
    note = "Counted are boxes that reach their threshold; objects count as missed where there is no box, however weak."
    return Table("Kinds of errors", ("kind", "what it is", "how many", "cost in mAP at .5"), rows, note)


def confusions(looked: DetectEvaluation) -> tuple[Figure | None, Table | None, np.ndarray]:
    """What was called what at the thresholds: drawn for few classes, the most frequent for many; and the matrix."""
    matrix = confusion(looked.pairs, looked.thresholds, len(looked.classes))
    names = (*looked.classes, "nothing")
    there = np.flatnonzero(matrix.sum(0) + matrix.sum(1))
    note = (
        "Rows: what is there; columns: what was said, at the thresholds and an overlap of .5. The last row holds boxes"
        " on nothing, the last column objects that were not found."
    )
    if 0 < len(there) <= MAX_CLASSES:
        kept = [names[i] for i in there]
        drawing = heatmap(matrix[np.ix_(there, there)], kept, "What was called what")
        return Figure("What was called what", svg=drawing, note=note), None, matrix
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:_PAIRS]
    places = [tuple(map(int, np.unravel_index(flat, off.shape))) for flat in order]
    rows = tuple((names[a], names[b], int(off[a, b])) for a, b in places if off[a, b])
    table = Table("What was called what", ("there is", "said", "how often"), rows, "The most frequent. " + note)
    return None, table if rows else None, matrix


def precision_curves(matches: Matches) -> Figure | None:
    """Precision against recall at an overlap of .5, of the classes with most objects."""
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


def calibration(looked: DetectEvaluation) -> Figure | None:
    """Stated scores against the share of boxes that are right."""
    found = curve(looked.hits)
    if found is None:
        return None
    note = (
        "Of the boxes with such a score, how many are on an object of their class (overlap at least .5)? Below the"
        " dashed line the detector promises more than it keeps. Bars are 95 % intervals."
    )
    drawing = reliability_diagram(*found, title="Stated score against truth")
    return Figure("Calibration of scores", svg=drawing, note=note)


def worst(looked: DetectEvaluation, broken: Breakdown) -> Figure | None:
    """The pictures with the surest errors, each with its truth and with the answer."""
    cost = np.zeros(len(looked.pairs))
    for mistake in broken.mistakes:
        if mistake.kind == "missed":
            cost[mistake.picture] += 0.5
        elif looked.shown(mistake.picture)[mistake.row]:
            cost[mistake.picture] += mistake.score
    order = [int(row) for row in np.argsort(-cost, kind="stable")[:SHOWN] if cost[row] > 0]
    pictures = [drawn for row in order if (drawn := _drawn(looked, broken, row)) is not None]
    if not pictures:
        return None
    note = "Left the truth, right the answer. Look for wrong or missing boxes in the truth first."
    return Figure("Worst mistakes", pictures=tuple(pictures), note=note, wide=True)


def _drawn(looked: DetectEvaluation, broken: Breakdown, row: int) -> tuple[bytes, str] | None:
    """The truth beside the answer, with a caption; None where the picture cannot be read any more."""
    sample, truth = looked.samples[row], looked.pairs[row].truth
    image = opened(sample)
    if image is None:
        return None
    shown = looked.shown(row)
    wrong = [m for m in broken.mistakes if m.picture == row and (m.kind == "missed" or shown[m.row])]
    told = ", ".join(f"{n} {kind}" for kind in KINDS if (n := sum(one.kind == kind for one in wrong)))
    both = [draw_regions(image, regions, _SIDE) for regions in (truth, looked.answer(row))]
    page = np.concatenate([both[0], np.full((len(both[0]), _GAP, 3), 255, np.uint8), both[1]], axis=1)
    return jpeg(page), f"true: {count(len(truth), 'object')}; wrong in the answer: {told}\n{sample.id}"


def warnings(looked: DetectEvaluation) -> tuple[str, ...]:
    """What a careful reader must know of the classes before trusting the figures."""
    found, objects = [], looked.matches.objects
    present, few = int((objects > 0).sum()), int(((objects > 0) & (objects < 10)).sum())
    if present < len(looked.classes):
        found.append(f"The data holds {present} of the {len(looked.classes)} classes: the others are not judged.")
    if few:
        found.append(f"{count(few, 'class', 'classes')} {_have(few)} fewer than 10 objects: read their rows with care.")
    return tuple(found)


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _calibration_errors(looked: DetectEvaluation) -> dict[str, Metric]:
    error, localised = d_ece(looked.hits), la_ece(looked.hits)
    return {"d_ece": error, "la_ece": localised} if error is not None and localised is not None else {}


def _counted(looked: DetectEvaluation) -> dict[str, Metric]:
    """How far the number of boxes is from the number of objects: picture by picture, and over all of them."""
    rows = []
    for row, pair in enumerate(looked.pairs):
        there = len(pair.truth) - (0 if pair.truth.crowd is None else int(pair.truth.crowd.sum()))
        if there:
            shown = int(looked.shown(row).sum())
            rows.append((abs(shown - there) / there, shown, there, 1))
    if not rows:
        return {"count_error": Metric(0.0, n=0)}
    finish = {
        "count_error": lambda sums: sums[:, 0] / sums[:, 3],
        "count_ratio": lambda sums: sums[:, 1] / sums[:, 2],
    }
    found = bootstrap_sums(np.array(rows, dtype=np.float64), finish)
    share, ratio = found["count_error"], found["count_ratio"]
    return {
        "count_error": Metric(*share, len(rows)),
        "count_ratio": Metric(*ratio, len(rows), unit=""),
    }
