"""A vision transformer as a chain of steps: tokens, blocks, what is pooled of them, the classifier.

As in `photovision.models.sequential_split` the chain is proved on a picture of noise. Transformers whose blocks need
more than their tokens and rotary position embeddings (BEiT, Swin) are not split.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import global_pool_nlc
from torch import nn

from photovision.models.export import embed
from photovision.models.sequential_split import Link, proved_chain

FIRST, POOLED = "tokens", "pooled"
"""Names of the steps that are no modules of the network itself."""


class TokenEmbedding(nn.Module):
    """Normalised pictures float (N, 3, H, W) -> tokens float (N, T, D), with what tells their places."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """The tokens that the first block reads."""
        network: Any = self.network
        tokens = network._pos_embed(network.patch_embed(pictures))
        tokens = tokens[0] if isinstance(tokens, tuple) else tokens
        found: torch.Tensor = network.norm_pre(tokens)
        return found


class Rotated(nn.Module):
    """A block with rotary position embeddings, which are the same for all pictures of one size."""

    places: torch.Tensor

    def __init__(self, block: nn.Module, places: torch.Tensor) -> None:
        super().__init__()
        self.block = block
        self.register_buffer("places", places.detach().clone(), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens float (N, T, D)."""
        found: torch.Tensor = self.block(tokens, rope=self.places)
        return found


class Pooled(nn.Module):
    """Tokens float (N, T, D) -> what the classifier sees, float (N, D)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.norm, self.last_norm, self.attention = network.norm, network.fc_norm, network.attn_pool
        self.kind, self.prefix = network.global_pool, network.num_prefix_tokens
        self.with_prefix = bool(getattr(network, "pool_include_prefix", False))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Normalised and pooled."""
        tokens = self.norm(tokens)
        if self.attention is not None:
            pooled = self.attention(tokens if self.with_prefix else tokens[:, self.prefix :])
        else:
            pooled = global_pool_nlc(
                tokens, self.kind, num_prefix_tokens=self.prefix, reduce_include_prefix=self.with_prefix
            )
        found: torch.Tensor = self.last_norm(pooled)
        return found


class AsTokens(nn.Module):
    """Tokens that are stored like a map, float (N, D, T, 1) -> float (N, T, D)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Back into the order of a transformer."""
        return maps.flatten(2).transpose(1, 2)


def as_map(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens float (N, T, D) in the order in which maps are stored: (N, D, T, 1)."""
    return tokens.transpose(1, 2)[..., None]


def token_steps(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The steps of a vision transformer, which share its modules; [] for other networks."""
    parts = ("patch_embed", "_pos_embed", "norm_pre", "blocks", "norm", "fc_norm", "head")
    if not all(hasattr(network, name) for name in parts) or not hasattr(network, "attn_pool"):
        return []
    inner: Any = network
    places = _places(inner)
    blocks = []
    for number, block in enumerate(inner.blocks):
        own = places[number] if places is not None and getattr(inner, "rope_mixed", False) else places
        blocks.append((f"blocks.{number}", block if own is None else Rotated(block, own)))
    return [(FIRST, TokenEmbedding(network)), *blocks, (POOLED, Pooled(network)), ("head", inner.head)]


@torch.no_grad()
def _places(network: Any) -> torch.Tensor | None:
    """Rotary embeddings at the size that the network was built for; None where it has none."""
    if getattr(network, "rope", None) is None:
        return None
    training = network.training
    network.eval()
    try:
        side = network.patch_embed.img_size
        device = next(network.parameters()).device
        found = network._pos_embed(network.patch_embed(torch.zeros(1, 3, *side, device=device)))
    finally:
        network.train(training)
    places: torch.Tensor | None = found[1] if isinstance(found, tuple) else None
    return places


def token_chain(network: nn.Module, size: tuple[int, int]) -> list[Link] | None:
    """The steps whose composition is the network, or None where it is no such transformer.

    Args:
        network: from `photovision.models.backbones.create`.
        size: (H, W) of its input.
    """
    return proved_chain(network, size, token_steps, embed)
