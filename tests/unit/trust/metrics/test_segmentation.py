"""Figures of masks against cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.trust.metrics.segmentation import (
    confusion_of,
    instance_scores,
    matched,
    outline,
    outline_scores,
    overlap,
)

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 255]])
SAID = np.array([[0, 1, 1, 1], [0, 0, 0, 1]])


def test_overlap_by_hand() -> None:
    """Background: 3 right, 1 said too many, 1 missed; thing: 2 right, 1 and 1; the unjudged pixel does not count."""
    confusion = confusion_of(TRUTH, SAID, 2)
    assert confusion.tolist() == [[3, 1], [1, 2]]
    scores = overlap(confusion[None], ("ground", "thing"))
    assert scores["iou_ground"].value == pytest.approx(3 / 5)
    assert scores["iou_thing"].value == pytest.approx(2 / 4)
    assert scores["miou"].value == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert scores["dice"].value == scores["dice_thing"].value == pytest.approx(2 * 2 / 6)


def test_a_class_that_nowhere_occurs_counts_for_nothing() -> None:
    scores = overlap(confusion_of(TRUTH, SAID, 3)[None], ("ground", "thing", "rare"))
    assert "iou_rare" not in scores
    assert scores["miou"].value == pytest.approx(0.55)


def test_intervals_shrink_with_pictures() -> None:
    rng = np.random.default_rng(0)

    def width(pictures: int) -> float:
        rows = []
        for _ in range(pictures):
            truth = rng.random((16, 16)) < 0.5
            said = truth ^ (rng.random((16, 16)) < rng.uniform(0, 0.4))
            rows.append(confusion_of(truth.astype(int), said.astype(int), 2))
        score = overlap(np.stack(rows), ("ground", "thing"))["miou"]
        assert score.low is not None
        assert score.high is not None
        assert score.low <= score.value <= score.high
        return score.high - score.low

    assert width(200) < width(8)


def test_masks_of_other_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="same size"):
        confusion_of(TRUTH, SAID[:1], 2)


def _square(left: int, side: int = 10) -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[15 : 15 + side, left : left + side] = True
    return mask


def test_a_shifted_outline_is_as_far_off_as_it_was_shifted() -> None:
    assert outline(_square(10), _square(10)).f1 == 1
    assert outline(_square(10), _square(10)).distance == 0
    assert outline(_square(10), _square(14)).distance == pytest.approx(4)
    assert outline(_square(10), _square(14), tolerance=4.0).f1 == 1
    assert outline(_square(10), _square(40), tolerance=4.0).f1 == 0


def test_what_is_in_one_mask_only_has_no_distance() -> None:
    nothing = np.zeros((40, 60), bool)
    assert outline(_square(3), nothing).f1 == 0
    assert np.isnan(outline(_square(3), nothing).distance)
    assert np.isnan(outline(nothing, nothing).f1)


def test_outlines_are_averaged_over_pictures_that_have_any() -> None:
    rows = np.array([[[1.0, 0.0]], [[0.5, 4.0]], [[np.nan, np.nan]]])
    scores = outline_scores(rows)
    assert scores["boundary_f1"].value == pytest.approx(0.75)
    assert (scores["surface_distance"].value, scores["surface_distance"].n) == (2.0, 2)
    assert not outline_scores(rows[2:])


def test_objects_are_matched_by_more_than_half_their_union() -> None:
    truth, said = np.zeros((6, 30), int), np.zeros((6, 30), int)
    truth[:, 0:6], said[:, 0:6] = 1, 4  # the same
    truth[:, 8:14], said[:, 11:17] = 2, 9  # a third of the union
    said[0, 20] = 2  # nothing
    assert matched(truth, said) == (1, 2, 1)
    assert matched(truth, np.zeros_like(said)) == (0, 0, 2)
    assert matched(np.zeros_like(truth), np.zeros_like(said)) == (0, 0, 0)


def test_half_the_union_is_no_match_and_pictures_full_of_objects_are_counted() -> None:
    assert matched(np.array([[1, 1]]), np.array([[1, 2]])) == (0, 2, 1)
    assert matched(np.array([[1, 1, 2]]), np.array([[5, 5, 6]])) == (2, 0, 0)


def test_instance_scores_by_hand() -> None:
    scores = instance_scores(np.array([[3, 1, 1], [1, 0, 3]]))
    assert scores["instance_f1"].value == pytest.approx(8 / 13)
    assert scores["instance_precision"].value == pytest.approx(4 / 5)
    assert scores["instance_recall"].value == pytest.approx(4 / 8)
    assert scores["count_error"].value == pytest.approx((0 / 4 + 3 / 4) / 2)
