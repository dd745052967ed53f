"""What the outputs of somebody else's classifier mean: a number for every class, as logits or as probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from photovision.engine.foreign_layout import Layout, Probe, View
from photovision.models.composed_graph import GraphComposer
from photovision.models.foreign_graph import PREFIX
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.trust.metrics.statistics import paired_proportions

VIEWS: tuple[View, ...] = (("squash", 1.0), ("crop", 1.0), ("crop", 0.875), ("crop", 0.95))
_SKIPPED = ("Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Cast", "Add", "Softmax", "LogSoftmax", "Sigmoid")
_POOLS = ("GlobalAveragePool", "ReduceMean", "AveragePool")


def layouts(probe: Probe) -> list[Layout]:
    """The layouts that a graph with one number a class may have.

    Probabilities of softmax and of sigmoid are recognised by their values, logits by being neither.
    """
    name = probe.graph.outputs[0]  # others, such as features, are left out
    sides = [side for side in probe.shape(name) if side != 1]
    count = len(probe.classes)
    single = not sides and count == 2
    if probe.values[name][0].dtype.kind != "f" or len(sides) > 1 or not (single or sides):
        return []
    if not single and (sides[0] != count if count else sides[0] < 2):
        return []
    kind = _kind(probe, name)
    several = probe.several if probe.several is not None else kind == "sigmoid" and not single
    tail = partial(_tail, probe, name, kind, several, single, count or sides[0])
    facts: dict[str, Any] = {"multilabel": several, "temperature": 1.0}
    if several:
        facts["thresholds"] = [0.5] * (count or sides[0])
    return [Layout(kind, f"one number a class ({_ABOUT[kind]})", tail, facts, VIEWS, check=other_order)]


def other_order(evaluation: ClassifyEvaluation) -> str:
    """A sentence where the names of the classes are probably in another order than the outputs; "" where they are not.

    Every second picture matches outputs to names (the assignment with most of them right), the others judge it.
    """
    if evaluation.multilabel:
        return ""
    predicted, truth, count = evaluation.probs.argmax(1), evaluation.truth, len(evaluation.classes)
    table = csr_array((np.ones(len(truth[::2])), (truth[::2], predicted[::2])), shape=(count, count))
    names = np.unique(np.concatenate([truth[::2], predicted[::2]]))
    rows, columns = linear_sum_assignment(table.toarray()[np.ix_(names, names)], maximize=True)
    other = np.arange(count)
    other[names[columns]] = names[rows]  # output -> class
    right, righter = predicted[1::2] == truth[1::2], other[predicted[1::2]] == truth[1::2]
    gain = paired_proportions(right, righter)
    if gain.low < _GAIN:
        return ""
    return (
        f"The names of the classes are probably in another order than the outputs: in some other order"
        f" {righter.mean():.1%} of {len(right):,} pictures would be right, in this one {right.mean():.1%}. Check the"
        " file of the classes."
    )


_GAIN = 0.05  # of accuracy, from which on another order is believed


_ABOUT = {"logits": "logits", "softmax": "probabilities of a softmax", "sigmoid": "a probability for each"}


def _kind(probe: Probe, name: str) -> str:
    if not probe.every(name, lambda values: values.min() >= -1e-6 and values.max() <= 1 + 1e-5):
        return "logits"  # log-probabilities, too: their softmax is the same
    summed = probe.every(name, lambda values: values.size > 1 and abs(values.sum() - 1) < 1e-3)
    return "softmax" if summed else "sigmoid"


def _tail(
    probe: Probe, name: str, kind: str, several: bool, single: bool, count: int, composer: GraphComposer
) -> Mapping[str, tuple[Any, ...]]:
    """probs, logits, embedding and, where there are some, maps."""
    logits, raw = _logits(composer, name, kind, single, count)
    if raw and not single:
        composer.rename(logits, "logits")
    else:
        composer.add("Identity", logits, name="logits")
    scaled = composer.add("Div", "logits", composer.constant(1.0, "temperature"))
    if several:
        composer.add("Sigmoid", scaled, name="probs")
    else:
        composer.add("Softmax", scaled, name="probs", axis=1)
    outputs: dict[str, tuple[Any, ...]] = {"probs": (count,), "logits": (count,)}
    return outputs | _inside(probe, composer, name, count)


def _logits(composer: GraphComposer, name: str, kind: str, single: bool, count: int) -> tuple[str, bool]:
    """The value that holds the logits (N, C), and whether it is one of the graph itself, as it is."""
    graph = composer.foreign
    last = graph.producer(name)
    undone = {"softmax": "Softmax", "sigmoid": "Sigmoid"}.get(kind)
    if undone is not None and last is not None and last.op_type == undone:
        value, exact = last.input[0], True
    elif kind == "softmax":
        value, exact = composer.log(composer.as_float(name)), False
    elif kind == "sigmoid":
        probs = composer.held(composer.as_float(name), 1e-9, 1 - 1e-7)
        rest = composer.add("Sub", composer.constant(1.0), probs)
        value, exact = composer.add("Log", composer.add("Div", probs, rest)), False
    else:
        value, exact = name, True
    first = graph.producer(value)
    if exact and not single and first is not None and first.op_type in ("Gemm", "MatMul", "Add") and _is_float(graph):
        return value, True
    flat = composer.shaped(composer.as_float(value), 0, -1)
    if single:  # one number for two classes: the logit of the second
        flat = composer.add("Concat", composer.add("Mul", flat, composer.constant(0.0)), flat, axis=1)
    return flat, False


def _is_float(graph: Any) -> bool:
    return bool(graph.model.graph.output[0].type.tensor_type.elem_type == 1)


def _inside(probe: Probe, composer: GraphComposer, name: str, count: int) -> dict[str, tuple[Any, ...]]:
    """The embedding, what the last layer sees, and the maps that it is the mean of."""
    vectors = _before_last(probe, name)
    if vectors is not None:
        value, width = vectors
        composer.unit(composer.shaped(composer.as_float(value), 0, width), width, "embedding")
        found: dict[str, tuple[Any, ...]] = {"embedding": (width,)}
        maps = _before_pooling(probe, value)
        if maps is not None:
            composer.add("Cast", maps[0], name="maps", to=1)
            found["maps"] = maps[1]
        return found
    if probe.coarsest is not None:
        value, width = probe.coarsest
        composer.unit(composer.pooled(value), width, "embedding")
        return {"embedding": (width,)}
    composer.unit("logits", count, "embedding")
    return {"embedding": (count,)}


def _before_last(probe: Probe, name: str) -> tuple[str, int] | None:
    """The value (N, D) that the last matrix product takes, and D."""
    node = probe.graph.producer(name)
    while node is not None and node.op_type in _SKIPPED:
        inner = [value for value in node.input if value not in probe.graph.constants]
        node = probe.graph.producer(inner[0]) if len(inner) == 1 else None
    if node is None or node.op_type not in ("Gemm", "MatMul") or node.input[0] in probe.graph.constants:
        return None
    value = node.input[0]
    if value == probe.graph.input:
        return None
    shape = probe.graph.run(probe.pixels, [value])[value].shape
    flat = shape[0] == 1 and int(np.prod(shape)) == shape[-1] and shape[-1] > 1
    return (value, int(shape[-1])) if flat else None


def _before_pooling(probe: Probe, value: str) -> tuple[str, tuple[int, ...]] | None:
    """The maps (N, K, h, w) whose mean over places a value is, and their shape."""
    node = probe.graph.producer(value)
    while node is not None and node.op_type in ("Identity", "Dropout", "Reshape", "Flatten", "Squeeze"):
        node = probe.graph.producer(node.input[0])
    if node is None or node.op_type not in _POOLS or not node.input[0].startswith(PREFIX):
        return None
    maps = node.input[0]
    found = probe.graph.run(probe.pixels, [maps, value])
    same = found[maps].ndim == 4 and found[maps].shape[1] == found[value].size
    if not same or not np.allclose(found[maps].mean((2, 3)).ravel(), found[value].ravel(), rtol=1e-2, atol=1e-3):
        return None
    return maps, tuple(int(side) for side in found[maps].shape[1:])
