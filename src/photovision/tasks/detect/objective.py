"""Detection: the loss of a detector, and how it is validated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from photovision.core.regions import Detections
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.data.augment.box import UNJUDGED
from photovision.models.assign import assign
from photovision.models.detector import places_of
from photovision.runtime.nms import candidates, suppress
from photovision.trust.metrics.detection import Matches, Pair, match, scores

_PLACING = 2.0  # how much the boxes count beside the classes
_RIGHT_NOTHING = 0.75
LEAST = 0.02
"""Scores below this are left out of judgements: hundreds of boxes a picture, none of them believed."""


@dataclass(frozen=True)
class DetectObjective:
    """The task of finding objects.

    Attributes:
        classes: C.
        size: (H, W) of the network's input.
        iou: overlap above which two boxes of one class are one object.
    """

    classes: int
    size: tuple[int, int]
    iou: float = 0.5

    @cached_property
    def _places(self) -> torch.Tensor:
        return places_of(self.size)

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """Varifocal loss of the classes (Zhang et al. 2021) and GIoU loss of the boxes (Rezatofighi et al. 2019).

        Args:
            network: from inputs to boxes and logits float (N, P, 4 + C).
            batch: `targets` float (N, M, 5), class and box of every object.
            smoothing: not used: targets are soft already.
        """
        raw = network(batch["inputs"]).float()
        boxes, logits = raw[..., :4], raw[..., 4:]
        probs = logits.detach().sigmoid()
        places = self._places.to(raw.device)
        aims = [assign(b, p, places, t) for b, p, t in zip(boxes.detach(), probs, batch["targets"], strict=True)]
        aimed, weight = torch.stack([a.scores for a in aims]), torch.stack([a.weight for a in aims])
        wanted, judged = torch.stack([a.boxes for a in aims]), torch.stack([a.judged for a in aims])
        whole = aimed.sum().clamp(min=1.0)
        each = functional.binary_cross_entropy_with_logits(logits, aimed, reduction="none")
        each = each * torch.where(aimed > 0, aimed, _RIGHT_NOTHING * probs.square()) * judged[..., None]
        naming, held = each.sum() / whole, weight > 0
        apart = generalized_box_iou_loss(boxes[held], wanted[held])
        placing = (apart * weight[held]).sum() / whole
        return {"loss": naming + _PLACING * placing, "naming": naming, "placing": placing}

    def decode(self, raw: np.ndarray) -> Floats:
        """float32 (N, K, 4 + C): boxes, then the probability of every class, from boxes and logits."""
        found = raw.astype(np.float32)
        found[..., 4:] = 1 / (1 + np.exp(-np.clip(found[..., 4:], -60, 60)))
        return found

    def score(self, predicted: Floats, truth: np.ndarray) -> Metric:
        """Mean average precision over classes and COCO's overlaps (.5 to .95).

        Args:
            predicted: of `decode`.
            truth: float32 (N, M, 5).
        """
        if not (truth[..., 0] >= 0).any():
            return Metric(0.0, n=len(truth))
        return scores(self.matches(predicted, truth), n_boot=0)[0]["map"]

    def matches(self, predicted: Floats, truth: np.ndarray, names: tuple[str, ...] = ()) -> Matches:
        """The boxes found, suppressed and compared with the truth, objects of all sizes together."""
        pairs = [Pair(_true(t, self.classes), self.standing(p)) for p, t in zip(predicted, truth, strict=True)]
        return match(pairs, names or tuple(map(str, range(self.classes))), ("all",))

    def standing(self, predicted: Floats, least: float = LEAST) -> Detections:
        """The boxes of one picture, float32 (K, 4 + C), that reach the score `least` and that no other suppresses."""
        limits = np.full(self.classes, least, np.float32)
        found = suppress(candidates(predicted[:, :4], predicted[:, 4:], limits), self.iou)
        return Detections(found.xyxy, found.labels, scores=found.scores)

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing: this loss does not change."""
        return {}


@dataclass(frozen=True)
class DetectByQueriesObjective(DetectObjective):
    """The task for networks that match queries to objects; their loss is their own (see `models.query_detector`)."""

    def loss(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> dict[str, torch.Tensor]:
        """The network's set loss: Hungarian matching, then its terms for classes and boxes."""
        return {"loss": network(batch["inputs"], batch["targets"])}


def _true(rows: Floats, classes: int) -> Detections:
    """The truth of one picture, float32 (M, 5), without filling; what is not judged is so of any class."""
    real, crowds = rows[rows[:, 0] >= 0], rows[rows[:, 0] == UNJUDGED]
    boxes = np.concatenate([real[:, 1:], np.repeat(crowds[:, 1:], classes, axis=0)])
    labels = np.concatenate([real[:, 0], np.tile(np.arange(classes), len(crowds))]).astype(np.int64)
    return Detections(boxes, labels, crowd=np.arange(len(boxes)) >= len(real))
