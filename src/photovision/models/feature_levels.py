"""Feature levels: the maps inside a frozen network as a graph of their own, from fine to coarse.

A memory of what good pictures look like needs features at several scales, and no gradient. What is done with the maps
follows in graphs that need no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from photovision.core.errors import UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.export import Normalise, export_graph
from photovision.models.sequential_split import chain

_MAX_CHANNELS = 512  # covariances of more take more pictures than people have
_MIN_STRIDE = 4  # finer maps know colours and edges only


@dataclass(frozen=True)
class FeatureLevel:
    """One map inside a network.

    Attributes:
        name: of the graph's output, "level_1" for the first.
        channels: C of its map (N, C, h, w).
        size: (h, w) of its map.
        stride: pixels of the picture from one place of the map to the next.
    """

    name: str
    channels: int
    size: tuple[int, int]
    stride: int


class LevelGraph(nn.Module):
    """uint8 RGB (N, H, W, 3) -> float32 maps (N, C, h, w), the finest first.

    Raises:
        UsageError: the network has no maps, or they are too small.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.normalise, self.network = Normalise(preprocess), network.eval()
        links = chain(network, preprocess.size) or []
        self.steps = nn.ModuleList(link.module for link in links)
        if not links and not hasattr(network, "forward_intermediates"):
            raise UsageError(f"{type(network).__name__} gives no maps between its layers: choose another backbone")
        with torch.no_grad():
            maps = self._maps(torch.zeros(1, *preprocess.size, 3, dtype=torch.uint8))
        self.kept = _useful([tuple(value.shape[1:]) for value in maps], preprocess.size[0])
        if not self.kept:
            height, width = preprocess.size
            raise UsageError(f"pictures of {width} x {height} pixels are too small for this backbone: raise --size")
        self.levels = tuple(_level(number, maps[i], preprocess.size[0]) for number, i in enumerate(self.kept, 1))

    def _maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        value = self.normalise(images)
        if not self.steps:  # no chain of modules, such as a transformer
            found: list[torch.Tensor] = self.network.forward_intermediates(  # type: ignore[operator]
                value, intermediates_only=True, output_fmt="NCHW"
            )
            return found
        maps = []
        for step in self.steps:
            value = step(value)
            if value.ndim != 4:
                break
            maps.append(value)
        return maps

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """All levels of a batch."""
        maps = self._maps(images)
        return tuple(maps[index] for index in self.kept)


def _useful(shapes: list[tuple[int, ...]], side: int) -> list[int]:
    """Of the maps of each resolution the last two, of many, as in transformers, two of the middle; none too wide."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for index, (channels, *size) in enumerate(shapes):
        if channels <= _MAX_CHANNELS and min(size) > 1 and side / size[0] >= _MIN_STRIDE:
            sizes.setdefault(tuple(size), []).append(index)
    kept = [
        found[-2:] if len(found) < 8 else [found[len(found) // 3], found[2 * len(found) // 3]]
        for found in sizes.values()
    ]
    return sorted(index for found in kept for index in found)


def _level(number: int, value: torch.Tensor, side: int) -> FeatureLevel:
    channels, height, width = (int(length) for length in value.shape[1:])
    return FeatureLevel(f"level_{number}", channels, (height, width), round(side / height))


def export_levels(network: nn.Module, preprocess: Preprocess, path: Path) -> tuple[FeatureLevel, ...]:
    """Write the graph of a network's maps and say what they are, the finest first.

    Args:
        network: of `photovision.models.backbones.create`.
        preprocess: what it expects; the graph takes pictures of its size.
        path: of the ONNX file.

    Raises:
        UsageError: the network has no maps, or they are too small.
        ExportError: the network cannot be written as ONNX.
    """
    graph = LevelGraph(network, preprocess)
    export_graph(graph, preprocess.size, tuple(level.name for level in graph.levels), path)
    return graph.levels
