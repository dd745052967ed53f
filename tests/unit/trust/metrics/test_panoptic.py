"""Panoptic quality against cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.trust.metrics.panoptic import Scenery, panoptic_scores, renumbered, segment_counts

GROUND, ROAD, CAR = 0, 1, 2
NAMES = ("background", "road", "car")


def _street(cars: tuple[tuple[int, int], ...]) -> Scenery:
    """10 x 40: the lower half is road, the upper one nothing; cars of four rows stand in the upper half."""
    labels, numbers = np.zeros((10, 40), int), np.zeros((10, 40), int)
    labels[5:] = ROAD
    for number, (left, right) in enumerate(cars, 1):
        labels[1:5, left:right], numbers[1:5, left:right] = CAR, number
    return Scenery(labels, numbers)


def test_by_hand() -> None:
    """One car is right, one is found with 6/10 of the union, one is missed, one is said too many; the road is right."""
    truth, said = _street(((0, 4), (6, 14), (20, 24))), _street(((0, 4), (8, 16), (30, 34)))
    counts = segment_counts(truth, said, 3)
    assert counts[ROAD].tolist() == [1, 0, 0, 1]
    assert counts[CAR].tolist() == pytest.approx([2, 1, 1, 1 + 6 / 10])
    scores = panoptic_scores(counts[None], NAMES, GROUND)
    assert scores["pq_road"].value == 1
    assert scores["pq_car"].value == pytest.approx(1.6 / (2 + 0.5 + 0.5))
    assert scores["pq"].value == pytest.approx((1 + 1.6 / 3) / 2)
    assert scores["sq"].value == pytest.approx((1 + 0.8) / 2)
    assert scores["rq"].value == pytest.approx((1 + 2 / 3) / 2)
    assert "pq_background" not in scores


def test_numbers_mean_nothing_but_classes_do() -> None:
    truth = _street(((0, 4), (6, 14)))
    renumbered = Scenery(truth.labels, np.where(truth.numbers == 1, 9, 3 * (truth.numbers > 0)))  # type: ignore[operator]
    assert segment_counts(truth, renumbered, 3)[CAR].tolist() == [2, 0, 0, 2]
    swapped = Scenery(np.where(truth.labels == CAR, ROAD, truth.labels), truth.numbers)
    assert segment_counts(truth, swapped, 3)[CAR].tolist() == [0, 0, 2, 0]
    assert segment_counts(truth, swapped, 3)[ROAD].tolist() == [1, 2, 0, 1]


def test_half_of_the_union_is_not_enough() -> None:
    truth, said = _street(((0, 6),)), _street(((2, 8),))  # 4 of 8 columns
    assert segment_counts(truth, said, 3)[CAR].tolist() == [0, 1, 1, 0]


def test_what_nobody_judges_is_neither_right_nor_wrong() -> None:
    truth, said = _street(((0, 4),)), _street(((0, 4), (20, 30)))
    labels = truth.labels.copy()
    labels[:5, 22:] = 255
    unjudged = Scenery(labels, truth.numbers)
    assert segment_counts(unjudged, said, 3)[CAR].tolist() == [1, 0, 0, 1]  # 8 of the second car's 10 columns
    labels[:5, 22:26] = 0
    assert segment_counts(unjudged, said, 3)[CAR].tolist() == [1, 1, 0, 1]


def test_a_class_that_is_never_found_has_no_quality_and_one_that_nowhere_occurs_does_not_count() -> None:
    truth, said = _street(((0, 4),)), _street(())
    scores = panoptic_scores(np.stack([segment_counts(truth, said, 4)] * 5), (*NAMES, "tram"), GROUND)
    assert (scores["pq_car"].value, scores["pq"].value, scores["sq"].value) == (0, 0.5, 0.5)
    assert "pq_tram" not in scores
    assert panoptic_scores(np.zeros((3, 2, 4)), NAMES[:2], GROUND) == {}


def test_intervals_are_over_pictures() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(30):
        left = int(rng.integers(0, 4))
        rows.append(segment_counts(_street(((10, 20),)), _street(((10 + left, 20 + left),)), 3))
    score = panoptic_scores(np.stack(rows), NAMES, GROUND)["pq_car"]
    assert score.low is not None
    assert score.high is not None
    assert 0 < score.low < score.value < score.high < 1
    assert score.n == 30


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="one size"):
        segment_counts(_street(()), Scenery(np.zeros((3, 3), int)), 3)


def test_objects_found_get_the_numbers_of_the_true_ones_and_no_two_the_same() -> None:
    truth, said = _street(((0, 4), (6, 14), (20, 24))), _street(((30, 34), (0, 4), (8, 16)))
    assert truth.numbers is not None
    assert said.numbers is not None
    numbers = renumbered(said.numbers, truth.numbers)
    assert [int(numbers[2, column]) for column in (0, 9, 31)] == [1, 2, 4]
    assert ((numbers > 0) == (said.numbers > 0)).all()
    nothing = np.zeros_like(said.numbers)
    assert len(np.unique(renumbered(said.numbers, nothing))) == 4
    assert not renumbered(nothing, truth.numbers).any()
