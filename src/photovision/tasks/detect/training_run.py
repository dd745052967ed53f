"""Course: what the steps of training a detector share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from photovision.core.energy import Meter
from photovision.core.progress import Listener, Progress
from photovision.learn.log import MetricTracker
from photovision.learn.loop import RunContext
from photovision.models.backbones import Backbone
from photovision.models.query_detector import QuerySource
from photovision.tasks.detect.objective import DetectByQueriesObjective, DetectObjective
from photovision.tasks.splits import TrainingSplits
from photovision.tasks.training_run import TrainConfig
from photovision.tasks.workdir import Work

NAME = "detector"
_ENDING = 45.0  # seconds for the graph, its comparison, and the judgement on test


@dataclass(frozen=True, eq=False)
class DetectTrainingRun:
    """One training under way.

    Attributes:
        options: what the user asked for.
        material: the pictures.
        work: results so far, on disk.
        source: the backbone and what it expects.
        listener: told what goes on.
        trackers: TensorBoard, MLflow.
        started: `time.monotonic()` of the beginning.
        meter: of the energy that it takes.
    """

    options: TrainConfig
    material: TrainingSplits
    work: Work
    source: Backbone
    listener: Listener
    trackers: tuple[MetricTracker, ...]
    started: float
    meter: Meter

    @property
    def spendable(self) -> float:
        """Seconds left for learning."""
        whole = self.options.minutes * 60
        return whole - (time.monotonic() - self.started) - min(0.3 * whole, _ENDING)

    @property
    def task(self) -> DetectObjective:
        """What is learned."""
        kind = DetectByQueriesObjective if isinstance(self.source, QuerySource) else DetectObjective
        return kind(len(self.material.dataset.classes), self.source.preprocess.size)

    def setting(self) -> RunContext:
        """For a run of the loop that ends when the budget does."""
        free = self.options.epochs is not None or self.options.decisions  # what is asked for is not cut short
        deadline = float("inf") if free else time.monotonic() + max(self.spendable, 1.0)
        checkpoint = self.work.folder / "checkpoint.pt"
        return RunContext(self.work.accelerator, self.listener, self.trackers, checkpoint, deadline, NAME)

    def tell(self, stage: str, done: int, total: int, line: str = "") -> None:
        """Show where the training stands."""
        self.listener(Progress(stage, done, total, line))
