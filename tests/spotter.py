"""A small real detector for tests: it finds squares of a pure colour, and is made in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from photovision.core.preprocess import Preprocess
from photovision.core.regions import Detections
from photovision.core.types import Image, Sample
from photovision.data.dataset import Dataset

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 40)}
CELL = 16
"""Side of the cells that the network looks at, one box each."""


def scene(size: tuple[int, int], boxes: Sequence[tuple[str, tuple[int, int, int, int]]], seed: int = 0) -> Image:
    """A grainy grey picture of (H, W) with coloured rectangles (name, (x1, y1, x2, y2))."""
    rng = np.random.default_rng(seed)
    picture = 120 + rng.normal(0, 6, (*size, 3))
    for name, (x1, y1, x2, y2) in boxes:
        picture[y1:y2, x1:x2] = np.array(COLOURS[name]) + rng.normal(0, 4, (y2 - y1, x2 - x1, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def spotter_bundle(folder: Path, side: int = 128, **changes: Any) -> Path:
    """A bundle of a detector with cells of 16 pixels; `changes` replace entries of its bundle.json."""
    folder.mkdir(parents=True)
    onnx.save(_graph(side), folder / "model.onnx")
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "detect",
        "classes": list(COLOURS),
        "preprocess": Preprocess((side, side)).to_json(),
        "backbone": {"name": "mean_colour_of_cells", "weights": "none", "params": 8, "macs": 1},
        "thresholds": [0.5] * len(COLOURS),
        "training": {"seed": 0, "seconds": 0.0},
        "data": {"fingerprint": "0" * 16, "counts": {"train": 0, "val": 0, "test": 0}},
        "licences": [{"part": "code", "name": "test", "licence": "apache-2.0", "commercial": True, "note": ""}],
        "metrics": {},
    }
    (folder / "bundle.json").write_text(json.dumps({**info, **changes}), encoding="utf-8")
    return folder


def _graph(side: int) -> onnx.ModelProto:
    """Every cell whose mean colour is near a class's is a box of it, the cell itself."""
    rows, columns = np.mgrid[0 : side // CELL, 0 : side // CELL] * CELL
    cells = np.stack([columns, rows, columns + CELL, rows + CELL], -1).reshape(1, -1, 4).astype(np.float32)
    colours = np.array(list(COLOURS.values()), np.float32) / 255
    # -40 |x - c|^2 + 4: near 1 at the colour itself, near 0 a third of the way to grey; |x|^2 by the sum of squares.
    constants = {
        "scale": np.float32(1 / 255),
        "weights": 80 * colours.T,
        "bias": 4 - 40 * (colours**2).sum(1),
        "cells": cells,
        "flat": np.array([0, -1, 3], np.int64),
        "forty": np.float32(40),
        "last": np.array([2], np.int64),
        "shape": np.array([1, 1, 4], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["shares"]),
        helper.make_node("Transpose", ["shares"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Transpose", ["pooled"], ["last_"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last_", "flat"], ["means"]),
        helper.make_node("Mul", ["means", "means"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "last"], ["length"], keepdims=1),
        helper.make_node("Mul", ["length", "forty"], ["far"]),
        helper.make_node("MatMul", ["means", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["near"]),
        helper.make_node("Sub", ["near", "far"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Mul", ["length", "scale"], ["small"]),
        helper.make_node("Sub", ["small", "small"], ["zero"]),
        helper.make_node("Tile", ["zero", "shape"], ["zeros"]),
        helper.make_node("Add", ["zeros", "cells"], ["boxes"]),
    ]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", cells.shape[1], 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", cells.shape[1], len(COLOURS)]),
    ]
    graph = helper.make_graph(
        nodes,
        "spotter",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", side, side, 3])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def squares(count: int = 30) -> Dataset:
    """Coloured squares on the detector's cells."""
    rng, names, samples = np.random.default_rng(0), tuple(COLOURS), []
    for number in range(count):
        cells = rng.permutation(64)[:3]
        boxes = np.float32([(c % 8 * 16, c // 8 * 16, c % 8 * 16 + 16, c // 8 * 16 + 16) for c in cells])
        labels = rng.integers(0, 2, 3)
        drawn = [(names[c], tuple(box.astype(int).tolist())) for c, box in zip(labels, boxes, strict=True)]
        regions = Detections(boxes, labels, names)
        samples.append(Sample(f"{number}.png", scene((128, 128), drawn, number), regions.names, annotations=regions))
    return Dataset(tuple(samples), names, multilabel=True, annotation_type="boxes")
