"""Tuning: an expert's choices for the training loop, in place of those that Photovision makes.

Whatever is None is settled as without it. The choices hold for every stage that is trained by gradients; handcrafted
features and the linear probe on frozen features have none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.learn.plan import Plan

if TYPE_CHECKING:
    import torch

    Optimiser = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Sampler = Callable[[Dataset], Floats]


@dataclass(frozen=True)
class TrainingEvent:
    """Where a stage of a training stands.

    Attributes:
        stage: its name, such as "fine-tuned".
        epoch, epochs: epochs that are done, and that are planned.
        loss: mean training loss since the last event.
        val: score on validation, 0 to 1; best: the best one so far.
        network: the network under training, a torch module; it must not be changed.
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    val: float
    best: float
    network: Any


@runtime_checkable
class TrainingCallback(Protocol):
    """What is called while a network learns, in the main process; an error that it raises ends the training."""

    def epoch_end(self, event: TrainingEvent) -> bool | None:
        """After a validation; True ends the stage, which keeps its best weights."""
        ...

    def stage_end(self, event: TrainingEvent) -> None:
        """After the last epoch of a stage."""
        ...


@dataclass(frozen=True)
class Tuning:
    """An expert's choices.

    Attributes:
        optimiser: "adamw", "sgd", or a function from parameter groups, dicts with "params", "lr" and "weight_decay", to
            a torch optimiser, such as `torch.optim.RMSprop`.
        lr, head_lr: peak learning rates, of the network and of its last layer.
        layer_decay, weight_decay, warmup, schedule, label_smoothing, mixup, cutmix, ema, clip, patience: as in
            `photovision.learn.plan.Plan`.
        batch_size: pictures of a step; even.
        augment: how training pictures are varied.
        loss: of classifiers: a function from logits (N, C) and targets float (N, C) to the loss of the batch.
        sampler: of classifiers: a function from the training images, a data set, to their relative frequencies,
            float (N,).
        callbacks: called while the network learns.

    Example:
        >>> Tuning(lr=1e-4, batch_size=8).to_json()
        {'lr': 0.0001, 'batch_size': 8}
    """

    optimiser: Literal["adamw", "sgd"] | Optimiser | None = None
    lr: float | None = None
    head_lr: float | None = None
    layer_decay: float | None = None
    weight_decay: float | None = None
    warmup: float | None = None
    schedule: Literal["cosine", "linear"] | None = None
    label_smoothing: float | None = None
    mixup: float | None = None
    cutmix: float | None = None
    ema: float | None = None
    clip: float | None = None
    patience: int | None = None
    batch_size: int | None = None
    augment: Augment | None = None
    loss: Loss | None = None
    sampler: Sampler | None = None
    callbacks: tuple[TrainingCallback, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "callbacks", tuple(self.callbacks))
        self.applied(Plan(1))  # refuses what no plan may hold
        if isinstance(self.optimiser, str) and self.optimiser not in ("adamw", "sgd"):
            raise UsageError(f"optimiser should be 'adamw', 'sgd' or a function of torch, got '{self.optimiser}'")
        if self.schedule not in (None, "cosine", "linear"):
            raise UsageError(f"schedule should be 'cosine' or 'linear', got '{self.schedule}'")
        for name in ("loss", "sampler"):
            if (value := getattr(self, name)) is not None and not callable(value):
                raise UsageError(f"{name} should be a function, got {type(value).__name__}")
        for one in self.callbacks:
            if not isinstance(one, TrainingCallback):
                raise UsageError(f"a callback should have epoch_end and stage_end, but {type(one).__name__} does not")

    def applied(self, plan: Plan) -> Plan:
        """A plan with these choices in it; an optimiser of the user's own goes by the name "adamw" there."""
        known = {one.name for one in fields(Plan)}
        chosen = {name: value for name, value in self._given().items() if name in known and not callable(value)}
        return replace(plan, **chosen)

    def of_one_task(self) -> dict[str, Any]:
        """Choices that not every network can follow, those that were made: what `Task.check_options` judges."""
        return {name: value for name, value in self._given().items() if name in _OF_CLASSIFIERS}

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: what was chosen; functions and callbacks by their names."""
        return {name: _plain(value) for name, value in self._given().items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tuning:
        """Choices that `to_json` wrote; raises UsageError for a function, of which only the name was kept."""
        known = {one.name for one in fields(cls)}
        for name, one in value.items():
            plain = isinstance(one, dict) if name == "augment" else name != "optimiser" or one in ("adamw", "sgd")
            if name not in known or name in _FUNCTIONS or not plain:
                raise UsageError(
                    f"the training used a {name} of its own ({one}), which a model does not keep: repeat it in Python"
                )
        found = dict(value)
        if "augment" in found:
            found["augment"] = Augment(**{**found["augment"], "corruptions": tuple(found["augment"]["corruptions"])})
        return cls(**found)

    def _given(self) -> dict[str, Any]:
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) not in (None, ())}


UNTUNED = Tuning()
"""Nothing is chosen."""
_FUNCTIONS = frozenset({"loss", "sampler", "callbacks"})
_OF_CLASSIFIERS = frozenset({"loss", "sampler", "label_smoothing", "mixup", "cutmix"})


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if type(value) is Augment:
        return {**vars(value), "corruptions": list(value.corruptions)}
    if isinstance(value, str | int | float):
        return value
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def relative_frequencies(sampler: Sampler, dataset: Dataset) -> Floats:
    """What a sampler gives for N samples: float32 (N,), 0 and more; raises UsageError for anything else."""
    found = np.asarray(sampler(dataset), dtype=np.float32)
    if found.shape != (len(dataset),) or not np.isfinite(found).all() or found.min() < 0 or not found.any():
        raise UsageError(
            f"sampler should give {len(dataset):,} finite frequencies from 0, not all of them 0, got an array of shape"
            f" {found.shape}"
        )
    return found


def stop_asked(callbacks: Iterable[TrainingCallback], event: TrainingEvent) -> bool:
    """Whether one of the callbacks ends the stage after this epoch; all of them are called."""
    answers = [one.epoch_end(event) for one in callbacks]
    return True in answers
