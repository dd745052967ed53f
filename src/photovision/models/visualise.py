"""Visualise: pictures made to excite a unit or a class as strongly as possible.

Activation maximisation (Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network") with what makes such
pictures legible (Olah et al. 2017, "Feature Visualization"): the picture is a sum of waves whose colours are
decorrelated, so that each step moves coarse and fine structure alike, and it is shifted, turned and scaled at random
before every step, so that only what survives that is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image
from photovision.models.activations import ROOMY, NetworkStage, response_maps
from photovision.models.depthwise import frozen_depthwise
from photovision.models.export import Normalise

# Axes of colour along which natural pictures vary independently, and how much (after Ruderman, Cronin & Chiao 1998):
# brightness, blue against yellow, red against green.
_AXES = ((1, 1, 1), (1, 1, -2), (1, -1, 0))
_SPREAD = (1.0, 0.3, 0.2)
# What follows was chosen by looking at the pictures that it gives.
_RATE = 0.02
_SLOPE = 1.3  # natural pictures have 1.0; a little more keeps the finest grain down
_CONTRAST = {False: 1.2, True: 2.5}  # largest root mean square before the sigmoid, in colour and in grey
_HELD, _POWER = 0.2, 1.5
_TURN, _SCALE, _SHIFT = 8.0, 0.12, 0.06  # largest turn in degrees, change of scale, shift as a share of the side

Score = Callable[[torch.Tensor], torch.Tensor]
"""From a normalised batch (K, 3, H, W) to how much of what is wanted each picture shows: float (K,)."""


def visualise_units(
    network: nn.Module,
    stage: NetworkStage,
    units: Sequence[int],
    preprocess: Preprocess,
    *,
    side: int,
    steps: int,
    seed: int = 0,
    grey: bool = False,
    tick: Callable[[], None] | None = None,
    seconds: float = math.inf,
) -> tuple[Image, Floats]:
    """Pictures that excite units of a stage all over, one a unit.

    Args:
        network: in evaluation mode; left as it is.
        stage: from `find_stages`.
        units: K positions in its channels.
        preprocess: what the network expects.
        side: of the square canvas, in pixels. Smaller than the network's own size is quicker, and the canvas is then
            shown without its border; networks that take one size only get `preprocess.size`.
        steps: of the ascent.
        seed: of the first picture and of all shifts, turns and scales; the same seed gives the same pictures.
        grey: whether the pictures are to be without colour.
        tick: called after every step.
        seconds: after which no step is begun; at least one is made.

    Returns:
        uint8 RGB (K, h, w, 3), and the peak that each of them reaches in its unit's map, float32 (K,).

    Example: see `photovision.learned_features.report.features`.
    """
    small = side < min(preprocess.size) and _takes(network, stage, side)
    size = (side, side) if small else preprocess.size
    index = torch.arange(len(units)), torch.as_tensor(list(units))

    def maps(batch: torch.Tensor) -> torch.Tensor:
        return response_maps(network, stage, batch)[index]

    with _still(network):
        ascent = _Ascent(preprocess, size, steps, seed, grey, tick, seconds)
        pictures = ascent.run(lambda batch: _everywhere(maps(batch)), len(units))
        if small:
            border = side // 8
            pictures = np.ascontiguousarray(pictures[:, border : side - border, border : side - border])
        with torch.no_grad():
            reached = maps(Normalise(preprocess)(torch.from_numpy(pictures))).amax((1, 2))
    return pictures, reached.numpy()


def visualise_classes(
    network: nn.Module,
    classes: Sequence[int],
    preprocess: Preprocess,
    *,
    steps: int,
    seed: int = 0,
    grey: bool = False,
    tick: Callable[[], None] | None = None,
    seconds: float = math.inf,
) -> tuple[Image, Floats]:
    """Pictures that raise the logits of K classes, one a class; arguments as in `visualise_units`.

    Returns:
        uint8 RGB (K, H, W, 3), and the network's logits for each of them, float32 (K, C).
    """
    index = torch.arange(len(classes)), torch.as_tensor(list(classes))
    with _still(network):
        ascent = _Ascent(preprocess, preprocess.size, steps, seed, grey, tick, seconds)
        pictures = ascent.run(lambda batch: network(batch)[index], len(classes))
        with torch.no_grad():
            logits = network(Normalise(preprocess)(torch.from_numpy(pictures)))
    return pictures, logits.numpy()


def noise_pictures(count: int, size: tuple[int, int], *, seed: int = 0, grey: bool = False) -> Image:
    """Random pictures with the spectrum and the colours of natural ones but without content: uint8 (N, H, W, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return _to_pixels(_painted(_waves(count, size, 1.0, generator), size, grey))


def _everywhere(maps: torch.Tensor) -> torch.Tensor:
    """A power mean of the excited places of maps (K, h, w), less a little for places that are held down.

    A plain mean cannot do justice to an edge unit, which is excited on one side of a line and held down on the other; a
    root mean square, at bounded contrast, would settle for a few places. The outermost places see padding and are left
    out.
    """
    margin = int(min(maps.shape[1:]) >= ROOMY)
    inner = maps[:, margin : maps.shape[1] - margin, margin : maps.shape[2] - margin]
    excited = (inner.clamp(min=1e-6) ** _POWER).mean((1, 2)) ** (1 / _POWER)
    return excited + _HELD * inner.clamp(max=0).mean((1, 2))


@contextmanager
def _still(network: nn.Module) -> Iterator[None]:
    """Within the context no gradient is computed for the network's own parameters."""
    wanted = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    with frozen_depthwise(network):
        network.requires_grad_(False)
        try:
            yield
        finally:
            for parameter, before in wanted:
                parameter.requires_grad_(before)


@torch.no_grad()
def _takes(network: nn.Module, stage: NetworkStage, side: int) -> bool:
    try:
        response_maps(network, stage, torch.zeros(1, 3, side, side))
    except (RuntimeError, AssertionError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class _Ascent:
    preprocess: Preprocess
    size: tuple[int, int]
    steps: int
    seed: int
    grey: bool
    tick: Callable[[], None] | None
    seconds: float

    def run(self, score: Score, count: int) -> Image:
        """Raise the scores of `count` pictures together; uint8 (N, H, W, 3)."""
        generator = torch.Generator().manual_seed(self.seed)
        waves = _waves(count, self.size, 0.01, generator).requires_grad_(True)
        optimiser = torch.optim.Adam([waves], lr=_RATE)
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.preprocess.mean, self.preprocess.std))
        began, passed = time.monotonic(), 0.0
        for step in range(self.steps):
            passed = max(step / self.steps, (time.monotonic() - began) / self.seconds)
            if step and passed >= 1:
                break
            optimiser.param_groups[0]["lr"] = _RATE * max(1 - passed, 0.0)
            shown = _jittered(_painted(waves, self.size, self.grey), generator)
            loss = -score((shown - mean) / std).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if self.tick is not None:
                self.tick()
        with torch.no_grad():
            return _to_pixels(_painted(waves, self.size, self.grey))


def _waves(count: int, size: tuple[int, int], spread: float, generator: torch.Generator) -> torch.Tensor:
    return spread * torch.randn(count, 3, size[0], size[1] // 2 + 1, 2, generator=generator)


def _to_pixels(pictures: torch.Tensor) -> Image:
    return (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _painted(waves: torch.Tensor, size: tuple[int, int], grey: bool) -> torch.Tensor:
    """Waves (N, 3, H, W // 2 + 1, 2) of equal weight as pictures (N, 3, H, W) between 0 and 1, of bounded contrast."""
    height, width = size
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    weight = 1 / frequency.clamp(min=1 / max(size)) ** _SLOPE
    axes = torch.tensor(_AXES, dtype=torch.float32)
    spread = torch.tensor((1.0, 0, 0) if grey else _SPREAD)
    axes = axes / axes.norm(dim=1, keepdim=True) * spread[:, None]
    planes = torch.fft.irfft2(torch.view_as_complex(waves) * weight, s=size, norm="ortho")
    colours = torch.einsum("nkhw,kc->nchw", planes, axes)
    contrast = colours.square().mean((1, 2, 3), keepdim=True).sqrt()
    most = _CONTRAST[grey]  # beyond it pictures burn out
    return (colours * (most / contrast.clamp(min=most))).sigmoid()


def _jittered(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each picture shifted, turned and scaled a little, at random."""
    count = len(pictures)
    drawn = torch.rand(count, 4, generator=generator) * 2 - 1
    angle, scale = drawn[:, 0] * (_TURN * np.pi / 180), 1 + drawn[:, 1] * _SCALE
    cos, sin = angle.cos() * scale, angle.sin() * scale
    motion = torch.stack(
        [torch.stack([cos, -sin, drawn[:, 2] * 2 * _SHIFT], 1), torch.stack([sin, cos, drawn[:, 3] * 2 * _SHIFT], 1)], 1
    )
    grid = functional.affine_grid(motion, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
