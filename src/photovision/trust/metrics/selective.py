"""Selective answers: how accurate a model is on the pictures that it is surest of (El-Yaniv & Wiener 2010)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import percent
from photovision.core.report import Figure, Finding, Metric
from photovision.core.types import Floats
from photovision.trust.metrics.statistics import Vector, bootstrap, proportion, wilson

MIN_PICTURES = 50
_POINTS = 60
_SHARE = 0.8


class Selective(NamedTuple):
    """Accuracy against the share of pictures answered, the surest first.

    Attributes:
        share: float64 (P,), rising to 1.
        accuracy, low, high: float64 (P,), with Wilson bounds.
    """

    share: Vector
    accuracy: Vector
    low: Vector
    high: Vector


def selective(confidence: Floats, right: np.ndarray) -> Selective:
    """The curve for confidences float (N,) and answers bool (N,).

    Example:
        >>> float(selective(np.linspace(0, 1, 100, dtype=np.float32), np.arange(100) >= 50).accuracy[-1])
        0.5
    """
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum(right[order])
    counts = np.unique(np.linspace(max(1, len(hits) // 20), len(hits), _POINTS).round().astype(int))
    bounds = np.array([wilson(int(hits[n - 1]), int(n)) for n in counts])
    return Selective(counts / len(hits), hits[counts - 1] / counts, bounds[:, 0], bounds[:, 1])


def area_of_risk(confidence: Floats, right: np.ndarray) -> float:
    """Area under the curve of error among the surest pictures against their share (AURC), 0 to 1; less is better."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    return float((wrong / np.arange(1, len(wrong) + 1)).mean())


def selective_finding(confidence: Floats, right: np.ndarray) -> Finding:
    """What it gains to leave the least sure pictures to a person; nothing for fewer than 50 pictures.

    Args:
        confidence: float (N,), 0 to 1.
        right: bool (N,).
    """
    if len(right) < MIN_PICTURES:
        return Finding()
    curve = selective(confidence, right)
    order = np.argsort(-confidence, kind="stable")
    kept = max(1, round(_SHARE * len(right)))
    surest = Metric(*proportion(int(right[order[:kept]].sum()), kept), kept)
    area = Metric(*bootstrap(area_of_risk, [confidence, right], n_boot=200), len(right), "")
    sentence = (
        f"Where it answers only the {percent(_SHARE)} it is surest of, {percent(surest.value)} are right"
        f" instead of {percent(float(right.mean()))}."
    )
    svg = lines(
        {"accuracy": CurveLine(curve.share, curve.accuracy, curve.low, curve.high)},
        "Accuracy against the share answered",
        "share of pictures answered, the surest first",
        "accuracy",
        x_form=percent,
        y_range=(float(min(curve.low.min(), 0.95)), 1.0),
    )
    note = "The rest is left to a person. The band is the 95% interval."
    metrics = {"selective_accuracy": surest, "aurc": area}
    return Finding(
        (sentence,),
        metrics,
        figures=[Figure("Accuracy if it may skip the hardest pictures (risk-coverage)", svg=svg, note=note)],
    )
