"""The user's choices for one training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from photovision.core.errors import UsageError
from photovision.core.windows import named_window
from photovision.data.corruptions import names
from photovision.data.corruptions.augmix import AUGMIX
from photovision.data.dataset import Dataset
from photovision.learn.tuning import UNTUNED, Tuning

_CHOICES = ("backbone", "weights", "size", "epochs", "flip", "fair_by", "robust", "sessions_by", "window", "tuning")
"""Fields that do not make sense for every task."""


@dataclass(frozen=True)
class TrainConfig:
    """What the user asked for.

    Attributes:
        minutes: budget for everything, in minutes of wall time.
        backbone: a timm architecture, or None for the one that fits weights and images.
        weights: "auto", "none", "hub", the name of a weights package or a file's path.
        size: side of the square input in pixels, or None for what fits weights and images.
        epochs: of the last stage, or None for what the budget allows.
        flip: whether mirrored views are made: "auto" measures whether a mirrored image keeps its class.
        seed: random seed.
        commercial: refuse parts whose licence does not allow commercial use.
        allow_download: whether the hub may be used.
        track: "tensorboard", "mlflow".
        decisions: of an earlier training, to be used again instead of being measured again.
        fair_by: an attribute whose groups should be served equally well, or None.
        robust: corruptions, families of them, and "augmix", that the model should be robust to.
        sessions_by: an attribute whose equal values are one capture session, "none" for no sessions, or None for those
            that capture times tell; validation holds whole ones.
        window: how CT is shown, see `core.windows.named_window`; None as the files say.
        task: name of the task to learn, or None for the one that the data teach.
        own: options that only this task has, by their names.
        tuning: an expert's choices for the training loop.
        resume: whether unfinished work of the same training is taken up; False begins from the start.
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
    sessions_by: str | None = None
    window: str | None = None
    task: str | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    tuning: Tuning = UNTUNED
    resume: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= 60 * 24 * 30:
            raise UsageError(f"minutes should be above 0 and at most a month, got {self.minutes}")
        if self.size is not None and not 16 <= self.size <= 2048:
            raise UsageError(f"size should be 16 to 2048 pixels, got {self.size}")
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"epochs should be at least 1, got {self.epochs}")
        if self.flip not in ("auto", "on", "off"):
            raise UsageError(f"flip should be auto, on or off, got '{self.flip}'")
        if self.fair_by is not None and (self.tuning.loss or self.tuning.sampler):
            raise UsageError("fair_by brings its own loss and sampler: leave these out of tuning")
        if self.window is not None:
            named_window(self.window)
        names([name for name in self.robust if name != AUGMIX])  # unknown ones are refused before anything is read

    def windowed(self, dataset: Dataset) -> Dataset:
        """The data set shown through the window, so that scans which it does not fit are found before the training."""
        return dataset if self.window is None else dataset.shown_by(named_window(self.window))

    def given(self) -> dict[str, Any]:
        """The choices that only some tasks have, where the user made them: what `Task.check_options` judges."""
        plain = {one.name: one.default for one in fields(self)}
        made = {name: getattr(self, name) for name in _CHOICES}
        chosen = {name: value for name, value in made.items() if value != plain[name]}
        return chosen | self.tuning.of_one_task() | dict(self.own)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        lists = {"track": list(self.track), "robust": list(self.robust)}
        own = {name: str(value) if isinstance(value, Path) else value for name, value in self.own.items()}
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "resume"}
        return {**plain, **lists, "decisions": dict(self.decisions), "own": own, "tuning": self.tuning.to_json()}

    def files(self) -> list[Path]:
        """Files and folders of the user's that the training reads."""
        named = [
            Path(name) for name in (self.weights, self.backbone, *self.own.values()) if isinstance(name, str | Path)
        ]
        return [path for path in named if path.name and path.exists()]

    @classmethod
    def replaying(cls, info: Mapping[str, Any]) -> TrainConfig:
        """The choices and decisions of the training that a bundle's description holds."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in info["training"].items() if name in known}
        lists = {"track": (), "robust": tuple(values.get("robust", ())), "task": info["task"]}
        return cls(**{**values, **lists, "tuning": Tuning.from_json(values.get("tuning", {}))})
