"""Attention rollout: through all blocks of a vision transformer, how much of each place reaches the answer.

Source: Abnar & Zuidema 2020, "Quantifying attention flow in transformers".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Image, Ints
from photovision.trust.explain.explained_model import ExplainedModel, Explainer, resized
from photovision.trust.explain.hooks import as_maps, blocks_of, outputs_of

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 16


def _rollout(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    import torch

    network, found = subject.network, []
    attentions = _attentions(network)
    for start in range(0, len(images), BATCH):
        pixels = np.stack([subject.bundle.preprocess.normalise(image) for image in images[start : start + BATCH]])
        with torch.no_grad(), _unfused(attentions), outputs_of([part.attn_drop for part in attentions]) as kept:  # type: ignore[misc]
            network(torch.from_numpy(pixels))
        flow = _flow(kept)
        # Where the head reads one token, its row tells; where it takes the mean of all places, the mean of their rows.
        prefix = int(getattr(network, "num_prefix_tokens", 0))
        read = flow[:, 0] if getattr(network, "global_pool", "") == "token" else flow[:, prefix:].mean(1)
        found.append(as_maps(network, read[..., None].expand(-1, -1, int(network.num_features)))[:, 0].numpy())  # type: ignore[arg-type]
    return resized(np.concatenate(found), subject.size)


def _flow(weights: list[torch.Tensor]) -> torch.Tensor:
    """Attention (N, heads, T, T) of all blocks, multiplied from the first to the last: float32 (N, T, T).

    Half of every token goes on unchanged, through the connection around the attention.
    """
    import torch

    flow = torch.eye(weights[0].shape[-1])
    for attention in weights:
        flow = (attention.mean(1) + torch.eye(attention.shape[-1])) / 2 @ flow
    return flow


def _attentions(network: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = [block.attn for block in blocks_of(network) or []]  # type: ignore[misc]
    if not found or not all(hasattr(part, "attn_drop") and hasattr(part, "fused_attn") for part in found):
        raise UsageError(
            "attention rollout needs a vision transformer with one grid of places, which this network is not: choose"
            " occlusion, gradcam or hirescam"
        )
    return found


@contextmanager
def _unfused(attentions: list[nn.Module]) -> Iterator[None]:
    """Fused attention never holds its weights, so it is off meanwhile."""
    before = [part.fused_attn for part in attentions]
    try:
        for part in attentions:
            part.fused_attn = False  # type: ignore[assignment]
        yield
    finally:
        for part, fused in zip(attentions, before, strict=True):
            part.fused_attn = fused


ROLLOUT = Explainer(
    "rollout",
    "How much of each place reaches the answer through all attention layers, whatever the class (attention rollout).",
    torch=True,
    of_class=False,
    heatmaps=_rollout,
)
