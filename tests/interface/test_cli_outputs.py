"""Every command with --output, pointed at a folder of the user's: one line, exit code 2, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from clips import write
from colours import colour_bundle, colour_folder, colour_picture
from painter import painter_bundle
from PIL import Image
from sampler import sampler_bundle
from spotter import scene, spotter_bundle

from photovision.app.cli import run
from photovision.app.cli.commands import app

OWN = (
    *("thesis.txt", "report.html", "report.md", "report.json", "bundle.json", "model.onnx", "model.xml", "README.md"),
    *("images/000000.png", "metadata.csv", "annotations/instances.json", "red/0.png", "suspects.csv", "slots.json"),
    *("a.png", "objects/a.png", "a.boxes.jpg", "a.mask.png", "a.cut.png", "a.mp4", "evidence/00001-1.jpg"),
)
"""Files of the user's, by the names that commands write."""
GIVEN = {
    "train": ["{data}"],
    "evaluate": ["{model}", "{data}"],
    "predict": ["{painter}", "{picture}"],
    "detect": ["{spotter}", "{picture}"],
    "cut": ["{picture}", "--point", "5,5"],
    "watch": ["{clip}", "--model", "{spotter}"],
    "check": ["{data}"],
    "compare": ["{model}", "{model}", "{data}"],
    "audit": ["{model}", "{data}"],
    "refer": ["{model}", "{data}", "--positive", "red"],
    "explain": ["{model}", "{picture}"],
    "features": ["{model}", "{data}"],
    "calibrate": ["{model}", "{data}"],
    "estimate": ["{model}", "{data}"],
    "adapt": ["{model}", "{data}"],
    "adopt": ["{model}", "--classes", "{data}"],
    "optimize": ["{model}", "{data}", "--int8"],
    "export": ["{model}", "--to", "onnx"],
    "convert": ["{data}", "--to", "coco"],
    "index": ["{data}"],
    "group": ["{data}"],
    "shards": ["{data}"],
    "suggest": ["{data}"],
    "update": ["{model}", "{data}", "--golden", "{data}"],
    "loadtest": ["http://127.0.0.1:9"],
    "drift": ["{model}", "{data}"],
    "recipe shelf": ["{spotter}", "{picture}"],
    "recipe basket": ["{clip}", "--zone", "basket:0,0;1,0;1,1", "--model", "{spotter}"],
    "recipe road": ["{spotter}", "{data}"],
    "recipe crop": ["{spotter}", "{data}"],
    "recipe weather": ["{picture}"],
    "recipe products": ["{index}", "{spotter}", "{picture}"],
    "faces blur": ["{picture}"],
    "faces evaluate": ["{store}", "{data}"],
    "weights import": ["{model}"],
    "sample": ["{generator}", "-n", "2", "--steps", "2"],
    "interpolate": ["{generator}", "{picture}", "{picture}", "-n", "2", "--steps", "2"],
    "invert": ["{generator}", "{picture}", "--steps", "2"],
}


def commands() -> Iterator[str]:
    """All commands that have --output."""
    group = typer.main.get_command(app)
    waiting = [("", group)]
    while waiting:
        name, command = waiting.pop()
        waiting += [(f"{name} {key}".strip(), one) for key, one in getattr(command, "commands", {}).items()]
        if any("--output" in parameter.opts for parameter in command.params):
            yield name


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    top = tmp_path_factory.mktemp("things")
    picture = np.zeros((40, 50, 3), np.uint8)
    picture[5:15, 5:15] = 255, 0, 255
    (top / "pictures").mkdir()
    Image.fromarray(picture).save(top / "pictures" / "a.png")
    assert run(["index", str(colour_folder(top / "data")), "-o", str(top / "index"), "--check", "0", "--quiet"]) == 0
    return {
        "index": str(top / "index"),
        "store": str(top / "no-store"),
        "model": str(colour_bundle(top / "model")),
        "painter": str(painter_bundle(top / "painter", instances=True)),
        "spotter": str(spotter_bundle(top / "spotter")),
        "generator": str(sampler_bundle(top / "generator")),
        "data": str(top / "data"),
        "picture": str(top / "pictures" / "a.png"),
        "clip": str(write(top / "clip.mp4", [scene((64, 64), [], seed=i) for i in range(4)])),
    }


@pytest.fixture
def own(tmp_path: Path) -> Path:
    for name in OWN:
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(f"years of work: {name}")
    return tmp_path / "own"


def contents(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def call(name: str, things: dict[str, str], output: Path | str) -> list[str]:
    return [*name.split(), *(part.format(**things) for part in GIVEN[name]), "-o", str(output)]


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("photovision: ")]
    assert lines
    return lines[-1]


def test_every_command_with_an_output_is_tried() -> None:
    assert set(commands()) == set(GIVEN)


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_nothing_of_the_users_is_lost(
    name: str, things: dict[str, str], own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, inputs = contents(own.parent), {key: contents(Path(value)) for key, value in things.items()}
    output = own / "a.mp4" if name == "watch" else own
    assert run(call(name, things, output)) == 2
    assert contents(own.parent) == before
    if name not in ("cut", "faces blur", "faces evaluate"):  # what they need may not be on this machine
        assert "Photovision" in (line := refused(capsys)) or "never replaced" in line
    assert {key: contents(Path(value)) for key, value in things.items()} == inputs


@pytest.mark.parametrize("name", sorted(set(GIVEN) - {"watch", "predict", "detect", "cut", "loadtest"}))
def test_odd_places_are_refused_in_a_line(
    name: str,
    things: dict[str, str],
    own: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(own)
    monkeypatch.setenv("HOME", str(own))
    (own.parent / "link").symlink_to("own")
    before = contents(own.parent)
    for output in (".", "", "..", str(own), "../link", "thesis.txt", "thesis.txt/m", "~", "x/../."):
        if output == "~":
            output = str(Path.home())
        if output == ".." and name not in ("train", "export", "convert"):
            continue  # a report may be put beside other files
        assert run(call(name, things, output)) == 2, output
        refused(capsys)
    assert contents(own.parent) == before


def test_a_model_is_never_its_own_output_nor_its_reports_place(
    things: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(things["model"], tmp_path / "w" / "m")
    (tmp_path / "link").symlink_to(tmp_path / "w" / "m")
    before = contents(tmp_path)
    for name in ("calibrate", "optimize", "export", "weights import"):
        for output in ("w/m", "w/m/../m", "w", "w/m/sub", "link", "link/sub"):
            here = {**things, "model": str(tmp_path / "w" / "m")}
            assert run(call(name, here, tmp_path / output)) == 2, (name, output)
            refused(capsys)
            assert contents(tmp_path) == before


def test_a_replayed_training_does_not_replace_what_it_repeats(
    things: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(things["model"], tmp_path / "m")
    before = contents(tmp_path)
    assert run(["train", things["data"], "--replay", str(tmp_path / "m"), "-o", str(tmp_path / "m")]) == 2
    assert "is the model itself" in refused(capsys)
    assert contents(tmp_path) == before


def test_the_masks_of_pictures_do_not_replace_them(
    things: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(things["picture"], tmp_path / "a.png")
    before = contents(tmp_path)
    assert run(["predict", things["painter"], str(tmp_path), "-o", str(tmp_path)]) == 2
    assert contents(tmp_path) == before
    for _ in range(2):  # its own masks it replaces
        assert run(["predict", things["painter"], str(tmp_path), "-o", str(tmp_path / "masks")]) == 0
    masks = contents(tmp_path / "masks")
    assert run(["predict", things["painter"], str(tmp_path / "masks" / "a.png"), "-o", str(tmp_path / "masks")]) == 2
    assert "is the input" in refused(capsys)
    assert contents(tmp_path / "masks") == masks


@pytest.mark.parametrize("name", ["a.mp4", "./a.mp4", "sub/../a.mp4", "hard.mp4", "soft.mp4", "other.mp4"])
def test_a_film_never_replaces_a_video(
    name: str,
    things: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    shutil.copy(things["clip"], "a.mp4")
    shutil.copy(things["clip"], "other.mp4")
    os.link("a.mp4", "hard.mp4")
    os.symlink("a.mp4", "soft.mp4")
    before = contents(tmp_path)
    assert run(["watch", "a.mp4", "-m", things["spotter"], "-o", name]) == 2
    refused(capsys)
    assert contents(tmp_path) == before


def test_a_film_replaces_an_earlier_film_but_not_while_it_is_watched(
    things: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "film.mp4"
    for _ in range(2):
        assert run(["watch", things["clip"], "-m", things["spotter"], "-o", str(film)]) == 0
    before = contents(tmp_path)
    assert run(["watch", str(film), "-m", things["spotter"], "-o", str(film)]) == 2
    assert "is the input" in refused(capsys)
    assert contents(tmp_path) == before


def test_drawings_have_names_that_no_other_file_of_the_run_has(things: dict[str, str], tmp_path: Path) -> None:
    names = ["x/a.jpg", "y/a.jpg", "z/a.2.jpg", "v/A.jpg", "w/a.2.2.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir()
        colour_picture("red").save(tmp_path / name)
    for _ in range(2):
        files = [str(tmp_path / name) for name in names]
        assert run(["detect", things["spotter"], *files, "-o", str(tmp_path / "out")]) == 0
        assert len({path.name.casefold() for path in (tmp_path / "out").iterdir()}) == len(names)


@pytest.mark.parametrize("flag", ["--events", "--record"])
def test_events_are_not_written_into_files_of_the_users(
    flag: str, things: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    (tmp_path / "table.csv").write_text("file_name,label\n")
    (tmp_path / "other.jsonl").write_text('{"file_name": "a.png"}\n')
    with sqlite3.connect(tmp_path / "own.db") as base:
        base.execute("CREATE TABLE patients (name TEXT)")
    base.close()
    before = contents(tmp_path)
    for name in ("table.csv", "other.jsonl", "own.db"):
        assert run(["watch", things["clip"], "-m", things["spotter"], flag, str(tmp_path / name)]) == 2
        refused(capsys)
    assert run(["train", things["data"], "-o", str(tmp_path / "m"), "--events", str(tmp_path / "table.csv")]) == 2
    assert {name: content for name, content in contents(tmp_path).items() if name in before} == before
    for _ in range(2):
        assert run(["watch", things["clip"], "-m", things["spotter"], flag, str(tmp_path / "e")]) == 0


def test_a_report_is_written_again_into_its_folder(things: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        assert run(["check", things["data"], "-o", str(tmp_path / "r")]) == 0
    (tmp_path / "r" / "thesis.txt").write_text("stays")
    assert run(["check", things["data"], "-o", str(tmp_path / "r")]) == 0
    assert (tmp_path / "r" / "thesis.txt").read_text() == "stays"
    assert json.loads((tmp_path / "r" / "report.json").read_text())["kind"] == "check"
