"""Classification: one label a picture, or any number of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.engine.training_run import TrainingRun
from photovision.trust.metrics.statistics import wilson

if TYPE_CHECKING:
    from photovision.learn.tuning import Loss


@dataclass(frozen=True)
class ClassifyObjective:
    """The task of naming what is in a picture.

    Attributes:
        multilabel: whether several classes may be true at once.
        own_loss: an expert's, see `photovision.learn.tuning.Tuning`.

    Example:
        >>> ClassifyObjective().decode(np.float32([[0.0, 0.0]]))
        array([[0.5, 0.5]], dtype=float32)
    """

    multilabel: bool = False
    own_loss: Loss | None = None

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """Cross-entropy against soft targets, or binary cross-entropy for each class of multi-label data."""
        logits, targets = network(batch["inputs"]).float(), batch["targets"]
        if self.own_loss is not None:
            return {"loss": self.own_loss(logits, targets)}
        if self.multilabel:
            return {"loss": nn.functional.binary_cross_entropy_with_logits(logits, targets)}
        return {"loss": nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)}

    def each(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> torch.Tensor:
        """The losses float (N,) of the single samples, of which `loss` is the mean."""
        logits, targets = network(batch["inputs"]).float(), batch["targets"]
        if self.multilabel:
            return nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
        return nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")

    def decode(self, raw: np.ndarray) -> Floats:
        """Probabilities float32 (N, C) from logits (N, C)."""
        logits = raw.astype(np.float32)
        if self.multilabel:
            return (1 / (1 + np.exp(-np.clip(logits, -60, 60)))).astype(np.float32)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs: Floats = (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
        return probs

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """Accuracy with Wilson's interval, or for multi-label data the mean average precision."""
        if self.multilabel:
            return _mean_average_precision(predicted, truth)
        right = predicted.argmax(1) == truth.argmax(1)
        low, high = wilson(int(right.sum()), len(right))
        return Metric(float(right.mean()), low, high, len(right))

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing: this loss does not change."""
        return {}


def objective_of(run: TrainingRun) -> ClassifyObjective:
    """What a training with labelled images learns."""
    return ClassifyObjective(run.splits.dataset.multilabel, run.config.tuning.loss)


def targets_of(dataset: Dataset) -> Floats:
    """float32 (N, C): the truth of every sample, one-hot for single-label data."""
    return dataset.label_matrix


def _mean_average_precision(predicted: Floats, truth: np.ndarray) -> Metric:
    from sklearn.metrics import average_precision_score

    present = truth.sum(0) > 0
    if not present.any():
        return Metric(0.0, None, None, len(truth))
    value = float(average_precision_score(truth[:, present], predicted[:, present], average="macro"))
    return Metric(value, None, None, len(truth))
