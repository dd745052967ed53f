"""Rectified flow: the straight way from an image to noise, whose velocity a network learns.

Liu et al. 2022, "Flow Straight and Fast"; times drawn as Esser et al. 2024 do (logit-normal), classes left out for a
tenth of the images, so that guidance is possible (Ho and Salimans 2022). The network knows which images are mirrored,
and none is asked for later, so that augmentation does not leak into samples (Karras et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.tasks.generate.network import VelocityNetwork

_NO_CLASS = 0.1
_JUDGED = (0.15, 0.35, 0.55, 0.75, 0.95)
"""Times at which held-out images are judged."""


class FlowNetwork(nn.Module):
    """A velocity network as the loop wants one: in evaluation it is given images alone, and tells its own errors."""

    def __init__(self, network: VelocityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """The velocity; without time and class the mean squared errors float (N, 5) at fixed times and noise."""
        if others:
            velocity: torch.Tensor = self.network(images, *others)
            return velocity
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(images.shape[1:], generator=generator).to(images.device).expand_as(images)
        label = torch.full((len(images),), self.network.classes, device=images.device)
        errors = []
        for moment in _JUDGED:
            time = torch.full((len(images),), moment, device=images.device)
            found = self.network(_between(images, noise, time), time, label)
            errors.append((found.float() - (noise - images)).square().mean((1, 2, 3)))
        return torch.stack(errors, 1)

    def steps(self) -> list[list[tuple[str, nn.Parameter]]]:
        """All parameters learn at one rate."""
        return [list(self.named_parameters())]


@dataclass(frozen=True)
class FlowObjective:
    """An `Objective` of the loop.

    Attributes:
        mirror: whether half of the images are mirrored, which the network knows.
    """

    mirror: bool

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """The mean squared error of the velocity."""
        images, targets = batch["inputs"], batch["targets"]
        count, device, classes = len(images), images.device, targets.shape[1]
        mirrored = torch.rand(count, device=device) < (0.5 if self.mirror else 0.0)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        noise, time = torch.randn_like(images), torch.randn(count, device=device).sigmoid()
        left_out = torch.rand(count, device=device) < _NO_CLASS
        label = torch.where(left_out, classes, targets.argmax(1))
        found = network(_between(images, noise, time), time, label, mirrored.long())
        return {"loss": (found.float() - (noise - images)).square().mean()}

    def decode(self, raw: np.ndarray) -> Floats:
        """Errors (N, 5), as they are."""
        return np.asarray(raw, np.float32)

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """How small the error on held-out images is: 1 for none, .5 for a mean squared error of 1."""
        return Metric(float(1 / (1 + predicted.mean())), n=len(predicted))

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing: this loss does not change."""
        return {}


def _between(images: torch.Tensor, noise: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    share = time[:, None, None, None]
    return (1 - share) * images + share * noise


class VelocityGraph(nn.Module):
    """The velocity network as it is exported: channels last, float32 (N, H, W, 3), as images lie in memory."""

    def __init__(self, network: VelocityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: torch.Tensor, time: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """See `VelocityNetwork.forward`."""
        found: torch.Tensor = self.network(noisy.permute(0, 3, 1, 2), time, label)
        return found.permute(0, 2, 3, 1)
