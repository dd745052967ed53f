"""Layout: what the outputs of somebody else's graph mean, as a task recognises it from their shapes and values.

The part "adopt" of a task: `(Probe) -> [Layout, ...]`, the likeliest first; none where the outputs are not of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from photovision.core.preprocess import Fit
from photovision.models.composed_graph import Tail
from photovision.models.foreign_graph import ForeignGraph

View = tuple[Fit, float]
"""How much of a picture is shown, see `Preprocess`: fit and crop."""
WHOLE: tuple[View, ...] = (("squash", 1.0),)
_MAPS = 60  # convolutions that are looked at, from the end


@dataclass(frozen=True, eq=False)
class Layout:
    """One meaning of the outputs of a graph.

    Attributes:
        name: as the option "layout" names it, such as "yolov8".
        about: what it is, for people.
        tail: makes the outputs of the task from those of the graph.
        facts: entries of bundle.json that only models of this task hold, before anything is fitted.
        views: that such models are usually shown, the likeliest first.
        check: from an evaluation to a sentence on what is probably wrong with the classes, or "".
    """

    name: str
    about: str
    tail: Tail
    facts: Mapping[str, Any] = field(default_factory=dict)
    views: tuple[View, ...] = WHOLE
    check: Callable[[Any], str] | None = None


@dataclass(frozen=True, eq=False)
class Probe:
    """What a graph gives for inputs of noise.

    Attributes:
        graph: the graph.
        size: (H, W) of its input.
        classes: names of its classes, in the order of its outputs; () to recognise the layout by shapes.
        several: whether a picture may have several classes; None where that is not known.
        values: output -> one array an input, each of one picture (1, ...).
    """

    graph: ForeignGraph
    size: tuple[int, int]
    classes: tuple[str, ...]
    several: bool | None
    values: Mapping[str, Sequence[np.ndarray]]

    @classmethod
    def of(cls, graph: ForeignGraph, size: tuple[int, int], classes: tuple[str, ...], several: bool | None) -> Probe:
        """Run a graph on noise of the scales that networks usually take; raises ModelError where that fails."""
        rng = np.random.default_rng(0)
        noise = rng.uniform(0, 1, (3, *size, 3)).astype(np.float32)
        inputs = noise[:1], 4 * noise[1:2] - 2, 255 * noise[2:]
        found = [graph.run(pixels) for pixels in inputs]
        return cls(graph, size, classes, several, {name: [one[name] for one in found] for name in graph.outputs})

    @cached_property
    def pixels(self) -> np.ndarray:
        """float32 (1, H, W, 3): an input of noise."""
        return np.random.default_rng(1).uniform(0, 1, (1, *self.size, 3)).astype(np.float32)

    def every(self, name: str, test: Callable[[np.ndarray], Any]) -> bool:
        """Whether something holds of an output for every input."""
        return all(bool(test(np.asarray(value, np.float64))) for value in self.values[name])

    def shape(self, name: str) -> tuple[int, ...]:
        """Of an output, for one picture, without its first side."""
        return tuple(self.values[name][0].shape[1:])

    @cached_property
    def coarsest(self) -> tuple[str, int] | None:
        """The deepest and coarsest map (N, K, h, w) inside the graph, and K; None where it has no convolutions."""
        nodes = [node.output[0] for node in self.graph.model.graph.node if node.op_type == "Conv"][-_MAPS:]
        found = self.graph.run(self.pixels, nodes)
        maps = [(name, found[name]) for name in nodes if found[name].ndim == 4 and found[name].shape[1] > 1]
        if not maps:
            return None
        name, value = min(maps, key=lambda one: (one[1].shape[2] * one[1].shape[3], -one[1].shape[1]))
        return name, int(value.shape[1])
