"""Scores come to mean how often boxes are right."""

from __future__ import annotations

import numpy as np

from photovision.core.regions import Detections
from photovision.trust.box_confidence import calibrated, fit_logistic
from photovision.trust.detection import Matches, Pair, match


def planted(count: int, seed: int = 0) -> Matches:
    """Boxes that are right half as often in odds as their scores say; the second class has none."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        score = rng.uniform(0.05, 0.95)
        odds = 0.5 * score / (1 - score)
        box = np.float32([[10, 10, 30, 30]])
        right = rng.random() < odds / (1 + odds)
        found = Detections(box if right else box + 40, np.array([0], np.int64), scores=np.float32([score]))
        pairs.append(Pair(Detections(box, np.array([0], np.int64)), found))
    return match(pairs, ("cell", "other"))


def test_a_planted_distortion_is_found() -> None:
    slope, shift = fit_logistic(planted(1500))
    assert abs(slope[0] - 1) < 0.2
    assert abs(shift[0] - np.log(0.5)) < 0.25
    assert (slope[1], shift[1]) == (1.0, 0.0)
    assert abs(float(calibrated(np.float32([0.5, 0.5]), slope, shift)[0]) - 1 / 3) < 0.05


def test_few_boxes_change_little() -> None:
    slope, shift = fit_logistic(planted(3))
    assert abs(slope[0] - 1) < 0.5
    assert abs(shift[0]) < 0.6
