"""Striped surfaces, good and bad, and a small fixed network that looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from photovision.core.types import Image
from photovision.models.feature_levels import FeatureLevel

SIDE = 64
LEVELS = (FeatureLevel("level_1", 10, (8, 8), 8), FeatureLevel("level_2", 14, (4, 4), 16))


def surface(seed: int, *, bad: bool = False) -> Image:
    """Blurred stripes with grain, at a random phase; a bad one has a dark hole."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    grey = 128 + 30 * np.sin(columns / 3 + rng.uniform(0, 6.28)) + rng.normal(0, 6, (SIDE, SIDE))
    if bad:
        y, x = rng.uniform(16, 48, 2)
        grey = np.where(np.hypot(rows - y, columns - x) < 7, 20, grey)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def write_network(path: Path) -> Path:
    """The graph of a network of two fixed convolutions, as `models.feature_levels` writes one."""
    rng = np.random.default_rng(0)
    kernels = {
        "first": (rng.normal(size=(10, 3, 8, 8)) / 8).astype(np.float32),
        "second": (rng.normal(size=(14, 10, 3, 3)) / 6).astype(np.float32),
        "scale": np.float32(1 / 64),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "first"], ["one"], strides=[8, 8]),
        helper.make_node("Relu", ["one"], ["level_1"]),
        helper.make_node("Conv", ["level_1", "second"], ["two"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["two"], ["level_2"]),
    ]
    image = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    maps = [
        helper.make_tensor_value_info(level.name, TensorProto.FLOAT, ["batch", level.channels, *level.size])
        for level in LEVELS
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in kernels.items()]
    graph = helper.make_graph(nodes, "levels", [image], maps, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path
