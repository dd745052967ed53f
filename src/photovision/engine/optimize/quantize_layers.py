"""Kinds of layers: which nodes of an ONNX graph bear 8 bits badly, by what they are, and a detour that is taken out
before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_POOLING = ("ReduceMean", "GlobalAveragePool")
_PRODUCTS = ("Conv", "Gemm", "MatMul")
_GROUP_NORMS = ("InstanceNormalization", "GroupNormalization")


@dataclass(frozen=True)
class Layers:
    """Names of nodes.

    Attributes:
        first: the first layer, which sees raw pixels.
        last: all that is computed from the last maps: their mean, logits, probabilities, embedding.
        depthwise: convolutions of every channel by itself, whose ranges differ from channel to channel.
        squeeze: layers that see the mean of a whole map and scale channels by it (squeeze and excitation).
        attention: whether the network is a transformer.
        ends: `last`; of networks without logits the last products on every way to the outputs, and all that comes
            after: coordinates in pixels need more than 8 bits.
        normed: all that is computed from the first map that is normalised group by group: pyramid and heads.
    """

    first: tuple[str, ...]
    last: tuple[str, ...]
    depthwise: tuple[str, ...]
    squeeze: tuple[str, ...]
    attention: bool
    ends: tuple[str, ...] = ()
    normed: tuple[str, ...] = ()


def layers(model: Any) -> Layers:
    """Find them in an `onnx.ModelProto` of ours."""
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type in _PRODUCTS and weights.keys() & set(node.input)]
    last = _from(model, _features(model))
    return Layers(
        first=tuple(node.name for node in products[:1]),
        last=tuple(last),
        depthwise=tuple(node.name for node in products if _depthwise(node, weights)),
        squeeze=tuple(name for name in _pooled(model, weights) if name not in last),
        attention=any(node.op_type == "LayerNormalization" for node in model.graph.node)
        and any(node.op_type == "MatMul" and not weights.keys() & set(node.input) for node in model.graph.node),
        ends=tuple(last or _ends(model, weights)),
        normed=tuple(_from(model, _first_normed(model))),
    )


def straighten(model: Any) -> None:
    """Flatten pooled maps in one step, in place, where the exporter of torch gathers them by computed positions.

    OpenVINO 2026.4 gathers wrongly there when the maps before are in 8 bits and the batch is free: a small residual
    network called two thirds of the pictures otherwise than ONNX Runtime, and than itself with a fixed batch.
    """
    from onnx import helper

    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    for place, last in enumerate(list(graph.node)):
        steps = [last]
        for kind in ("Reshape", "Gather", "Reshape"):
            if steps[-1] is None or steps[-1].op_type != kind:
                break
            steps.append(made_by.get(steps[-1].input[0]))
        else:
            if steps[-1] is not None and steps[-1].op_type in _POOLING:
                flat = helper.make_node("Flatten", steps[-1].output, last.output, name=f"{last.name}_flat", axis=1)
                graph.node.remove(last)
                graph.node.insert(place, flat)
    _drop_unused(graph)


def _drop_unused(graph: Any) -> None:
    needed = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if needed & set(node.output):
            needed.update(node.input)
        else:
            graph.node.remove(node)
    used = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(used)


def _features(model: Any) -> str:
    """The tensor that the layer of the logits sees, before it is pooled and flattened, where it is."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    if "logits" not in made_by:
        return ""
    tensor = str(made_by["logits"].input[0])
    while tensor in made_by and made_by[tensor].op_type in (*_POOLING, "Flatten", "Reshape", "Squeeze"):
        tensor = str(made_by[tensor].input[0])
    return tensor


def _from(model: Any, tensor: str) -> list[str]:
    """All nodes that need a tensor, in their order."""
    reached, found = {tensor} - {""}, []
    for node in model.graph.node:
        if reached & set(node.input):
            reached.update(node.output)
            found.append(node.name)
    return found


def _ends(model: Any, weights: Mapping[str, list[int]]) -> list[str]:
    """All nodes between the outputs and the last products with weights, these included, in their order."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    waiting, found = [output.name for output in model.graph.output], set[str]()
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.add(node.name)
        if not (node.op_type in _PRODUCTS and weights.keys() & set(node.input)):
            waiting += node.input
    return [node.name for node in model.graph.node if node.name in found]


def _first_normed(model: Any) -> str:
    """The first tensor that is normalised by groups of channels; "" where there is none."""
    return next((str(node.input[0]) for node in model.graph.node if node.op_type in _GROUP_NORMS), "")


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
