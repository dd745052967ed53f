"""A stage of the ladder that was learned: what it reached, and how to ask it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.engine.stage import StageResult
from photovision.tasks.classify.variants import Variant

if TYPE_CHECKING:
    from torch import nn

    from photovision.engine.training_run import TrainingRun
    from photovision.models.backbones import Backbone
    from photovision.tasks.classify.study import Study


@dataclass(frozen=True, eq=False)
class Continuation:
    """How a stage can go on to learn from val as well.

    Attributes:
        run: the training, with the time that what follows the learning needs kept back.
        study: from a copy of the stage's network to what that learns, on train and val together.
    """

    run: TrainingRun
    study: Callable[[nn.Module], Study]


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """A stage that was learned.

    Attributes:
        result: what it reached and cost.
        val_logits: float32 (M, C) on validation, of a network that did not learn from it.
        answer: gives probabilities float32 (K, C) for images, called by all processes; the name is what their
            features are kept under. Test images are asked about once, when everything is selected. Those of `before`,
            where that is there.
        network: the trained network, None for handcrafted features.
        source: what the network is and expects, None for handcrafted features.
        again: learns the same from the same start with one change; None for handcrafted features.
        more: how it can go on to learn from val as well; None where it cannot.
        before: the network as it was before it learned from val as well; None where it did not.
        graph: of its frozen part, where nothing but the last layer was learned.
    """

    result: StageResult
    val_logits: Floats
    answer: Callable[[Dataset, str], Floats]
    network: nn.Module | None = None
    source: Backbone | None = None
    again: Callable[[Variant], TrainedStage | None] | None = None
    more: Continuation | None = None
    before: nn.Module | None = None
    graph: Path | None = None
