"""Lines are crossed once a crossing, in the right direction; zones know who is in them and for how long."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photovision.core.errors import UsageError
from photovision.core.regions import Detections
from photovision.video.counting import Counting, CountingLine, Event, Zone

DOOR = CountingLine("door", (50, 0), (50, 100))
ROOM = Zone("room", ((20, 20), (80, 20), (80, 80), (20, 80)))


def at(*points: tuple[float, float], labels: Any = None, tracks: Any = None, side: float = 20) -> Detections:
    count = len(points)
    middle = np.array(points, dtype=np.float32).reshape(count, 2)
    half = np.float32(side / 2)
    return Detections(
        np.concatenate([middle - half, middle + half], 1),
        np.array([0] * count if labels is None else labels, dtype=np.int64),
        ("person", "dog"),
        track_ids=np.arange(1, count + 1) if tracks is None else np.array(tracks, dtype=np.int64),
    )


def walk(counting: Counting, points: Iterable[tuple[float, float] | None], rate: float = 10) -> list[Event]:
    events = []
    for i, point in enumerate(points):
        events += counting.update(at() if point is None else at(point), i / rate, i)
    return events


def test_both_directions_are_counted_once_each_and_by_class() -> None:
    counting = Counting([DOOR])
    for i in range(81):
        events = counting.update(at((10 + i, 30), (90 - i, 60), labels=[0, 1]), i / 25, i)
        assert all(event.kind == "cross" for event in events)
    assert counting.summary()["lines"]["door"] == {
        "left": 1,
        "right": 1,
        "classes": {"dog": {"left": 0, "right": 1}, "person": {"left": 1, "right": 0}},
    }


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 2 * np.pi))
def test_trembling_on_a_line_counts_nothing_and_crossing_trembling_counts_once(seed: int, turn: float) -> None:
    rng = np.random.default_rng(seed)
    across = np.array([np.cos(turn), np.sin(turn)])
    along = np.array([-np.sin(turn), np.cos(turn)])
    line = CountingLine("any", tuple(50 - 100 * along), tuple(50 + 100 * along))
    counting = Counting([line])
    trembling = rng.uniform(-1.5, 1.5, 60)  # the margin is 1.6 pixels for a box of 20
    walk(counting, [tuple(50 + across * shift) for shift in trembling])
    assert counting.summary()["lines"]["any"]["right"] + counting.summary()["lines"]["any"]["left"] == 0
    steps = np.linspace(-20, 20, 60) + rng.uniform(-0.7, 0.7, 60)
    counting = Counting([line])
    walk(counting, [tuple(50 + across * step) for step in steps])
    assert counting.crossings.total() == 1


def test_there_and_back_are_two_crossings() -> None:
    counting = Counting([DOOR])
    events = walk(counting, [(x, 50) for x in (30, 70, 30, 70, 30)])
    assert [event.direction for event in events] == ["left", "right", "left", "right"]


def test_only_what_passes_between_the_two_points_counts() -> None:
    counting = Counting([DOOR])
    assert walk(counting, [(30, 150), (70, 150), (70, 50), (30, 50)])[0].direction == "right"
    assert counting.crossings.total() == 1
    assert walk(Counting([DOOR]), [(30, 90), (70, 130)]) == []


def test_a_crossing_while_hidden_counts_when_the_object_is_back() -> None:
    events = walk(Counting([DOOR]), [(30, 50), (44, 50), None, None, (62, 50)])
    assert [(event.kind, event.frame) for event in events] == [("cross", 4)]


def test_what_begins_beyond_a_line_has_not_crossed_it() -> None:
    assert walk(Counting([DOOR]), [(70, 50), (90, 50)]) == []
    assert walk(Counting([DOOR]), [(50.2, 50), (90, 50)]) == []


def test_objects_without_a_number_are_passed_over() -> None:
    counting = Counting([DOOR], [ROOM])
    for x in (30, 70):
        assert counting.update(at((x, 50), tracks=[-1]), x, x) == []


def test_a_stay_in_a_zone_has_its_length_and_its_class() -> None:
    counting = Counting([], [ROOM])
    events = walk(counting, [(x, 50) for x in range(0, 100, 2)], rate=10)
    assert [(event.kind, event.label) for event in events] == [("enter", "person"), ("leave", "person")]
    assert events[1].dwell == pytest.approx(3.0, abs=0.35)  # 60 pixels at 20 a second, with the margins
    zone = counting.summary()["zones"]["room"]
    assert (zone["entered"], zone["inside"], zone["most_at_once"]) == (1, 0, 1)
    assert zone["mean_dwell_s"] == zone["longest_dwell_s"] == pytest.approx(events[1].dwell, abs=1e-3)


def test_what_is_in_a_zone_from_the_start_and_vanishes_there_left_when_it_was_last_seen() -> None:
    counting = Counting([], [ROOM])
    events = walk(counting, [(50, 50)] * 20 + [None] * 40, rate=10)
    assert [(event.kind, event.time) for event in events] == [("enter", 0.0), ("leave", 1.9)]
    assert events[1].dwell == pytest.approx(1.9)


def test_the_end_of_a_video_ends_all_stays() -> None:
    counting = Counting([], [ROOM])
    walk(counting, [(50, 50)] * 20)
    assert counting.inside["room"]["person"] == 1
    assert [event.kind for event in counting.finish()] == ["leave"]
    assert counting.inside["room"].total() == 0


def test_occupancy_and_its_peak() -> None:
    counting = Counting([], [ROOM])
    for i in range(30):
        counting.update(at((50, 50), (-20 + 3 * i, 40), (150 - 3 * i, 60), labels=[0, 1, 1]), i, i)
    assert counting.peak["room"] == 3
    assert counting.inside["room"] == {"person": 1, "dog": 2}


def test_a_zone_with_a_notch_knows_its_inside() -> None:
    corners = ((0, 0), (100, 0), (100, 100), (60, 100), (60, 40), (40, 40), (40, 100), (0, 100))
    beyond = Zone("u", corners).beyond(np.array([[20.0, 80], [80, 80], [50, 80], [50, 20], [150, 50], [-5, 50]]))
    np.testing.assert_allclose(beyond, [20, 20, -10, 20, -50, -5], atol=1e-6)


def test_memory_is_flat() -> None:
    counting = Counting([DOOR], [ROOM])
    for i in range(3000):
        counting.update(at((50, 50), tracks=[i + 1]), i / 10, i)
    assert len(counting._known) <= 22


def test_events_are_json() -> None:
    events = walk(Counting([DOOR], [ROOM]), [(x, 50) for x in range(0, 100, 2)])
    lines = [json.loads(json.dumps(event.to_json())) for event in events]
    assert [line["event"] for line in lines] == ["enter", "cross", "leave"]
    assert set(lines[0]) == {"event", "place", "time", "frame", "track", "label", "xy"}
    assert lines[1]["direction"] == "left"
    assert "dwell" in lines[2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: CountingLine("a", (1, 1), (1, 1)),
        lambda: CountingLine("a", (1, 1), (float("nan"), 1)),
        lambda: CountingLine("", (1, 1), (9, 1)),
        lambda: Zone("a", ((0, 0), (9, 9))),
        lambda: Zone("a", ((0, 0), (9, 9), (5, 5))),
        lambda: Zone("a", ()),
        lambda: Counting([DOOR], [Zone("door", ROOM.corners)]),
    ],
)
def test_lines_and_zones_that_are_none_are_refused(make: Any) -> None:
    with pytest.raises(UsageError):
        make()
