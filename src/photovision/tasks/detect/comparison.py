"""Two detectors on the same images: average precision by class, and the boxes that only one of them shows."""

from __future__ import annotations

import numpy as np

from photovision.core import phrases
from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.engine.evaluation import Comparison
from photovision.tasks.detect.evaluation import DetectEvaluation
from photovision.tasks.region_comparison import SHOWN, finding, side_by_side

_SAME = 0.5


def compare(a: DetectEvaluation, b: DetectEvaluation) -> Comparison:
    """See `engine.evaluation.Comparison`; the interval of mean average precision decides."""
    gains = a.gains(b)
    both = a.by_class(), b.by_class()
    return Comparison(gains, finding=finding("average precision", both, gains.by_class, _apart(a, b)))


def _apart(a: DetectEvaluation, b: DetectEvaluation) -> list[tuple[bytes, str]]:
    """The images with the most probable boxes that only one of the models shows, drawn."""
    shown = [(a.predicted(row), b.predicted(row)) for row in range(len(a.samples))]
    alone = [(_alone(first, second), _alone(second, first)) for first, second in shown]
    cost = np.array([mine.sum() + theirs.sum() for mine, theirs in alone])
    pictures = []
    for row in np.argsort(-cost, kind="stable")[:SHOWN].tolist():
        if cost[row] > 0:
            only_a, only_b = (int((one > 0).sum()) for one in alone[row])
            caption = f"{phrases.count(only_a, 'box', 'boxes')} only A shows, {only_b} only B\n{a.samples[row].id}"
            pictures += side_by_side(a.samples[row], (a.pairs[row].truth, *shown[row]), caption)
    return pictures


def _alone(mine: Detections, theirs: Detections) -> np.ndarray:
    """float (N,): the scores of boxes that the other model does not have, 0 where it does."""
    assert mine.scores is not None
    same = np.array(mine.names)[:, None] == np.array(theirs.names)[None]
    met = ((overlap(mine.boxes, theirs.boxes) >= _SAME) & same).any(1)
    return np.where(met, 0.0, mine.scores)
