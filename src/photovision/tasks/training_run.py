"""Climb: what all rungs of one training share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from photovision.core.energy import Meter
from photovision.core.errors import UsageError
from photovision.core.progress import Listener, Progress
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.learn.log import MetricTracker
from photovision.learn.loop import RunContext
from photovision.models.backbones import Backbone
from photovision.runtime.neighbours import MOST
from photovision.tasks.classify.fair import Fairness
from photovision.tasks.classify.objective import ClassifyObjective
from photovision.tasks.classify.variants import Variant, robust_variants
from photovision.tasks.splits import TrainingSplits
from photovision.tasks.stage import StageResult
from photovision.tasks.workdir import Work


@dataclass(frozen=True)
class TrainConfig:
    """What the user asked for.

    Attributes:
        minutes: budget for everything, in minutes of wall time.
        backbone: a timm architecture, or None for the one that fits weights and pictures.
        weights: "auto", "none", "hub", a carrier's name or a file's path.
        size: side of the square input in pixels, or None for what fits weights and pictures.
        epochs: of the last rung, or None for what the budget allows.
        flip: whether mirrored views are made: "auto" measures whether a mirrored picture keeps its class.
        seed: of everything random.
        commercial: refuse parts whose licence does not allow commercial use.
        allow_download: whether the hub may be used.
        track: "tensorboard", "mlflow".
        decisions: of an earlier training, to be used again instead of being measured anew.
        fair_by: an attribute whose groups should be served equally well, or None.
        robust: corruptions, families of them, and "augmix", that the model should bear.
    """

    minutes: float = 5.0
    backbone: str | None = None
    weights: str = "auto"
    size: int | None = None
    epochs: int | None = None
    flip: Literal["auto", "on", "off"] = "auto"
    seed: int = 0
    commercial: bool = False
    allow_download: bool = False
    track: tuple[str, ...] = ()
    decisions: Mapping[str, Any] = field(default_factory=dict)
    fair_by: str | None = None
    robust: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 60 * 24 * 30:
            raise UsageError(f"minutes should be above 0 and at most a month, got {self.minutes}")
        if self.size is not None and not 16 <= self.size <= 2048:
            raise UsageError(f"size should be 16 to 2048 pixels, got {self.size}")
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"epochs should be at least 1, got {self.epochs}")
        if self.flip not in ("auto", "on", "off"):
            raise UsageError(f"flip should be auto, on or off, got '{self.flip}'")
        robust_variants(self.robust)  # names that do not exist are told before anything is read

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        lists = {"track": list(self.track), "robust": list(self.robust)}
        return {**asdict(self), **lists, "decisions": dict(self.decisions)}

    def files(self) -> list[Path]:
        """Weights and networks of the user's that the training reads."""
        named = [Path(name) for name in (self.weights, self.backbone) if name]
        return [path for path in named if path.exists()]

    @classmethod
    def replaying(cls, info: Mapping[str, Any]) -> TrainConfig:
        """The options and decisions of the training that a bundle's description tells of."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in info["training"].items() if name in known}
        return cls(**{**values, "track": (), "robust": tuple(values.get("robust", ()))})


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """One training under way.

    Attributes:
        options: what the user asked for.
        material: the pictures.
        work: results so far, on disk.
        task: classification, single- or multi-label.
        listener: told what goes on.
        trackers: TensorBoard, MLflow.
        started: `time.monotonic()` of the beginning.
        fairness: the groups to be fair to, where that was asked for.
        meter: of the energy that the training takes; of a resumed one, since it was resumed.
        ahead: names of the variants that are still to be learned; each is left as much time as the rung under way.
    """

    options: TrainConfig
    material: TrainingSplits
    work: Work
    task: ClassifyObjective
    listener: Listener
    trackers: tuple[MetricTracker, ...]
    started: float
    fairness: Fairness | None = None
    meter: Meter = field(default_factory=Meter)
    ahead: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.options.minutes * 60 - (time.monotonic() - self.started)

    @property
    def spendable(self) -> float:
        """Seconds that a rung may take: export, parity, test and report come last and must not be cut short."""
        asked = len(self.material.test) + len(self.material.val) + MOST  # pictures that the finished graph answers
        rest = self.left - min(0.25 * self.options.minutes * 60, 20 + 0.002 * asked)
        return rest / (1 + len(self.ahead))

    def tell(self, stage: str, done: int, total: int, line: str = "") -> None:
        """Show where the training stands."""
        if self.work.accelerator.is_main_process:
            self.listener(Progress(stage, done, total, line))

    def reached(self, rung: StageResult) -> None:
        """Tell programs that listen that a rung is climbed."""
        if self.work.accelerator.is_main_process:
            self.listener(Progress(rung.name, 1, 1, f"val {rung.val}", {"rung": rung.to_json()}))

    def setting(self, stage: str) -> RunContext:
        """For a run of the loop that ends at the latest when the budget does."""
        listener = self.listener if self.work.accelerator.is_main_process else (lambda progress: None)
        checkpoint = self.work.folder / f"checkpoint-{stage.replace(' ', '-')}.pt"
        free = self.options.epochs is not None or self.options.decisions  # what is asked for is not cut short
        deadline = float("inf") if free else time.monotonic() + max(self.spendable, 1.0)
        return RunContext(self.work.accelerator, listener, self.trackers, checkpoint, deadline, stage)


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """A rung that was climbed.

    Attributes:
        rung: what it reached and cost.
        val_logits: float32 (M, C) on validation.
        answer: gives probabilities float32 (K, C) for pictures, called by all processes; the name is what their
            features are kept under. Test pictures are asked about once, when everything is selected.
        network: the trained network, None for handcrafted features.
        source: what the network is and expects, None for handcrafted features.
        again: learns the same from the same start with one change; None for handcrafted features.
    """

    rung: StageResult
    val_logits: Floats
    answer: Callable[[Dataset, str], Floats]
    network: nn.Module | None = None
    source: Backbone | None = None
    again: Callable[[Variant], TrainedStage | None] | None = None


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
