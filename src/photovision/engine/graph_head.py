"""Another last layer for a classifier's graph, on the embedding that it gives; all below stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from photovision.core.errors import ModelError

_KEPT = ("embedding", "maps")
_NEW = "grown/"


def replace_head(graph: Path, target: Path, weight: np.ndarray, bias: np.ndarray, temperature: float) -> None:
    """Write a graph that gives "probs" and "logits" by a linear layer on the embedding of another graph.

    Args:
        graph: an ONNX file that gives "embedding", float (N, D).
        target: of the new one.
        weight: float32 (C, D); bias: float32 (C,).
        temperature: the logits are divided by it before the softmax.

    Raises:
        ModelError: the graph gives no embedding.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    body = model.graph
    kept = [value for value in body.output if value.name in _KEPT]
    if not any(value.name == "embedding" for value in kept):
        raise ModelError(f"the graph {graph} gives no embedding to learn new classes on: train the model again")
    _prune(body, {value.name for value in kept})
    constants = {"weight": weight.T, "bias": bias, "temperature": np.array(temperature)}
    names = {"weight": f"{_NEW}weight", "bias": f"{_NEW}bias", "temperature": "temperature"}
    body.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value, np.float32), names[name])
        for name, value in constants.items()
    )
    body.node.extend(
        [
            helper.make_node("Gemm", ["embedding", names["weight"], names["bias"]], ["logits"]),
            helper.make_node("Div", ["logits", "temperature"], [f"{_NEW}scaled"]),
            helper.make_node("Softmax", [f"{_NEW}scaled"], ["probs"], axis=-1),
        ]
    )
    rows = next(value for value in kept if value.name == "embedding").type.tensor_type.shape.dim[0]
    shape = [rows.dim_param or rows.dim_value or None, len(bias)]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("probs", "logits")]
    del body.output[:], body.value_info[:]
    body.output.extend([*outputs, *kept])
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def _prune(body: onnx.GraphProto, outputs: set[str]) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Remove the nodes and constants that no output needs."""
    needed, nodes = set(outputs), []
    for node in reversed(body.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    constants = [value for value in body.initializer if value.name in needed]
    del body.node[:], body.initializer[:]
    body.node.extend(reversed(nodes))
    body.initializer.extend(constants)
