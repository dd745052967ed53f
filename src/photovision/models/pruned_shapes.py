"""Widths: how many channels the layers of a pruned network have, as plain numbers, and the network built from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from photovision.core.errors import ModelError

Widths = dict[str, list[int]]
"""Dotted name of a layer -> [inputs, outputs, groups] of a convolution, [inputs, outputs] of a linear layer, [channels]
of batch normalisation."""


def widths_of(network: nn.Module) -> Widths:
    """The widths of all layers of a network, JSON-ready."""
    return {name: found for name, module in network.named_modules() if (found := _widths(module))}


def prunable(network: nn.Module) -> bool:
    """Whether all that the network has learned lies in convolutions, linear layers and batch normalisation."""
    return all(_widths(module) or not list(module.parameters(recurse=False)) for module in network.modules())


def resize(network: nn.Module, widths: Mapping[str, Any]) -> None:
    """Give the layers of a fresh network other, not larger, widths; what they had learned is lost.

    Raises:
        ModelError: the widths are not those of such a network; a bundle may come from a stranger.
    """
    own = widths_of(network)
    if own.keys() != widths.keys():
        raise ModelError("the widths of the pruned network do not name its layers: copy the model again")
    for name, wanted in widths.items():
        if not _narrower(wanted, own[name]):
            raise ModelError(f"the layer '{name[:80]}' of the pruned network has impossible widths: copy it again")
        _set(network.get_submodule(name), wanted)
    settle(network)


def settle(network: nn.Module) -> None:
    """Let a network that was pruned know how many features it gives to its last layer."""
    features = network.get_classifier().in_features  # type: ignore[operator]
    for name in ("num_features", "head_hidden_size"):
        if isinstance(getattr(network, name, None), int):
            setattr(network, name, features)


def _widths(module: nn.Module) -> list[int] | None:
    if type(module).__name__ in ("Conv2d", "Conv2dSame") and isinstance(module, nn.Conv2d):
        return [module.in_channels, module.out_channels, module.groups]
    if isinstance(module, nn.Linear):
        return [module.in_features, module.out_features]
    if isinstance(module, nn.BatchNorm2d):
        return [module.num_features]
    return None


def _narrower(wanted: Any, own: list[int]) -> bool:
    if not isinstance(wanted, list) or len(wanted) != len(own):
        return False
    if not all(type(width) is int and 1 <= width <= most for width, most in zip(wanted, own, strict=True)):
        return False
    return len(wanted) < 3 or not (wanted[0] % wanted[2] or wanted[1] % wanted[2])


def _set(module: nn.Module, wanted: list[int]) -> None:
    if isinstance(module, nn.Conv2d):
        module.in_channels, module.out_channels, module.groups = wanted
        shape = (wanted[1], wanted[0] // wanted[2], *module.kernel_size)
    elif isinstance(module, nn.Linear):
        module.in_features, module.out_features = wanted
        shape = (wanted[1], wanted[0])
    else:
        assert isinstance(module, nn.BatchNorm2d)
        (module.num_features,) = wanted
        shape = (wanted[0],)
    outputs = wanted[min(1, len(wanted) - 1)]
    for name, parameter in list(module.named_parameters(recurse=False)):
        setattr(module, name, nn.Parameter(torch.zeros(shape if name == "weight" else (outputs,))))
        assert parameter.ndim
    for name, buffer in list(module.named_buffers(recurse=False)):
        if buffer.ndim:
            setattr(module, name, torch.zeros(outputs))
