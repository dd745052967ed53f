"""One training under way: what every task learns with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from photovision.core.energy import Meter
from photovision.core.progress import Listener, Progress, silent
from photovision.data.dataset import Dataset
from photovision.engine.feature_cache import FeatureCache
from photovision.engine.splits import TrainingSplits
from photovision.engine.stage import StageResult
from photovision.engine.time_text import enough_minutes
from photovision.engine.train_config import TrainConfig
from photovision.engine.workdir import WorkDir
from photovision.learn.free_threads import FreeThreads
from photovision.learn.log import MetricTracker
from photovision.learn.loop import RunContext

_SHORT = 90.0
"""Seconds."""
_FEW_REMEMBERED = 300  # pictures


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """One training under way.

    Attributes:
        config: what the user asked for.
        splits: the images.
        work: finished steps, on disk.
        listener: called with every event.
        trackers: TensorBoard, MLflow.
        started: `time.monotonic()` of the beginning.
        meter: of the energy that the training takes; of a resumed one, since it was resumed.
        closing: seconds of the budget that are kept for what follows the learning: export, comparison, test, report.
        ahead: stages that are still to be learned -> the time that each is left, as a share of that of the one under
            way.
        threads: of torch, as many as other programs leave free.
        cache: of frozen features that several trainings share; None shares none.
        not_tried: what there was no time for -> minutes with which there would be.
    """

    config: TrainConfig
    splits: TrainingSplits
    work: WorkDir
    listener: Listener = silent
    trackers: tuple[MetricTracker, ...] = ()
    started: float = field(default_factory=time.monotonic)
    meter: Meter = field(default_factory=Meter)
    closing: float = 0.0
    ahead: dict[str, float] = field(default_factory=dict)
    threads: FreeThreads = field(default_factory=FreeThreads)
    cache: FeatureCache | None = None
    not_tried: dict[str, float] = field(default_factory=dict)

    @property
    def budget(self) -> float:
        """Seconds for everything."""
        return self.config.minutes * 60

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget - (time.monotonic() - self.started)

    @property
    def spendable(self) -> float:
        """Seconds that the stage under way may take."""
        return (self.left - self.closing) / (1 + sum(self.ahead.values()))

    @property
    def short(self) -> bool:
        """Whether the budget is so short that what takes long and changes nothing is done on fewer pictures."""
        return self.budget < _SHORT and self.config.epochs is None

    @property
    def remembered(self) -> Dataset:
        """Training pictures of which a bundle may keep embeddings: all, or a few hundred by chance."""
        train = self.splits.train
        if not self.short or len(train) <= _FEW_REMEMBERED:
            return train
        rows = np.random.default_rng(self.config.seed).permutation(len(train))[:_FEW_REMEMBERED]
        return train.subset(np.sort(rows))

    def minutes_for(self, seconds: float) -> float:
        """Minutes for everything with which the stage under way could take so many seconds."""
        return enough_minutes(self.budget - self.left + self.closing + seconds * (1 + sum(self.ahead.values())))

    def leave_out(self, stage: str, minutes: float) -> None:
        """Name what there is no time for, and the minutes with which there would be."""
        self.not_tried[stage] = minutes
        self.tell(stage, 1, 1, f"not tried for lack of time; {minutes:g} min would do")

    def tell(self, stage: str, done: int, total: int, line: str = "") -> None:
        """Report where the training stands, from the main process."""
        if self.work.accelerator.is_main_process:
            self.listener(Progress(stage, done, total, line))

    def reached(self, stage: StageResult) -> None:
        """Report a finished stage, from the main process."""
        if self.work.accelerator.is_main_process:
            self.listener(Progress(stage.name, 1, 1, f"val {stage.val}", {"rung": stage.to_json()}))

    def context(self, stage: str) -> RunContext:
        """For a run of the loop that ends at the latest when the budget does."""
        listener = self.listener if self.work.accelerator.is_main_process else silent
        checkpoint = self.work.folder / f"checkpoint-{stage.replace(' ', '-')}.pt"
        free = self.config.epochs is not None or self.config.decisions  # what is asked for is not cut short
        deadline = float("inf") if free else time.monotonic() + max(self.spendable, 1.0)
        threads = None if free else self.threads
        tuning = self.config.tuning
        return RunContext(self.work.accelerator, listener, self.trackers, checkpoint, deadline, stage, threads, tuning)
