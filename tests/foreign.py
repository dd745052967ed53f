"""Graphs as other people export them, made in milliseconds from the graphs of old bundles, which really learned.

A bundle's graph takes uint8 RGB (N, H, W, 3). In front of it stands the inverse of a preparation, so that the graph is
right only for pictures that are prepared so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

OLD = Path(__file__).parent / "contract" / "bundles_0_1"
ZERO, ONE, BYTE, IMAGENET = (0.0,) * 3, (1.0,) * 3, (1 / 255,) * 3, ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def disguised(
    path: Path,
    source: str = "classify",
    *,
    outputs: Sequence[str] = ("logits",),
    mean: Sequence[float] = ZERO,
    std: Sequence[float] = ONE,
    channels: str = "rgb",
    last: bool = False,
    batch: int | str = "N",
    tail: Sequence[Any] = (),
    shapes: dict[str, Sequence[Any]] | None = None,
) -> Path:
    """Write a graph that takes float pictures prepared in one way.

    Args:
        path: of the file.
        source: which old bundle it is made from.
        outputs: of the graph.
        mean, std: of RGB on the scale 0 to 1.
        channels: order of the colours.
        last: whether pictures are (N, H, W, 3).
        batch: a number of pictures, or a name for any.
        tail: nodes that make other outputs of the graph's own, which are called "old/NAME".
        shapes: of all outputs.
    """
    own = compose.add_prefix(onnx.load(OLD / source / "model" / "model.onnx"), "old/")
    graph = own.graph
    height, width = (side.dim_value for side in graph.input[0].type.tensor_type.shape.dim[1:3])
    names = [node.name for node in graph.input]
    order = slice(None, None, -1) if channels == "bgr" else slice(None)
    constants = {
        "front/std": 255 * np.array(std)[order],
        "front/mean": 255 * np.array(mean)[order],
        "front/half": np.array(0.5),
        "front/low": np.array(0.0),
        "front/high": np.array(255.0),
    }
    value = "pixels"
    front = []

    def add(kind: str, *more: str, **attributes: Any) -> str:
        name = f"front/{kind}_{len(front)}"
        front.append(helper.make_node(kind, [value, *more], [name], **attributes))
        return name

    if not last:
        value = add("Transpose", perm=[0, 2, 3, 1])
    value = add("Mul", "front/std")
    value = add("Add", "front/mean")
    value = add("Add", "front/half")
    value = add("Clip", "front/low", "front/high")
    if channels == "bgr":
        value = add("Gather", "front/order", axis=3)
    front.append(helper.make_node("Cast", [value], [names[0]], to=TensorProto.UINT8))
    nodes = [*front, *graph.node, *tail]
    sides = (height, width, 3) if last else (3, height, width)
    wanted = shapes or {f"old/{name}": None for name in outputs}
    made = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, *sides])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in wanted.items()],
        [
            *graph.initializer,
            *(numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()),
            numpy_helper.from_array(np.array([2, 1, 0]), "front/order"),
        ],
    )
    model = helper.make_model(made, opset_imports=own.opset_import, ir_version=own.ir_version)
    onnx.save(model, str(path))
    return path
