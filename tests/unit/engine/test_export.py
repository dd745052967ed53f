"""Exports: what other programs get says what it is, and decides alike, or is not written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from convolutions import NAMES, colour_data, convolution_bundle
from teachers import shapes, teacher

from photovision.app.cli import run
from photovision.core.errors import ExportError, ModelError, UsageError
from photovision.engine.bundle_writer import changed_bundle
from photovision.engine.export import export
from photovision.engine.load import load
from photovision.models.calibrated_head import temperature_in
from photovision.models.load_network import trained_network
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.refit import set_temperature


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


@pytest.fixture(scope="module")
def published(trained: Recognizer, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A bundle as every training ends in one, with a temperature that changes answers, and a picture beside it."""
    from PIL import Image

    root = tmp_path_factory.mktemp("published")
    with changed_bundle(trained.bundle, root / "this-folder") as draft:
        set_temperature(draft.folder / "model.onnx", 3.0)
        draft.info["temperature"] = 3.0
    Image.fromarray(np.asarray(shapes(9100, 1, 64).samples[1].image)).save(root / "picture.jpg", quality=95)
    return load(root / "this-folder")


def blocks(card: str, language: str) -> dict[str, str]:
    """The code of a card by the heading above it."""
    return dict(re.findall(rf"### (\w+)\n\n```{language}\n(.*?)```", card, re.DOTALL))


@pytest.mark.parametrize("program", ["onnxruntime", "timm", "transformers"])
def test_the_card_s_code_gives_the_same_calibrated_answer(
    program: str, published: Recognizer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if program == "transformers":
        pytest.importorskip("transformers", reason="needs transformers: pip install transformers")
    monkeypatch.chdir(published.bundle.path.parent)
    code = blocks((published.bundle.path / "README.md").read_text(encoding="utf-8"), "python")[program]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries
        exec(compile(code, program, "exec"), {"__name__": program})
    wanted = published.predict("picture.jpg")
    told = capsys.readouterr().out
    label = re.search("|".join(published.classes), told)
    prob = re.search(r"\b[01]\.\d+", told)
    assert label is not None, told
    assert prob is not None, told
    assert label[0] == wanted.best
    assert float(prob[0]) == pytest.approx(wanted.prob, abs=0.01)
    assert wanted.prob < 0.99, "else any temperature would do"


def test_the_card_s_javascript_is_javascript(published: Recognizer, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    code = blocks((published.bundle.path / "README.md").read_text(encoding="utf-8"), "javascript")["JavaScript"]
    (tmp_path / "use.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run([node, "--check", str(tmp_path / "use.mjs")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_graph_of_a_bundle_tells_what_it_is(published: Recognizer) -> None:
    props = {entry.key: entry.value for entry in onnx.load(published.bundle.graph).metadata_props}
    assert props["task"] == "classify"
    assert json.loads(props["classes"]) == list(published.classes)
    assert json.loads(props["preprocess"])["size"] == [64, 64]
    assert json.loads(props["calibration"]) == {"temperature": 3.0, "multilabel": False}


def test_the_temperature_in_the_weights_comes_off_again(trained: Recognizer, published: Recognizer) -> None:
    own, folded = trained_network(trained.bundle), trained_network(published.bundle)
    for name, value in own.state_dict().items():
        assert torch.allclose(value, folded.state_dict()[name], rtol=1e-5), name
    assert temperature_in(published.bundle.path / "model.safetensors") == 3.0
