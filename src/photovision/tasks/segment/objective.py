"""Segmentation: a class for every pixel, and where objects are separated, how deep inside its object it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from photovision.core.regions import IGNORE
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.trust.metrics.segmentation import confusion_of, mean_iou


@dataclass(frozen=True)
class SegmentObjective:
    """The task of naming the class of every pixel.

    Attributes:
        classes: C, the number of classes.
        instances: whether the last channel tells the depth inside an object.
        weights: how much a pixel of each class counts, see `class_weights`; None for equally.

    Example:
        >>> SegmentObjective(2).decode(np.zeros((1, 2, 1, 1), np.float32)).ravel().tolist()
        [0.5, 0.5]
    """

    classes: int
    instances: bool = False
    weights: tuple[float, ...] | None = None

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """Cross-entropy plus soft Dice over the classes (Milletari et al. 2016), plus cross-entropy of the depth.

        Where objects are separated, it is measured at the resolution of the planes, for cores of objects are small;
        else at that of the logits, which costs a quarter.

        Args:
            network: from inputs to logits float (N, K, h, w).
            batch: `targets` uint8 (N, H, W, M), the planes of the views.
            smoothing: share of the target spread over all classes.
        """
        planes = batch["targets"]
        raw = network(batch["inputs"]).float().contiguous()
        if self.instances:
            raw = functional.interpolate(raw, planes.shape[1:3], mode="bilinear", align_corners=False)
        truth = _sampled(planes[..., 0], raw.shape[2:]).long()
        logits, judged = raw[:, : self.classes], truth != IGNORE
        if not bool(judged.any()):  # a view of nothing but unjudged pixels teaches nothing
            return {"loss": raw.sum() * 0}
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        cross = functional.cross_entropy(logits, truth, weights, ignore_index=IGNORE, label_smoothing=smoothing)
        dice = self._dice(logits, truth, judged)
        losses = {"loss": cross + dice, "cross_entropy": cross, "dice": dice}
        if self.instances:
            each = functional.binary_cross_entropy_with_logits(raw[:, -1], planes[..., 1] / 255, reduction="none")
            losses["depth"] = (each * judged).sum() / judged.sum()
            losses["loss"] = losses["loss"] + losses["depth"]
        return losses

    def _dice(self, logits: torch.Tensor, truth: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
        """1 less the mean soft Dice of the classes that occur in the batch."""
        index, sums = torch.where(judged, truth, 0), logits.new_zeros(self.classes)
        probs = logits.softmax(1) * judged[:, None]
        right = probs.gather(1, index[:, None]).flatten()
        shared = sums.index_add(0, index.flatten(), right)
        areas = sums.index_add(0, index.flatten(), judged.flatten().to(sums))
        dice = (2 * shared + 1) / (probs.sum((0, 2, 3)) + areas + 1)
        return 1 - dice[areas > 0].mean()

    def decode(self, raw: np.ndarray) -> Floats:
        """float32 (N, K, h, w): probabilities of the classes, then the depth, from logits."""
        logits = raw[:, : self.classes].astype(np.float32)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        found: Floats = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
        if not self.instances:
            return found
        depth = 1 / (1 + np.exp(-np.clip(raw[:, self.classes :], -60, 60)))
        return np.concatenate([found, depth], axis=1).astype(np.float32)

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """Mean intersection over union at the network's resolution, with its interval over pictures.

        Args:
            predicted: float32 (N, K, h, w).
            truth: uint8 (N, H, W, M), H and W multiples of h and w.
        """
        said = predicted[:, : self.classes].argmax(1)
        seen = _sampled(truth[..., 0], said.shape[1:])
        return mean_iou(np.stack([confusion_of(t, s, self.classes) for t, s in zip(seen, said, strict=True)]))

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing: this loss does not change."""
        return {}


def class_weights(pixels: np.ndarray) -> tuple[float, ...]:
    """How much a pixel of each class counts: 1 / log(1.1 + its share of all pixels), 1 on average over the pixels.

    Rare classes count up to seven times as much as common ones (after ENet, Paszke et al. 2016).

    Args:
        pixels: integers (C,), how many pixels each class has.

    Example:
        >>> [round(weight, 2) for weight in class_weights(np.array([990, 10]))]
        [0.94, 6.66]
    """
    shares = pixels / max(pixels.sum(), 1)
    weights = 1 / np.log(1.1 + shares)
    return tuple((weights / max(float((weights * shares).sum()), 1e-6)).tolist())


T = TypeVar("T", np.ndarray, torch.Tensor)


def _sampled(planes: T, size: Sequence[int]) -> T:
    """Planes (N, H, W) at the middles of the places of a map of `size` (h, w), of which H and W are multiples."""
    step = planes.shape[1] // size[0], planes.shape[2] // size[1]
    return planes[:, step[0] // 2 :: step[0], step[1] // 2 :: step[1]]
