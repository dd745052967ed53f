"""The graphs of anomaly detection: a network's maps joined to patches, and the whole scorer from pixels to a score.

Both are made by appending to the graph of the maps, without torch. What is learned (whitening, bank, weights of the
statistics) is part of the scorer's graph, so that every engine and every consumer computes the same score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photovision.core.errors import ModelError
from photovision.core.files import write_bytes
from photovision.core.types import Floats
from photovision.models.feature_levels import FeatureLevel
from photovision.tasks.anomaly.bank import MemoryBank
from photovision.tasks.anomaly.image_level import PooledGaussian

OUTPUTS = ("score", "heatmap", "statistics")
"""Of the scorer: float32 (N,); (N, h, w), distances to the bank; and (N, K), the statistics behind the score."""

TOP_SHARES = (0.0, 0.01, 0.05, 0.2)
"""Shares of the farthest patches whose mean distance is a statistic; 0 is the farthest one alone."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What is learned of patches at one scale.

    Attributes:
        levels: whose maps are joined, at the resolution of the first.
        bank: of the joined patches.
    """

    levels: tuple[FeatureLevel, ...]
    bank: MemoryBank


@dataclass(frozen=True, eq=False)
class Combination:
    """How K statistics become one score: the largest of weighted means of their standardised logarithms.

    Attributes:
        name: which statistics those are, for people.
        middle, spread: float32 (K,), of the logarithms of the statistics of held-out good pictures.
        weights: float32 (K, J), 0 or more, so that no score falls where a distance rises.
    """

    name: str
    middle: Floats
    spread: Floats
    weights: Floats

    def __call__(self, statistics: Floats) -> Floats:
        """Scores float32 (N,) of statistics float32 (N, K)."""
        standard = (np.log(np.maximum(statistics, _LEAST)) - self.middle) / self.spread
        scores: Floats = (standard @ self.weights).max(1).astype(np.float32)
        return scores


_LEAST = np.float32(1e-6)


@dataclass(eq=False)
class _Builder:
    """Appends operations to an ONNX graph."""

    model: Any
    count: int = 0
    outputs: list[Any] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> _Builder:
        import onnx

        try:
            return cls(onnx.load(str(path), load_external_data=False))
        except Exception as error:  # protobuf's errors have no common root with onnx's
            raise ModelError(f"the graph {path} cannot be read ({type(error).__name__}); train again") from None

    def add(self, operation: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Append an operation; gives the name of its first output."""
        from onnx import helper

        self.count += 1
        names = [f"anomaly_{self.count}_{number}" for number in range(outputs)]
        self.model.graph.node.append(helper.make_node(operation, list(inputs), names, **attributes))
        return names[0]

    def constant(self, value: npt.ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """Keep an array in the graph; gives its name."""
        from onnx import numpy_helper

        self.count += 1
        name = f"anomaly_{self.count}"
        self.model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype, order="C"), name))
        return name

    def give(self, name: str, value: str, shape: tuple[int, ...]) -> None:
        """Make a value an output of the graph: float32 (N, *shape)."""
        from onnx import TensorProto, helper

        self.model.graph.node.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))

    def write(self, path: Path) -> None:
        """Write the graph with the outputs that were given, and nothing that they do not need."""
        graph = self.model.graph
        del graph.output[:]
        graph.output.extend(self.outputs)
        needed, nodes = {output.name for output in self.outputs}, []
        for node in reversed(list(graph.node)):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        kept = [value for value in graph.initializer if value.name in needed]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(reversed(nodes))
        graph.initializer.extend(kept)
        write_bytes(path, self.model.SerializeToString())


def write_patch_graph(
    levels_path: Path, levels: Sequence[FeatureLevel], scales: Sequence[Sequence[FeatureLevel]], path: Path
) -> None:
    """Write the graph that is run to learn: `patches_0`, ... float32 (N, P, C), one a scale, and `pooled` (N, L).

    Args:
        levels_path: graph of `models.feature_levels`.
        levels: its levels, all of which are pooled.
        scales: the levels that are joined to patches, the finest first.
        path: of the new graph.
    """
    builder = _Builder.open(levels_path)
    for number, joined in enumerate(scales):
        height, width = joined[0].size
        value = _patches(builder, joined)
        builder.give(f"patches_{number}", value, (height * width, sum(level.channels for level in joined)))
    builder.give("pooled", _pooled(builder, levels), (sum(level.channels for level in levels),))
    builder.write(path)


def write_scorer(
    levels_path: Path,
    levels: Sequence[FeatureLevel],
    scales: Sequence[Scale],
    pooled: PooledGaussian,
    combination: Combination,
    path: Path,
) -> None:
    """Write the whole scorer: uint8 RGB `images` (N, H, W, 3) in, OUTPUTS out.

    Args:
        levels_path: graph of `models.feature_levels`.
        levels: its levels.
        scales: what is learned of patches; the heatmap has the resolution of the first.
        pooled: what is learned of pooled levels.
        combination: of the statistics: those of each scale in the order of TOP_SHARES, then the image-level distance.
        path: of the scorer's graph.
    """
    builder = _Builder.open(levels_path)
    statistics, maps = [], []
    for scale in scales:
        distances = _distances(builder, scale)
        places = scale.levels[0].size[0] * scale.levels[0].size[1]
        statistics += _top_means(builder, distances, places)
        maps.append(_as_map(builder, distances, scale.levels[0].size, scales[0].levels[0].size))
    statistics.append(_image_distance(builder, levels, pooled))
    heat = maps[0] if len(maps) == 1 else builder.add("Mean", *maps)
    joined = builder.add("Concat", *statistics, axis=1)
    builder.give("score", _score(builder, joined, combination), ())
    builder.give("heatmap", heat, scales[0].levels[0].size)
    builder.give("statistics", joined, (len(statistics),))
    builder.write(path)


def statistics_of(distances: Floats) -> Floats:
    """What the scorer computes of the distances of patches, float32 (N, P): the means of the farthest, (N, 4)."""
    ordered = -np.sort(-distances, axis=1)
    means = [ordered[:, : _top_count(share, distances.shape[1])].mean(1) for share in TOP_SHARES]
    stacked: Floats = np.stack(means, axis=1)
    return stacked


def mean_map(distances: Sequence[Floats], scales: Sequence[Sequence[FeatureLevel]]) -> Floats:
    """What the scorer gives as heatmap for the distances (P,) of one picture's patches at each scale: (h, w)."""
    maps, to = [], scales[0][0].size
    for found, levels in zip(distances, scales, strict=True):
        rows, columns = (interpolation(old, new) for old, new in zip(levels[0].size, to, strict=True))
        maps.append(rows @ found.reshape(levels[0].size) @ columns.T)
    mean: Floats = np.mean(maps, axis=0, dtype=np.float32)
    return mean


def interpolation(old: int, new: int) -> Floats:
    """The matrix float32 (new, old) that stretches `old` values linearly to `new`, both at the centres of their cells.

    Example:
        >>> interpolation(1, 2).tolist()
        [[1.0], [1.0]]
    """
    places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    weights: Floats = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(old))).astype(np.float32)
    return weights


def _top_count(share: float, places: int) -> int:
    return max(1, round(share * places))


def _patches(builder: _Builder, levels: Sequence[FeatureLevel]) -> str:
    """3 x 3 means of each level, at the resolution of the first, side by side: (N, P, C)."""
    maps = []
    for level in levels:
        value = builder.add(
            "AveragePool", level.name, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], count_include_pad=0
        )
        maps.append(_resized(builder, value, level.size, levels[0].size))
    value = builder.add("Concat", *maps, axis=1) if len(maps) > 1 else maps[0]
    value = builder.add("Transpose", value, perm=[0, 2, 3, 1])
    channels = sum(level.channels for level in levels)
    shape = (0, levels[0].size[0] * levels[0].size[1], channels)
    return builder.add("Reshape", value, builder.constant(shape, np.int64))


def _resized(builder: _Builder, value: str, size: tuple[int, int], to: tuple[int, int]) -> str:
    if size == to:
        return value
    # Engines round the new size down: a little more than the exact ratio, which moves no pixel.
    scales = [1.0, 1.0, *((new + 1e-3) / old for old, new in zip(size, to, strict=True))]
    return builder.add("Resize", value, "", builder.constant(scales), mode="linear")


def _pooled(builder: _Builder, levels: Sequence[FeatureLevel]) -> str:
    means = [builder.add("GlobalAveragePool", level.name) for level in levels]
    value = builder.add("Concat", *means, axis=1) if len(means) > 1 else means[0]
    return builder.add("Flatten", value, axis=1)


def _distances(builder: _Builder, scale: Scale) -> str:
    """Distance of each patch to the nearest of the bank: (N, P)."""
    last = builder.constant([2], np.int64)
    centred = builder.add("Sub", _patches(builder, scale.levels), builder.constant(scale.bank.whitening.mean))
    query = builder.add("MatMul", centred, builder.constant(scale.bank.whitening.matrix))
    squares = builder.add("ReduceSum", builder.add("Mul", query, query), last, keepdims=1)
    extended = builder.add("Concat", query, squares, axis=2)
    matrix, offset = (builder.constant(value) for value in scale.bank.products)
    every = builder.add("Add", builder.add("MatMul", extended, matrix), offset)
    squared = builder.add("Max", builder.add("ReduceMin", every, last, keepdims=0), builder.constant(0.0))
    return builder.add("Sqrt", squared)


def _top_means(builder: _Builder, distances: str, places: int) -> list[str]:
    """The statistics of TOP_SHARES, (N, 1) each."""
    # One sorting serves all shares: each is the beginning of the longest.
    counts = [_top_count(share, places) for share in TOP_SHARES]
    longest = builder.add("TopK", distances, builder.constant([max(counts)], np.int64), outputs=2, axis=1)
    zero, axis, means = builder.constant([0], np.int64), builder.constant([1], np.int64), []
    for count in counts:
        top = builder.add("Slice", longest, zero, builder.constant([count], np.int64), axis)
        means.append(builder.add("ReduceMean", top, axis, keepdims=1))
    return means


def _as_map(builder: _Builder, distances: str, size: tuple[int, int], to: tuple[int, int]) -> str:
    value = builder.add("Reshape", distances, builder.constant((-1, *size), np.int64))
    if size == to:
        return value
    rows, columns = (builder.constant(interpolation(old, new)) for old, new in zip(size, to, strict=True))
    return builder.add("MatMul", rows, builder.add("MatMul", value, builder.add("Transpose", columns, perm=[1, 0])))


def _image_distance(builder: _Builder, levels: Sequence[FeatureLevel], pooled: PooledGaussian) -> str:
    centred = builder.add("Sub", _pooled(builder, levels), builder.constant(pooled.mean))
    turned = builder.add("MatMul", centred, builder.constant(pooled.matrix))
    squared = builder.add("Mul", turned, turned)
    return builder.add("Sqrt", builder.add("ReduceSum", squared, builder.constant([1], np.int64), keepdims=1))


def _score(builder: _Builder, statistics: str, combination: Combination) -> str:
    logarithms = builder.add("Log", builder.add("Max", statistics, builder.constant(_LEAST)))
    centred = builder.add("Sub", logarithms, builder.constant(combination.middle))
    weights = combination.weights / combination.spread[:, None]
    parts = builder.add("MatMul", centred, builder.constant(weights))
    return builder.add("ReduceMax", parts, builder.constant([1], np.int64), keepdims=0)
