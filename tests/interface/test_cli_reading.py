"""Flags about reading data are the same on every command that reads data, and obeyed or refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import typer
from pictures import make_folder

from photovision.app.cli import run
from photovision.app.cli.commands import app
from photovision.data.read_options import ReadOptions

READERS = (
    "train",
    "check",
    "evaluate",
    "compare",
    "audit",
    "explain",
    "features",
    "calibrate",
    "optimize",
    "convert",
    "drift",
)
CHOSEN_BY_COMMANDS = {"unlabelled"}
"""What no user has to say: a command wants labels, or it does not."""


@pytest.mark.parametrize("name", READERS)
def test_every_command_that_reads_data_has_the_flags(name: str) -> None:
    flags = {parameter.name for parameter in typer.main.get_command(app).commands[name].params}  # type: ignore[attr-defined]
    assert {field.name for field in fields(ReadOptions)} - CHOSEN_BY_COMMANDS <= flags


def test_a_flag_reaches_the_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_folder(tmp_path, per_class=4)
    (tmp_path / "metadata.csv").write_text(
        "file_name,label,kind\n"
        + "".join(f"{k}/00{i}.png,{k},{'xy'[i % 2]}\n" for k in ("circle", "square") for i in range(4))
    )
    assert run(["check", str(tmp_path), "--label-column", "kind"]) == 0
    assert "2 classes" in capsys.readouterr().out
    assert run(["check", str(tmp_path), "--label-column", "size"]) == 2
    assert "no column 'size'" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--file-column", "x"], ["--label-column", "x"], ["--uncertain", "perhaps"]])
def test_a_flag_that_cannot_be_obeyed_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    make_folder(tmp_path, per_class=4)
    assert run(["check", str(tmp_path), *flags]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert len(told.err.splitlines()) == 1
    assert flags[0] in told.err or "uncertain should be" in told.err


@pytest.mark.parametrize("command", [["check"], ["check", "--json"]])
def test_how_it_was_read_is_said_once_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    make_folder(tmp_path / "images", per_class=6)
    rows = (f"{kind}{i},{kind}" for kind in ("circle", "square") for i in range(6))
    for kind in ("circle", "square"):
        for i in range(6):
            (tmp_path / f"images/{kind}/00{i}.png").rename(tmp_path / f"images/{kind}{i}.png")
    (tmp_path / "train.csv").write_text("id,shape\n" + "\n".join(rows))
    assert run([*command, str(tmp_path / "train.csv")]) == 0
    told = capsys.readouterr()
    assert told.err.count("12 pictures are named without their suffix") == 1
    assert told.err.count("the column 'shape' holds the labels") == 1
    assert "without their suffix" not in told.out


def test_the_page_hands_on_how_data_are_read() -> None:
    from photovision.app.web.training import Reading, Training, command

    assert {*Reading.model_fields, "root", *CHOSEN_BY_COMMANDS} == {field.name for field in fields(ReadOptions)}
    wish = Training(data="d", name="m", reading=Reading(multilabel=True, label_separator="-x", uncertain="ignore"))
    flags = command(wish, Path("d"), Path("m"))
    assert flags[-3:] == ["--multilabel", "--uncertain=ignore", "--label-separator=-x"]
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Training.model_validate({"data": "d", "name": "m", "reading": {"root": "/"}})
