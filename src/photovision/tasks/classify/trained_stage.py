"""A stage of the ladder that was learned: what it reached, and how to ask it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.engine.stage import StageResult
from photovision.tasks.classify.variants import Variant

if TYPE_CHECKING:
    from torch import nn

    from photovision.models.backbones import Backbone


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """A stage that was learned.

    Attributes:
        result: what it reached and cost.
        val_logits: float32 (M, C) on validation.
        answer: gives probabilities float32 (K, C) for images, called by all processes; the name is what their
            features are kept under. Test images are asked about once, when everything is selected.
        network: the trained network, None for handcrafted features.
        source: what the network is and expects, None for handcrafted features.
        again: learns the same from the same start with one change; None for handcrafted features.
    """

    result: StageResult
    val_logits: Floats
    answer: Callable[[Dataset, str], Floats]
    network: nn.Module | None = None
    source: Backbone | None = None
    again: Callable[[Variant], TrainedStage | None] | None = None
