"""Every end is a beginning: commands close with what to do next, for this model and these data."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer
from colours import colour_bundle, colour_folder
from spotter import scene, spotter_bundle

from photovision.app.cli import run
from photovision.app.cli.commands import app
from photovision.app.cli.next_steps import STEPS, next_steps


def steps(text: str) -> list[str]:
    """The steps at the end of what went to standard error."""
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("Next: ")), len(lines))
    return [line[6:] for line in lines[start:]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    colour_folder(tmp_path / "leaves")
    colour_bundle(tmp_path / "leaf-model")
    return tmp_path


def test_a_check_leads_to_a_training_of_these_data(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "leaves"]) == 0
    assert "photovision train leaves -o leaves-model" in steps(capsys.readouterr().err)


def test_a_prediction_leads_to_an_explanation_that_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "leaf-model", "leaves"]) == 0
    (step,) = steps(capsys.readouterr().err)
    assert run([*shlex.split(step)[1:], "--no-tests"]) == 0
    assert (place / "why" / "report.html").is_file()


def test_boxes_can_be_drawn(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    spotter_bundle(place / "spotter")
    Image.fromarray(scene((64, 64), [("red", (8, 8, 24, 24))])).save(place / "a b.png")
    assert run(["detect", "spotter", "a b.png"]) == 0
    drawn, why = steps(capsys.readouterr().err)
    assert drawn.startswith("add -o drawn/")
    assert why == "photovision explain spotter 'a b.png' -o why/"


def test_a_mask_is_no_picture_to_try(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(3):
        for folder, mode in (("masks", "L"), ("test/broken", "RGB"), ("train/good", "RGB")):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            name = f"{number}.png" if folder != "train/good" else f"good-{number}.png"
            Image.new(mode, (16, 16), 0 if mode == "L" else (90, 120, number)).save(tmp_path / folder / name)
    model = Path(__file__).parents[1] / "docs" / "models" / "parts-model"
    first, _ = next_steps(["train"], {"output": model, "data": tmp_path})
    assert first == f"photovision predict {model} {tmp_path / 'test/broken/0.png'}"


def test_features_are_offered_only_to_models_that_have_them() -> None:
    models = Path(__file__).parents[1] / "docs" / "models"
    assert next_steps(["explain"], {"model": models / "parts-model", "output": Path("why")}) == []
    (step,) = next_steps(["explain"], {"model": models / "leaf-model", "output": Path("why")})
    assert step.startswith("photovision features")


def test_a_number_of_pictures_names_none(tmp_path: Path) -> None:
    model = Path(__file__).parents[1] / "docs" / "models" / "leaf-model"
    given = {"model": model, "pictures": 400, "data": tmp_path, "output": Path("inside")}
    assert all("400" not in step for step in next_steps(["features"], given))


@pytest.mark.parametrize("flag", ["--json", "--quiet", "--csv"])
def test_programs_are_left_alone(flag: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "leaf-model", "leaves", flag]) == 0
    assert steps(capsys.readouterr().err) == []


def test_a_mistake_leads_nowhere(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "leaf-model", "leaves", "--split", "test"]) == 2
    assert steps(capsys.readouterr().err) == []


def test_commands_of_which_nothing_was_written_lead_nowhere(tmp_path: Path) -> None:
    given = {"model": tmp_path / "model", "output": tmp_path / "none"}
    assert next_steps(["adapt"], given) == []
    assert next_steps(["train"], given) == []


def test_all_steps_are_of_commands_that_exist() -> None:
    group = typer.main.get_command(app)
    for name in STEPS:
        command = group
        for word in name.split():
            command = command.commands[word]  # type: ignore[attr-defined]
