"""Task: what the loop needs to know of what is being learned. A new task is a new implementation, never a new loop."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import nn

from photovision.core.report import Metric
from photovision.core.types import Floats


class Objective(Protocol):
    """What is being learned.

    A network maps `inputs` (N, C, H, W) to raw outputs (N, K); a task says how wrong and how good these are. A batch
    also holds `targets` (N, C) and `positions` int64 (N,), which samples these are.
    """

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """Losses of one batch; "loss" is the one to minimise, others are only shown."""
        ...

    def decode(self, raw: np.ndarray) -> Floats:
        """What the raw outputs (N, K) mean: probabilities (N, K)."""
        ...

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """How good predictions are, the higher the better: the figure that selects on validation."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """What the loss itself learns as it goes; the loop keeps it with its checkpoint and restores it in place.

        Empty for most tasks.
        """
        ...
