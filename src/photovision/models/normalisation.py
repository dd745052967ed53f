"""Batch normalisation fitted to a place: what its images do to the channels of a network, compared with others.

What light, colour and sharpness do to the channels is undone where each is normalised by the statistics of the place
(AdaBN: Li et al. 2017); few images are mixed with what was there as if that were a number of images, too (Schneider et
al. 2020). Statistics of a pretrained network are often not those of its fine-tuning, so they are moved by the
difference between the place and held-out images of the training, not replaced: where there is none, nothing changes.
Labels take no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from photovision.core.types import Image

BATCH = 32
_LITTLE, _MOST = 1e-6, 1e3


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The layers of a network that normalise by statistics of the training, in order of registration."""
    found = (module for module in network.modules() if isinstance(module, _BatchNorm))
    return [module for module in found if module.running_mean is not None]


@torch.no_grad()
def normalised_for(
    network: nn.Module, normalise: nn.Module, images: Sequence[Image], usual: Sequence[Image], worth: float
) -> nn.Module:
    """A copy of a network whose normalised channels are in a place what they are for the usual images.

    Each batch is normalised by its own statistics, so that deeper layers see what they will see.

    Args:
        network: in evaluation mode, on the CPU.
        normalise: from uint8 pictures (N, H, W, 3) to what the network takes.
        images: N pictures of the place, uint8 (H, W, 3) each.
        usual: pictures like those of the training.
        worth: how many pictures the network's own statistics count as, above 0.
    """
    known = _run(deepcopy(network), normalise, usual, None, 0.0)
    adapted = deepcopy(network)
    for layer in _run(
        adapted, normalise, images, [one.moments() for one in known], len(images) / (len(images) + worth)
    ):
        layer.settle()
    return adapted


def _run(
    network: nn.Module,
    normalise: nn.Module,
    images: Sequence[Image],
    usual: Sequence[tuple[torch.Tensor, torch.Tensor]] | None,
    share: float,
) -> list[_Layer]:
    """The layers after a pass over images; with usual moments they have normalised every batch by a mixture."""
    modules = batch_norms(network.eval())
    layers = [_Layer(module, None if usual is None else usual[k], share) for k, module in enumerate(modules)]
    hooks = [module.register_forward_pre_hook(layer.see) for module, layer in zip(modules, layers, strict=True)]
    order = np.random.default_rng(0).permutation(len(images))  # pictures of one kind lie side by side in a folder
    for start in range(0, len(images), BATCH):
        network(normalise(torch.from_numpy(np.stack([images[i] for i in order[start : start + BATCH]]))))
    for hook in hooks:
        hook.remove()
    return layers


class _Layer:
    """What comes into one layer, and the statistics by which it normalises."""

    def __init__(self, module: _BatchNorm, usual: tuple[torch.Tensor, torch.Tensor] | None, share: float) -> None:
        assert module.running_mean is not None
        assert module.running_var is not None
        self._module, self._usual, self._share = module, usual, share
        self._mean, self._var = module.running_mean.clone(), module.running_var.clone()
        self._count, self._sum, self._squares = 0, torch.zeros_like(self._mean), torch.zeros_like(self._mean)

    def see(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """Take in a batch before it is normalised."""
        places = [0, *range(2, inputs[0].ndim)]
        mean, squares = inputs[0].mean(places), inputs[0].square().mean(places)
        n = len(inputs[0])
        self._count, self._sum, self._squares = self._count + n, self._sum + n * mean, self._squares + n * squares
        self._mix(mean, (squares - mean.square()).clamp_min(0))

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of every channel over all batches."""
        mean = self._sum / self._count
        return mean, (self._squares / self._count - mean.square()).clamp_min(0)

    def settle(self) -> None:
        """Leave the layer with the mixture over all batches."""
        self._mix(*self.moments())

    def _mix(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        if self._usual is None:
            return
        assert self._module.running_mean is not None
        assert self._module.running_var is not None
        usual_mean, usual_variance = self._usual
        scale = ((variance + _LITTLE) / (usual_variance + _LITTLE)).clamp(1 / _MOST, _MOST)
        target = mean - (usual_mean - self._mean) * scale.sqrt()
        self._module.running_mean.copy_(torch.lerp(self._mean, target, self._share))
        self._module.running_var.copy_(self._var * torch.lerp(torch.ones_like(scale), scale, self._share))
