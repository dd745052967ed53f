"""A small real convolutional model for tests of quantisation: it tells colours apart, and is made in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from colours import COLOURS, add_doubt, colour_bundle, colour_picture
from onnx import TensorProto, helper, numpy_helper

from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays

NAMES = ("red", "green", "blue")


def colour_data(first: int, count: int) -> Dataset:
    """`count` pictures of every colour, the same for the same `first`."""
    pictures = [np.asarray(colour_picture(name, first + i)) for i in range(count) for name in NAMES]
    return dataset_from_arrays(pictures, list(NAMES) * count, NAMES)


def convolution_bundle(folder: Path, *, depthwise: bool = False, glare: float = 1.0) -> Path:
    """A colour bundle whose network is made of convolutions.

    Args:
        folder: where to write it.
        depthwise: whether the second convolution works on every channel by itself; else it mixes them.
        glare: how many times as large the values of that channel are, which the network does not need.
    """
    colour_bundle(folder, NAMES)
    colours = np.array([COLOURS[name] for name in NAMES], np.float32) / 255
    onnx.save(_graph(colours, depthwise, glare), folder / "model.onnx")
    info = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**info, "parity": {"precision": "f32"}}))
    return add_doubt(folder, NAMES)


def _graph(colours: np.ndarray, depthwise: bool, glare: float) -> onnx.ModelProto:
    first = np.zeros((4, 3, 3, 3), np.float32)
    first[:3, :, 1, 1] = np.eye(3)
    first[3] = glare / 27
    second = np.ones((4, 1, 1, 1)) if depthwise else np.eye(3, 4)[:, :, None, None]
    weights = np.hstack([20 * colours, np.zeros((3, 1))]) if depthwise else 20 * colours
    constants = {
        "first": first, "second": second, "weights": weights, "bias": -10 * (colours**2).sum(1),
        "scale": np.float32(1 / 255), "temperature": np.float32(1), "least": np.float32(1e-6),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["shares"], "mul"),
        helper.make_node("Transpose", ["shares"], ["planes"], "transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "first"], ["first_maps"], "conv_1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["first_maps"], ["first_kept"], "relu_1"),
        helper.make_node("Conv", ["first_kept", "second"], ["second_maps"], "conv_2", group=4 if depthwise else 1),
        helper.make_node("Relu", ["second_maps"], ["second_kept"], "relu_2"),
        helper.make_node("ReduceMean", ["second_kept", "axes"], ["pooled"], "mean", keepdims=1),
        helper.make_node("Flatten", ["pooled"], ["features"], "flatten", axis=1),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"], "last", transB=1),
        helper.make_node("Div", ["logits", "temperature"], ["scaled"], "temper"),
        helper.make_node("Softmax", ["scaled"], ["probs"], "softmax", axis=1),
        helper.make_node("ReduceL2", ["features", "one"], ["length"], "length", keepdims=1),
        helper.make_node("Max", ["length", "least"], ["norm"], "norm"),
        helper.make_node("Div", ["features", "norm"], ["embedding"], "unit"),
    ]
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    tensors += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in
                (("axes", [2, 3]), ("one", [1]))]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 16, 16, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", wide])
            for name, wide in (("probs", 3), ("logits", 3), ("embedding", 4 if depthwise else 3))
        ],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
