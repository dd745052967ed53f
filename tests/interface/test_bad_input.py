"""Whatever people get wrong: exit code 2, one line on standard error that says what to do, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder, colour_picture

from photovision.app.cli import run

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    def check(*arguments: object) -> str:
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert code == 2
        assert out == ""
        message = [line for line in err.splitlines() if not line.startswith(("checking pictures", "evaluating"))]
        told = [line for line in message if " pictures of " not in line]  # the greeting of train
        assert len(told) == 1, err
        assert told[0].startswith("photovision: ")
        assert "Traceback" not in err
        return told[0]

    return check


def test_an_empty_folder(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "data").mkdir()
    assert "no pictures were found" in refused("train", tmp_path / "data", "-o", tmp_path / "model")
    model = colour_bundle(tmp_path / "model")
    assert "holds no pictures" in refused("predict", model, tmp_path / "data")
    assert "no picture fits the pattern" in refused("predict", model, tmp_path / "data" / "*.png")


def test_a_folder_that_does_not_exist(tmp_path: Path, refused: Refused) -> None:
    assert "does not exist" in refused("check", tmp_path / "absent")


def test_one_class(tmp_path: Path, refused: Refused) -> None:
    data = colour_folder(tmp_path / "data", ("red",))
    assert "at least 2 classes" in refused("train", data, "-o", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_one_picture_a_class(tmp_path: Path, refused: Refused) -> None:
    data = colour_folder(tmp_path / "data", per_class=1)
    assert "at least 2" in refused("train", data, "-o", tmp_path / "model")


def test_a_table_that_names_missing_files(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "table.csv").write_text("file_name,label\na.png,cat\nb.png,dog\nc.png,cat\nd.png,dog\n")
    message = refused("train", tmp_path / "table.csv", "-o", tmp_path / "model")
    assert "a.png" in message or "missing" in message or "not" in message


def test_an_output_below_a_file(tmp_path: Path, refused: Refused) -> None:
    data = colour_folder(tmp_path / "data")
    (tmp_path / "file").write_text("not a folder")
    message = refused("train", data, "-o", tmp_path / "file" / "model", "--weights", "none")
    assert "cannot write" in message
    model = colour_bundle(tmp_path / "model")
    assert "cannot write" in refused("evaluate", model, data, "-o", tmp_path / "file" / "report")


def test_an_output_that_is_something_else(tmp_path: Path, refused: Refused) -> None:
    data = colour_folder(tmp_path / "data")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    assert "not a model that Photovision wrote" in refused(
        "train", data, "-o", tmp_path / "thesis", "--weights", "none"
    )
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "precious"


def test_a_foreign_folder_as_model(tmp_path: Path, refused: Refused) -> None:
    data = colour_folder(tmp_path / "data")
    assert "is not a Photovision model" in refused("predict", data, data)
    assert "no model at" in refused("predict", tmp_path / "absent", data)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "other"}', '{"format": "photovision", "version": 1}', "\x00" * 100]
)
def test_a_corrupt_bundle(tmp_path: Path, refused: Refused, content: str) -> None:
    model = colour_bundle(tmp_path / "model")
    (model / "bundle.json").write_text(content)
    assert str(model) in refused("info", model)


def test_a_damaged_graph(tmp_path: Path, refused: Refused) -> None:
    model = colour_bundle(tmp_path / "model")
    (model / "model.onnx").write_bytes((model / "model.onnx").read_bytes()[:200])
    colour_picture("red").save(tmp_path / "red.png")
    assert "cannot be loaded" in refused("predict", model, tmp_path / "red.png")


def test_a_bundle_from_a_newer_version(tmp_path: Path, refused: Refused) -> None:
    model = colour_bundle(tmp_path / "model")
    info = json.loads((model / "bundle.json").read_text())
    (model / "bundle.json").write_text(json.dumps({**info, "version": 99}))
    assert "newer Photovision" in refused("predict", model, tmp_path)


def test_a_preprocessing_changed_by_hand(tmp_path: Path, refused: Refused) -> None:
    model = colour_bundle(tmp_path / "model")
    info = json.loads((model / "bundle.json").read_text())
    info["preprocess"]["crop"] = 0.5
    (model / "bundle.json").write_text(json.dumps(info))
    assert "hash" in refused("info", model)


def test_labels_that_the_model_does_not_know(tmp_path: Path, refused: Refused) -> None:
    model = colour_bundle(tmp_path / "model", ("red", "green"))
    data = colour_folder(tmp_path / "data", ("red", "blue"))
    assert "does not know 'blue'" in refused("evaluate", model, data)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("predikt",), "Did you mean 'predict'"),
        (("predict",), "Missing argument 'MODEL'"),
        (("predict", "model"), "give pictures"),
        (("predict", "model", "x.png", "--json", "--csv"), "exclude each other"),
        (("predict", "model", "x.png", "--top-k", "0"), "'--top-k'"),
        (("predict", "model", "x.png", "--engine", "tpu"), "'--engine'"),
        (("train", "data"), "'--output'"),
        (("weights", "get", "nothing"), "no weights are called 'nothing'"),
        (("check", "data", "--speed"), "No such option"),
    ],
)
def test_mistakes_in_the_command(arguments: tuple[str, ...], told: str, refused: Refused) -> None:
    assert told in refused(*arguments)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--minutes", "0", "minutes should be above 0"),
        ("--size", "3", "size should be 16 to 2048"),
        ("--weights", "nothing", "--weights should be"),
        ("--backbone", "resnet9999", "resnet9999"),
        ("--track", "diary", "tensorboard or mlflow"),
    ],
)
def test_mistakes_in_the_options_of_train(tmp_path: Path, refused: Refused, option: str, value: str, told: str) -> None:
    data = colour_folder(tmp_path / "data")
    assert told in refused("train", data, "-o", tmp_path / "model", option, value)
