"""A small real segmenter, made in milliseconds: what is red is a thing, and its blue is how deep inside it lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from photovision.core.preprocess import Preprocess

SIDE = 32


def painter_bundle(
    folder: Path, *, instances: bool = False, tile: tuple[int, int] | None = None, embedding: bool = False
) -> Path:
    """A bundle for the classes "background" and "thing", with an input of 32 x 32 pixels; its embedding is the mean
    colour, of unit norm."""
    folder.mkdir(parents=True)
    onnx.save(_graph(instances, embedding), folder / "model.onnx")
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "segment",
        "classes": ["background", "thing"],
        "instances": instances,
        "tile": None if tile is None else list(tile),
        "least_area": 4,
        "preprocess": Preprocess((SIDE, SIDE)).to_json(),
        "training": {"seed": 0, "seconds": 0.0},
        "licences": [{"part": "code", "name": "test", "licence": "apache-2.0", "commercial": True, "note": ""}],
        "metrics": {},
    }
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def _graph(instances: bool, embedding: bool) -> onnx.ModelProto:
    # Red 0 is surely background, red 255 surely a thing.
    constants = {"weights": [[-20, 20], [0, 0], [0, 0]], "bias": [10, -10], "scale": 1 / 255, "blue": [[0], [0], [1]]}
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["shares"]),
        helper.make_node("MatMul", ["shares", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probs"], axis=3),
        helper.make_node("Transpose", ["probs"], ["classes"], perm=[0, 3, 1, 2]),
        helper.make_node("MatMul", ["shares", "blue"], ["blues"]),
        helper.make_node("Transpose", ["blues"], ["depth"], perm=[0, 3, 1, 2]),
    ]
    shapes = {"classes": ["n", 2, SIDE, SIDE], "depth": ["n", 1, SIDE, SIDE]}
    names = ("classes", "depth") if instances else ("classes",)
    nodes = nodes if instances else nodes[:-2]
    if embedding:
        names, shapes = (*names, "embedding"), {**shapes, "embedding": ["n", 3]}
        nodes.append(helper.make_node("ReduceMean", ["shares"], ["mean"], axes=[1, 2], keepdims=0))
        nodes.append(helper.make_node("LpNormalization", ["mean"], ["embedding"], axis=1))
    graph = helper.make_graph(
        nodes,
        "painter",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in names],
        [
            numpy_helper.from_array(np.asarray(value, np.float32), name)
            for name, value in constants.items()
            if instances or name != "blue"
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
