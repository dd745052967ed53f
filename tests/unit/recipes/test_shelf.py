"""Counts, slots and changes of shelves whose truth is known: things cut out of photographs, put on a photograph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from shop import find, frame

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.recipes.shelf.align import fixed
from photovision.recipes.shelf.counts import count, distribution
from photovision.recipes.shelf.slots import Slot, decide_slots, learn_slots, read_slots, write_slots
from photovision.recipes.shelf.visits import AlignedView, changes

CUP, CAT, OTHER_CAT = ("cup", (40, 30)), ("cat", (120, 40)), ("cat", (120, 90))


def view(folder: Path, name: str, things: Any, seed: int = 0) -> AlignedView:
    picture = frame(things, seed)
    file = folder / f"{name}.png"
    Image.fromarray(picture).save(file)
    found = find([picture])[0]
    things = np.flatnonzero([name != "person" for name in found.names])
    hiders = found.boxes[[name == "person" for name in found.names]]
    found = Detections(found.boxes[things], found.labels[things], found.classes, found.scores[things])
    return AlignedView(name, str(file), picture.shape[:2], found, found.scores >= 0.7, hiders)


def told(folder: Path, before: Any, now: Any) -> list[tuple[str, str]]:
    one, other = view(folder, "before", before), view(folder, "now", now, seed=1)
    found = changes(one, other, fixed(one.image, other.image))
    return sorted((change.kind, change.label) for change in found if change.sure)


def test_the_distribution_is_the_binomial_where_all_are_alike() -> None:
    from scipy.stats import binom

    assert np.allclose(distribution([0.3] * 50), binom.pmf(range(51), 50, 0.3))


def test_intervals_hold_as_often_as_they_say_where_their_assumptions_hold() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        probs = rng.beta(0.5, 0.3, 40).astype(np.float32)
        found = count(probs, 0)
        held += found.low <= (rng.random(40) < probs).sum() <= found.high
    assert held / 400 >= 0.95
    assert count(np.zeros(0, np.float32), 0)[:3] == (0.0, 0, 0)


def test_a_visit_without_changes_tells_of_none(tmp_path: Path) -> None:
    assert told(tmp_path, [CUP, CAT, OTHER_CAT], [CUP, CAT, OTHER_CAT]) == []


def test_what_appeared_vanished_and_moved(tmp_path: Path) -> None:
    assert told(tmp_path, [CUP, CAT], [CAT]) == [("vanished", "cup")]
    assert told(tmp_path, [CAT], [CUP, CAT]) == [("appeared", "cup")]
    assert told(tmp_path, [CUP, CAT], [CUP, OTHER_CAT]) == [("moved", "cat")]
    assert told(tmp_path, [CUP, CAT], [("cup", (40, 90)), CAT]) == [("moved", "cup")]
    replaced = told(tmp_path, [CUP, ("cat", (40, 90))], [("cat", (40, 30)), ("cat", (40, 90))])
    assert replaced == [("appeared", "cat"), ("vanished", "cup")]


def test_what_a_detector_overlooks_is_no_change_while_its_pixels_are_the_same(tmp_path: Path) -> None:
    one, other = view(tmp_path, "before", [CUP, CAT]), view(tmp_path, "now", [CUP, CAT], seed=1)
    rows = [row for row, name in enumerate(other.found.names) if name != "cup"]
    blind = Detections(other.found.boxes[rows], other.found.labels[rows], other.found.classes, other.found.scores[rows])
    other = AlignedView("now", other.file, other.size, blind, other.shown[rows])
    found = changes(one, other, fixed(one.image, other.image))
    assert not [change for change in found if change.sure]


def states(slots: Any, seen: AlignedView, reference: AlignedView) -> dict[str, str]:
    alignment = fixed(reference.image, seen.image)
    judged = decide_slots(slots, seen, alignment, reference.size)
    return {one.slot.name: one.state for one in judged}


def test_slots_are_learned_from_a_full_shelf_and_alarm_where_they_are_empty(tmp_path: Path) -> None:
    full = view(tmp_path, "full", [CUP, CAT, OTHER_CAT])
    slots = learn_slots(full.found, full.size, "full")
    assert [slot.name for slot in slots] == ["cup 1", "cat 1", "cat 2"]
    assert set(states(slots, full, full).values()) == {"full"}
    now = view(tmp_path, "now", [CUP, CAT], seed=1)
    assert states(slots, now, full) == {"cup 1": "full", "cat 1": "full", "cat 2": "empty"}
    wrong = view(tmp_path, "wrong", [CUP, CAT, ("cup", (120, 90))], seed=2)
    judged = decide_slots(slots, wrong, fixed(full.image, wrong.image), full.size)
    assert [(one.state, one.other) for one in judged if one.slot.name == "cat 2"] == [("empty", "cup")]
    hidden = view(tmp_path, "hidden", [CUP, CAT, ("person", (125, 85))], seed=3)
    assert states(slots, hidden, full)["cat 2"] == "hidden"


def test_a_slot_for_several_is_short_or_empty(tmp_path: Path) -> None:
    slot = Slot("cats", (0.4, 0.0, 0.6, 1.0), "cat", count=2)
    for things, state in (([CAT, OTHER_CAT], "full"), ([CAT], "short"), ([CUP], "empty")):
        seen = view(tmp_path, "now", things)
        assert decide_slots([slot], seen)[0].state == state


def test_planograms_are_written_and_read_again(tmp_path: Path) -> None:
    slots = (Slot("A1", (0.1, 0.2, 0.3, 0.4), "cup", 2, "aisle"), Slot("A2", (0.5, 0.2, 0.7, 0.4), "cat"))
    write_slots(tmp_path / "a.json", slots)
    assert read_slots(tmp_path / "a.json") == slots
    (tmp_path / "a.csv").write_text(
        "name,class,count,x1,y1,x2,y2,picture\nA1,cup,2,.1,.2,.3,.4,aisle\nA2,cat,,.5,.2,.7,.4,\n"
    )
    assert read_slots(tmp_path / "a.csv") == slots


GOOD = {"name": "a", "class": "cup", "box": [0.1, 0.1, 0.2, 0.2]}


@pytest.mark.parametrize(
    "slots",
    [
        [],
        "no",
        [3],
        [{**GOOD, "box": [0.1, 0.1, 0.1, 0.2]}],
        [{**GOOD, "box": [0, 0, 2, 2]}],
        [{**GOOD, "box": [0, 0, float("nan"), 1]}],
        [{**GOOD, "box": [0, 0, 1]}],
        [{**GOOD, "box": ["0", 0, 1, 1]}],
        [{**GOOD, "class": 3}],
        [{**GOOD, "count": 0}],
        [{**GOOD, "count": True}],
        [{**GOOD, "count": 1e99}],
        [GOOD] * 30_000,
    ],
)
def test_what_is_no_planogram_gives_one_line(tmp_path: Path, slots: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"slots": slots}))
    with pytest.raises(DataError, match=r"a\.json"):
        read_slots(tmp_path / "a.json")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[]", b"[" * 100_000, b'{"slot": []}'])
def test_files_that_are_something_else_give_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json should"):
        read_slots(tmp_path / "a.json")
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.csv should"):
        read_slots(tmp_path / "a.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_slots(tmp_path / "absent.json")
