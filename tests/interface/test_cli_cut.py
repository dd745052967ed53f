"""photovision cut: a mask and a cut-out for a click, one line for a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clicker import clicker_bundle
from PIL import Image

from photovision.app.cli import run
from photovision.tasks.cut.prompted_segmenter import READY


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A red object of 40 x 40 pixels on green; the ready cutter is one made by hand."""
    clicker_bundle(tmp_path / "cache" / "models" / READY)
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[..., 1] = 200
    pixels[40:80, 20:60] = (230, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_a_mask_and_a_cut_out_are_written(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = picture.parent / "out"
    points = ["--point", "40,60", "--point", "45,55.5", "--not", "100,60"]
    assert run(["cut", str(picture), *points, "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["size"] == [120, 160]
    assert np.abs(np.subtract(told["xyxy"], [20, 40, 60, 80])).max() <= 6  # the network sees cells of 10 pixels
    with Image.open(told["mask"]) as mask, Image.open(told["cut"]) as cut:
        assert mask.size == (160, 120)
        assert np.asarray(mask).mean() / 255 == pytest.approx(told["area"], abs=1e-5)
        x1, y1, x2, y2 = told["xyxy"]
        assert (cut.mode, cut.size) == ("RGBA", (x2 - x1, y2 - y1))
        assert cut.getpixel((cut.width // 2, cut.height // 2)) == (230, 0, 0, 255)


def test_people_read_a_line_and_a_box_is_enough(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cut", str(picture), "--box", "25,45,60,80"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{picture}  ")
    assert "% of the picture, estimated overlap 0.60" in told


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--not", "5,5"], "nothing says where the object is"),
        (["--point", "5"], "--point should be x,y in pixels, such as 120,80, got '5'"),
        (["--not", "5,x"], "--not should be x,y"),
        (["--point", "nan,5"], "--point should be x,y"),
        (["--point", "500,5"], "a point should lie in the picture of 160 x 120 pixels, got (500, 5)"),
        (["--box", "5,5,3,3"], "x1 below x2"),
        (["--box", "5,5,30"], "--box should be x1,y1,x2,y2 in pixels, such as 120,80,200,160, got '5,5,30'"),
    ],
)
def test_mistakes_are_one_line(
    picture: Path, asked: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cut", str(picture), *asked]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_without_weights_it_says_how_to_get_them(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "empty"))
    assert run(["cut", str(picture), "--point", "5,5"]) == 2
    assert "run 'photovision weights get mobilesam' once (38 MB" in capsys.readouterr().err
    assert run(["cut", str(tmp_path / "none.png"), "--point", "5,5"]) == 2
    assert "none.png: cannot be opened" in capsys.readouterr().err


def test_without_a_place_the_object_in_the_middle_is_cut_out(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cut", str(picture)]) == 0
    middle = capsys.readouterr()
    assert "at 80,60" in middle.err
    assert run(["cut", str(picture), "--point", "80,60"]) == 0
    assert capsys.readouterr().out == middle.out
