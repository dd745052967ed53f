"""Learning that is fair to groups of samples: by weights, or by minding most the group that fares worst (GroupDRO)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import nn

from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.learn.objective import Objective

MAX_REPEATED = 20.0
"""How much more often than the average a sample of a rare group is shown, or counts, at most."""
_LEAST_STEP, _MOST_STEP, _WHOLE_RUN = 0.01, 0.5, 10.0

Score = Callable[[Floats, np.ndarray], Metric]
Sum = Callable[[torch.Tensor], torch.Tensor]


class Separable(Objective, Protocol):
    """A task whose loss is a mean over samples."""

    def each(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> torch.Tensor:
        """The losses float (N,) of the single samples."""
        ...


def group_weights(groups: Ints) -> Floats:
    """float32 (N,), of mean 1: the inverse size of each sample's group, at most 20 times the average before scaling.

    Args:
        groups: int64 (N,), the group of each sample.

    Example:
        >>> group_weights(np.array([0, 0, 0, 1])).round(2)
        array([0.67, 0.67, 0.67, 2.  ], dtype=float32)
    """
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    inverse = len(groups) / (len(sizes) * sizes[index])
    weights = np.minimum(inverse, MAX_REPEATED)
    scaled: Floats = (weights / weights.mean()).astype(np.float32)
    return scaled


class GroupScored:
    """A task that learns as another does, but keeps the weights that a score of its own finds best.

    Args:
        base: how it learns.
        judged: from predictions (N, K) and truth (N, C) of the validation samples to the figure that selects.
    """

    def __init__(self, base: Separable, judged: Score) -> None:
        self.base, self.judged = base, judged

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """Losses of one batch."""
        return self.base.loss(network, batch, smoothing)

    def decode(self, raw: np.ndarray) -> Floats:
        """Predictions (N, K) from raw outputs (N, K)."""
        return self.base.decode(raw)

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """The figure that selects."""
        return self.judged(predicted, truth)

    def state(self) -> dict[str, torch.Tensor]:
        """What changes in the course of a run."""
        return self.base.state()


class Reweighted(GroupScored):
    """Each sample's loss counts by a weight.

    Args:
        weights: float32 (N,), of mean 1, for the training samples.
    """

    def __init__(self, base: Separable, judged: Score, weights: Floats) -> None:
        super().__init__(base, judged)
        self.weights = torch.from_numpy(weights)

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """The weighted mean of the samples' losses."""
        each = self.base.each(network, batch, smoothing)
        return {"loss": (each * self.weights[batch["positions"].cpu()].to(each)).mean()}


class GroupDro(GroupScored):
    """Group distributionally robust optimisation (Sagawa et al. 2020): the groups' losses count by weights q that grow
    exponentially with them, so that learning minds the group that fares worst.

    Samples may be drawn with any frequency: a sample of group g counts q[g] / p[g], where p[g] is how often its group
    is drawn, so that the expected gradient is that of the sum of q[g] times the mean loss of g. Draw groups equally
    often where possible: the estimate is then steadiest. Inputs must not be mixed across samples.

    Args:
        groups: int64 (N,), 0 to G - 1, of the training samples.
        frequency: float (N,), how often each sample is drawn, relatively; None means equally often.
        steps: of the whole run; q moves by exp(10 / steps * loss) a step, between exp(0.01 * loss) and exp(0.5 * loss).
        adjustment: C of the generalisation adjustment C / sqrt(n[g]) that is added to a group's loss in q.
        total: the sum of a tensor over all processes, so that all have the same q.
    """

    def __init__(
        self,
        base: Separable,
        judged: Score,
        groups: Ints,
        frequency: Floats | None = None,
        *,
        steps: int = 1000,
        adjustment: float = 0.0,
        total: Sum = lambda tensor: tensor,
    ) -> None:
        super().__init__(base, judged)
        self.groups, self.total = torch.from_numpy(groups), total
        sizes = np.bincount(groups)
        drawn = np.bincount(groups, frequency) if frequency is not None else sizes
        self.share = torch.from_numpy((drawn / drawn.sum()).astype(np.float32))
        self.harder = torch.from_numpy((adjustment / np.sqrt(sizes)).astype(np.float32))
        self.step = min(max(_WHOLE_RUN / steps, _LEAST_STEP), _MOST_STEP)
        self.q = torch.full((len(sizes),), 1 / len(sizes))

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """The loss by q, after q has taken in this batch's losses of the groups."""
        each = self.base.each(network, batch, smoothing)
        groups = self.groups[batch["positions"].cpu()]
        self._attend(each.detach().cpu(), groups)
        return {"loss": (each * (self.q / self.share)[groups].to(each)).mean()}

    def _attend(self, each: torch.Tensor, groups: torch.Tensor) -> None:
        sums = torch.zeros(2, len(self.q)).index_add_(1, groups, torch.stack([each, torch.ones_like(each)]))
        losses, counts = self.total(sums)
        seen = counts > 0
        self.q[seen] *= (self.step * (losses[seen] / counts[seen] + self.harder[seen])).exp()
        self.q /= self.q.sum()

    def state(self) -> dict[str, torch.Tensor]:
        """The groups' weights."""
        return {**self.base.state(), "q": self.q}


def balance(targets: Floats) -> Floats | None:
    """float32 (N,): how often to show each sample, by the square root of its class's rarity; None where not skewed."""
    counts = targets.sum(0)
    present = counts[counts > 0]
    if present.max() < 3 * np.median(present) and present.max() < 5 * present.min():
        return None
    rarity = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0)
    weight = (targets * rarity).max(1)
    weight[weight == 0] = float(rarity[rarity > 0].min())  # multi-label samples without any class
    frequency: Floats = (weight / weight.mean()).astype(np.float32)
    return frequency
