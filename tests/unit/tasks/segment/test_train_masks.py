"""From pictures with masks to a bundle that segments, by one command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import make_scene, objects, semantic, write_scenes

from photovision.app.cli import run
from photovision.core.errors import UsageError
from photovision.core.progress import silent
from photovision.core.task import task_of
from photovision.data.read import read_dataset
from photovision.engine.load import load
from photovision.engine.train import run as learn_from
from photovision.engine.train_config import TrainConfig
from photovision.tasks.segment.segmenter import Segmenter

SMALL = "lcnet_035"


def _options(epochs: int) -> TrainConfig:
    return TrainConfig(minutes=2, backbone=SMALL, weights="none", size=64, epochs=epochs)


def test_what_is_learned_pixel_by_pixel(tmp_path: Path) -> None:
    assert task_of(semantic(2)).name == "segment"
    assert task_of(objects(2)).name == "segment"
    assert task_of(read_dataset(write_scenes(tmp_path / "scenes"))).name == "segment"
    boxes = objects(2)
    assert task_of(replace(boxes, source="coco")).name == "detect"


def test_what_cannot_be_done_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="multiple of 32"):
        learn_from(semantic(2), tmp_path / "m", TrainConfig(weights="none", size=100), silent)
    with pytest.raises(UsageError, match="--robust"):
        learn_from(semantic(2), tmp_path / "m", TrainConfig(weights="none", robust=("fog",)), silent)
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_objects_in_mask_files_become_a_model_that_tells_them_apart(tmp_path: Path) -> None:
    model = learn_from(objects(24), tmp_path / "model", _options(12), silent)
    assert model.instances
    assert model.classes == ("background", "thing")
    assert model.info["metrics"]["instance_f1"]["n"] == model.info["data"]["counts"]["test"]
    assert model.info["parity"]["max_abs_prob_difference"] < 1e-3
    for size in ((1, 1), (37, 53), (130, 64)):
        scene = next(iter(model.results([make_scene((64, 64), 77)[0][: size[0], : size[1]]])))
        assert scene.value is not None
        assert scene.value.labels.shape == scene.size
    names = {file.name for file in (tmp_path / "model").iterdir()}
    assert {"bundle.json", "model.onnx", "model.safetensors", "report.html", "report.json", "README.md"} <= names
    assert "DATASHEET.md" in names
    assert not (tmp_path / ".model.work").exists()


@pytest.mark.slow
def test_train_evaluate_and_predict_by_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, model = write_scenes(tmp_path / "data", 40), tmp_path / "model"
    flags = ["--backbone", SMALL, "--weights", "none", "--size", "64", "--epochs", "40"]
    assert run(["train", str(data), "-o", str(model), *flags]) == 0
    capsys.readouterr()
    assert run(["evaluate", str(model), str(data), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["miou"]["value"] > 0.6
    assert metrics["miou"]["low"] <= metrics["miou"]["value"] <= metrics["miou"]["high"]
    assert {"dice", "boundary_f1", "surface_distance"} <= set(metrics)
    image, labels = make_scene((96, 128), 99)
    Image.fromarray(image).save(tmp_path / "new.png")
    assert run(["predict", str(model), str(tmp_path / "new.png"), "-o", str(tmp_path / "masks"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == [96, 128]
    mask = np.asarray(Image.open(tmp_path / "masks" / "new.png"))
    found = load(model)
    assert isinstance(found, Segmenter)
    answer = found.predict(image)
    assert not isinstance(answer, list)
    assert np.array_equal(mask, answer.labels)
    assert (mask == labels).mean() > 0.8
