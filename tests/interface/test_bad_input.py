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
        (("check", "data", "--speed"), "has no option --speed"),
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


def test_models_data_and_flags_that_were_mistyped_are_suggested(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    colour_bundle(tmp_path / "leaf-model")
    data = colour_folder(tmp_path / "leaves")
    assert refused("predict", "leaf-modle", data).endswith("did you mean leaf-model?")
    assert refused("check", "leavse").endswith("did you mean leaves?")
    assert refused("train", data, "--out", "x").endswith("did you mean --output?")
    assert refused("explain", "leaf-model", data, "--target", "gree").endswith("did you mean green?")
    assert "did you mean yolov4-tiny?" in refused("weights", "get", "yolov4tiny")
    assert "no option --wheels; photovision check -h lists" in refused("check", data, "--wheels")


def test_a_model_and_data_in_each_others_place_are_noticed(tmp_path: Path, refused: Refused) -> None:
    model, data = colour_bundle(tmp_path / "model"), colour_folder(tmp_path / "data")
    for verb in ("evaluate", "audit", "predict", "explain", "calibrate"):
        more = ["-o", tmp_path / "new"] if verb == "calibrate" else []
        assert "the model comes first" in refused(verb, data, model, *more)
    assert "the model comes first" in refused("compare", data, model, model)
    assert "is a model, but train wants pictures" in refused("train", model, "-o", tmp_path / "new")
    assert "is a model, but check wants pictures" in refused("check", model)


def test_too_few_pictures_to_split_are_counted_by_class(tmp_path: Path, refused: Refused) -> None:
    for name in ("a", "b"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for number, colour in enumerate(("red", "green")):
            colour_picture(colour, seed=number + 7 * (name == "b")).save(tmp_path / "few" / name / f"{number}.png")
    message = refused("train", tmp_path / "few", "-o", tmp_path / "model", "--weights", "none")
    assert "4 readable pictures in 2 classes are too few" in message
    assert "at least 10 of each class" in message


def test_an_attribute_that_is_not_there_is_named_before_any_picture_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, data = colour_bundle(tmp_path / "model"), colour_folder(tmp_path / "data")
    assert run(["audit", str(model), str(data), "--by", "camera"]) == 2
    told = capsys.readouterr().err
    assert "no picture has the attribute 'camera'" in told
    assert "checking pictures" not in told
