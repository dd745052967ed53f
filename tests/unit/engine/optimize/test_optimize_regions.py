"""Detectors and segmenters in fewer bits: judged by what they find, confident anew, refused where they lose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from painter import painter_bundle
from spotter import spotter_bundle, squares

from photovision.core.errors import DataError, ExportError, UsageError
from photovision.core.regions import Segmentation
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.graph_constants import set_constants
from photovision.engine.load import load
from photovision.engine.optimize.optimize import OptimizeConfig, optimize_on
from photovision.engine.optimize.quantize_layers import layers
from photovision.engine.splits import TrainingSplits, gather
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter


def material(count: int = 90) -> TrainingSplits:
    """Such squares, a third of them in each part."""
    third = count // 3
    splits = {name: tuple(range(n * third, (n + 1) * third)) for n, name in enumerate(("train", "val", "test"))}
    return gather(replace(squares(count), splits=splits), seed=0)


def convolving_bundle(folder: Path) -> Path:
    """The spotter, whose colours are compared by a convolution that 8 bits can replace."""
    bundle = spotter_bundle(folder, calibration={"slope": [1.0, 1.0], "shift": [0.0, 0.0]})
    model = onnx.load(bundle / "model.onnx")
    node, mixing = helper.make_node, np.eye(3, dtype=np.float32)[:, :, None, None]
    for one in model.graph.node:
        if one.op_type == "AveragePool":
            one.input[0] = "mixed"
    at = next(i for i, one in enumerate(model.graph.node) if one.op_type == "AveragePool")
    model.graph.node.insert(at, node("Conv", ["planes", "mixing"], ["mixed"], "mix"))
    at = next(i for i, one in enumerate(model.graph.node) if one.op_type == "Sigmoid")
    model.graph.node[at].input[0] = "moved"
    model.graph.node.insert(at, node("Mul", ["logits", "slope"], ["scaled"]))
    model.graph.node.insert(at + 1, node("Add", ["scaled", "shift"], ["moved"]))
    constants = {"mixing": mixing, "slope": np.ones(2, np.float32), "shift": np.zeros(2, np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    for number, one in enumerate(model.graph.node):
        one.name = one.name or f"node_{number}"
    onnx.checker.check_model(model)
    onnx.save(model, bundle / "model.onnx")
    return bundle


@pytest.mark.slow
def test_a_detector_in_eight_bits_finds_what_it_found(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="needs NNCF: pip install nncf")
    model, lines = load(convolving_bundle(tmp_path / "model")), list[str]()
    report = optimize_on(model, material(), tmp_path / "small", ["int8"], OptimizeConfig(0.02, say=lines.append))
    small: Detector = load(tmp_path / "small")
    assert small.info["quantized"]["name"] in ("plain", "careful", "corrected", "backbone", "spared")
    assert small.info["calibration"]["slope"] != [1.0, 1.0]
    assert small.info["thresholds"] != model.info["thresholds"]
    assert report.metrics["map_change"].value > -0.02
    told = json.loads((tmp_path / "small" / "report.json").read_text())
    assert [stage["name"] for stage in told["stages"]] == ["original", "int8"]
    assert small.info["metrics"]["map50"]["value"] == pytest.approx(report.metrics["map50"].value)
    assert any("points lost on validation" in line for line in lines)
    assert not (tmp_path / "small" / "model.safetensors").exists()


def test_what_loses_too_much_is_refused_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(convolving_bundle(tmp_path / "model"))
    lossless = optimize_on(model, material(), tmp_path / "fine", ["bf16"], OptimizeConfig(0.0))
    assert lossless.metrics["map_change"].value == 0
    with pytest.raises(ExportError, match=r"would lose .* points of mean average precision on 30 validation pictures"):
        # A gain is demanded that bf16 cannot bring.
        optimize_on(model, material(), tmp_path / "small", ["bf16"], OptimizeConfig(-0.5))
    assert not (tmp_path / "small").exists()


def painted(count: int = 75) -> TrainingSplits:
    samples, classes = [], ("background", "thing")
    for number in range(count):
        labels, rng = np.zeros((32, 32), np.int32), np.random.default_rng(number)
        top, left = rng.integers(0, 20, 2)
        labels[top : top + 12, left : left + 12] = 1
        picture = rng.integers(0, 100, (32, 32, 3), dtype=np.uint8)
        picture[labels == 1, 0] = 230
        samples.append(Sample(f"{number}.png", picture, ("thing",), annotations=Segmentation(labels, classes)))
    third = count // 3
    splits = {name: tuple(range(n * third, (n + 1) * third)) for n, name in enumerate(("train", "val", "test"))}
    return gather(Dataset(tuple(samples), classes, splits, multilabel=True, annotation_type="masks"), seed=0)


def test_a_segmenter_in_bf16_is_judged_by_its_masks(tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model"))
    report = optimize_on(model, painted(), tmp_path / "small", ["bf16"], OptimizeConfig(0.02))
    small: Segmenter = load(tmp_path / "small")
    assert small.bundle.precision == "bf16"
    assert list(report.metrics)[:2] == ["miou", "dice"]
    assert abs(report.metrics["miou_change"].value) < 0.02
    assert "mean IoU" in report.summary[1]


def test_the_ends_of_a_graph_stay_in_float(tmp_path: Path) -> None:
    """The last convolutions and all that is made of them, but nothing before."""
    shapes = {"a": (4, 3, 3, 3), "b": (4, 4, 3, 3), "c": (2, 4, 1, 1), "d": (4, 4, 1, 1)}
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "a"], ["m"], "first"),
        node("Relu", ["m"], ["m1"], "relu"),
        node("InstanceNormalization", ["m1", "one", "one"], ["m2"], "norm"),
        node("Conv", ["m2", "b"], ["m3"], "middle"),
        node("Conv", ["m3", "c"], ["raw"], "naming"),
        node("Sigmoid", ["raw"], ["scores"], "sigmoid"),
        node("Conv", ["m3", "d"], ["sides"], "placing"),
        node("Exp", ["sides"], ["boxes"], "exp"),
    ]
    found = layers(
        helper.make_model(
            helper.make_graph(
                nodes,
                "g",
                [helper.make_tensor_value_info("x", 1, ["n", 3, 8, 8])],
                [helper.make_tensor_value_info(name, 1, None) for name in ("boxes", "scores")],
                [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in shapes.items()],
            )
        )
    )
    assert found.ends == ("naming", "sigmoid", "placing", "exp")
    assert found.normed == ("norm", "middle", "naming", "sigmoid", "placing", "exp")


def test_constants_are_set_all_or_none(tmp_path: Path) -> None:
    graph = convolving_bundle(tmp_path / "model") / "model.onnx"
    before = graph.read_bytes()
    assert not set_constants(graph, {"slope": np.ones(2), "nothing": np.ones(2)})
    assert not set_constants(graph, {"slope": np.ones(3)})
    assert graph.read_bytes() == before
    assert set_constants(graph, {"slope": np.array([2.0, 3.0])})
    (slope,) = [value for value in onnx.load(graph).graph.initializer if value.name == "slope"]
    assert numpy_helper.to_array(slope).tolist() == [2, 3]


def test_what_makes_no_sense_is_told_in_a_line(tmp_path: Path) -> None:
    model = load(spotter_bundle(tmp_path / "model"))
    with pytest.raises(
        UsageError, match=r"detector does not accept 'distill_to' \(--distill-to\); valid options: bf16, int8"
    ):
        optimize_on(model, material(), tmp_path / "small", ["distill"], OptimizeConfig(backbone="auto"))
    with pytest.raises(UsageError, match="A detector does not accept 'prune'"):
        optimize_on(model, material(), tmp_path / "small", ["prune", "int8"], OptimizeConfig())
    with pytest.raises(UsageError, match="nothing to do: choose at least one of --bf16, --int8"):
        optimize_on(model, material(), tmp_path / "small", [], OptimizeConfig())
    with pytest.raises(UsageError, match="is the model itself"):
        optimize_on(model, material(), model.bundle.path, ["int8"], OptimizeConfig())
    with pytest.raises(DataError, match="at least 10 are needed"):
        optimize_on(model, material(24), tmp_path / "small", ["int8"], OptimizeConfig())
