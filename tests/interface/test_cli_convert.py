"""convert and check on data with boxes, as people and programs use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from annotated import blob, coco, dataset, objects, picture
from pictures import make_folder

from photovision.app.cli import run
from photovision.core.errors import UsageError
from photovision.data.convert import convert
from photovision.data.read import read_dataset
from photovision.data.session_corrections import SessionCorrections

FINE = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}


def test_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = coco(tmp_path / "coco", [FINE])
    assert run(["convert", str(source), "--to", "voc", "-o", str(tmp_path / "voc")]) == 0
    assert capsys.readouterr().out == "1 pictures with 1 objects from coco to voc\n"
    assert run(["convert", str(tmp_path / "voc"), "--to", "coco", "-o", str(tmp_path / "back"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["objects"], told["source"], told["lost"]) == (1, 1, "voc", [])
    found = read_dataset(tmp_path / "back").samples[0].annotations
    assert found.boxes.tolist() == [[1, 1, 6, 6]]  # type: ignore[union-attr]


def test_a_loss_is_refused_in_one_line_or_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = blob((40, 60), (3, 4, 20, 30))
    convert(dataset(tmp_path / "data", [objects([mask.box], [0], [mask])]), "coco", tmp_path / "coco")
    wanted = ["convert", str(tmp_path / "coco"), "--to", "yolo", "-o", str(tmp_path / "yolo")]
    assert run(wanted) == 2
    said = capsys.readouterr()
    assert said.err == (
        "photovision: yolo cannot hold 1 masks (they become boxes): choose another format, or add --lossy\n"
    )
    assert not (tmp_path / "yolo").exists()
    assert run([*wanted, "--lossy"]) == 0
    assert "lost: 1 masks (they become boxes)" in capsys.readouterr().out


def test_what_is_odd_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = coco(tmp_path / "coco", [FINE, {**FINE, "id": 2, "bbox": None}])
    assert run(["convert", str(source), "--to", "cvat", "-o", str(tmp_path / "out")]) == 0
    assert "annotations[1]: bbox should be 4 finite numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["nowhere", "--to", "coco"], [".", "--to", "polaroid"], [".", "--to", "coco", "--from", "kodak"]]
)
def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    (tmp_path / "x").mkdir()
    assert run(["convert", *arguments, "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert not said.out


def test_hostile_files_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "annotations.json").write_text('{"images": [], "annotations": [' + "[" * 99_999)
    for command in (["check", str(tmp_path)], ["convert", str(tmp_path), "--to", "voc", "-o", str(tmp_path / "out")]):
        assert run(command) == 2
        said = capsys.readouterr()
        assert "annotations.json, character" in said.err
        assert len(said.err.splitlines()) == 1


def test_check_tells_of_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = [objects([(3, 4, 20, 30)], [n % 2]) for n in range(8)]
    convert(dataset(tmp_path / "data", [*found, objects([(30, 4, 90, 30)], [0])]), "coco", tmp_path / "coco")
    assert run(["check", str(tmp_path / "coco"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["objects"] == 9
    assert report["faults"] == {"outside": 1}
    assert any("reach outside their picture" in warning for warning in report["warnings"])


def test_capture_sessions_stated_by_hand_go_over_as_a_column_or_are_refused(tmp_path: Path) -> None:
    source = make_folder(tmp_path / "shapes", per_class=2)
    names = sorted(str(path.relative_to(source)) for path in source.rglob("*.png"))
    SessionCorrections(source).record({names[0]: "shelf 3", names[1]: "shelf 3", names[2]: "none"})
    convert(source, "table", tmp_path / "table")
    found = [sample.groups.get("session") for sample in read_dataset(tmp_path / "table").samples]
    assert sorted(filter(None, found)) == ["shelf 3", "shelf 3"]
    with pytest.raises(UsageError, match="folder cannot hold 2 attributes of pictures"):
        convert(source, "folder", tmp_path / "folder")
