"""What is where, as programs and people ask for it: standard output, standard error, exit codes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle
from PIL import Image
from spotter import scene, spotter_bundle

from photovision.app.cli import run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spotter_bundle(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    boxes = [[("red", (16, 16, 32, 32)), ("red", (64, 16, 80, 32)), ("green", (96, 96, 112, 112))], [], []]
    for number, found in enumerate(boxes):
        Image.fromarray(scene((128, 128), found)).save(folder / f"{number}.png")  # type: ignore[arg-type]
    (folder / "2.png").write_bytes(b"junk")
    return folder


def test_json_is_one_line_a_picture(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", str(model), str(pictures), "--json"]) == 2
    out, err = capsys.readouterr()
    first, second, third = map(json.loads, out.splitlines())
    assert list(first) == ["file", "size", "boxes"]
    assert first["file"] == str(pictures / "0.png")
    assert first["size"] == [128, 128]
    assert sorted(box["label"] for box in first["boxes"]) == ["green", "red", "red"]
    assert [96, 96, 112, 112] in [box["xyxy"] for box in first["boxes"]]
    assert second["boxes"] == []
    assert third == {"file": str(pictures / "2.png"), "error": "cannot be decoded (not a picture of a known format)"}
    assert err == "photovision: 1 of 3 files could not be read\n"


def test_people_read_counts(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", str(model), str(pictures / "0.png"), str(pictures / "1.png")]) == 0
    assert capsys.readouterr().out == f"{pictures}/0.png  2 red, 1 green\n{pictures}/1.png  no objects\n"


def test_csv_has_a_line_a_box(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", str(model), str(pictures), "--csv", "--threshold", "0.9"]) == 2
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["label"] for row in rows if not row["error"]].count("red") == 2
    assert rows[0]["height"] == "128"
    assert rows[-1]["error"].startswith("cannot be decoded")


def test_boxes_are_drawn_beside_and_nothing_is_overwritten(model: Path, pictures: Path, tmp_path: Path) -> None:
    before = (pictures / "0.png").read_bytes()
    twice = [str(pictures / "0.png")] * 2
    assert run(["detect", str(model), *twice, "-o", str(pictures)]) == 0
    assert (pictures / "0.png").read_bytes() == before
    with Image.open(pictures / "0.boxes.jpg") as drawn, Image.open(pictures / "0.png") as plain:
        assert drawn.size == plain.size
        changed = np.abs(np.asarray(drawn, int) - np.asarray(plain.convert("RGB"), int)).max(2) > 60
    assert changed[95:113, 95:113].any()
    assert not changed[40:60, 40:60].any()
    assert (pictures / "0.2.boxes.jpg").exists()


def test_videos_are_answered_frame_by_frame(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av", reason="needs PyAV: pip install av")
    from photovision.video.reader import open_video
    from photovision.video.writer import Film

    clip, broken, out = tmp_path / "clip.mp4", tmp_path / "broken.mp4", tmp_path / "out"
    with Film(clip, 10) as film:
        for number in range(5):
            x = 16 * number
            film.add(scene((128, 128), [("red", (x, 32, x + 16, 48))], number), number / 10)
    broken.write_bytes(clip.read_bytes()[:100])
    names = [str(pictures / "0.png"), str(clip), str(broken), str(pictures / "1.png")]
    assert run(["detect", str(model), *names, "--json", "-o", str(out)]) == 2
    picture, *frames, bad, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert "frame" not in picture
    assert [frame["frame"] for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame["file"] for frame in frames] == [str(clip)] * 5
    assert [[box["xyxy"][0] for box in frame["boxes"]] for frame in frames] == [[0], [16], [32], [48], [64]]
    assert list(bad) == ["file", "error"]
    assert last["file"] == names[-1]
    with open_video(out / "clip.boxes.mp4") as video:
        assert len(list(video)) == 5


def test_tiles_are_sides_or_sizes(model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(pictures / "0.png")
    for tile in ("64", "64x128"):
        assert run(["detect", str(model), file, "--tile", tile]) == 0
        assert "red" in capsys.readouterr().out
    for tile in ("big", "64x64x3", "-5", "4"):
        assert run(["detect", str(model), file, f"--tile={tile}"]) == 2
        err = capsys.readouterr().err
        assert "tile should be" in err
        assert err.count("\n") == 1


def test_mistakes_are_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    classifier = colour_bundle(tmp_path / "classifier")
    for arguments, message in (
        ([str(model)], "give pictures"),
        ([], "give pictures"),
        (["a.jpg"], "photovision weights get yolov4-tiny"),
        ([str(classifier), "a.jpg"], "is a classifier, not a detector"),
        ([str(model), "a.jpg", "--threshold", "7"], "threshold should be 0 to 1"),
        ([str(model), "a.jpg", "--json", "--csv"], "exclude each other"),
    ):
        assert run(["detect", *arguments]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


def test_torch_is_not_loaded(model: Path, pictures: Path) -> None:
    program = (
        "import sys; from photovision.app.cli import run;"
        f"code = run(['detect', {str(model)!r}, {str(pictures / '0.png')!r}, '--tile', '64']);"
        "sys.exit(code or 5 * any(name in sys.modules for name in ('torch', 'scipy', 'pycocotools', 'rich')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
