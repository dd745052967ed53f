"""Models that tell classes of pixels: `predict` writes masks, `evaluate` holds them against the truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle
from painter import painter_bundle
from PIL import Image

from photovision.app.cli import run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painter") / "model"
    return painter_bundle(folder, instances=True, tile=(32, 32))


def _squares(folder: Path, name: str = "a.png") -> Path:
    """A picture of 40 x 50 pixels with two red squares, deep throughout."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = np.zeros((40, 50, 3), np.uint8)
    picture[5:15, 5:15] = picture[20:30, 30:40] = 255, 0, 255
    Image.fromarray(picture).save(folder / name)
    return folder / name


def test_masks_are_indexed_pictures_of_the_same_size(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = _squares(tmp_path / "x"), _squares(tmp_path / "y")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    files = [str(first), str(tmp_path / "broken.png"), str(second)]
    assert run(["predict", str(model), *files, "-o", str(tmp_path / "masks"), "--json"]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("objects") for line in lines] == [2, None, 2]
    assert lines[0]["size"] == [40, 50]
    assert lines[0]["areas"] == {"background": 0.9, "thing": 0.1}
    assert "error" in lines[1]
    assert sorted(p.relative_to(tmp_path / "masks").as_posix() for p in (tmp_path / "masks").rglob("*.png")) == [
        "a-2.png",
        "a.png",
        "objects/a-2.png",
        "objects/a.png",
    ]
    mask = Image.open(tmp_path / "masks" / "a.png")
    assert (mask.mode, mask.size) == ("P", (50, 40))
    assert np.array_equal(np.asarray(mask) == 1, np.asarray(Image.open(first))[..., 0] > 0)
    assert np.unique(np.asarray(Image.open(tmp_path / "masks" / "objects" / "a.png"))).tolist() == [0, 1, 2]


def test_people_read_shares(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", str(model), str(_squares(tmp_path))]) == 0
    assert "2 objects  background 90.0%, thing 10.0%" in capsys.readouterr().out


def test_a_folder_for_masks_is_of_no_use_to_a_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classifier = colour_bundle(tmp_path / "classifier")
    assert run(["predict", str(classifier), str(_squares(tmp_path)), "-o", str(tmp_path / "masks")]) == 2
    assert "--output cannot be used with a classifier" in capsys.readouterr().err


def test_a_table_has_a_row_for_each_class(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = _squares(tmp_path)
    assert run(["predict", str(model), str(file), str(tmp_path / "gone.png"), "--csv"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "file,label,area,objects,height,width,error",
        f"{file},background,0.900000,2,40,50,",
        f"{file},thing,0.100000,2,40,50,",
    ]
    assert lines[3].startswith(f"{tmp_path / 'gone.png'},,,,,,")


def test_options_of_other_tasks_are_refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, name in (("--top-k", "top"), ("--overlap", "overlap"), ("--threshold", "threshold")):
        values = ["--tile", "64", "--overlap", "0.1"] if name == "overlap" else [option, "1"]
        assert run(["predict", str(model), str(_squares(tmp_path)), *values]) == 2
        assert f"A segmenter does not accept '{name}'" in capsys.readouterr().err


def test_evaluate_judges_masks_and_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        _squares(tmp_path / "data" / "images", f"{number}.png")
        numbers = np.zeros((40, 50), np.uint8)
        numbers[5:15, 5:15], numbers[20:30, 30:40] = 1, 2
        (tmp_path / "data" / "instances").mkdir(exist_ok=True)
        Image.fromarray(numbers).save(tmp_path / "data" / "instances" / f"{number}.png")
    model = painter_bundle(tmp_path / "model", instances=True, tile=(32, 32))
    info = json.loads((model / "bundle.json").read_text())
    (model / "bundle.json").write_text(json.dumps({**info, "classes": ["background", "object"]}))
    out = tmp_path / "report"
    assert run(["evaluate", str(model), str(tmp_path / "data"), "--json", "-o", str(out)]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    for name in ("miou", "dice", "boundary_f1", "instance_f1"):
        assert metrics[name] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 3, "unit": "share"}
    assert "Worst and best" in (out / "report.html").read_text(encoding="utf-8")
