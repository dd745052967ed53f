"""Figures of tracking agree with what was done to perfect tracks, and the tracker is held against known scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from clips import CLASSES, blobs, draw

from photovision.core.errors import UsageError
from photovision.core.regions import Detections
from photovision.trust.metrics.tracking import score_tracks
from photovision.video.tracker import ObjectTracker


def frame(rows: Sequence[tuple[int, float]]) -> Detections:
    """Objects (identity, x) as boxes of 10 pixels."""
    boxes = np.array([(x, 0, x + 10, 10) for _, x in rows], dtype=np.float32).reshape(-1, 4)
    ids = np.array([one for one, _ in rows], dtype=np.int64)
    return Detections(boxes, np.zeros(len(rows), dtype=np.int64), track_ids=ids)


TRUTH = [frame([(1, 2 * i), (2, 400 - i)]) for i in range(100)]


def test_perfect_tracks_are_perfect_under_any_numbers() -> None:
    found = [frame([(20, 400 - i), (10, 2 * i)]) for i in range(100)]
    metrics = score_tracks(TRUTH, found).metrics
    assert {name: metrics[name].value for name in metrics} == {
        "mota": 1,
        "idf1": 1,
        "identity_switches": 0,
        "missed": 0,
        "false_tracks": 0,
    }
    assert metrics["mota"].n == 200


def test_a_switch_costs_one_for_mota_and_its_share_for_idf1() -> None:
    found = [frame([(1 if i < 70 else 3, 2 * i), (2, 400 - i)]) for i in range(100)]
    result = score_tracks(TRUTH, found)
    assert result.metrics["mota"].value == pytest.approx(1 - 1 / 200)
    assert result.metrics["idf1"].value == pytest.approx(2 * 170 / 400)
    assert result.data["switches"] == [{"frame": 70, "object": 1, "before": 1, "after": 3}]


def test_swapped_numbers_are_two_switches() -> None:
    found = [frame([(1 if i < 50 else 2, 2 * i), (2 if i < 50 else 1, 400 - i)]) for i in range(100)]
    metrics = score_tracks(TRUTH, found).metrics
    assert metrics["identity_switches"].value == 2
    assert metrics["idf1"].value == pytest.approx(0.5)


def test_missed_and_false_boxes_are_counted_apart() -> None:
    found = [frame([(1, 2 * i), *([(9, 900)] if i < 20 else [])]) for i in range(100)]
    metrics = score_tracks(TRUTH, found).metrics
    assert metrics["missed"].value == 0.5
    assert metrics["false_tracks"].value == pytest.approx(20 / 120)
    assert metrics["mota"].value == pytest.approx(1 - 120 / 200)
    low, high = metrics["mota"].low, metrics["mota"].high
    assert low is not None
    assert high is not None
    assert low < metrics["mota"].value < high


def test_a_gap_is_no_switch_when_the_number_comes_back() -> None:
    found = [frame([(1, 2 * i), (2, 400 - i)] if not 40 <= i < 60 else []) for i in range(100)]
    assert score_tracks(TRUTH, found).metrics["identity_switches"].value == 0


def test_what_cannot_be_compared_is_refused() -> None:
    for truth, found, iou in (
        (TRUTH, TRUTH[:5], 0.5),
        (TRUTH, [replace(one, track_ids=None) for one in TRUTH], 0.5),
        ([frame([])], [frame([])], 0.5),
        (TRUTH, TRUTH, 0.0),
    ):
        with pytest.raises(UsageError):
            score_tracks(truth, found, iou=iou)


def scene(paths: Sequence[tuple[int, Any]], count: int) -> tuple[list[Detections], list[Detections]]:
    """The truth, and what the tracker makes of what a simple detector finds in the drawn frames."""
    truth, found, tracker = [], [], ObjectTracker(patience=30)
    for i in range(count):
        discs = [(number, kind, path(i)) for number, (kind, path) in enumerate(paths, 1)]
        seen = [(number, kind, at) for number, kind, at in discs if at is not None]
        boxes = np.array([(x - 8, y - 8, x + 9, y + 9) for _, _, (x, y) in seen], dtype=np.float32).reshape(-1, 4)
        ids, kinds = ([one[part] for one in seen] for part in (0, 1))
        truth.append(
            Detections(boxes, np.array(kinds, dtype=np.int64), CLASSES, track_ids=np.array(ids, dtype=np.int64))
        )
        picture = draw([(kind, at) for _, kind, at in seen], (120, 160))
        found.append(tracker.update(blobs([picture])[0]))
    return truth, found


def test_discs_that_cross_are_hidden_and_leave_keep_their_identity() -> None:
    paths: list[tuple[int, Any]] = [
        (0, lambda i: (10 + 1.5 * i, 30)),
        (1, lambda i: (150 - 1.5 * i, 36)),  # crosses red, in front of it
        (2, lambda i: None if 40 <= i < 55 else (20 + 1.2 * i, 80)),  # is hidden for 15 frames
        (0, lambda i: (80, 100) if i < 50 else None),  # leaves
        (1, lambda i: (120 - i, 104) if i >= 30 else None),  # comes
    ]
    metrics = score_tracks(*scene(paths, 90)).metrics
    assert metrics["identity_switches"].value == 0
    assert metrics["idf1"].value > 0.95
    assert metrics["mota"].value > 0.9
