"""A small real model for tests of explanations: it names the colour of a spot, so what it decides by is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from photovision.core.preprocess import Preprocess

SIDE, SPOT, CELL = 64, 16, 8
NAMES = ("red", "green", "blue")


def spot_picture(colour: int, row: int, column: int, seed: int = 0, other: tuple[int, int] | None = None) -> np.ndarray:
    """A grainy grey picture, uint8 (64, 64, 3), with a spot of 16 x 16 pixels at a place of a 4 x 4 grid.

    `other` is the place of a white spot, which means nothing to the model.
    """
    picture = 110 + np.random.default_rng(seed).normal(0, 8, (SIDE, SIDE, 1)) + np.zeros(3)
    if other is not None:
        picture[spot_box(*other)] = 240
    picture[spot_box(row, column)] = np.eye(3)[colour] * 215 + 20
    return np.clip(picture, 0, 255).astype(np.uint8)


def spot_box(row: int, column: int) -> tuple[slice, slice]:
    """The pixels of one place of the grid."""
    return slice(row * SPOT, (row + 1) * SPOT), slice(column * SPOT, (column + 1) * SPOT)


def spot_bundle(folder: Path, *, exact: bool = True, maps: bool = True, multilabel: bool = False) -> Path:
    """A bundle of that model.

    Its maps say how red, green or blue each place of an 8 x 8 grid is; their means make the logits, or where it is not
    `exact`, the squares of their means. Without `maps` the graph is like those of older versions.
    """
    folder.mkdir(parents=True)
    onnx.save(_graph(exact, maps, multilabel), folder / "model.onnx")
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "classify",
        "multilabel": multilabel,
        "classes": list(NAMES),
        "preprocess": Preprocess((SIDE, SIDE)).to_json(),
        "backbone": {"name": "spots", "weights": "none", "params": 24, "macs": 9},
        "temperature": 1.0,
        "thresholds": [0.5] * 3 if multilabel else None,
        "chosen": "handmade",
        "rungs": [],
        "training": {"seed": 0, "seconds": 0.0},
        "data": {"fingerprint": "0" * 16, "counts": {"train": 0, "val": 0, "test": 0}},
        "licences": [],
        "metrics": {},
    }
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def _graph(exact: bool, maps: bool, multilabel: bool) -> onnx.ModelProto:
    hue = (1.5 * np.eye(3) - 0.5)[:, :, None, None] / 255
    constants = {
        "hue": hue,
        "least": np.full(3, -0.55),
        "weights": np.eye(3) * (320 if exact else 25_000),
        "bias": np.full(3, -2.0 if multilabel else 0.0),
    }
    seen = "pooled" if exact else "squares"
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["coarse"], kernel_shape=[CELL] * 2, strides=[CELL] * 2),
        helper.make_node("Conv", ["coarse", "hue", "least"], ["hues"]),
        helper.make_node("Relu", ["hues"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["pooled"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["pooled", "pooled"], ["squares"]),
        helper.make_node("Gemm", [seen, "weights", "bias"], ["logits"], transB=1),
        helper.make_node("Identity", ["pooled"], ["embedding"]),
        helper.make_node("Sigmoid" if multilabel else "Softmax", ["logits"], ["probs"]),
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("probs", "logits", "embedding")
    ]
    if maps:
        outputs.append(helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 3, 8, 8]))
    graph = helper.make_graph(
        nodes,
        "spots",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        outputs,
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
