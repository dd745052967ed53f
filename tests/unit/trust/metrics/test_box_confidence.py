"""Scores come to mean how often boxes are right."""

from __future__ import annotations

import numpy as np

from photovision.core.regions import Detections
from photovision.trust.metrics.box_confidence import (
    above_min_score,
    calibrated,
    curve,
    d_ece,
    d_ece_by_chance,
    excess,
    finding,
    fit_logistic,
    la_ece,
)
from photovision.trust.metrics.detection import Matches, Pair, match
from photovision.trust.metrics.matching import find_hits

LIMITS = np.array([0.5, 0.5], np.float32)


def planted(count: int, seed: int = 0) -> Matches:
    """As `pairs`, matched."""
    return match(pairs_of(count, seed), ("cell", "other"))


def pairs_of(count: int, seed: int = 0, factor: float = 0.5) -> list[Pair]:
    """Boxes whose odds to be right are so many times what their scores say; the second class has none."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        score = rng.uniform(0.05, 0.95)
        odds = factor * score / (1 - score)
        box = np.float32([[10, 10, 30, 30]])
        right = rng.random() < odds / (1 + odds)
        found = Detections(box if right else box + 40, np.array([0], np.int64), scores=np.float32([score]))
        pairs.append(Pair(Detections(box, np.array([0], np.int64)), found))
    return pairs


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


def test_true_scores_have_next_to_no_error_and_false_ones_have_theirs() -> None:
    true, false = (find_hits(pairs_of(900, factor=factor), ("cell", "other")) for factor in (1.0, 0.3))
    errors = [d_ece(hits) for hits in (true, false)]
    assert errors[0] is not None
    assert errors[1] is not None
    assert errors[0].value < 2 * d_ece_by_chance(true) < 0.08
    assert errors[1].value > 0.15
    assert errors[1].low > 0.1  # type: ignore[operator]
    gap = excess(false, above_min_score(false))
    assert gap.gap.low < errors[1].value + 0.01
    assert gap.p < 1e-6
    assert excess(true, above_min_score(true)).p > 0.01


def test_boxes_that_fit_badly_cost_more_where_overlap_counts() -> None:
    box = np.float32([[0, 0, 30, 30]])
    loose = [
        Pair(
            Detections(box, np.array([0], np.int64)),
            Detections(box + np.float32([[0, 0, 0, 15]]), np.array([0], np.int64), scores=np.float32([0.97])),
        )
        for _ in range(60)
    ]
    hits = find_hits(loose, ("cell", "other"))
    plain, localised = d_ece(hits), la_ece(hits)
    assert plain is not None
    assert localised is not None
    assert abs(plain.value - 0.03) < 1e-6
    assert abs(localised.value - (0.97 - 2 / 3)) < 1e-3


def test_only_scores_that_are_off_are_warned_of() -> None:
    for seed in range(3):
        assert finding(find_hits(pairs_of(400, seed, factor=1.0), ("cell", "other")), LIMITS).warnings == []
    told = finding(find_hits(pairs_of(400, factor=0.2), ("cell", "other")), LIMITS)
    assert "Scores of all boxes are higher than" in told.warnings[0]
    assert [row[0] for row in told.tables[0].rows] == ["all boxes", "boxes that are shown", "class: cell"]


def test_of_few_boxes_nothing_is_said() -> None:
    hits = find_hits(pairs_of(9), ("cell", "other"))
    assert d_ece(hits) is la_ece(hits) is curve(hits) is None
    assert "not judged" in finding(hits, LIMITS).summary[0]
