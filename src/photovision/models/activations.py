"""Units: the channels of a network's stages, how much of a picture they see, and how strongly pictures excite them.

A stage is a layer that keeps places apart: its output is a stack of feature maps, one a channel. Where a stage ends in
an activation, a unit's response is taken before it, since a clipped response (ReLU6) can be neither ranked nor raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import nn

from photovision.core.errors import ModelError
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image, Ints
from photovision.models.export import Normalise
from photovision.models.sequential_split import steps

_ALIKE = 5
"""Stages shown of a network that keeps one resolution throughout."""
ROOMY = 8
"""In maps of at least so many places a side, peaks are looked for inside the outermost places, which see padding."""
_ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations")
_MAX_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class NetworkStage:
    """A layer whose units are looked at.

    Attributes:
        name: the module's dotted name within the network.
        module: the module itself, shared with the network.
        channels: number of units.
        places: (h, w) of its maps for a picture of the network's size.
        last: whether channels come last: (N, h, w, C), or tokens (N, T, C).
        activation: the activation that it ends in, or None.
    """

    name: str
    module: nn.Module
    channels: int
    places: tuple[int, int]
    last: bool
    activation: nn.Module | None

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """Its output as feature maps float (N, C, h, w)."""
        if output.ndim == 3:  # tokens that stand for no place come first
            height, width = self.places
            output = output[:, -height * width :].reshape(len(output), height, width, -1)
        return output.permute(0, 3, 1, 2) if self.last else output


@dataclass(frozen=True)
class ReceptiveField:
    """How much of a picture the units of a stage see.

    Attributes:
        reach: side in pixels of the square that can influence a unit at all; at most the picture's longer side.
        most: side in pixels of the square around its place that holds nine tenths of the influence.
    """

    reach: int
    most: int


@dataclass(frozen=True, eq=False)
class UnitActivations:
    """How strongly N pictures excite the C units of a stage.

    Attributes:
        peaks: float32 (N, C), the strongest response over all places; 0 at least where the stage ends in an activation.
        means: float32 (N, C), the mean over all places.
        places: int64 (N, C, 2), row and column of the peak in the map.
    """

    peaks: Floats
    means: Floats
    places: Ints

    @classmethod
    def room(cls, pictures: int, units: int) -> UnitActivations:
        """Room for the responses of so many pictures and units."""
        empty = np.zeros((pictures, units), np.float32)
        return cls(empty, empty.copy(), np.zeros((pictures, units, 2), np.int64))

    def at(self, rows: slice) -> UnitActivations:
        """Those of some pictures, in the same memory."""
        return UnitActivations(self.peaks[rows], self.means[rows], self.places[rows])


def find_stages(network: nn.Module, size: tuple[int, int]) -> list[NetworkStage]:
    """The first layer that keeps places apart and the last of every resolution, from the picture upwards.

    Of a network that keeps one resolution throughout, such as a vision transformer: five layers, evenly spaced.

    Args:
        network: from `photovision.models.backbones.create`.
        size: (H, W) of its input.

    Raises:
        ModelError: the network has no such layers.

    Example:
        >>> from photovision.models.small import small_resnet
        >>> [(stage.channels, *stage.places) for stage in find_stages(small_resnet(3), (28, 28))]
        [(24, 28, 28), (48, 14, 14), (96, 7, 7), (192, 4, 4)]
    """
    layers = [layer for layer in _layers(network, size) if max(layer.places) > 1]
    if len(layers) < 2:
        raise ModelError(
            f"the network {type(network).__name__} has no feature maps that could be shown: its steps give neither maps"
            " nor tokens on a grid; train with another --backbone"
        )
    # The stem is the first convolution with the normalisation and activation that follow it.
    after = next((i for i, layer in enumerate(layers) if i and _weighs(layer.module)), len(layers))
    stem = [layer for layer in layers[:after] if layer.places == layers[0].places][-1]
    groups = [list(group) for _, group in groupby(layers, key=lambda layer: layer.places)]
    if len(groups) > 1:
        chosen = [group[-1] for group in groups]
    else:
        chosen = [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, _ALIKE).round().astype(int))]
    return chosen if stem in chosen else [stem, *chosen]


def _weighs(module: nn.Module) -> bool:
    return any(isinstance(inner, (nn.Conv2d, nn.Linear)) for inner in module.modules())


@torch.no_grad()
def _layers(network: nn.Module, size: tuple[int, int]) -> list[NetworkStage]:
    """All steps that keep places apart, in the order in which they are run."""
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    found: dict[str, NetworkStage] = {}
    ended: dict[nn.Module, torch.Tensor] = {}

    def look(name: str, module: nn.Module, output: Any) -> None:
        if not isinstance(output, torch.Tensor) or isinstance(module, (nn.Identity, nn.Dropout)):
            return
        shape = _shape(tuple(output.shape[1:]), size, grid)
        if shape is not None:
            ending = next((one for one in module.modules() if ended.get(one) is output), None)
            found.pop(name, None)
            found[name] = NetworkStage(name, module, *shape, ending)

    handles = [
        module.register_forward_hook(lambda m, _, output: ended.__setitem__(m, output))
        for module in network.modules()
        if _is_activation(module)
    ]
    for name, module in steps(network):
        handles.append(module.register_forward_hook(lambda m, _, output, name=name: look(name, m, output)))
    try:
        network(torch.zeros(1, 3, *size, device=next(network.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__.startswith(_ACTIVATIONS) and not any(True for _ in module.parameters())


def _shape(shape: tuple[int, ...], size: tuple[int, int], grid: Any) -> tuple[int, tuple[int, int], bool] | None:
    """(channels, places, whether channels come last) of an output for one picture, or None where it has no places."""
    if len(shape) == 2 and grid is not None and shape[0] >= grid[0] * grid[1]:
        return shape[1], (int(grid[0]), int(grid[1])), True
    if len(shape) != 3:
        return None
    # Maps have the proportions of the picture, up to rounding.
    if abs(shape[1] * size[1] - shape[2] * size[0]) < max(size):
        return shape[0], (shape[1], shape[2]), False
    return shape[2], (shape[0], shape[1]), True


@contextmanager
def fitting_threads(macs: float) -> Iterator[None]:
    """Within the context, torch works in one thread where a step has fewer than 4e9 multiply-adds.

    Small steps gain nothing from more threads, and lose much on busy cores, where each waits for the other.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if macs < 4e9 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Reached(Exception):
    """Raised by a hook: what comes above need not be computed."""


@contextmanager
def _watched(stages: Sequence[NetworkStage], stop: bool) -> Iterator[dict[str, torch.Tensor]]:
    """Within the context, every run of the network leaves the stages' responses (N, C, h, w) here, by name."""
    caught: dict[str, torch.Tensor] = {}
    inputs: dict[nn.Module, torch.Tensor] = {}

    def keep(stage: NetworkStage, output: torch.Tensor) -> None:
        caught[stage.name] = stage.maps(output if stage.activation is None else inputs.pop(stage.activation))
        if stop:
            raise _Reached

    handles = []
    for stage in stages:
        if stage.activation is not None:  # it may work in place, so its input is copied
            handles.append(
                stage.activation.register_forward_pre_hook(lambda m, given: inputs.__setitem__(m, given[0].clone()))
            )
        handles.append(stage.module.register_forward_hook(lambda _m, _i, output, stage=stage: keep(stage, output)))
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def response_maps(network: nn.Module, stage: NetworkStage, batch: torch.Tensor) -> torch.Tensor:
    """A stage's responses float (N, C, h, w) to a normalised batch (N, 3, H, W); what lies above it is not run."""
    with _watched([stage], stop=True) as caught:
        with suppress(_Reached):
            network(batch)
        return caught[stage.name]


@torch.no_grad()
def feature_stacks(
    network: nn.Module, stages: Sequence[NetworkStage], picture: Image, preprocess: Preprocess
) -> list[Floats]:
    """The feature maps float32 (C, h, w) of every stage for one uint8 picture (H, W, 3)."""
    with _watched(stages, stop=False) as caught:
        network(Normalise(preprocess)(torch.from_numpy(picture[None].copy())))
    return [_floored(stage, caught[stage.name])[0].numpy() for stage in stages]


def first_filters(network: nn.Module) -> Floats | None:
    """The first convolution's weights float32 (C, 3, k, k), or None where it does not see RGB in windows."""
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.weight.shape[1] != 3 or min(first.weight.shape[2:]) < 2:
        return None
    return first.weight.detach().numpy()


@torch.no_grad()
def measure(
    network: nn.Module, stages: Sequence[NetworkStage], batches: Iterable[Image], most: int, preprocess: Preprocess
) -> tuple[Mapping[str, UnitActivations], Floats]:
    """How strongly pictures excite the units of every stage, with flat memory.

    Args:
        network: in evaluation mode.
        stages: from `find_stages`.
        batches: uint8 RGB (n, H, W, 3) of the network's size, one batch after the other.
        most: how many pictures they hold at most.
        preprocess: what the network expects.

    Returns:
        stage name -> responses; and the network's logits float32 (N, K).
    """
    # Room is taken at once: small results between large batches would leave gaps that nothing fits into.
    found = {stage.name: UnitActivations.room(most, stage.channels) for stage in stages}
    logits, done, normalise = np.zeros((most, 0), np.float32), 0, Normalise(preprocess)
    with _watched(stages, stop=False) as caught:
        for batch in batches:
            outputs = network(normalise(torch.from_numpy(batch))).numpy()
            logits = logits if logits.shape[1] else np.zeros((most, outputs.shape[1]), np.float32)
            rows = slice(done, done + len(batch))
            logits[rows] = outputs
            for stage in stages:
                _note(_floored(stage, caught.pop(stage.name)), found[stage.name].at(rows))
            done += len(batch)
    return {name: responses.at(slice(done)) for name, responses in found.items()}, logits[:done]


def _floored(stage: NetworkStage, maps: torch.Tensor) -> torch.Tensor:
    return maps if stage.activation is None else maps.clamp(min=0)


def _note(maps: torch.Tensor, into: UnitActivations) -> None:
    margin = int(min(maps.shape[2:]) >= ROOMY)
    inner = maps[:, :, margin : maps.shape[2] - margin, margin : maps.shape[3] - margin]
    peaks, flat = inner.flatten(2).max(2)
    into.peaks[:], into.means[:] = peaks.numpy(), maps.mean((2, 3)).numpy()
    into.places[:] = torch.stack([flat // inner.shape[3], flat % inner.shape[3]], 2).numpy() + margin


def receptive_field(network: nn.Module, stage: NetworkStage, size: tuple[int, int], seed: int = 0) -> ReceptiveField:
    """How much of a picture of `size` (H, W) the units in the middle of a stage see.

    The reach is where their gradient differs from zero, on noise pictures and over all units, so any network can be
    asked. Most of the influence comes from far less (Luo et al. 2016, "Understanding the Effective Receptive Field").
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(4, 3, *size, generator=generator, requires_grad=True)
    maps = response_maps(network, stage, noise)
    row, column = maps.shape[2] // 2, maps.shape[3] // 2
    signs = torch.randint(0, 2, maps.shape[:2], generator=generator) * 2.0 - 1
    (gradient,) = torch.autograd.grad((maps[:, :, row, column] * signs).sum(), noise)
    influence = gradient.abs().sum((0, 1)).numpy().astype(np.float64)
    rows, columns = np.nonzero(influence.any(1))[0], np.nonzero(influence.any(0))[0]
    if not len(rows):
        return ReceptiveField(0, 0)
    reach = int(max(np.ptp(rows), np.ptp(columns))) + 1
    middle = [
        (at + 0.5) * side / count - 0.5 for at, side, count in zip((row, column), size, maps.shape[2:], strict=True)
    ]
    ys, xs = np.mgrid[0 : size[0], 0 : size[1]]
    distance = np.maximum(abs(ys - middle[0]), abs(xs - middle[1])).ravel()
    order = np.argsort(distance, kind="stable")
    share = np.cumsum(influence.ravel()[order]) / influence.sum()
    within = distance[order][np.searchsorted(share, _MAX_SHARE)]
    return ReceptiveField(reach, min(reach, int(np.ceil(2 * within)) + 1))
