"""The network of a generator: a small U-Net that tells in which direction noise becomes an image.

Images are folded first (pixel unshuffle): a network that works at half the resolution costs a quarter, and what a fold
of 2 x 2 pixels has in common is learned by its first convolution. Time, class and mirroring scale and shift every
block (FiLM, Perez et al. 2018).
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn
from torch.nn import functional

IMAGE_STD = 0.5
"""Standard deviation of pixels from -1 to 1, as in most sets of pictures. Input and output of the network are scaled by
it so that both have a variance of 1 at every time (preconditioning, Karras et al. 2022, for the velocity)."""
FOLD = 2
"""Pixels a side that one position of the network holds."""
_GROUPS = 8
_TIMES = 128  # numbers that a time is told as


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, scaled and shifted by what is known of the image.

    Args:
        before, after: channels.
        known: numbers that are known of an image.
    """

    def __init__(self, before: int, after: int, known: int) -> None:
        super().__init__()
        self.first_norm, self.first = nn.GroupNorm(_GROUPS, before), nn.Conv2d(before, after, 3, padding=1)
        self.film = nn.Linear(known, 2 * after)
        # What is known scales and shifts after this one, so that it needs no scale and shift of its own.
        self.second_norm = nn.GroupNorm(_GROUPS, after, affine=False)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.short = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        nn.init.zeros_(self.second.weight)  # at first a block changes nothing, which steadies the first steps

    def forward(self, maps: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Maps float (N, C, H, W) and what is known float (N, K) -> maps."""
        inner = self.first(functional.silu(self.first_norm(maps)))
        scale, shift = self.film(known)[:, :, None, None].chunk(2, dim=1)
        inner = self.second(functional.silu(self.second_norm(inner) * (1 + scale) + shift))
        found: torch.Tensor = self.short(maps) + inner
        return found


class VelocityNetwork(nn.Module):
    """Images on their way from noise, with time and class -> their velocity, which is noise less image.

    Args:
        classes: C; the number C stands for "of any class".
        width: channels at the finest resolution; twice as many at each coarser one.
        levels: resolutions; images have sides that are multiples of 2 ** levels.
    """

    def __init__(self, classes: int, width: int, levels: int) -> None:
        super().__init__()
        self.classes, known = classes, 4 * width
        widths = [width * min(2**level, 4) for level in range(levels)]
        self.time = nn.Sequential(nn.Linear(_TIMES, known), nn.SiLU(), nn.Linear(known, known))
        self.label = nn.Embedding(classes + 1, known)
        self.mirror = nn.Embedding(2, known)
        self.enter = nn.Conv2d(3 * FOLD**2, width, 3, padding=1)
        down, up = nn.ModuleList(), nn.ModuleList()
        for level, channels in enumerate(widths):
            before = widths[max(level - 1, 0)]
            down.append(nn.ModuleList([_smaller(before, channels, level), *_blocks(channels, known)]))
            above = widths[level - 1] if level else width
            up.insert(0, nn.ModuleList([ResidualBlock(2 * channels, channels, known), _larger(channels, above, level)]))
        self.down, self.up = down, up
        self.middle = ResidualBlock(widths[-1], widths[-1], known)
        self.leave = nn.Sequential(nn.GroupNorm(_GROUPS, width), nn.SiLU(), nn.Conv2d(width, 3 * FOLD**2, 3, padding=1))
        last = self.leave[2]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)

    def forward(
        self, images: torch.Tensor, time: torch.Tensor, label: torch.Tensor, mirrored: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Velocity float (N, 3, H, W).

        Args:
            images: float (N, 3, H, W), images in -1 to 1 mixed with noise.
            time: float (N,), 0 for an image, 1 for noise.
            label: int64 (N,), classes; C for any.
            mirrored: int64 (N,), 1 for a mirrored image; None for none.
        """
        moment = time[:, None, None, None]
        spread = (((1 - moment) * IMAGE_STD).square() + moment.square()).sqrt()
        line = (moment - (1 - moment) * IMAGE_STD**2) / spread.square()
        rest = self._rest(images / spread, time, label, mirrored)
        return line * images + IMAGE_STD / spread * rest

    def _rest(
        self, images: torch.Tensor, time: torch.Tensor, label: torch.Tensor, mirrored: torch.Tensor | None
    ) -> torch.Tensor:
        """What the best straight line from images to velocities leaves over, scaled to a standard deviation of 1."""
        known = self.time(_waves(time)) + self.label(label)
        known = functional.silu(known + self.mirror(torch.zeros_like(label) if mirrored is None else mirrored))
        maps, kept = self.enter(functional.pixel_unshuffle(images, FOLD)), []
        for level in self.down:
            smaller, *blocks = cast("nn.ModuleList", level)
            maps = smaller(maps)
            for block in blocks:
                maps = block(maps, known)
            kept.append(maps)
        maps = self.middle(maps, known)
        for level in self.up:
            joining, larger = cast("nn.ModuleList", level)
            maps = larger(joining(torch.cat([maps, kept.pop()], 1), known))
        return functional.pixel_shuffle(self.leave(maps), FOLD)


def _blocks(channels: int, known: int) -> list[ResidualBlock]:
    return [ResidualBlock(channels, channels, known) for _ in range(2)]


def _smaller(before: int, after: int, level: int) -> nn.Module:
    return nn.Conv2d(before, after, 3, stride=2, padding=1) if level else nn.Identity()


def _larger(channels: int, above: int, level: int) -> nn.Module:
    if not level:
        return nn.Identity()
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, above, 3, padding=1))


def _waves(time: torch.Tensor) -> torch.Tensor:
    """Sine and cosine of a time at many frequencies (Vaswani et al. 2017), float (N, 128)."""
    half = _TIMES // 2
    rates = torch.exp(torch.arange(half, device=time.device) * (-math.log(1e4) / half))
    angles = 1000 * time.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)
