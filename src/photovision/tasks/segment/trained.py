"""A trained segmenter before it is exported, and what both ways of learning one need."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import nn

from photovision.core.report import Metric
from photovision.data.dataset import Dataset
from photovision.engine.training_run import TrainingRun
from photovision.learn.feed import Feed
from photovision.learn.loop import Prepare
from photovision.learn.objective import Objective
from photovision.learn.step_time import step_seconds
from photovision.models.depthwise import frozen_depthwise
from photovision.models.segmenter import SegmenterNetwork
from photovision.tasks.segment.lesson import SegmentTraining

NAME = "masks"
_MOST_VAL = 200  # pictures: enough to choose
_MOST_NUMBERS = 2**27  # of the maps of all of them, which are in memory at once
PRECISIONS: tuple[Literal["f32", "bf16"], ...] = ("f32", "bf16")


@dataclass(frozen=True, eq=False)
class TrainedSegmenter:
    """What was learned.

    Attributes:
        lesson: what it learned, at the size that it takes.
        network: with the weights that validated best, on the CPU.
        part: the part that learned, which shares them.
        val: what it was validated with.
        prepare: from this feed's inputs to the part's.
        score: on validation.
        curve: one entry a validation.
        note: how it was learned.
    """

    lesson: SegmentTraining
    network: SegmenterNetwork
    part: nn.Module
    val: Feed
    prepare: Prepare
    score: Metric
    curve: tuple[Mapping[str, float], ...]
    note: str


def validating(val: Dataset, lesson: SegmentTraining) -> Dataset:
    """As many pictures, spread evenly, as are enough to choose and as fit into memory with their maps."""
    height, width = lesson.source.preprocess.size
    fitting = _MOST_NUMBERS // (len(lesson.classes) * height * width // 4)
    count = min(len(val), _MOST_VAL, max(8, fitting))
    return val.subset(np.linspace(0, len(val) - 1, count).astype(int))


def quickly(run: TrainingRun, part: nn.Module, pretrained: bool) -> contextlib.AbstractContextManager[None]:
    """On a CPU, pretrained depthwise kernels stay as they are: to train them would take most of the time."""
    cpu = run.work.accelerator.device.type == "cpu"
    return frozen_depthwise(part) if cpu and pretrained else contextlib.nullcontext()


def quicker(
    run: TrainingRun, task: Objective, part: nn.Module, batch: dict[str, torch.Tensor]
) -> Literal["f32", "bf16"]:
    """The arithmetic in which a step takes less time on this machine; measured once for a training."""

    def measured() -> str:
        return min(PRECISIONS, key=lambda kind: step_seconds(task, part, batch, kind))

    return cast("Literal['f32', 'bf16']", run.work.value("precision", measured))
