"""Record: what chosen parts of a torch network give while it runs; hooks are always released, also after an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from photovision.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import nn


@contextmanager
def outputs_of(modules: Sequence[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """A list that each run of the network fills with the modules' outputs, in the order in which they are computed."""
    kept: list[torch.Tensor] = []

    def keep(module: Any, inputs: Any, output: torch.Tensor) -> None:
        kept.append(output)

    hooks = []
    try:
        for module in modules:
            hooks.append(module.register_forward_hook(keep))
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def blocks_of(network: nn.Module) -> list[nn.Module] | None:
    """The blocks of a vision transformer of timm with one grid of places from end to end; None for other networks."""
    blocks = getattr(network, "blocks", None)
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if grid is None or blocks is None or not len(blocks):
        return None
    found = list(blocks)
    return found if all(hasattr(block, "attn") and hasattr(block, "norm1") for block in found) else None


def as_maps(network: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Tokens or maps of a network as float (N, K, h, w); raises UsageError where it keeps no places apart."""
    from photovision.models.export import feature_maps

    maps = feature_maps(network, values)
    if maps is None:
        raise UsageError("the network keeps no places apart, so it has no maps to weigh: choose occlusion or rise")
    return maps
