"""Objects keep their number: when they cross, are hidden, leave, or change what the detector calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photovision.core.errors import UsageError
from photovision.core.regions import Detections
from photovision.video.tracker import ObjectTracker, assign


def boxes(*rows: tuple[float, float, float, float], labels: Sequence[int] = (), scores: Any = 0.9) -> Detections:
    count = len(rows)
    return Detections(
        np.array(rows, dtype=np.float32).reshape(count, 4),
        np.array(labels or [0] * count, dtype=np.int64),
        ("car", "truck"),
        np.broadcast_to(np.float32(scores), (count,)).copy(),
    )


def square(x: float, y: float = 50, side: float = 20) -> tuple[float, float, float, float]:
    return x, y, x + side, y + side


def ids(found: Detections) -> list[int]:
    assert found.track_ids is not None
    return found.track_ids.tolist()


def test_two_objects_that_pass_each_other_keep_their_numbers() -> None:
    tracker = ObjectTracker()
    for i in range(60):
        left, right = square(10 + 3 * i, 50), square(190 - 3 * i, 58)
        found = tracker.update(boxes(left, right))
    assert ids(found) == [1, 2]
    assert tracker.count == 2


def test_a_flicker_gets_no_number() -> None:
    tracker = ObjectTracker()
    for i in range(10):
        found = tracker.update(boxes(square(10 + i), *([square(100)] if i == 5 else [])))
        assert len(found) == (i > 0)
    assert tracker.count == 1


def test_a_hidden_object_is_known_again_within_the_patience() -> None:
    for hidden, count in ((8, 1), (12, 2)):
        tracker = ObjectTracker(patience=10)
        for i in range(60):
            tracker.update(boxes() if 30 <= i < 30 + hidden else boxes(square(10 + 2 * i)))
        assert tracker.count == count


def test_low_scores_go_on_with_a_track_but_begin_none() -> None:
    tracker = ObjectTracker()
    for i in range(20):
        found = tracker.update(boxes(square(10 + i), square(10 + i, 120), scores=[0.2 if i > 5 else 0.9, 0.3]))
    assert ids(found) == [1]
    tracker = ObjectTracker(low=0.25)
    for i in range(20):
        found = tracker.update(boxes(square(10 + i), scores=0.2 if i > 5 else 0.9))
    assert len(found) == 0


def test_a_wavering_class_is_one_object_with_the_class_it_had_most() -> None:
    tracker = ObjectTracker()
    for i in range(30):
        found = tracker.update(boxes(square(10 + i), labels=[int(i % 3 == 2)]))
    assert (ids(found), found.names) == ([1], ("car",))


def test_one_object_that_is_found_under_two_classes_is_one() -> None:
    tracker = ObjectTracker()
    for i in range(30):
        found = tracker.update(boxes(square(10 + i), square(10.5 + i), labels=[0, 1], scores=[0.9, 0.7]))
    assert tracker.count == 1
    assert len(found) == 1


def test_objects_that_stand_close_are_two() -> None:
    tracker = ObjectTracker()
    for i in range(30):
        tracker.update(boxes(square(10 + i), square(20 + i)))
    assert tracker.count == 2


def test_numbers_never_come_back_and_memory_is_flat() -> None:
    tracker, seen = ObjectTracker(patience=5), set[int]()
    for i in range(400):
        seen |= set(ids(tracker.update(boxes(square(500 * (i // 20) + i % 20)))))
    assert seen == set(range(1, 21))
    assert len(tracker._tracks) <= 2


def test_masks_scores_and_order_of_what_is_kept_stay() -> None:
    from photovision.core.shapes import Polygons

    mask = Polygons((np.float32([[0, 0], [5, 0], [5, 5]]),))
    found = boxes(square(10), square(100), scores=[0.9, 0.8])
    found = Detections(found.boxes, found.labels, found.classes, found.scores, (None, mask))
    tracker = ObjectTracker()
    tracker.update(found)
    again = tracker.update(found)
    assert again.masks is not None
    assert again.masks[1] is mask
    np.testing.assert_array_equal(again.scores, found.scores)
    np.testing.assert_array_equal(again.boxes, found.boxes)


def test_detections_without_scores_and_without_names_are_tracked() -> None:
    tracker = ObjectTracker()
    for i in range(3):
        found = tracker.update(Detections(np.float32([square(i)]), np.array([7])))
    assert (ids(found), found.names) == ([1], ("7",))


@pytest.mark.parametrize("wrong", [{"low": 0.6}, {"high": 0.7}, {"new": 1.5}, {"patience": 0}])
def test_scores_out_of_order_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="low <= high"):
        ObjectTracker(**wrong)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_any_boxes_give_unique_numbers_in_a_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker = ObjectTracker()
    for _ in range(12):
        count = int(rng.integers(0, 12))
        corners = rng.uniform(-50, 150, (count, 2))
        sides = rng.choice([0.0, 0.5, 20, 90, 1e5], (count, 2))
        found = tracker.update(
            Detections(
                np.concatenate([corners, corners + sides], 1).astype(np.float32),
                rng.integers(0, 3, count),
                (),
                rng.uniform(0, 1, count).astype(np.float32),
            )
        )
        numbers = ids(found)
        assert len(set(numbers)) == len(numbers)
        assert all(1 <= number <= tracker.count for number in numbers)


def test_pairs_above_the_limit_force_no_others_apart() -> None:
    rows, columns = assign(np.array([[0.1, 0.6], [0.2, 5.0]]), 0.5)
    assert (rows.tolist(), columns.tolist()) == ([0], [0])
