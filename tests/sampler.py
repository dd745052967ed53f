"""A small real generator, made in milliseconds: whatever the noise, its images are of the colour of their class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from photovision.core.preprocess import Preprocess

SIDE = 16
COLOURS = {"red": (0.8, -0.6, -0.6), "green": (-0.6, 0.8, -0.6), "blue": (-0.6, -0.6, 0.8)}
"""Class -> what its images are, from -1 to 1."""
PULL = 2.0
"""How fast noise comes to its colour: what differs from it is left at exp(-2) of what it was."""


def sampler_bundle(folder: Path) -> Path:
    """A bundle whose velocity is PULL times what differs from the colour of the class; of any class that is grey."""
    folder.mkdir(parents=True)
    table = np.array([*COLOURS.values(), (0.0, 0.0, 0.0)], np.float32).reshape(-1, 1, 1, 3)
    nodes = [
        helper.make_node("Gather", ["table", "label"], ["colour"], axis=0),
        helper.make_node("Sub", ["noisy", "colour"], ["apart"]),
        helper.make_node("Mul", ["apart", "pull"], ["pulled"]),
        helper.make_node("Mul", ["time", "nothing"], ["moment"]),  # a graph has to use all of its inputs
        helper.make_node("Reshape", ["moment", "shape"], ["same"]),
        helper.make_node("Add", ["pulled", "same"], ["velocity"]),
    ]
    constants = {"table": table, "pull": np.float32(PULL), "nothing": np.float32(0)}
    graph = helper.make_graph(
        nodes,
        "colours",
        [
            helper.make_tensor_value_info("noisy", TensorProto.FLOAT, ["n", SIDE, SIDE, 3]),
            helper.make_tensor_value_info("time", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor_value_info("velocity", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])],
        [
            *(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()),
            numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "shape"),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx"
    )
    half = (0.5, 0.5, 0.5)
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "generate",
        "classes": list(COLOURS),
        "preprocess": Preprocess((SIDE, SIDE), fit="crop", mean=half, std=half).to_json(),
        "training": {"by": "hand"},
        "parity": {"precision": "f32"},
        "licences": [{"part": "code", "name": "test", "licence": "apache-2.0", "commercial": True, "note": ""}],
        "metrics": {},
        "generation": {"guidance": 1.0, "width": 8, "features": "none"},
    }
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder
