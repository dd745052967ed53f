"""A small real cutter, made in milliseconds: an object is what has the colour of the first point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from photovision.core.preprocess import Preprocess

SIDE, CELL = 64, 4
SCORES = (0.6, 0.8, 0.9, 0.7)
"""Of the mask for clear prompts, and of the three for a click alone, of which the third holds everything."""


def clicker_bundle(folder: Path) -> Path:
    """A bundle with an input of 64 x 64 pixels that sees cells of 4 x 4."""
    folder.mkdir(parents=True)
    onnx.save(_encoder(), folder / "model.onnx")
    onnx.save(_decoder(), folder / "decoder.onnx")
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "cut",
        "classes": ["object"],
        "preprocess": Preprocess((SIDE, SIDE)).to_json(),
        "training": {"by": "hand"},
        "licences": [{"part": "code", "name": "test", "licence": "apache-2.0", "commercial": True, "note": ""}],
        "metrics": {},
    }
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def _encoder() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "scale"], ["shares"]),
        helper.make_node("AveragePool", ["shares"], ["embedding"], kernel_shape=[CELL] * 2, strides=[CELL] * 2),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3, SIDE // CELL, SIDE // CELL])],
        [numpy_helper.from_array(np.float32(1 / 255), "scale")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _decoder() -> onnx.ModelProto:
    side = SIDE // CELL
    rows, columns = np.mgrid[:side, :side] * CELL + CELL / 2
    constants = {
        "grid": np.array(np.stack([columns, rows], axis=-1).reshape(1, side * side, 2), np.float32),
        "near": np.float32(-10),
        "alike": np.array([0.02, 0.01, 0.02, 5], np.float32).reshape(1, 4, 1),
        "estimates": np.array([SCORES], np.float32),
        "nothing": np.float32(0),
        "start": np.array([0], np.int64),
        "end": np.array([1], np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "flat": np.array([1, 3, side * side], np.int64),
        "maps": np.array([0, 4, side, side], np.int64),
    }
    nodes = [
        helper.make_node("Slice", ["points", "start", "end", "one"], ["first"]),
        helper.make_node("Sub", ["grid", "first"], ["apart"]),
        helper.make_node("Mul", ["apart", "apart"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "two"], ["distances"], keepdims=0),
        helper.make_node("Mul", ["distances", "near"], ["nearness"]),
        helper.make_node("Softmax", ["nearness"], ["weights"], axis=1),
        helper.make_node("Unsqueeze", ["weights", "one"], ["rows"]),
        helper.make_node("Reshape", ["embedding", "flat"], ["places"]),
        helper.make_node("Transpose", ["places"], ["colours"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["rows", "colours"], ["colour"]),
        helper.make_node("Sub", ["colours", "colour"], ["others"]),
        helper.make_node("Mul", ["others", "others"], ["unlike"]),
        helper.make_node("ReduceSum", ["unlike", "two"], ["far"], keepdims=0),
        helper.make_node("Unsqueeze", ["far", "one"], ["plane"]),
        helper.make_node("Sub", ["alike", "plane"], ["logits"]),
        helper.make_node("Reshape", ["logits", "maps"], ["masks"]),
        helper.make_node("ReduceSum", ["meaning", "one"], ["sums"], keepdims=1),
        helper.make_node("Mul", ["sums", "nothing"], ["zeros"]),
        helper.make_node("Add", ["estimates", "zeros"], ["scores"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "alike",
        [
            value("embedding", TensorProto.FLOAT, [1, 3, side, side]),
            value("points", TensorProto.FLOAT, ["n", "p", 2]),
            value("meaning", TensorProto.FLOAT, ["n", "p"]),
        ],
        [
            value("masks", TensorProto.FLOAT, ["n", 4, side, side]),
            value("scores", TensorProto.FLOAT, ["n", 4]),
        ],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
