"""Distillation: a small network learns all that a large one answers, not only which class is right (Hinton 2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from photovision.core.preprocess import Preprocess
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.learn.feed import Batch
from photovision.learn.objective import Objective

HEAT = 2.0
"""Divides the logits of both, so that the small probabilities, which tell what resembles what, count."""
SHARE = 0.7
"""How much the teacher's answers count; the rest is for the labels."""

Teacher = Callable[[Batch], torch.Tensor]
"""From a batch to the teacher's calibrated logits, float (N, C), for the very views in it."""


class Labelled(Objective, Protocol):
    """A task of classes."""

    @property
    def multilabel(self) -> bool:
        """Whether several classes may be true at once."""
        ...


class Distilled:
    """A task that is learned from a teacher's answers and from labels.

    The teacher should answer the very view that the student sees (Beyer et al. 2022, "a good teacher is patient and
    consistent"), so inputs must not be mixed across samples unless the teacher is asked about the mixture.

    Args:
        base: what is learned; it says what outputs mean, and how good they are.
        teacher: what the teacher answers.
        heat: see HEAT.
        share: of the teacher, 0 to 1.
    """

    def __init__(self, base: Labelled, teacher: Teacher, *, heat: float = HEAT, share: float = SHARE) -> None:
        self.base, self.teacher, self.heat, self.share = base, teacher, heat, share

    def loss(self, network: nn.Module, batch: Batch, smoothing: float) -> dict[str, torch.Tensor]:
        """`share` of the distance to the teacher, times the heat squared, plus the rest of the loss by labels."""
        logits, targets = network(batch["inputs"]).float(), batch["targets"]
        teacher_logits = self.teacher(batch).to(logits) / self.heat
        if self.base.multilabel:
            soft = functional.binary_cross_entropy_with_logits(logits / self.heat, teacher_logits.sigmoid())
            hard = functional.binary_cross_entropy_with_logits(logits, targets)
        else:
            known, own = teacher_logits.log_softmax(1), (logits / self.heat).log_softmax(1)
            soft = functional.kl_div(own, known, reduction="batchmean", log_target=True)
            hard = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        soft = soft * self.heat**2
        return {"loss": self.share * soft + (1 - self.share) * hard, "teacher": soft, "labels": hard}

    def decode(self, raw: np.ndarray) -> Floats:
        """Probabilities (N, C) from logits (N, C)."""
        return self.base.decode(raw)

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """The base's score: the truth selects, not the teacher."""
        return self.base.score(predicted, truth)

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing: this loss does not change."""
        return {}


class StoredViews:
    """K stored views of N inputs as K * N samples: sample k * N + i is view k of input i.

    So an answer of the teacher, too, is found by the sample's position alone.

    Args:
        views: float16 (N, C, H, W) each, in memory or memory-mapped.
        targets: float32 (N, C).
    """

    def __init__(self, views: Sequence[np.ndarray], targets: Floats) -> None:
        self.views, self.targets = views, np.tile(targets, (len(views), 1))

    def take(self, positions: np.ndarray, epoch: int, seed: int) -> torch.Tensor:
        """float32 (N, C, H, W)."""
        view, row = np.divmod(positions, len(self.views[0]))
        rows = [self.views[int(k)][i] for k, i in zip(view, row, strict=True)]
        return torch.from_numpy(np.stack(rows).astype(np.float32))


def recalled(answers: Floats) -> Teacher:
    """A teacher whose logits float32 (M, C) were kept, by the samples' positions."""
    kept = torch.from_numpy(answers)
    return lambda batch: kept[batch["positions"].cpu()]


def beside(network: nn.Module, temperature: float, own: Preprocess, seen: Preprocess) -> Teacher:
    """A teacher that answers during training, in evaluation mode.

    Args:
        network: from normalised pictures (N, 3, H, W) to logits.
        temperature: divides its logits.
        own: the teacher's preprocessing.
        seen: the student's, which the batches have.
    """
    network = network.eval().requires_grad_(False)
    mean, std, old_mean, old_std = (
        torch.tensor(values)[:, None, None] for values in (own.mean, own.std, seen.mean, seen.std)
    )
    same = (own.size, own.mean, own.std) == (seen.size, seen.mean, seen.std)

    @torch.no_grad()
    def answer(batch: Batch) -> torch.Tensor:
        inputs = batch["inputs"]
        network.to(inputs.device)
        if not same:
            pixels = inputs * old_std.to(inputs) + old_mean.to(inputs)
            pixels = functional.interpolate(pixels, own.size, mode="bilinear", antialias=True)
            inputs = (pixels - mean.to(inputs)) / std.to(inputs)
        logits: torch.Tensor = network(inputs).float() / temperature
        return logits

    return answer
