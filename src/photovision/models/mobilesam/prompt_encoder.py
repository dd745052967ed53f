"""The prompt encoder of Segment Anything (Kirillov et al. 2023), implemented from the paper: prompts become tokens."""

from __future__ import annotations

import math

import torch
from torch import nn

from photovision.models.mobilesam.image_encoder import WIDTH


class PromptEncoder(nn.Module):
    """From points and what they mean to tokens.

    Args:
        size: S, the side of the encoder's input in pixels.
    """

    frequencies: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("frequencies", torch.zeros(2, WIDTH // 2))
        self.meanings = nn.Parameter(torch.zeros(5, WIDTH))  # of no point, outside, inside, and the two corners

    def encode(self, places: torch.Tensor) -> torch.Tensor:
        """Random Fourier features (Tancik et al. 2020) of places (..., 2), x and y as shares of the side."""
        waves = 2 * math.pi * ((2 * places - 1) @ self.frequencies)
        return torch.cat([waves.sin(), waves.cos()], dim=-1)

    def forward(self, points: torch.Tensor, meaning: torch.Tensor) -> torch.Tensor:
        """Tokens (N, P, 256): where a point is, and what it means; of one that is none only the latter."""
        where = self.encode(points / self.size) * (meaning >= 0)[..., None]
        return where + self.meanings[meaning.long() + 1]
