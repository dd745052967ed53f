"""What the outputs of somebody else's segmenter mean: a map for every class, as logits or as probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from photovision.engine.foreign_layout import Layout, Probe
from photovision.models.composed_graph import GraphComposer


def layouts(probe: Probe) -> list[Layout]:
    """The layouts that a graph with maps of classes may have.

    A single map counts as the probability, or the logit, of the second of two classes. Where the largest of the maps is
    all that a graph gives, nothing is known of its confidence, and it is not recognised.
    """
    name, count = probe.graph.outputs[0], len(probe.classes)
    shape = probe.shape(name)
    if len(shape) != 3 or count < 2 or probe.values[name][0].dtype.kind != "f" or max(shape) < 2:
        return []
    axis = next((at for at in (0, 2) if shape[at] == count or (shape[at] == 1 and count == 2)), None)
    if axis is None or min(side for at, side in enumerate(shape) if at != axis) < 2:
        return []
    ready = probe.every(name, lambda maps: maps.min() >= -1e-6 and maps.max() <= 1 + 1e-5)
    about = "a map for every class (probabilities)" if ready else "a map for every class (logits)"
    facts: dict[str, Any] = {"temperature": 1.0}
    return [Layout("maps", about, partial(_tail, probe, name, axis, ready), facts)]


def _tail(probe: Probe, name: str, axis: int, ready: bool, composer: GraphComposer) -> Mapping[str, tuple[Any, ...]]:
    """classes (N, C, h, w) and an embedding."""
    shape, count = probe.shape(name), len(probe.classes)
    value = composer.as_float(name)
    if axis == 0:  # classes last, where softmax means the same in all versions
        value = composer.add("Transpose", value, perm=[0, 2, 3, 1])
    if shape[axis] == 1:
        value = _both(composer, value, ready)
    elif ready:
        value = composer.log(value)
    scaled = composer.add("Div", value, composer.constant(1.0, "temperature"))
    probs = composer.add("Softmax", scaled, axis=3)
    composer.add("Transpose", probs, name="classes", perm=[0, 3, 1, 2])
    places = shape[1:] if axis == 0 else shape[:2]
    outputs: dict[str, tuple[Any, ...]] = {"classes": (count, *places)}
    if probe.coarsest is not None:
        maps, channels = probe.coarsest
        composer.unit(composer.pooled(maps), channels, "embedding")
        outputs["embedding"] = (channels,)
    return outputs


def _both(composer: GraphComposer, value: str, ready: bool) -> str:
    """The logits of two classes from the map of the second, float (N, h, w, 1)."""
    if ready:
        probs = composer.held(value, 1e-6, 1 - 1e-6)
        rest = composer.add("Sub", composer.constant(1.0), probs)
        value = composer.add("Log", composer.add("Div", probs, rest))
    return composer.add("Concat", composer.add("Mul", value, composer.constant(0.0)), value, axis=3)
