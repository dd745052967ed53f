"""Exports: what other programs get says what it is, and decides alike, or is not written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from convolutions import NAMES, colour_data, convolution_bundle
from teachers import shapes, teacher

from photovision.app.cli import run
from photovision.core.errors import ExportError, ModelError, UsageError
from photovision.engine.export import export
from photovision.engine.load import load
from photovision.tasks.classify.recognizer import Recognizer


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return teacher(tmp_path_factory.mktemp("trained") / "model", "test_efficientnet", 64, steps=12)


def pixels(model: Recognizer, count: int = 10) -> np.ndarray:
    return np.stack([model.preprocess.apply(np.asarray(s.image)) for s in shapes(9000, count, 64).samples])


def test_an_onnx_file_tells_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = load(convolution_bundle(tmp_path / "model"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    from PIL import Image

    for number, sample in enumerate(colour_data(50, 3).samples):
        Image.fromarray(np.asarray(sample.image)).save(folder / f"{number}.png")
    output = tmp_path / "out"
    arguments = ["export", str(model.bundle.path), "--to", "onnx", "-o", str(output), "--data", str(folder), "--json"]
    assert run(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["generated"], told["agreement"]) == (9, False, 1.0)
    assert told["max_abs_prob_difference"] < 1e-4
    props = {entry.key: entry.value for entry in onnx.load(output / "model.onnx").metadata_props}
    assert json.loads(props["classes"]) == list(NAMES)
    assert json.loads(props["preprocess"])["size"] == [16, 16]
    assert json.loads(props["calibration"])["temperature"] == model.info["temperature"]
    assert len(json.loads(props["calibration"])["prediction_sets"]["least_probability"]) == 3
    assert json.loads(props["licences"])[0]["licence"] == "apache-2.0"


@pytest.mark.parametrize("compress", [True, False])
def test_openvino(tmp_path: Path, compress: bool) -> None:
    import openvino

    model = load(convolution_bundle(tmp_path / "model"))
    found = export(model, "openvino", tmp_path / "out", compress=compress)
    assert found.generated
    assert set(found.files) == {"model.xml", "model.bin", "README.md"}
    told = (tmp_path / "out" / "README.md").read_text()
    for needed in ("A classifier made with Photovision", "uint8 RGB (N, 16, 16, 3)", "`probs`", *NAMES):
        assert needed in told
    read = openvino.Core().read_model(tmp_path / "out" / "model.xml")
    assert json.loads(read.get_rt_info(["model_info", "classes"]).astype(str)) == list(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "file"), [("torchscript", "model.pt"), ("exported-program", "model.pt2"), ("timm", "model.safetensors")]
)
def test_torch_gets_the_same_decisions(trained: Recognizer, tmp_path: Path, target: str, file: str) -> None:
    found = export(trained, target, tmp_path / "out", pixels(trained))
    assert found.pictures == 30
    assert found.agreement == 1.0
    assert found.max_abs_prob_difference < 1e-3
    assert file in found.files


@pytest.mark.slow
def test_a_bundle_itself_loads_in_timm(trained: Recognizer) -> None:
    import timm
    import torch

    network = timm.create_model(f"local-dir:{trained.bundle.path}", pretrained=True).eval()
    images = pixels(trained)
    batch = np.stack([trained.preprocess.normalise(image) for image in images])
    with torch.no_grad():
        said = network(torch.from_numpy(batch)).numpy().argmax(1)
    assert (said == trained.session.run(images)["probs"].argmax(1)).all()
    assert list(network.pretrained_cfg["label_names"]) == list(trained.classes)


@pytest.mark.slow
def test_an_export_that_decides_otherwise_is_not_written(trained: Recognizer, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    bundle = tmp_path / "model"
    trained.save(bundle)
    weights = load_file(bundle / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] + np.float32([3, 0, 0])
    save_file(weights, bundle / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExportError, match="torchscript export disagrees with the model: the largest probability"):
        export(load(bundle), "torchscript", tmp_path / "out", pixels(trained))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = convolution_bundle(tmp_path / "model")
    model = load(bundle)
    with pytest.raises(ModelError, match="no network with its weights"):
        export(model, "torchscript", tmp_path / "out")
    with pytest.raises(UsageError, match="torchscript"):
        export(model, "torchscrip", tmp_path / "out")
    with pytest.raises(UsageError, match="is the model itself"):
        export(model, "onnx", bundle)
    model.info["quantized"] = {"name": "plain"}
    with pytest.raises(UsageError, match="8-bit"):
        export(model, "timm", tmp_path / "out")
    assert run(["export", str(bundle), "--to", "tflite", "-o", str(tmp_path / "out")]) == 2
    assert "tflite" in capsys.readouterr().err
