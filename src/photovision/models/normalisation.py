"""Batch normalisation fitted to a place: statistics of its images, mixed with those of the training.

What light, colour and sharpness do to the channels of a network is undone where each is normalised by the statistics
of the place (AdaBN: Li et al. 2017); few images are mixed with the statistics of the training as if these were a
number of images, too (Schneider et al. 2020). Labels take no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from photovision.core.types import Image
from photovision.models.export import Normalise

BATCH = 32


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The layers of a network that normalise by statistics of the training, in order of registration."""
    found = (module for module in network.modules() if isinstance(module, _BatchNorm))
    return [module for module in found if module.running_mean is not None]


@torch.no_grad()
def normalised_for(network: nn.Module, normalise: Normalise, images: Sequence[Image], worth: float) -> nn.Module:
    """A copy of a network whose batch normalisation is mixed from the training's statistics and a place's.

    Each batch is normalised by its own mixture, so that deeper layers see what they will see.

    Args:
        network: in evaluation mode, on the CPU.
        normalise: its normalisation of pixels.
        images: N pictures of the place, uint8 (H, W, 3) each.
        worth: how many pictures the statistics of the training count as, above 0.
    """
    copy = deepcopy(network).eval()
    share = len(images) / (len(images) + worth)
    layers = {layer: _Mixture(layer, share) for layer in batch_norms(copy)}
    hooks = [layer.register_forward_pre_hook(mixture.see) for layer, mixture in layers.items()]
    order = np.random.default_rng(0).permutation(len(images))  # pictures of one kind lie side by side in a folder
    for start in range(0, len(images), BATCH):
        copy(normalise(torch.from_numpy(np.stack([images[i] for i in order[start : start + BATCH]]))))
    for hook in hooks:
        hook.remove()
    for mixture in layers.values():
        mixture.settle()
    return copy


class _Mixture:
    """The statistics of one layer."""

    def __init__(self, layer: _BatchNorm, share: float) -> None:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        self._layer, self._share = layer, share
        self._mean, self._var = layer.running_mean.clone(), layer.running_var.clone()
        self._count, self._sum, self._squares = 0, torch.zeros_like(self._mean), torch.zeros_like(self._mean)

    def see(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """Take in what comes into the layer, and let it normalise this batch by a mixture."""
        places = [0, *range(2, inputs[0].ndim)]
        mean, squares = inputs[0].mean(places), inputs[0].square().mean(places)
        n = len(inputs[0])
        self._count, self._sum, self._squares = self._count + n, self._sum + n * mean, self._squares + n * squares
        self._mix(mean, squares)

    def settle(self) -> None:
        """Leave the layer with the mixture over all batches."""
        self._mix(self._sum / self._count, self._squares / self._count)

    def _mix(self, mean: torch.Tensor, squares: torch.Tensor) -> None:
        assert self._layer.running_mean is not None
        assert self._layer.running_var is not None
        variance = (squares - mean.square()).clamp_min(0)
        self._layer.running_mean.copy_(torch.lerp(self._mean, mean, self._share))
        self._layer.running_var.copy_(torch.lerp(self._var, variance, self._share))
