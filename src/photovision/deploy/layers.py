"""Layers: which nodes of an ONNX graph bear 8 bits badly, by what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_POOLING = ("ReduceMean", "GlobalAveragePool")
_PRODUCTS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class Layers:
    """Names of nodes.

    Attributes:
        first: the first layer, which sees raw pixels.
        last: the layer that gives the logits, and all that is computed from its input: embedding, probabilities.
        depthwise: convolutions of every channel by itself, whose ranges differ from channel to channel.
        squeeze: layers that see the mean of a whole map and scale channels by it (squeeze and excitation).
        attention: whether the network is a transformer.
    """

    first: tuple[str, ...]
    last: tuple[str, ...]
    depthwise: tuple[str, ...]
    squeeze: tuple[str, ...]
    attention: bool


def layers(model: Any) -> Layers:
    """Find them in an `onnx.ModelProto` of ours."""
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type in _PRODUCTS and weights.keys() & set(node.input)]
    last = _from(model, next((node.input[0] for node in products if "logits" in node.output), ""))
    return Layers(
        first=tuple(node.name for node in products[:1]),
        last=tuple(last),
        depthwise=tuple(node.name for node in products if _depthwise(node, weights)),
        squeeze=tuple(name for name in _pooled(model, weights) if name not in last),
        attention=any(node.op_type == "LayerNormalization" for node in model.graph.node)
        and any(node.op_type == "MatMul" and not weights.keys() & set(node.input) for node in model.graph.node),
    )


def _from(model: Any, tensor: str) -> list[str]:
    """All nodes that need a tensor, in their order."""
    reached, found = {tensor} - {""}, []
    for node in model.graph.node:
        if reached & set(node.input):
            reached.update(node.output)
            found.append(node.name)
    return found


def _depthwise(node: Any, weights: Mapping[str, list[int]]) -> bool:
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    shape = weights.get(node.input[1], [0, 0])
    return node.op_type == "Conv" and groups > 1 and shape[1] == 1


def _pooled(model: Any, weights: Mapping[str, list[int]]) -> list[str]:
    """Products whose input comes from a pooling, with nothing but small steps between."""
    small, found = set[str](), []
    for node in model.graph.node:
        given = [name for name in node.input if name and name not in weights]
        if node.op_type in _POOLING or (given and all(name in small for name in given)):
            small.update(node.output)
            if node.op_type in _PRODUCTS:
                found.append(node.name)
    return found
