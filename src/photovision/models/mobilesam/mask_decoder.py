"""The mask decoder of Segment Anything (Kirillov et al. 2023), implemented from the paper.

Tokens and places of the image attend to each other twice, and every mask's token becomes a filter over the enlarged
places.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from photovision.models.mobilesam.image_encoder import STRIDE, WIDTH, ChannelNorm
from photovision.models.mobilesam.prompt_encoder import PromptEncoder

HEADS, DEPTH, MASKS = 8, 2, 4
"""Attention heads, layers, and the masks that it answers with, the first for clear prompts."""


class PromptDecoder(nn.Module):
    """From embeddings and prompts to masks.

    Args:
        size: S, the side of the encoder's input in pixels.

    `forward` takes the embedding float32 (1, 256, S / 16, S / 16), points float32 (N, P, 2), x and y in pixels of the
    encoder's input, and what each means, float32 (N, P): 1 inside, 0 outside, 2 and 3 the upper left and lower right
    corner of a box, -1 nothing. It returns logits of masks float32 (N, 4, S / 4, S / 4) and how much each is estimated
    to overlap (IoU) with the true one, float32 (N, 4).
    """

    def __init__(self, size: int = 1024) -> None:
        super().__init__()
        self.size = size
        self.prompt_encoder = PromptEncoder(size)
        self.no_mask = nn.Parameter(torch.zeros(WIDTH))
        self.answers = nn.Parameter(torch.zeros(1 + MASKS, WIDTH))  # the token of the estimates, and one a mask
        self.layers = nn.ModuleList([TwoWay(first=number == 0) for number in range(DEPTH)])
        self.last = Attention(WIDTH // 2)
        self.norm = nn.LayerNorm(WIDTH)
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(WIDTH, WIDTH // 4, 2, 2),
            ChannelNorm(WIDTH // 4),
            nn.GELU(),
            nn.ConvTranspose2d(WIDTH // 4, WIDTH // 8, 2, 2),
            nn.GELU(),
        )
        self.filters = nn.ModuleList([perceptron(WIDTH // 8) for _ in range(MASKS)])
        self.estimate = perceptron(MASKS)

    def forward(
        self, embedding: torch.Tensor, points: torch.Tensor, meaning: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer prompts about one picture."""
        side = self.size // STRIDE
        centres = (torch.arange(side, dtype=torch.float32, device=points.device) + 0.5) / side
        grid = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], dim=-1)
        where = self.prompt_encoder.encode(grid).reshape(1, side * side, WIDTH)
        prompts = self.prompt_encoder(points, meaning)
        count = prompts.shape[0]
        tokens = first = torch.cat([self.answers.expand(count, -1, -1), prompts], dim=1)
        places = (embedding.flatten(2).transpose(1, 2) + self.no_mask).expand(count, -1, -1)
        for layer in self.layers:
            tokens, places = layer(tokens, places, first, where)
        tokens = self.norm(tokens + self.last(tokens + first, places + where, places))
        maps = self.enlarge(places.transpose(1, 2).reshape(count, WIDTH, side, side))
        weights = torch.stack([make(tokens[:, 1 + number]) for number, make in enumerate(self.filters)], dim=1)
        masks = (weights @ maps.flatten(2)).reshape(count, MASKS, 4 * side, 4 * side)
        return masks, self.estimate(tokens[:, 0])


class TwoWay(nn.Module):
    """A layer in which tokens look at each other and at the picture's places, and the places look at the tokens."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first = first
        self.among, self.to_places, self.to_tokens = Attention(WIDTH), Attention(WIDTH // 2), Attention(WIDTH // 2)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 8 * WIDTH), nn.ReLU(), nn.Linear(8 * WIDTH, WIDTH))
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(4)])

    def forward(
        self, tokens: torch.Tensor, places: torch.Tensor, first: torch.Tensor, where: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`first` are the tokens of the prompt, added again wherever tokens ask or are asked; `where` the places'."""
        if self.first:
            tokens = self.norms[0](self.among(tokens, tokens, tokens))
        else:
            asking = tokens + first
            tokens = self.norms[0](tokens + self.among(asking, asking, tokens))
        tokens = self.norms[1](tokens + self.to_places(tokens + first, places + where, places))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        places = self.norms[3](places + self.to_tokens(places + where, tokens + first, tokens))
        return tokens, places


class Attention(nn.Module):
    """Multi-head attention of the decoder's width that works inside at another one."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, inner) for _ in range(3))
        self.out = nn.Linear(inner, WIDTH)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(N, Q, 256) from queries (N, Q, 256), keys and values (N, K, 256)."""
        heads = [
            layer(given).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer, given in ((self.query, query), (self.key, key), (self.value, value))
        ]
        seen = functional.scaled_dot_product_attention(*heads)
        found: torch.Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return found


def perceptron(outputs: int) -> nn.Sequential:
    """Three layers, 256 wide."""
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs)
    )
