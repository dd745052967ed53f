"""What commands say of data as they lie: one line on what they were taken for, and nothing of it among JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pictures import make_folder

from photovision.app.cli import run


def test_a_guess_is_said_in_one_line_and_a_choice_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("seg_train", "seg_test"):
        make_folder(tmp_path / "data" / split / split, per_class=4, seed=len(split))
    assert run(["check", str(tmp_path / "data"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.count("read as") == 1
    assert (
        "16 pictures of 2 classes, read as: classification, a folder per class, 2 splits; --format chooses another"
        in err
    )
    assert json.loads(out)["reading"] == "classification, a folder per class, 2 splits"
    assert run(["check", str(tmp_path / "data"), "--format", "folder"]) == 0
    assert "read as" not in capsys.readouterr().err


def test_splits_without_labels_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_folder(tmp_path / "data", ("train", "valid", "test"), per_class=2)
    for command in (
        ["check"],
        ["train", "-o", str(tmp_path / "out")],
        ["convert", "--to", "table", "-o", str(tmp_path / "o")],
    ):
        assert run([command[0], str(tmp_path / "data"), *command[1:]]) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert "where are their labels?" in err
        assert "--format folder" in err


def test_a_table_of_corrections_that_is_no_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_folder(tmp_path / "data", per_class=2)
    os.mkfifo(tmp_path / "data" / "photovision-labels.csv")
    assert run(["check", str(tmp_path / "data")]) == 2
    err = capsys.readouterr().err
    assert "photovision-labels.csv: is a pipe, not a regular file" in err
    assert len(err.splitlines()) == 1
    (tmp_path / "data" / "photovision-labels.csv").unlink()
    (tmp_path / "secret.csv").write_text("file_name,was,decision,label,time\n")
    (tmp_path / "data" / "photovision-labels.csv").symlink_to(tmp_path / "secret.csv")
    assert run(["check", str(tmp_path / "data")]) == 2
    assert "is a link" in capsys.readouterr().err
