"""Training finds its task, or learns the one that is named; what a task does not have is refused before it reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from colours import colour_folder
from onnx import TensorProto, helper, numpy_helper
from scenes import semantic

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.option import Option
from photovision.core.preprocess import Preprocess
from photovision.core.report import Metric
from photovision.core.task import Task, TaskText, task_of
from photovision.core.task import task as named_task
from photovision.data.read import read_dataset
from photovision.data.read_options import DEFAULTS
from photovision.engine.bundle_writer import changed_bundle, new_bundle
from photovision.engine.read import read_for
from photovision.engine.stage import StageResult
from photovision.engine.train import run, train
from photovision.engine.train_config import TrainConfig
from photovision.runtime.bundle import read_bundle
from photovision.runtime.bundle_info import describe_model


def test_data_teach_their_task(tmp_path: Path) -> None:
    assert task_of(read_dataset(colour_folder(tmp_path / "colours"))).name == "classify"
    assert task_of(semantic(2)).name == "segment"


def test_a_named_task_is_learned_or_refused(tmp_path: Path) -> None:
    data = colour_folder(tmp_path / "colours")
    with pytest.raises(DataError, match="training a detector needs boxes"):
        train(data, tmp_path / "a", task="detect")
    with pytest.raises(UsageError, match="no task is called 'detection'; did you mean detect"):
        train(data, tmp_path / "b", task="detection")
    with pytest.raises(UsageError, match="'train' is not available for a prompted segmenter: it needs"):
        train(data, tmp_path / "c", task="cut")
    assert not list(tmp_path.glob("[abc]"))


def test_options_that_a_task_does_not_have_are_refused_with_those_that_it_has(tmp_path: Path) -> None:
    data = read_dataset(colour_folder(tmp_path / "colours"))
    with pytest.raises(UsageError, match=r"detector does not accept 'fair_by' .*valid options: backbone, epochs, flip"):
        run(data, tmp_path / "a", TrainConfig(task="detect", fair_by="site"))
    with pytest.raises(UsageError, match="does not accept 'known_bad'"):
        train(data, tmp_path / "b", options={"known_bad": "bad"})


def test_a_task_has_options_of_its_own_and_reads_in_its_own_way(tmp_path: Path) -> None:
    own = {"train": (Option("known_bad", "Known bad images.", Path),)}
    row = Task("light", TaskText("meter", "meters", "how light an image is"), (), own=own)
    assert row.check_options("train", {"known_bad": "bad", "epochs": None}) == {"known_bad": "bad"}
    with pytest.raises(UsageError, match="valid options: known_bad"):
        row.check_options("train", {"epochs": 3})
    assert not named_task("classify").has("read")
    assert len(read_for(colour_folder(tmp_path / "colours"), "classify", DEFAULTS)) > 0


def test_choices_survive_a_bundle() -> None:
    config = TrainConfig(seed=3, robust=("fog",), own={"known_bad": Path("bad")})
    again = TrainConfig.replaying({"task": "classify", "training": config.to_json()})
    assert again == replace(config, task="classify", own={"known_bad": "bad"})
    old = {name: value for name, value in config.to_json().items() if name not in ("task", "own")}
    assert TrainConfig.replaying({"task": "detect", "training": old}).task == "detect"


def _graph(path: Path, value: float) -> None:
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 8, 8, 3])
    probs = helper.make_tensor_value_info("probs", TensorProto.FLOAT, [1, 2])
    node = helper.make_node("Identity", ["kept"], ["probs"])
    kept = numpy_helper.from_array(np.array([[value, 1 - value]], np.float32), "kept")
    graph = helper.make_graph([node], "constant", [images], [probs], [kept])
    onnx.save(helper.make_model(graph), str(path))


def _info() -> dict[str, Any]:
    stage = StageResult("bank", Metric(0.9, 0.8, 1.0, 20), 1.0, 0.1, None, None, 2, "no gradient")
    return describe_model(
        "classify",
        ("good", "bad"),
        Preprocess((8, 8)),
        backbone={"name": "none", "weights": "none"},
        chosen="bank",
        training={"seed": 0},
        data={"counts": {}},
        parity={},
        licences=[],
        facts={"multilabel": False, "temperature": 1.0, "rungs": [stage.to_json()]},
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle without a network for torch."""
    with new_bundle(tmp_path / "model") as draft:
        _graph(draft.folder / "model.onnx", 0.5)
        draft.info = _info()
    return tmp_path / "model"


def test_a_new_bundle_has_its_card_and_its_data_sheet(bundle: Path) -> None:
    assert {file.name for file in bundle.iterdir()} == {"model.onnx", "bundle.json", "README.md", "DATASHEET.md"}
    assert read_bundle(bundle).classes == ("good", "bad")


def test_a_changed_bundle_keeps_what_people_have_edited(bundle: Path, tmp_path: Path) -> None:
    (bundle / "DATASHEET.md").write_text("Ours.")
    with changed_bundle(read_bundle(bundle), tmp_path / "copy") as draft:
        draft.info["warnings"] = ["Changed afterwards."]
    assert (tmp_path / "copy" / "DATASHEET.md").read_text() == "Ours."
    assert "Changed afterwards." in (tmp_path / "copy" / "README.md").read_text()
    assert "Changed afterwards." not in (bundle / "README.md").read_text()


def _write_wrong(output: Path) -> None:
    with new_bundle(output) as draft:
        _graph(draft.folder / "model.onnx", 0.5)
        draft.info = {**_info(), "classes": []}


def test_what_is_no_bundle_replaces_nothing(bundle: Path) -> None:
    before = (bundle / "bundle.json").read_bytes()
    with pytest.raises(ModelError, match="should list at least two class names"):
        _write_wrong(bundle)
    assert (bundle / "bundle.json").read_bytes() == before
