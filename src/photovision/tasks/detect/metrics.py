"""Metrics of a detector beside average precision: at its thresholds, of its counts, and of its scores."""

from __future__ import annotations

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.box_confidence import d_ece, la_ece
from photovision.trust.metrics.matching import Matching
from photovision.trust.metrics.statistics import bootstrap_sums, wilson


def shown_rates(hits: Matching, thresholds: Floats) -> dict[str, Metric]:
    """`recall_shown` and `precision_shown`: of all objects and of all boxes at the thresholds, float32 (C,)."""
    right, spare, missed = hits.tally(thresholds).T
    found = {"recall_shown": _ratio(right, right + missed), "precision_shown": _ratio(right, right + spare)}
    return {name: metric or Metric(0.0, 0.0, 1.0, 0) for name, metric in found.items()}


def class_rates(hits: Matching, thresholds: Floats, label: int) -> tuple[Metric | None, Metric | None]:
    """Recall and precision of one class at its threshold; None where it has no objects, or no boxes."""
    own = hits.shown(thresholds) & (hits.found.labels == label)
    right, shown = (np.bincount(hits.found.picture[rows], minlength=hits.pictures) for rows in (own & hits.right, own))
    return _ratio(right, hits.objects[:, label]), _ratio(right, shown)


def calibration_errors(hits: Matching) -> dict[str, Metric]:
    """`d_ece` and `la_ece`; empty where there are too few boxes."""
    error, localised = d_ece(hits), la_ece(hits)
    return {"d_ece": error, "la_ece": localised} if error is not None and localised is not None else {}


def count_errors(there: Ints, shown: Ints) -> dict[str, Metric]:
    """How far the number of boxes is from the number of objects.

    Args:
        there, shown: int64 (N,), objects and shown boxes of every image.

    Returns:
        `count_error`, the mean relative error over images with objects, and `count_ratio`, boxes for one object over
        all of them.
    """
    some = there > 0
    n = int(some.sum())
    if not n:
        return {"count_error": Metric(0.0, n=0)}
    objects, boxes = there[some].astype(np.float64), shown[some].astype(np.float64)
    finish = {
        "count_error": lambda sums: sums[:, 0] / sums[:, 3],
        "count_ratio": lambda sums: sums[:, 1] / sums[:, 2],
    }
    columns = np.column_stack([np.abs(boxes - objects) / objects, boxes, objects, np.ones(n)])
    found = bootstrap_sums(columns, finish)
    return {
        "count_error": Metric(*found["count_error"], n),
        "count_ratio": Metric(*found["count_ratio"], n, unit=""),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> Metric | None:
    """A share with a bootstrap over images, n being those that hold something; None where there is nothing."""
    total, n = int(whole.sum()), int((whole > 0).sum())
    if not total:
        return None
    value = float(part.sum()) / total
    if value in (0.0, 1.0):
        return Metric(value, *wilson(int(part.sum()), total), n)
    finish = {"share": lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1)}
    found = bootstrap_sums(np.column_stack([part, whole]), finish, n_boot=400)["share"]
    return Metric(value, found.low, found.high, n)
