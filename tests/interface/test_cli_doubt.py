"""Doubt on the command line: unknown pictures, prediction sets, calibration elsewhere, and the audit."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle, colour_folder, colour_picture
from PIL import Image

from photovision.app.cli import run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_doubt(colour_bundle(tmp_path_factory.mktemp("models") / "model"))


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    path = tmp_path / "strangers" / "white.png"
    path.parent.mkdir()
    Image.fromarray(np.full((40, 40, 3), 255, np.uint8)).save(path)
    return path


def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    colour_picture("red", 3).save(path)
    return path


def test_a_picture_of_something_else_is_answered_unknown(
    model: Path, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", str(model), str(stranger), str(picture(tmp_path)), "--json"]) == 0
    unknown, known = map(json.loads, capsys.readouterr().out.splitlines())
    assert (unknown["label"], unknown["known"], unknown["prob"]) == ("unknown", False, None)
    assert unknown["top"][0]["label"] in ("red", "green", "blue")
    assert unknown["novelty"] > known["novelty"]
    assert (known["label"], known["known"]) == ("red", True)
    assert known["set"] == ["red"]


def test_tables_and_people_are_told_it_is_unknown(
    model: Path, stranger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", str(model), str(stranger), "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["label"], row["prob"], row["known"]) == ("unknown", "", "false")
    assert run(["predict", str(model), str(stranger)]) == 0
    assert "unknown (most like" in capsys.readouterr().out
    assert run(["predict", str(model), str(stranger), "--top-k", "2"]) == 0
    assert "unknown:" in capsys.readouterr().out


def test_more_coverage_names_more_classes(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for coverage in ("0.8", "0.999"):
        assert run(["predict", str(model), str(picture(tmp_path)), "--json", "--coverage", coverage]) == 0
        sizes.append(len(json.loads(capsys.readouterr().out)["set"]))
    assert sizes[0] <= 1
    assert sizes[1] == 3


@pytest.mark.parametrize("flags", [["--coverage", "1.5"], ["--false-alarms", "0"]])
def test_impossible_shares_are_one_line(
    model: Path, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", str(model), str(picture(tmp_path)), *flags]) == 2
    assert "should be above 0 and below 1" in capsys.readouterr().err


def test_older_models_say_that_they_have_no_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = colour_bundle(tmp_path / "older")
    assert run(["predict", str(older), str(picture(tmp_path)), "--coverage", "0.9"]) == 2
    assert "train it again" in capsys.readouterr().err


def test_evaluate_measures_the_gate_on_strangers(
    model: Path, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = colour_folder(tmp_path / "data", per_class=20)
    flags = ["--unknown", str(stranger.parent), "--coverage", "0.9", "--json"]
    assert run(["evaluate", str(model), str(data), *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["metrics"]["novelty_auroc"]["value"] == 1
    assert report["metrics"]["detected_unknown"]["n"] == 1
    assert report["coverage_asked"] == 0.9


def test_audit_names_its_groups_and_refuses_what_it_does_not_know(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = colour_folder(tmp_path / "data", per_class=20)
    rows = [
        {"file_name": f"{name}/{i}.png", "label": name, "shop": "ab"[i % 2]}
        for name in ("red", "green", "blue")
        for i in range(20)
    ]
    table = data / "metadata.csv"
    table.write_text("file_name,label,shop\n" + "".join(f"{r['file_name']},{r['label']},{r['shop']}\n" for r in rows))
    command = ["audit", str(model), str(table)]
    assert run([*command, "--by", "shop", "--only", "groups", "-o", str(tmp_path / "report"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "audit"
    assert any(row[0] == "shop = a" for shown in report["tables"] for row in shown["rows"])
    assert (tmp_path / "report" / "report.html").is_file()
    assert run([*command, "--by", "sex"]) == 2
    assert "known: shop" in capsys.readouterr().err
    assert run([*command, "--only", "everything"]) == 2
    assert "there is no check 'everything' of a classifier; its checks are groups" in capsys.readouterr().err


def test_calibrate_refuses_graphs_without_a_temperature(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = colour_folder(tmp_path / "data", per_class=20)
    assert run(["calibrate", str(model), str(data), "-o", str(tmp_path / "here")]) == 2
    assert "no temperature" in capsys.readouterr().err
    assert not (tmp_path / "here").exists()
