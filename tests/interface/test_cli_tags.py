"""--tags: what kind of scene it is, beside boxes, masks and what moves."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from clips import write
from painter import painter_bundle
from PIL import Image
from spots import spot_bundle, spot_picture
from spotter import scene, spotter_bundle

from photovision.app.cli import run


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector, a segmenter, and a classifier that tells the colour of a spot."""
    folder = tmp_path_factory.mktemp("models")
    spotter_bundle(folder / "detector")
    painter_bundle(folder / "segmenter")
    spot_bundle(folder / "tags")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for colour in range(3):
        Image.fromarray(spot_picture(colour, 1, 1)).save(folder / f"{colour}.png")
    (folder / "3.png").write_bytes(b"junk")
    return folder


def test_boxes_and_tags(models: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(models / "detector"), str(pictures), "--tags", str(models / "tags")]
    assert run(["detect", *asked, "--json"]) == 2
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(row["tags"]) for row in rows[:3]] == [["red"], ["green"], ["blue"]]
    assert all(0.9 < prob <= 1 for row in rows[:3] for prob in row["tags"].values())
    assert set(rows[3]) == {"file", "error"}
    assert run(["detect", *asked]) == 2
    assert capsys.readouterr().out.splitlines()[1].endswith("[green 99%]")
    assert run(["detect", *asked, "--csv"]) == 2
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["tags"] for row in table if row["label"] == "red"} == {"red"}
    assert table[-1]["error"].startswith("cannot be decoded")


def test_masks_and_tags(models: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(models / "segmenter"), str(pictures / "1.png"), "--tags", str(models / "tags")]
    assert run(["predict", *asked, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["tags"]) == ["green"]
    assert run(["predict", *asked]) == 0
    assert capsys.readouterr().out.endswith("[green 99%]\n")


def test_the_tags_of_a_video_do_not_flicker(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red, with one green frame among those that are looked at; then green for long."""
    colours = [int(10 <= i < 15 or i >= 30) for i in range(80)]
    frames = [scene((128, 128), [(("red", "green")[c], (16, 16, 80, 80))], seed=i) for i, c in enumerate(colours)]
    clip = write(tmp_path / "a.mp4", frames)
    asked = [str(clip), "--tags", str(models / "tags"), "--json"]
    assert run(["watch", *asked, "--model", str(models / "detector"), "-o", str(tmp_path / "b.mp4")]) == 0
    shares = json.loads(capsys.readouterr().out)["tags"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["red"] > 30 / 80  # it takes some looks to believe in green
    assert shares["green"] > 15 / 80
    assert run(["detect", str(models / "detector"), *asked]) == 0
    tags = [list(json.loads(line)["tags"]) for line in capsys.readouterr().out.splitlines()]
    assert tags[12] == tags[29] == ["red"]
    assert tags[-1] == ["green"]


def test_what_cannot_tag_is_refused(models: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("segmenter", "detector", "nothing"):
        assert run(["detect", str(models / "detector"), str(pictures), "--tags", str(models / model)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "is a segmenter, not a classifier" in errors[0]
    assert "is a detector, not a classifier" in errors[1]
    assert "no model at" in errors[2]


def test_a_classifier_has_tags_beside_its_classes(
    models: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", str(models / "tags"), str(pictures), "--tags", str(models / "tags"), "--json"]) == 2
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result.keys() >= {"tags"} for result in results if "error" in result] == [False]
    assert all(list(result["tags"]) == [result["label"]] for result in results if "error" not in result)
