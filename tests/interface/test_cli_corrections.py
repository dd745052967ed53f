"""Labels that people corrected count in every command, and every command that uses them says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder

from photovision.app.cli import run
from photovision.data.corrections import Corrections
from photovision.data.dataset import Correction
from photovision.data.read import read_dataset
from photovision.engine.splits import gather


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve pictures of which two were decided about: one green one is said to be red, one blue one is left out."""
    folder = colour_folder(tmp_path / "colours")
    table = Corrections(folder)
    assert table.record(Correction("green/0.png", ("green",), "label", ("red",)), None)
    assert table.record(Correction("blue/1.png", ("blue",), "leave out"), None)
    return folder


def test_evaluate_judges_by_the_corrected_labels(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = colour_bundle(tmp_path / "model")
    assert run(["evaluate", str(model), str(data), "--split", "all", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["accuracy"]["n"] == 11
    assert told["metrics"]["accuracy"]["value"] == pytest.approx(10 / 11)
    assert "1 label of the data corrected by hand, in photovision-labels.csv." in told["warnings"]
    assert any("blue/1.png (by hand)" in text for text in told["warnings"])


def test_check_lists_them(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(data)]) == 0
    assert "photovision-labels.csv corrects 1 label and leaves out 1 picture." in capsys.readouterr().out
    assert run(["check", str(data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["id"], one["decision"], one["label"]) for one in told["corrections"]] == [
        ("green/0.png", "label", ["red"]),
        ("blue/1.png", "leave out", []),
    ]


def test_a_model_remembers_that_its_labels_were_corrected(data: Path) -> None:
    told = gather(read_dataset(data), seed=0).describe()
    assert "1 label was corrected by hand, in photovision-labels.csv." in told["notes"]
    assert told["quarantined"] == 1


def test_a_damaged_table_is_one_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "photovision-labels.csv").write_text("a,b\n1,2\n")
    assert run(["check", str(data)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "it lacks file_name: mend or move it" in err
