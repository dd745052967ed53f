"""The image encoder of MobileSAM: timm's TinyViT (Wu et al. 2022), whose last stage stays as fine as the one before."""

from __future__ import annotations

import timm
import torch
from torch import nn

WIDTH = 256
"""Channels of the embedding, and of all tokens."""
STRIDE = 16
"""Pixels of the input to one place of the embedding."""


class ImageEncoder(nn.Module):
    """From normalised pictures float32 (N, 3, S, S) to embeddings float32 (N, 256, S / 16, S / 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = timm.create_model("tiny_vit_5m_224", pretrained=False, num_classes=0)
        self.trunk.head = nn.Identity()
        self.trunk.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(self.trunk.num_features, WIDTH, 1, bias=False),
            ChannelNorm(WIDTH),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            ChannelNorm(WIDTH),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Look at a batch."""
        found: torch.Tensor = self.neck(self.trunk.forward_features(pictures))
        return found


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of maps (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalise."""
        centred = maps - maps.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return scaled * self.weight[:, None, None] + self.bias[:, None, None]
