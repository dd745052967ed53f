"""photovision estimate: pictures in every shape people have them in, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from colours import colour_bundle
from faded import faded, faded_bundle
from PIL import Image

from photovision.app.cli import run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, an old one, and pictures in two folders with a table that names some of them."""
    root = tmp_path_factory.mktemp("place")
    faded_bundle(root / "model")
    colour_bundle(root / "old")
    for number, sample in enumerate(faded(8, (0.3, 0.9), 5).samples):
        folder = root / "shop" / ("monday" if number < 4 else "tuesday")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.image).save(folder / f"{number}.png")
    (root / "table.csv").write_text("file_name\nmonday/0.png\ntuesday/5.png\n")
    return root


@pytest.mark.parametrize(
    ("words", "n"),
    [
        ("shop", 8),
        ("shop/monday shop/tuesday/5.png", 5),
        ("shop/*/*.png", 8),
        ("table.csv --root shop", 2),
    ],
)
def test_pictures_come_as_people_have_them(
    place: Path, words: str, n: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert run(["estimate", "model", *words.split(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "estimate"
    assert told["metrics"]["expected_score"]["n"] == n


def test_the_report_is_printed_and_written(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["estimate", str(place / "model"), str(place / "shop"), "-o", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    assert "Expected accuracy on these 8 pictures: " in out
    assert "What to do: " in out
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("model nowhere", "nowhere does not exist"),
        ("model nowhere/*.png", "no picture fits the pattern"),
        ("model shop --root shop", "does not accept root"),
        ("model shop/monday shop/tuesday --root shop", "--root is about a table"),
        ("old shop", "or train it again"),
        ("shop shop", "shop is not a Photovision model"),
    ],
)
def test_mistakes_are_told_in_one_line(
    place: Path, words: str, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert run(["estimate", *words.split()]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert reason in told.err
    assert len([line for line in told.err.splitlines() if line.startswith("photovision: ")]) == 1
