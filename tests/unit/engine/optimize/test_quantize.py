"""Eight bits: calibrated, confident for good reasons, and as careful as needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from convolutions import colour_data, convolution_bundle
from onnx import TensorProto, helper, numpy_helper

from photovision.core.errors import ModelError
from photovision.engine.load import load
from photovision.engine.optimize.quantize import bf16, int8
from photovision.engine.optimize.quantize_layers import layers, straighten
from photovision.engine.optimize.step import OptimizeRun
from photovision.runtime.bundle import read_bundle
from photovision.runtime.session import Engine, open_session
from photovision.tasks.classify.evaluation import evaluate
from photovision.tasks.classify.refit import set_temperature


def job(tmp_path: Path, bundle: Path, said: list[str] | None = None, max_drop: float = 0.0) -> OptimizeRun:
    lines = said if said is not None else list[str]()
    (tmp_path / "work").mkdir()
    parts = colour_data(0, 40), colour_data(500, 30)
    return OptimizeRun(
        load(bundle),
        *parts,
        colour_data(700, 1),
        tmp_path / "small",
        tmp_path / "work",
        5.0,
        None,
        lines.append,
        max_drop,
    )


def test_eight_bits_answer_alike_in_both_engines_with_confidence_of_their_own(tmp_path: Path) -> None:
    step = job(tmp_path, convolution_bundle(tmp_path / "model"))
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights of another graph")
    small = load(int8(step))
    test = colour_data(900, 30)
    assert evaluate(small, test).right.mean() == 1.0
    kinds = [node.op_type for node in onnx.load(small.bundle.graph).graph.node]
    assert kinds.count("DequantizeLinear") >= 3
    engines: tuple[Engine, ...] = ("openvino", "onnxruntime")
    first, second = (load(small.bundle.path, engine=engine).respond(test).probs for engine in engines)
    assert np.abs(first - second).max() < 0.05
    assert small.info["quantized"]["name"] == "plain"
    assert small.info["parity"]["engines_agree"] == 1.0
    assert small.info["temperature"] != step.model.info["temperature"]
    assert small.doubt is not None
    assert np.nanmean(small.respond(test).novelty > small.doubt.limit) < 0.2
    assert not (small.bundle.path / "model.safetensors").exists()
    assert small.references is not None
    assert len(small.references.ids) == 120


def test_where_eight_bits_fail_the_next_setting_spares_layers(tmp_path: Path) -> None:
    said: list[str] = []
    bundle = convolution_bundle(tmp_path / "model", depthwise=True, glare=3000.0)
    step = job(tmp_path, bundle, said)
    assert evaluate(step.model, step.validation).right.mean() == 1.0
    small = load(int8(step))
    assert small.info["quantized"]["name"] == "spared"
    assert evaluate(small, colour_data(900, 30)).right.mean() == 1.0
    assert any("66.7 points lost" in line for line in said)


def test_bf16_keeps_the_graph_and_the_weights(tmp_path: Path) -> None:
    step = job(tmp_path, convolution_bundle(tmp_path / "model"))
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    small = load(bf16(step))
    assert small.bundle.precision == "bf16"
    assert small.session.precision == "bf16"
    assert (small.bundle.path / "model.safetensors").read_bytes() == b"weights"
    assert small.info["parity"]["agreement"] == 1.0


def test_layers_are_known_by_what_they_do() -> None:
    """A first convolution, squeeze and excitation, a depthwise convolution, a classifier."""
    shapes = {"a": (8, 3, 3, 3), "s1": (4, 8, 1, 1), "s2": (8, 4, 1, 1), "d": (8, 1, 3, 3), "w": (5, 8)}
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "a"], ["m"], "first"),
        node("GlobalAveragePool", ["m"], ["p"], "squeeze"),
        node("Conv", ["p", "s1"], ["p1"], "down"),
        node("Relu", ["p1"], ["p2"], "relu"),
        node("Conv", ["p2", "s2"], ["p3"], "up"),
        node("Sigmoid", ["p3"], ["gate"], "sigmoid"),
        node("Mul", ["m", "gate"], ["m2"], "scale"),
        node("Conv", ["m2", "d"], ["m3"], "depthwise", group=8),
        node("GlobalAveragePool", ["m3"], ["q"], "pool"),
        node("Flatten", ["q"], ["f"], "flatten"),
        node("Gemm", ["f", "w"], ["logits"], "classifier", transB=1),
        node("Softmax", ["logits"], ["probs"], "softmax"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in shapes.items()],
    )
    found = layers(helper.make_model(graph))
    assert (found.first, found.depthwise) == (("first",), ("depthwise",))
    assert found.squeeze == ("down", "up")
    assert found.last == ("pool", "flatten", "classifier", "softmax")
    assert not found.attention


def test_pooled_maps_are_flattened_in_one_step(tmp_path: Path) -> None:
    """What torch's exporter writes: flatten everything, gather by positions, give it back its shape."""
    node = helper.make_node
    positions = np.arange(12, dtype=np.int64).reshape(2, 6)
    nodes = [
        node("ReduceMean", ["maps", "axes"], ["pooled"], "mean", keepdims=1),
        node("Reshape", ["pooled", "all"], ["flat"], "flat"),
        node("Gather", ["flat", "positions"], ["strided"], "gather"),
        node("Reshape", ["strided", "shape"], ["features"], "view"),
    ]
    constants = {"axes": [2, 3], "all": [-1], "positions": positions, "shape": [2, 6]}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, [2, 6, 4, 4])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [2, 6])],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    maps = np.random.default_rng(0).normal(size=(2, 6, 4, 4)).astype(np.float32)
    results = []
    for name in ("before.onnx", "after.onnx"):
        onnx.save(model, tmp_path / name)
        session = open_session(tmp_path / name, engine="onnxruntime")
        results.append(session.run(maps)["features"])  # type: ignore[arg-type]
        straighten(model)
    assert np.array_equal(*results)
    assert [one.op_type for one in onnx.load(tmp_path / "after.onnx").graph.node] == ["ReduceMean", "Flatten"]
    assert [tensor.name for tensor in model.graph.initializer] == ["axes"]


def test_a_temperature_is_set_in_older_graphs_too(tmp_path: Path) -> None:
    bundle = convolution_bundle(tmp_path / "model")
    graph = onnx.load(bundle / "model.onnx")
    for tensor in graph.graph.initializer:
        tensor.name = "val_7" if tensor.name == "temperature" else tensor.name
    for node in graph.graph.node:
        node.input[:] = ["val_7" if name == "temperature" else name for name in node.input]
    onnx.save(graph, bundle / "model.onnx")
    images = np.stack([np.asarray(s.image)[:16, :16] for s in colour_data(0, 2).samples])
    before = open_session(bundle / "model.onnx").run(images)
    set_temperature(bundle / "model.onnx", 4.0)
    after = open_session(bundle / "model.onnx").run(images)
    assert np.array_equal(before["logits"], after["logits"])
    scaled = np.exp(before["logits"] / 4)
    assert np.allclose(after["probs"], scaled / scaled.sum(1, keepdims=True), atol=1e-5)


def _without_division(bundle: Path, softmax_of: str) -> None:
    graph = onnx.load(bundle / "model.onnx")
    place = next(i for i, node in enumerate(graph.graph.node) if node.name == "temper")
    del graph.graph.node[place]
    graph.graph.node[place].input[0] = softmax_of
    if softmax_of != "logits":
        graph.graph.node.insert(place, onnx.helper.make_node("Identity", ["logits"], [softmax_of]))
    onnx.save(graph, bundle / "model.onnx")


def test_a_graph_that_divides_by_nothing_gets_a_division(tmp_path: Path) -> None:
    bundle = convolution_bundle(tmp_path / "model")
    images = np.random.default_rng(0).integers(0, 256, (2, *read_bundle(bundle).preprocess.size, 3), np.uint8)
    _without_division(bundle, "logits")
    set_temperature(bundle / "model.onnx", 2.0)
    found = open_session(bundle / "model.onnx").run(images)
    scaled = np.exp(found["logits"] / 2)
    assert np.allclose(found["probs"], scaled / scaled.sum(1, keepdims=True), atol=1e-5)


def test_a_graph_without_a_place_for_a_temperature_is_refused(tmp_path: Path) -> None:
    bundle = convolution_bundle(tmp_path / "model")
    _without_division(bundle, "something_else")
    with pytest.raises(ModelError, match="no temperature"):
        set_temperature(bundle / "model.onnx", 2.0)
