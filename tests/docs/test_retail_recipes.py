"""The commands on the pages of the recipes for shelves and baskets run as they are written."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from spotter import scene, spotter_bundle

from photovision.app.cli import run

PAGES = Path(__file__).resolve().parents[2] / "docs" / "recipes"
SIZE = (128, 128)
RED, GREEN = ("red", (16, 16, 32, 32)), ("green", (64, 16, 80, 32))


def commands(page: str) -> list[list[str]]:
    """Indented lines of a page that are commands of a recipe, as arguments."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return [shlex.split(line) for line in re.findall(r"^    photovision (recipe .*)$", text, re.MULTILINE)]


def planogram(page: str) -> str:
    """The table of slots that the page shows."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return "\n".join(line.strip() for line in re.findall(r"^    [^,\n]+(?:,[^,\n]*){7}$", text, re.MULTILINE)) + "\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages speak of: pictures of three visits, frames of a film, and detectors of coloured
    squares."""
    for name, things in (("full", [RED, GREEN]), ("yesterday", [RED, GREEN]), ("today", [RED])):
        (tmp_path / name).mkdir()
        Image.fromarray(scene(SIZE, things)).save(tmp_path / name / "aisle-3.png")
    (tmp_path / "shop.mp4").mkdir()  # a folder of frames is a film, too
    for i, x in enumerate([16] * 30 + [16 * step for step in range(1, 7) for _ in range(6)] + [96] * 10):
        Image.fromarray(scene(SIZE, [("red", (x, 48, x + 16, 64))], i)).save(tmp_path / "shop.mp4" / f"{i:03d}.png")
    for name in ("shelf-model", "shop-model"):
        spotter_bundle(tmp_path / name)
    (tmp_path / "slots.csv").write_text(planogram("shelf.md"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_on_shelves(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = commands("shelf.md")
    assert len(written) >= 5
    for arguments in written:
        alarm = "--fail-on-alarm" in arguments and "--reference" in arguments
        # Without features to align, slots of another picture are not judged: these squares stand on a grey ground.
        assert run([*arguments, "--fixed-camera"]) == int(alarm), arguments
    assert (shop / "report" / "report.html").is_file()
    assert "vanished" in capsys.readouterr().out


def test_the_page_on_baskets(shop: Path) -> None:
    written = commands("basket.md")
    assert [arguments[1] for arguments in written] == ["basket", "review"]
    for arguments in written:
        assert run(arguments) == 0, arguments
    (move,) = json.loads((shop / "report" / "report.json").read_text())["moves"]
    assert move["event"] == "taken"
    assert json.loads((shop / "report" / "decisions.json").read_text()) == {"accepted": [1], "rejected": []}
