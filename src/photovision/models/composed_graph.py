"""A foreign graph made one of ours: pixels in front of it are prepared, its outputs become those of a task.

All that is added uses operators that mean the same in every version from 11 on, and that every engine has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.files import explained
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image
from photovision.models.foreign_graph import ForeignGraph

Channels = str
"""Order of the colours that a network takes: "rgb" or "bgr"."""
_SMALLEST = 1e-12


class GraphComposer:
    """Nodes and constants that are added to a foreign graph.

    Args:
        found: the graph, which stays as it is.
    """

    def __init__(self, found: ForeignGraph) -> None:
        import onnx

        self.foreign = found
        self.model = onnx.ModelProto()
        self.model.CopyFrom(found.model)
        self._nodes: list[Any] = []
        self._count = 0

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output; the name of that output."""
        from onnx import helper

        self._count += 1
        name = name or f"added/{kind}_{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, name: str = "", dtype: type = np.float32) -> str:
        """Add a constant; its name."""
        from onnx import numpy_helper

        self._count += 1
        name = name or f"added/constant_{self._count}"
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def shaped(self, value: str, *shape: int) -> str:
        """A value in another shape, as ONNX's Reshape takes it: 0 keeps a side, -1 takes the rest."""
        return self.add("Reshape", value, self.constant(shape, dtype=np.int64))

    def as_float(self, value: str) -> str:
        """A value as float32."""
        return self.add("Cast", value, to=1)

    def part(self, value: str, start: int, end: int, axis: int = 2) -> str:
        """The entries from `start` up to `end` along an axis."""
        sides = [self.constant([side], dtype=np.int64) for side in (start, end, axis)]
        return self.add("Slice", value, *sides)

    def held(self, value: str, low: float, high: float) -> str:
        """A value, held within two bounds."""
        return self.add("Clip", value, self.constant(low), self.constant(high))

    def logistic(self, scores: str, slope: Floats, shift: Floats) -> str:
        """Scores 0 to 1 through logistic(slope * logit + shift), the constants by these names."""
        inside = self.held(scores, 1e-9, 1 - 1e-7)
        rest = self.add("Sub", self.constant(1.0), inside)
        logit = self.add("Log", self.add("Div", inside, rest))
        steep = self.add("Mul", logit, self.constant(slope, "slope"))
        return self.add("Sigmoid", self.add("Add", steep, self.constant(shift, "shift")))

    def log(self, probs: str) -> str:
        """The logarithm of probabilities."""
        return self.add("Log", self.held(probs, _SMALLEST, 1.0))

    def pooled(self, maps: str) -> str:
        """The mean over the places of float maps (N, K, h, w): (N, K)."""
        return self.shaped(self.add("GlobalAveragePool", self.as_float(maps)), 0, -1)

    def unit(self, vectors: str, width: int, name: str) -> str:
        """Vectors (N, width) of norm 1."""
        squares = self.add("Mul", vectors, vectors)
        norm = self.add("Sqrt", self.add("MatMul", squares, self.constant(np.ones((width, 1)))))
        return self.add("Div", vectors, self.add("Max", norm, self.constant(_SMALLEST)), name=name)

    def prepared(self, preprocess: Preprocess, channels: Channels) -> None:
        """Put in front of the graph what it takes for uint8 RGB "images" (N, H, W, 3)."""
        found, before = self.foreign, len(self._nodes)
        value = "images"
        if channels == "bgr":
            value = self.add("Gather", value, self.constant([2, 1, 0], dtype=np.int64), axis=3)
        if found.dtype != np.uint8:
            # The order of the colours holds for their means, too.
            order = slice(None, None, -1) if channels == "bgr" else slice(None)
            mean, std = np.array(preprocess.mean)[order], np.array(preprocess.std)[order]
            scaled = self.add("Mul", self.as_float(value), self.constant(1 / (255 * std)))
            value = self.add("Sub", scaled, self.constant(mean / std))
        self._joined(value, before)
        self._input("images", 2, preprocess.size)

    def fed(self, size: tuple[int, int]) -> None:
        """Let the graph take prepared "pixels", float32 (N, H, W, 3)."""
        before = len(self._nodes)
        self._joined("pixels", before)
        self._input("pixels", 1, size)

    def rename(self, old: str, new: str) -> None:
        """Give a value of the foreign graph another name."""
        for node in (*self.model.graph.node, *self._nodes):
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    if name == old:
                        names[place] = new

    def finished(self, outputs: Mapping[str, tuple[Any, ...]]) -> Any:
        """The ONNX model with these outputs: name -> shape."""
        from onnx import helper

        graph = self.model.graph
        nodes = [*self._front, *graph.node, *self._nodes]
        del graph.node[:], graph.output[:], graph.value_info[:]
        graph.node.extend(nodes)
        batch = 1 if self.foreign.alone else "batch"
        graph.output.extend(helper.make_tensor_value_info(name, 1, [batch, *shape]) for name, shape in outputs.items())
        del self.model.metadata_props[:]
        self.model.doc_string = graph.doc_string = ""
        return self.model

    def _joined(self, value: str, before: int) -> None:
        """Make the nodes since `before` those in front, whose last value is the foreign input."""
        found = self.foreign
        if not found.channels_last:
            value = self.add("Transpose", value, perm=[0, 3, 1, 2])
        kinds = {"float32": 1, "uint8": 2, "float16": 10}
        self.add("Cast", value, name=found.input, to=kinds[found.dtype.name])
        self._front, self._nodes = self._nodes[before:], self._nodes[:before]

    def _input(self, name: str, kind: int, size: tuple[int, int]) -> None:
        from onnx import helper

        graph = self.model.graph
        others = [one for one in graph.input if one.name != self.foreign.input]
        del graph.input[:]
        batch = 1 if self.foreign.alone else "batch"
        graph.input.extend([helper.make_tensor_value_info(name, kind, [batch, *size, 3]), *others])


Tail = Callable[[GraphComposer], Mapping[str, tuple[Any, ...]]]
"""Adds what makes outputs of a task from those of a foreign graph, and gives their names and shapes."""


def composed(found: ForeignGraph, preprocess: Preprocess, channels: Channels, tail: Tail) -> Any:
    """The whole graph, from uint8 RGB "images" (N, H, W, 3) to the outputs of a task, as an ONNX model."""
    composer = GraphComposer(found)
    composer.prepared(preprocess, channels)
    return composer.finished(tail(composer))


class TrialSession:
    """A foreign graph that answers with the outputs of a task, whatever the preprocessing, which NumPy does.

    Args:
        found: the graph.
        size: (H, W) of its input.
        tail: makes the outputs.
    """

    engine, precision = "onnxruntime", "f32"

    def __init__(self, found: ForeignGraph, size: tuple[int, int], tail: Tail) -> None:
        import onnxruntime

        composer = GraphComposer(found)
        composer.fed(size)
        model = composer.finished(tail(composer))
        self._names, self._alone = [one.name for one in model.graph.output], found.alone
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library's errors have no root of their own
            raise ModelError(f"{found.name} cannot be made one graph with its preprocessing ({error})"[:300]) from None
        self.preprocess, self.channels = Preprocess(size), "rgb"

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """All outputs by name for uint8 RGB pictures (N, H, W, 3)."""
        pixels = prepared(images, self.preprocess, self.channels)
        step = 1 if self._alone else len(pixels)
        parts = [
            self._session.run(self._names, {"pixels": pixels[start : start + step]})
            for start in range(0, len(pixels), step)
        ]
        return {
            name: np.concatenate(values) for name, values in zip(self._names, zip(*parts, strict=True), strict=True)
        }


def prepared(images: Image, preprocess: Preprocess, channels: Channels) -> Floats:
    """Pixels float32 (N, H, W, 3) as a network takes them, from uint8 RGB (N, H, W, 3)."""
    values = (images / np.float32(255) - np.array(preprocess.mean, np.float32)) / np.array(preprocess.std, np.float32)
    turned = values[..., ::-1] if channels == "bgr" else values
    return np.ascontiguousarray(turned, np.float32)


def write_composed(model: Any, path: Path) -> None:
    """Write an ONNX model whole into one file."""
    import onnx

    with explained(path):
        onnx.save(model, str(path))
