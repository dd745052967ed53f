"""Maps of a segmenter's backbone, computed once by the fast runtime and stored, and the network that learns from them.

The lower steps of a pretrained backbone know edges and textures that all pictures share, and most of the time of a
training goes through them. So they are run once for several views of every picture. What learns is the decoder, and
then the decoder with the upper steps of the backbone, on rows that hold all maps of one view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from photovision.core.preprocess import Preprocess
from photovision.models.export import Normalise, export_graph
from photovision.models.segmenter import SegmenterNetwork
from photovision.models.sequential_split import steps

UPPER_MAPS = 2
"""The coarsest maps, which the upper steps of the backbone make: of strides 16 and 32 in most networks."""


@dataclass(frozen=True, eq=False)
class MapSteps:
    """How a segmenter's backbone comes to its maps, step by step.

    Attributes:
        network: the segmenter; its modules are shared.
        steps: for every map of the decoder, from fine to coarse, the steps from the map before it (the first from the
            normalised picture).
        shapes: (h, w, C) of every map.
    """

    network: SegmenterNetwork
    steps: tuple[tuple[nn.Module, ...], ...]
    shapes: tuple[tuple[int, int, int], ...]

    @property
    def numbers(self) -> int:
        """How many numbers all maps of one picture have."""
        return sum(height * width * channels for height, width, channels in self.shapes)

    def export(self, preprocess: Preprocess, path: Path) -> None:
        """Write the graph that gives `maps` float32 (N, L), all maps of each picture one after the other."""
        export_graph(_MapsGraph(self, preprocess), preprocess.size, ("maps",), path)

    def part(self, upper: bool) -> MapsPart:
        """What learns: the decoder alone, or with the steps of the backbone above the stored maps."""
        return MapsPart(self, UPPER_MAPS if upper else 0)


@torch.no_grad()
def map_steps(network: SegmenterNetwork, size: tuple[int, int]) -> MapSteps | None:
    """Find the steps to a segmenter's maps and prove them on a picture of noise; None where there is no such chain.

    Args:
        network: with pretrained weights.
        size: (H, W) of its input.
    """
    noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    network.eval()
    expected, value = network.maps(noise), noise
    found: list[list[nn.Module]] = []
    since: list[nn.Module] = []
    try:
        for _, module in steps(network.backbone):
            if isinstance(module, nn.Identity):
                continue
            value = module(value)
            since.append(module)
            if found and _same(value, expected[len(found) - 1]):  # a step that only looked like the last one
                found[-1] += since
                since = []
            elif len(found) < len(expected) and _same(value, expected[len(found)]):
                found.append(since)
                since = []
            elif len(found) == len(expected):
                break
    except (RuntimeError, TypeError, ValueError):
        return None
    if len(found) < len(expected) or len(found) <= UPPER_MAPS:
        return None
    shapes = tuple((value.shape[2], value.shape[3], value.shape[1]) for value in expected)
    return MapSteps(network, tuple(map(tuple, found)), shapes)


def _same(value: torch.Tensor, expected: torch.Tensor) -> bool:
    return value.shape == expected.shape and torch.allclose(value, expected, rtol=1e-3, atol=1e-4)


class _MapsGraph(nn.Module):
    def __init__(self, found: MapSteps, preprocess: Preprocess) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess)
        self.levels = nn.ModuleList(nn.Sequential(*modules) for modules in found.steps)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (N, L): the maps with their channels last, so that rows become images in channels_last again."""
        value, rows = self.normalise(images), []
        for level in self.levels:
            value = level(value)
            rows.append(value.permute(0, 2, 3, 1).flatten(1))
        return torch.cat(rows, 1)


class MapsPart(nn.Module):
    """Rows of stored maps float (N, L) -> logits float (N, K, H / 2, W / 2); modules are shared with the segmenter.

    Args:
        found: how the backbone comes to its maps.
        computed: of how many maps, the coarsest, the steps are run and learn; the others are taken from the rows.
    """

    def __init__(self, found: MapSteps, computed: int) -> None:
        super().__init__()
        count = len(found.steps) - computed
        self.shapes, self.taken = found.shapes, count
        self.upper = nn.ModuleList(nn.Sequential(*modules) for modules in found.steps[count:])
        self.decoder, self.head = found.network.decoder, found.network.head
        self._decode = found.network.decode

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits float (N, K, H / 2, W / 2)."""
        maps, start = [], 0
        for height, width, channels in self.shapes[: self.taken]:
            end = start + height * width * channels
            value = rows[:, start:end].reshape(len(rows), height, width, channels).permute(0, 3, 1, 2)
            maps.append(value.contiguous(memory_format=torch.channels_last))
            start = end
        for step in self.upper:
            maps.append(step(maps[-1]))
        return self._decode(maps)

    def steps(self) -> list[list[tuple[str, nn.Parameter]]]:
        """Named parameters of the upper steps, and of the decoder, which learn at rates of their own."""
        parts: Sequence[nn.Module] = (self.upper, nn.ModuleList([self.decoder, self.head]))
        return [list(part.named_parameters()) for part in parts]
