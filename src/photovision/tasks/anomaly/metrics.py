"""Metrics of anomaly detection: of pictures (AUROC, recall at 1% false alarms) and of places (AUPRO, pixel AUROC).

AUPRO is the area under the mean overlap of ground-truth regions over the share of good pixels called anomalous, up to
0.3 of these and divided by it (Bergmann et al., "The MVTec anomaly detection dataset", IJCV 2021). Pixel AUROC
flatters: nearly all pixels are easy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.trust.metrics.statistics import Vector, bootstrap, proportion, roc_area, wilson

MAX_FALSE_POSITIVES = 0.3
"""Share of good pixels up to which AUPRO is integrated."""

_LEVELS = 500


def picture_metrics(scores: Vector, bad: np.ndarray, threshold: float | None = None) -> dict[str, Metric]:
    """How well scores separate bad pictures from good ones.

    Args:
        scores: float64 (N,), higher for more anomalous.
        bad: bool (N,), with at least one picture of each kind.
        threshold: from which pictures are called anomalous; None leaves the false alarms out.

    Returns:
        `auroc`, `recall_at_1` (share of bad pictures above all but 1% of the good ones), and `false_alarms` (share of
        good pictures called anomalous), with 95% intervals.
    """
    if not bad.any() or bad.all():
        raise UsageError("AUROC needs at least one good and one bad picture: give both in the test part")
    good = scores[~bad]
    metrics = {"auroc": Metric(*roc_area(scores, bad), len(scores))}
    found = bootstrap(_recall_at_1, [scores, bad])
    # Resampling does not know of the pictures that were not drawn where all or none are found.
    low, high = wilson(found.value * bad.sum(), int(bad.sum()))
    metrics["recall_at_1"] = Metric(found.value, min(low, found.low), max(high, found.high), int(bad.sum()))
    if threshold is not None:
        metrics["false_alarms"] = Metric(*proportion(int((good >= threshold).sum()), len(good)), len(good))
    return metrics


def by_kind(scores: Vector, kinds: Sequence[str], good: str = "good") -> dict[str, Metric]:
    """AUROC of each kind of bad pictures against all good ones: kind -> figure with its 95% interval.

    Args:
        scores: float64 (N,).
        kinds: N names.
        good: the name of good pictures.
    """
    names = np.array(kinds)
    found = {}
    for kind in sorted(set(kinds) - {good}):
        rows = (names == kind) | (names == good)
        found[kind] = picture_metrics(scores[rows], names[rows] == kind)["auroc"]
    return found


def place_metrics(heatmaps: Sequence[Floats], masks: Sequence[np.ndarray]) -> dict[str, Metric]:
    """How well heatmaps find the places of defects: `aupro` and `pixel_auroc`, with bootstrap intervals over pictures.

    Args:
        heatmaps: float32 (H, W), one a picture, on one scale.
        masks: bool (H, W), true where the picture is bad; all false for good pictures.
    """
    if len(heatmaps) != len(masks) or not any(mask.any() for mask in masks):
        raise UsageError("AUPRO needs a mask for every heatmap, at least one of them with a defect")
    levels = _levels(heatmaps)
    rows = [_above(heat, mask, levels) for heat, mask in zip(heatmaps, masks, strict=True)]
    fields = [np.stack([row[number] for row in rows]) for number in range(3)]
    counts = np.array([[mask.size - mask.sum(), mask.sum(), row[3]] for mask, row in zip(masks, rows, strict=True)])

    return {
        "aupro": Metric(*bootstrap(_aupro, [*fields, counts], n_boot=300), len(masks)),
        "pixel_auroc": Metric(*bootstrap(_pixel_auroc, [*fields, counts], n_boot=300), len(masks)),
    }


def _recall_at_1(scores: Vector, bad: np.ndarray) -> float:
    good = scores[~bad]
    if not len(good) or len(good) == len(scores):
        return float("nan")
    allowed = int(0.01 * len(good))
    return float((scores[bad] > np.partition(good, len(good) - 1 - allowed)[len(good) - 1 - allowed]).mean())


def _levels(heatmaps: Sequence[Floats]) -> Floats:
    """Descending thresholds, dense where good pixels end and defects begin: float32 (T,)."""
    pixels = np.concatenate([heat.ravel()[:: max(1, heat.size // 5000)] for heat in heatmaps])
    shares = 1 - np.concatenate([np.geomspace(1e-5, 0.3, _LEVELS), np.linspace(0.3, 1, _LEVELS // 4)[1:]])
    tops = np.array([max(float(heat.max()) for heat in heatmaps)])
    levels: Floats = np.unique(np.concatenate([np.quantile(pixels, shares), tops]).astype(np.float32))[::-1]
    return levels


def _above(heat: Floats, mask: np.ndarray, levels: Floats) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Good pixels, bad pixels and summed overlaps of regions at or above each level (T,), and how many regions."""
    from scipy.ndimage import label

    def share(values: Floats) -> np.ndarray:
        counts: np.ndarray = len(values) - np.searchsorted(np.sort(values), levels, side="left")
        return counts

    regions, count = label(mask, np.ones((3, 3)))
    overlaps = np.zeros(len(levels))
    for number in range(1, count + 1):
        inside = heat[regions == number]
        overlaps += share(inside) / len(inside)
    return share(heat[~mask]), share(heat[mask]), overlaps, count


def _aupro(good: np.ndarray, _bad: np.ndarray, overlaps: np.ndarray, counts: np.ndarray) -> float:
    pixels, _, regions = counts.sum(0)
    if not pixels or not regions:
        return float("nan")
    return _area(good.sum(0) / pixels, overlaps.sum(0) / regions, MAX_FALSE_POSITIVES) / MAX_FALSE_POSITIVES


def _pixel_auroc(good: np.ndarray, bad: np.ndarray, _overlaps: np.ndarray, counts: np.ndarray) -> float:
    negatives, positives, _ = counts.sum(0)
    if not negatives or not positives:
        return float("nan")
    return _area(good.sum(0) / negatives, bad.sum(0) / positives, 1.0)


def _area(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    """Area under y over x from 0 to `limit`, by trapezoids; both ascend."""
    x, y = np.concatenate([[0.0], x]), np.concatenate([[0.0], y])
    last = float(np.interp(limit, x, y))
    inside = x < limit
    return float(np.trapezoid(np.append(y[inside], last), np.append(x[inside], limit)))
