"""Metric learning: embeddings drawn to a learned proxy of their class, by cosine."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from photovision.core.preprocess import Preprocess
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.learn.optim import leaves
from photovision.models.export import Normalise
from photovision.tasks.embed.retrieval import rank
from photovision.trust.metrics.statistics import proportion

SHARPNESS, MARGIN = 32.0, 0.1
"""Of Proxy-Anchor, as published: how much the hardest pictures count, and how far cosines should be from 0."""


class MetricNetwork(nn.Module):
    """A part of a network, and a proxy of every class.

    In training it gives cosines with the proxies, float32 (N, C), in evaluation embeddings of unit norm, (N, K).

    Args:
        part: from inputs to raw embeddings (N, K); it is trained, not copied.
        proxies: float32 (C, K), where these start.
    """

    def __init__(self, part: nn.Module, proxies: Floats) -> None:
        super().__init__()
        self.part = part
        self.proxies = nn.Parameter(torch.from_numpy(proxies.copy()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Cosines, or embeddings."""
        embeddings = nn.functional.normalize(self.part(inputs).float(), dim=1)
        if not self.training:
            return embeddings
        return embeddings @ nn.functional.normalize(self.proxies, dim=1).T

    def steps(self) -> list[list[tuple[str, nn.Parameter]]]:
        """Named parameters from the lowest step upwards, as the optimiser takes them."""
        return [*(list(step.named_parameters()) for step in leaves(self.part)), [("proxies", self.proxies)]]


@dataclass(frozen=True)
class MetricObjective:
    """Proxy-Anchor (Kim et al. 2020); an `Objective` of the loop.

    Attributes:
        queries: how many of the validated embeddings come first and are searched for among the others.
    """

    queries: int

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """Every proxy pulls the pictures of its class and pushes all others, the furthest and nearest ones most.

        Mixed pictures are pulled and pushed in shares; there is nothing that `smoothing` could soften.
        """
        cosines, targets = network(batch["inputs"]).float(), batch["targets"]
        pulled = (targets * torch.exp(-SHARPNESS * (cosines - MARGIN))).sum(0)
        pushed = ((1 - targets) * torch.exp(SHARPNESS * (cosines + MARGIN))).sum(0)
        there = targets.sum(0) > 0
        return {"loss": torch.log1p(pulled)[there].mean() + torch.log1p(pushed).mean()}

    def decode(self, raw: np.ndarray) -> Floats:
        """Embeddings float32 (N, K), as they are."""
        return np.asarray(raw, np.float32)

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """Recall@1 with Wilson's interval: the first `queries` of N embeddings, searched for among the others."""
        names, n = [str(number) for number in truth.argmax(1).tolist()], self.queries
        first = rank(predicted[:n], names[:n], predicted[n:], names[n:]).first
        return Metric(*proportion(int((first == 0).sum()), n), n)

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing: this loss does not change."""
        return {}


class EmbeddingGraph(nn.Module):
    """The whole way from uint8 pixels (N, H, W, 3) to embeddings of unit norm, float32 (N, K)."""

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.normalise, self.network = Normalise(preprocess), copy.deepcopy(network).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embed a batch."""
        return nn.functional.normalize(self.network(self.normalise(images)), dim=1)
