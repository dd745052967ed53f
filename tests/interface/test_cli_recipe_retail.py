"""photovision recipe shelf, basket and review: from pictures and videos to reports, with one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clips import write
from PIL import Image
from spotter import scene, spotter_bundle

from photovision.app.cli import run

RED, GREEN = ("red", (16, 16, 32, 32)), ("green", (64, 16, 80, 32))
SIZE = (128, 128)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(spotter_bundle(tmp_path_factory.mktemp("models") / "spotter"))


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    """Yesterday two things stood on the shelf; today the green one is gone, and a red one has come."""
    for name, things in (("yesterday", [RED, GREEN]), ("today", [RED, ("red", (96, 96, 112, 112))])):
        (tmp_path / name).mkdir()
        Image.fromarray(scene(SIZE, things)).save(tmp_path / name / "aisle.png")
    return tmp_path


def test_counts_slots_and_changes(model: str, visits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--reference", str(visits / "yesterday"), "--before", str(visits / "yesterday"), "--fixed-camera"]
    out = visits / "report"
    assert run(["recipe", "shelf", model, str(visits / "today"), *folders, "-o", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["red"]["boxes"] == found["counts"]["red"]["high"] == 2
    assert found["counts"]["red"]["expected"] == pytest.approx(2, abs=0.1)
    assert [(slot["name"], slot["state"]) for slot in found["alarms"]] == [("green 1", "empty")]
    (picture,) = found["pictures"]
    assert {(c["kind"], c["class"]) for c in picture["changes"] if c["confidence"] > 0.3} == {
        ("vanished", "green"),
        ("appeared", "red"),
    }
    page = (out / "report.html").read_text()
    assert "green 1" in page
    assert "data:image/jpeg" in page
    assert len(json.loads((out / "slots.json").read_text())["slots"]) == 2
    # The learned slots, given as a planogram of these pictures, lead to the same alarm, and to the exit code.
    again = [model, str(visits / "today"), "--planogram", str(out / "slots.json"), "--fail-on-alarm"]
    assert run(["recipe", "shelf", *again]) == 1
    assert "1 full" in capsys.readouterr().out


def test_several_pictures_are_paired_by_name_and_what_is_unreadable_is_told(
    model: str, visits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(scene(SIZE, [GREEN])).save(visits / "today" / "other.png")
    (visits / "today" / "broken.png").write_bytes(b"no picture")
    command = ["recipe", "shelf", model, str(visits / "today"), "--before", str(visits / "yesterday"), "--fixed-camera"]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [Path(p["file"]).name for p in found["pictures"]] == ["aisle.png", "other.png"]
    assert found["pictures"][1]["changes"] is None
    assert any("broken.png" in line for line in found["warnings"])
    assert any("is called other" in line for line in found["warnings"])


def test_pictures_that_cannot_be_aligned_are_not_compared(
    model: str, visits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["recipe", "shelf", model, str(visits / "today"), "--before", str(visits / "yesterday"), "--json"]
    assert run(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"][0]["changes"] is None
    assert any("about the same place" in line for line in found["warnings"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--planogram", "absent.json"], "cannot be read"),
        (["--class", "tiger"], "not one of the model's classes"),
        (["--tile", "big"], "--tile should be"),
        (["--before", "absent"], "can be read"),
    ],
)
def test_mistakes_with_shelves_give_one_line(
    model: str, visits: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["recipe", "shelf", model, str(visits / "today"), *flags]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in told


def test_a_planogram_of_unknown_classes_gives_one_line(
    model: str, visits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slots: dict[str, Any] = {"slots": [{"class": "tiger", "box": [0, 0, 1, 1]}]}
    (visits / "slots.json").write_text(json.dumps(slots))
    assert run(["recipe", "shelf", model, str(visits / "today"), "--slots", str(visits / "slots.json")]) == 2
    assert "wants 'tiger'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A red thing jumps from the left of a frame to its right, through the cells in which the network sees it."""
    stops = [16] * 40 + [16 * step for step in range(1, 7) for _ in range(6)] + [96] * 30
    frames = [scene(SIZE, [("red", (x, 48, x + 16, 64))], seed=i) for i, x in enumerate(stops)]
    return str(write(tmp_path_factory.mktemp("clips") / "a.mp4", frames))


PLACES = ["--zone", "shelf:0,0;0.3,0;0.3,1;0,1", "--zone", "basket:0.7,0;1,0;1,1;0.7,1"]


def test_a_basket_and_a_person_who_decides(
    model: str, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    command = ["recipe", "basket", clip, "-m", model, *PLACES, "-o", str(out), "--evidence"]
    assert run([*command, "--events", str(tmp_path / "e.jsonl"), "--review-below", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (move,) = found["moves"]
    assert (move["event"], move["class"], move["from"], move["to"]) == ("taken", "red", "shelf", "basket")
    assert all((out / name).is_file() for name in move["evidence"])
    assert found["receipt"] == {"basket": {"red": {"items": 0, "in_review": 1}}}
    assert json.loads((tmp_path / "e.jsonl").read_text().splitlines()[1])["number"] == 1
    assert "Move 1: red taken" in (out / "review.html").read_text()
    assert run(["recipe", "review", str(out)]) == 0
    assert "1 wait" in capsys.readouterr().out
    assert run(["recipe", "review", str(out), "--accept", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["receipt"] == {"basket": {"red": {"items": 1, "in_review": 0}}}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "begins with basket or cart"),
        (["--zone", "basket:0,0;1,1"], "--zone should be"),
        ([*PLACES, "--evidence"], "--output"),
        ([*PLACES, "--class", "tiger"], "not one of the model's classes"),
    ],
)
def test_mistakes_with_baskets_give_one_line(
    model: str, clip: str, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    zones = flags or ["--zone", "shelf:0,0;1,0;1,1"]
    assert run(["recipe", "basket", clip, "-m", model, *zones]) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_review_of_nothing_gives_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "review", str(tmp_path)]) == 2
    assert "recipe basket -o" in capsys.readouterr().err
    assert run(["recipe", "review", str(tmp_path), "--accept", "one"]) == 2
    assert "--accept should be numbers" in capsys.readouterr().err
