"""Alike: does an exported or changed graph answer like the model it came from? Task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from photovision.core.overlap import overlap
from photovision.runtime.nms import ScoredBoxes
from photovision.tasks.detect.detector import Detector

TOLERANCE = 0.02
"""Largest allowed difference of a probability, which leaves room for weights in 16 bits."""
LEAST_AGREEMENT = 0.995
"""Least share of pictures, or of places, with the same most probable class; one picture may differ."""
BOX_TOLERANCE = 0.05
"""The same for scores of boxes: their calibration is steep."""
LEAST_BOXES = 0.97
"""Least share of shown boxes that both have; one box may differ."""
SAME_BOX = 0.9
"""How much two boxes of one class overlap that count as the same."""
_SLACK = 1e-6
Outputs = Mapping[str, np.ndarray]


class Alike(NamedTuple):
    """How alike two graphs answer.

    Attributes:
        agreement: share of pictures, places or boxes that both answer the same.
        difference: largest difference of a probability; of segmenters that of all but one place in a thousand.
        of: what the share is of, for people: "pictures", "1,200 boxes".
        allowed: the difference that is let pass.
        enough: whether they are alike enough to be called the same model.
    """

    agreement: float
    difference: float
    of: str
    allowed: float
    enough: bool


def answers_alike(expected: Sequence[Outputs], got: Sequence[Outputs], real: bool) -> Alike:
    """Compare `probs` of classifiers; the most probable class counts on `real` pictures only."""
    before, after = (np.concatenate([one["probs"] for one in each]) for each in (expected, got))
    same, gap = float((before.argmax(1) == after.argmax(1)).mean()), float(np.abs(before - after).max())
    allowed = max(1.0, (1 - LEAST_AGREEMENT) * len(before)) + _SLACK
    enough = gap <= TOLERANCE and (not real or (1 - same) * len(before) <= allowed)
    return Alike(same, gap, "pictures", TOLERANCE, enough)


def boxes_alike(detector: Detector, expected: Sequence[Outputs], got: Sequence[Outputs]) -> Alike:
    """Compare what a detector shows: boxes that stand, at its thresholds, in pixels of the network's input.

    The difference is that of the sorted scores of all places, since places of equal scores may change their order.
    """
    met = total = 0
    gap = 0.0
    for before, after in zip(expected, got, strict=True):
        for row in range(len(before["scores"])):
            first, second = (_standing(detector, each, row) for each in (before, after))
            met += _met(first, second) + _met(second, first)
            total += len(first) + len(second)
        sides = (np.sort(each["scores"].max(2), axis=1) for each in (before, after))
        gap = max(gap, float(np.abs(np.subtract(*sides)).max()))
    same = met / total if total else 1.0
    enough = gap <= BOX_TOLERANCE and total - met <= max(2.0, (1 - LEAST_BOXES) * total) + _SLACK
    return Alike(same, gap, f"{total // 2:,} boxes", BOX_TOLERANCE, enough)


def places_alike(expected: Sequence[Outputs], got: Sequence[Outputs]) -> Alike:
    """Compare the probabilities of segmenters at every place."""
    same, gaps = [], []
    for before, after in zip(expected, got, strict=True):
        same.append((before["classes"].argmax(1) == after["classes"].argmax(1)).ravel())
        gaps.append(np.abs(before["classes"] - after["classes"]).max(1).ravel())
    agreement, gap = float(np.concatenate(same).mean()), float(np.quantile(np.concatenate(gaps), 0.999))
    return Alike(agreement, gap, "places", TOLERANCE, gap <= TOLERANCE and agreement >= LEAST_AGREEMENT)


def _standing(detector: Detector, outputs: Outputs, row: int) -> ScoredBoxes:
    return detector.boxes({name: outputs[name][row] for name in ("boxes", "scores")}, detector.preprocess.size)


def _met(some: ScoredBoxes, others: ScoredBoxes) -> int:
    """How many of some boxes another one of their class lies on."""
    same = some.labels[:, None] == others.labels[None]
    return int(((overlap(some.xyxy, others.xyxy) >= SAME_BOX) & same).any(1).sum())
