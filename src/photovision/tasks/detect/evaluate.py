"""Evaluate a detector: its boxes held against the truth, what goes wrong, and where to look."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from photovision.core.phrases import count
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric, Report
from photovision.core.system import provenance
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.engine.holdout import leak_free
from photovision.tasks.detect import evaluation_text as story
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluation import DetectEvaluation as DetectEvaluation
from photovision.tasks.detect.evaluation import look as look
from photovision.trust.metrics.box_confidence import d_ece, la_ece
from photovision.trust.metrics.detection import f1, match, scores
from photovision.trust.metrics.detection_errors import break_down
from photovision.trust.metrics.statistics import bootstrap_sums


def evaluate_boxes(
    detector: Detector, dataset: Dataset, *, leaked: Collection[int] = (), progress: ProgressCallback | None = None
) -> Report:
    """Compare a detector's boxes with the truth.

    Args:
        detector: the model; its thresholds decide what is shown and counted as an error, not the average precision.
        dataset: pictures with boxes; their classes must be among the detector's, in any order.
        leaked: positions in `dataset` of pictures that are, resemble or belong with training pictures; mean average
            precision without them is given, too.
        progress: called with (pictures done, N).

    Returns:
        A report of kind "evaluate"; `metrics` are those of `trust.metrics.detection.scores`, "f1", "recall_shown" and
        "precision_shown" at the thresholds, "count_error" and "count_ratio" (boxes for one object), and "d_ece" and
        "la_ece" where there are enough boxes.

    Raises:
        DataError: a class is unknown to the detector, there are no boxes, or nothing could be read.
    """
    return judge_boxes(detector, look(detector, dataset, progress), dataset, leaked)


def judge_boxes(detector: Detector, looked: DetectEvaluation, dataset: Dataset, leaked: Collection[int] = ()) -> Report:
    """The report of `evaluate_boxes` on pictures that the detector was asked about already."""
    matches = match(looked.pairs, looked.classes)
    figures, by_class = scores(matches)
    metrics = {**figures, "f1": f1(matches, looked.thresholds), **story.shown_shares(looked)}
    metrics |= {**_counted(looked), **_calibration(looked)}
    leaks = leak_free(looked.samples, dataset, leaked, metrics, lambda rows: _precision(looked, rows))
    broken = break_down(looked.pairs, len(looked.classes))
    errors = story.errors(broken, looked)
    confused, most_confused, matrix = story.confusions(looked)
    drawn = [story.precision_curves(matches), confused, story.calibration(looked), story.worst(looked, broken)]
    tables = [story.class_table(matches, by_class, looked), story.size_table(matches, metrics)]
    tables += [story.error_table(errors), *([most_confused] if most_confused else [])]
    return Report(
        kind="evaluate",
        title=f"How well the detector does on {count(len(looked.samples), 'picture')}",
        summary=story.summary(metrics, broken, looked),
        metrics={**metrics, **leaks.metrics},
        tables=tables,
        figures=[figure for figure in drawn if figure is not None],
        warnings=[*leaks.warnings, *story.warnings(looked, dataset, matches)],
        provenance={
            "model": {"backbone": (detector.info.get("backbone") or {}).get("name")},
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
        data={
            "task": "detect",
            "classes": list(looked.classes),
            "average_precision": {name: metric.to_json() for name, metric in by_class.items()},
            "errors": errors,
            "confusion": {"classes": [*looked.classes, "nothing"], "counts": matrix.tolist()},
            "unreadable": [{"id": problem.id, "message": problem.message} for problem in looked.problems],
        },
    )


def _precision(looked: DetectEvaluation, rows: Ints) -> dict[str, Metric]:
    """Average precision of some of the pictures."""
    return scores(match([looked.pairs[int(row)] for row in rows], looked.classes))[0]


def _calibration(looked: DetectEvaluation) -> dict[str, Metric]:
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
