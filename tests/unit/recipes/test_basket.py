"""Items that go from a shelf to a basket and back are told as often as they did; doubtful moves wait for a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shop import BASKET, SHELF, ZONES, Truth, agreement, carried, film, find

from photovision.core.errors import DataError, UsageError
from photovision.recipes.basket.basket import BasketRequest, BasketResult, watch_basket
from photovision.recipes.basket.page import write_basket
from photovision.recipes.basket.receipt import Receipt, review

pytest.importorskip("av", reason="needs PyAV: pip install av")
from clips import write

RATE = 12


def told(folder: Path, things: Any, count: int, wanted: BasketRequest | None = None, **kwargs: Any) -> BasketResult:
    clip = write(folder / "clip.mp4", film(things, count), rate=RATE)
    return watch_basket(clip, find, wanted or BasketRequest(ZONES, high=0.7), **kwargs)


TAKEN = carried({20: (30.0, 40.0), 45: (200.0, 40.0)})
HAND = ("person", lambda i: (115.0, 50.0))


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> BasketResult:
    """A cup that a person hides on its way, with pictures of it."""
    return told(
        tmp_path_factory.mktemp("clips"), [("cup", TAKEN), HAND], 70, BasketRequest(ZONES, high=0.7, evidence=True)
    )


def test_taken_and_returned(tmp_path: Path) -> None:
    there_and_back = carried({20: (30, 85), 45: (205, 85), 65: (205, 85), 90: (35, 85)})
    found = told(tmp_path, [("cup", TAKEN), ("cat", there_and_back)], 110, events=tmp_path / "e.jsonl")
    truth = [Truth("taken", "cup", (20, 45)), Truth("taken", "cat", (20, 45)), Truth("returned", "cat", (65, 90))]
    assert agreement(found.moves, truth, RATE) == (3, 3, 3)
    assert all(move.confidence > 0.9 and not move.doubts for move in found.moves)
    assert {(move.origin, move.target) for move in found.moves} == {("shelf", "basket"), ("basket", "shelf")}
    assert found.initial == {("shelf", "cup"): 1, ("shelf", "cat"): 1}
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "taken", "taken", "returned", "end"]
    assert lines[2]["content"] == {"cat": 1, "cup": 1}
    assert lines[-1]["summary"]["receipt"] == {"basket": {"cup": {"items": 1, "in_review": 0}}}


def test_an_item_that_a_person_hides_on_its_way_is_told_once_and_waits_for_review(doubtful: BasketResult) -> None:
    (move,) = doubtful.moves
    assert (move.kind, move.origin, move.target) == ("taken", "shelf", "basket")
    assert move.held
    assert len(move.tracks) > 1
    assert move.confidence < 0.5
    assert any("hidden" in doubt for doubt in move.doubts)
    assert any("broke off" in doubt for doubt in move.doubts)


def test_an_item_that_a_person_walks_away_with_is_told_as_gone(tmp_path: Path) -> None:
    person = carried({0: (115, 160), 10: (30, 60), 20: (30, 60), 45: (115, 200)})
    (move,) = told(tmp_path, [("cup", lambda i: TAKEN(0) if i < 15 else None), ("person", person)], 80).moves
    assert (move.kind, move.origin, move.target) == ("gone", "shelf", "")
    assert move.confidence < 0.5


def test_what_a_person_only_stands_before_is_not_told(tmp_path: Path) -> None:
    person = carried({0: (115, 160), 15: (30, 50), 75: (30, 50), 90: (115, 200)})
    assert not told(tmp_path, [("cup", lambda i: (30, 40)), ("person", person)], 115).moves


def test_what_appears_in_a_basket_from_nowhere_waits_for_review(tmp_path: Path) -> None:
    (move,) = told(tmp_path, [("cup", lambda i: (200, 40) if i > 14 else None)], 40).moves
    assert (move.kind, move.origin, move.target) == ("taken", "", "basket")
    assert move.confidence < 0.5
    assert "where it came from was not seen" in move.doubts


def test_a_way_between_two_shelves_is_no_move_of_a_basket(tmp_path: Path) -> None:
    zones = {"low": SHELF, "high": BASKET, "basket": ((0.4, 0), (0.6, 0), (0.6, 0.2), (0.4, 0.2))}
    assert not told(
        tmp_path, [("cup", carried({20: (30, 85), 45: (200, 85)}))], 60, BasketRequest(zones, high=0.7)
    ).moves


def test_the_report_has_pictures_only_where_they_are_asked_for(doubtful: BasketResult, tmp_path: Path) -> None:
    wanted = BasketRequest(ZONES, high=0.7, evidence=True)
    write_basket(doubtful, wanted, "finder", tmp_path)
    (waiting,) = [json.loads(line) for line in (tmp_path / "review.jsonl").read_text().splitlines()]
    assert waiting["review"]
    assert len(waiting["evidence"]) == 2
    assert all((tmp_path / name).read_bytes().startswith(b"\xff\xd8") for name in waiting["evidence"])
    assert (tmp_path / "review.html").read_text().count("data:image/jpeg") == 2
    plain = told(tmp_path, [("cup", lambda i: (200, 40) if i > 14 else None)], 36)
    assert [move.views for move in plain.moves] == [()]
    write_basket(plain, BasketRequest(ZONES, high=0.7), "finder", tmp_path)
    assert not (tmp_path / "evidence").exists()
    assert "data:image/jpeg" not in (tmp_path / "report.html").read_text() + (tmp_path / "review.html").read_text()


def test_a_person_decides_and_the_receipt_follows(doubtful: BasketResult, tmp_path: Path) -> None:
    write_basket(doubtful, BasketRequest(ZONES, high=0.7), "finder", tmp_path / "a")
    assert review(tmp_path / "a")["receipt"] == {"basket": {"cup": {"items": 0, "in_review": 1}}}
    found = review(tmp_path / "a", accept=[1])
    assert found["receipt"] == {"basket": {"cup": {"items": 1, "in_review": 0}}}
    assert not found["open"]
    assert review(tmp_path / "a", reject=[1])["receipt"] == {"basket": {}}
    assert review(tmp_path / "a")["rejected"] == [1]
    with pytest.raises(UsageError, match="no move 7"):
        review(tmp_path / "a", accept=[7])
    with pytest.raises(UsageError, match="both"):
        review(tmp_path / "a", accept=[1], reject=[1])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"moves": 3, "baskets": []}', '{"moves": [{}], "baskets": ["a"]}']
)
def test_a_damaged_report_gives_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(DataError, match=r"again"):
        review(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        review(tmp_path / "absent")


@pytest.mark.parametrize("zones", [{}, {"basket": BASKET}, {"shelf": SHELF}])
def test_a_basket_and_a_shelf_are_needed(tmp_path: Path, zones: Any) -> None:
    with pytest.raises(UsageError, match="begins with basket or cart"):
        watch_basket(tmp_path / "a.mp4", find, BasketRequest(zones))


def test_receipts_add_up() -> None:
    receipt = Receipt(["basket", "cart 2"])
    receipt.add({"event": "taken", "class": "cup", "from": "shelf", "to": "basket", "review": False})
    receipt.add({"event": "moved", "class": "cup", "from": "basket", "to": "cart 2", "review": False})
    receipt.add({"event": "returned", "class": "cat", "from": "cart 2", "to": "shelf", "review": True})
    receipt.add({"event": "gone", "class": "cat", "from": "shelf", "to": None, "review": False})
    assert receipt.to_json() == {
        "basket": {},
        "cart 2": {"cat": {"items": 0, "in_review": 1}, "cup": {"items": 1, "in_review": 0}},
        "unknown": {"cat": {"items": 1, "in_review": 0}},
    }
