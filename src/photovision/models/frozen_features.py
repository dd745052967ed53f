"""Trunk: the frozen lower part of a network as a graph of its own, run once for every view of every picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from photovision.core.preprocess import Preprocess
from photovision.models.export import Normalise, embed, export_graph, feature_maps
from photovision.models.sequential_split import chain
from photovision.models.token_split import AsTokens, as_map, token_chain, token_steps

OUTPUTS = ("features", "maps", "last_maps")
"""Of the graph of a frozen part, as far as it has them."""
_FINEST = 16
_TRAINED_BLOCKS = 4  # the upper fourth of a transformer's blocks knows objects


@dataclass(frozen=True)
class SplitPoint:
    """Where a network is cut in two.

    Attributes:
        lower: names of the frozen steps.
        upper: names of the trained steps; the last is the classifier, or ends with it.
        shape: (C, H, W) of the feature map between the parts; of a transformer (D, T, 1), its tokens.
        tokens: whether the network is a transformer.
    """

    lower: tuple[str, ...]
    upper: tuple[str, ...]
    shape: tuple[int, int, int]
    tokens: bool = False


def cut_points(network: nn.Module, size: tuple[int, int]) -> list[SplitPoint]:
    """All places where a network can be cut into steps below and above a feature map, the uppermost first.

    Empty where the network is no chain of modules.
    """
    links = chain(network, size) or []
    if not links:
        return _token_cuts(network, size)
    names = tuple(link.name for link in links)
    cuts = []
    for index in range(len(links) - 1, 0, -1):
        shape = links[index - 1].shape
        convolves = any(isinstance(m, nn.Conv2d) for link in links[index:] for m in link.module.modules())
        if len(shape) == 3 and convolves and shape[1] > 1:
            cuts.append(SplitPoint(names[:index], names[index:], (shape[0], shape[1], shape[2])))
    return cuts


def _token_cuts(network: nn.Module, size: tuple[int, int]) -> list[SplitPoint]:
    links = token_chain(network, size) or []
    names = tuple(link.name for link in links)
    cuts = []
    for index in range(len(links) - 3, 1, -1):  # at least one block, what is pooled and the classifier are above
        tokens, width = links[index - 1].shape
        cuts.append(SplitPoint(names[:index], names[index:], (width, tokens, 1), tokens=True))
    return cuts


def default_cut(network: nn.Module, size: tuple[int, int]) -> SplitPoint | None:
    """The uppermost cut with a feature map of at least 1/16 of the picture's resolution, or None.

    Below it are edges, textures and parts that all photographs share; above it are the stages that know objects. A
    transformer has the same resolution everywhere: the upper fourth of its blocks is above the cut.
    """
    cuts = cut_points(network, size)
    if cuts and cuts[0].tokens:
        return cuts[max(0, (len(cuts) + 1) // _TRAINED_BLOCKS - 1)]
    fitting = [cut for cut in cuts if cut.shape[1] * _FINEST >= size[0]]
    return fitting[0] if fitting else None


def _steps_of(network: nn.Module, cut: SplitPoint) -> dict[str, nn.Module]:
    return dict(token_steps(network) if cut.tokens else network.named_modules())


def upper_of(network: nn.Module, cut: SplitPoint, dropout: float) -> nn.Sequential:
    """The trained steps as a network sharing its modules with the whole, with dropout before the classifier."""
    steps = _steps_of(network, cut)
    upper = nn.Sequential()
    if cut.tokens:
        upper.add_module("as_tokens", AsTokens())
    for name in cut.upper:
        if name == cut.upper[-1]:
            upper.add_module("dropout", nn.Dropout(dropout))
        upper.add_module(name.replace(".", "_"), steps[name])
    return upper


class _TrunkGraph(nn.Module):
    def __init__(self, network: nn.Module, preprocess: Preprocess, cut: SplitPoint | None) -> None:
        super().__init__()
        self.normalise, self.network = Normalise(preprocess), network
        steps = _steps_of(network, cut) if cut else {}
        self.lower = nn.ModuleList([steps[name] for name in cut.lower]) if cut else None

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        batch = self.normalise(images)
        if self.lower is None:
            return (embed(self.network, batch),)
        for step in self.lower:
            batch = step(batch)
        return (batch,)


class _FeatureGraph(_TrunkGraph):
    """Pooled features at the end, the feature map at the cut, and the last one, where a step gives it."""

    def __init__(self, network: nn.Module, preprocess: Preprocess, cut: SplitPoint) -> None:
        super().__init__(network, preprocess, cut)
        # The last step is the classifier, or pools and ends with it; all before it give what that one sees.
        steps = _steps_of(network, cut)
        self.rest = nn.ModuleList([steps[name] for name in cut.upper[:-1]])
        self.pools, self.tokens = not isinstance(steps[cut.upper[-1]], nn.Linear), cut.tokens
        self.last = False if cut.tokens else self._gives_last_maps(preprocess.size)
        self.outputs = OUTPUTS if self.last else OUTPUTS[:2]

    @torch.no_grad()
    def _gives_last_maps(self, size: tuple[int, int]) -> bool:
        self.eval()
        images = torch.arange(2 * size[0] * size[1] * 3).reshape(2, *size, 3).to(torch.uint8)  # of many values
        expected = feature_maps(self.network, self.network.forward_features(self.normalise(images)))  # type: ignore[operator]
        found = self._through(images)[2]
        return expected is not None and expected.shape == found.shape and torch.allclose(expected, found, atol=1e-4)

    def _through(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        (maps,) = super().forward(images)
        features = last = maps
        for step in self.rest:
            features = step(features)
            last = features if features.ndim == 4 else last
        if self.pools and features.ndim == 4:
            features = self.network.forward_head(features, pre_logits=True)  # type: ignore[operator]
        return features, as_map(maps) if self.tokens else maps, last

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As many outputs as it has names for."""
        return self._through(images)[: len(self.outputs)]


def export_trunk(network: nn.Module, preprocess: Preprocess, cut: SplitPoint | None, path: Path) -> None:
    """Write the graph that gives `features` float32 (N, D); where there is a cut, `maps` float32 (N, C, H, W) there,
    too; and, where a step of the network gives it, `last_maps`, its last feature map."""
    if cut is None:
        export_graph(_TrunkGraph(network, preprocess, None), preprocess.size, ("features",), path)
    else:
        graph = _FeatureGraph(network, preprocess, cut)
        export_graph(graph, preprocess.size, graph.outputs, path)


def frozen_shapes(graph: Path) -> dict[str, tuple[int, ...]] | None:
    """Shapes of one row of the outputs "features" and "last_maps" of `export_trunk`; None where it has no such maps."""
    import onnx

    found = {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim[1:])
        for value in onnx.load(graph).graph.output
        if value.name in ("features", "last_maps")
    }
    return found if len(found) == 2 else None
