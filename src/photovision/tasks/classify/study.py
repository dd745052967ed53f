"""One run of the loop within a training: what is trained with what, and a plan for it that fits into the budget."""

from __future__ import annotations

import contextlib
import copy
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from photovision.data.dataset import Dataset
from photovision.engine.training_run import TrainingRun
from photovision.learn.feed import Feed
from photovision.learn.groups import balance
from photovision.learn.loop import Prepare
from photovision.learn.plan import Plan
from photovision.models.depthwise import frozen_depthwise
from photovision.tasks.classify.variants import PLAIN, Variant

_LEAST_STEPS = 40
_MEASURING = 0.02  # of the budget, for the steps that are measured in each arithmetic
_LONG = 50
_MANY_STEPS = 5000


@dataclass(frozen=True, eq=False)
class Study:
    """One run of the loop within a run.

    Attributes:
        name: of the rung.
        pictures: what it learns from, in the order of `train`.
        part: what is trained; shares its modules with the network that is kept.
        prepare: from a feed's inputs to the part's.
        train, val: feeds.
        input_shape: (C, H, W) of the part's input.
        pretrained: whether the part starts from pretrained weights.
        variant: a change to how the rung learns.
    """

    name: str
    pictures: Dataset
    part: nn.Module
    prepare: Prepare
    train: Feed
    val: Feed
    input_shape: tuple[int, int, int]
    pretrained: bool = True
    variant: Variant = PLAIN

    @property
    def stage(self) -> str:
        """The name of what comes of it."""
        return self.variant.name or self.name


@dataclass(frozen=True)
class EpochLimits:
    """How many epochs a plan may have.

    Attributes:
        most, least: epochs; with fewer there is no plan.
        picture: seconds in which a picture is learned from at the very least.
        missing: what there is no time for, in words; "" for the stage.
    """

    most: int
    least: int = 1
    picture: float = 0.0
    missing: str = ""


def budgeted(run: TrainingRun, study: Study, base: Plan, limits: EpochLimits) -> Plan | None:
    """Fit a plan into the budget: measure a step in both arithmetics, take the faster, count the epochs.

    The outcome is stored, so that a resumed training, and every variant, has the same plan. None where the time is not
    enough; what would be is named.

    Args:
        run, study: what is trained.
        base: its plan but for the number of epochs.
        limits: of their number.
    """
    name, stage = (text.replace(" ", "-") for text in (study.name, study.stage))
    decided = run.work.value(f"plan-{name}", lambda: _decided(run, study, base, limits))
    if decided["epochs"] < limits.least and run.config.epochs is None:
        if "minutes" in decided:
            run.leave_out(limits.missing or study.stage, decided["minutes"])
        return None
    every = max(1, decided["epochs"] // 15)  # validation is not free
    skewed = balance(study.train.targets) is not None
    epochs, tuning = decided["epochs"], run.config.tuning
    # Whoever chooses one of both gets that one.
    mixed = epochs >= _LONG and not study.pretrained and tuning.mixup is None and tuning.cutmix is None
    return replace(
        base,
        epochs=epochs,
        most_epochs=limits.most,
        precision=decided["precision"],
        balanced=skewed,
        validate_every=every,
        # In short runs mixed pictures only slow learning down; in long ones from scratch they keep it from memorising.
        paced=tuple((a, b) for a, b in run.config.decisions.get(f"paced-{stage}", ())),
        mixup=base.mixup or (0.2 if mixed else 0.0),
        cutmix=base.cutmix or (1.0 if mixed else 0.0),
        # Compiling takes a minute, and pays on a GPU only: on a CPU it was slower than oneDNN (docs/benchmarks.md).
        compile=run.work.accelerator.device.type == "cuda" and epochs * _steps(study, base) >= _MANY_STEPS,
    )


def _decided(run: TrainingRun, study: Study, base: Plan, limits: EpochLimits) -> dict[str, Any]:
    """How many epochs the time allows, in which arithmetic, and minutes with which it would allow enough of them."""
    steps = _steps(study, base)
    least = max(limits.least, -(-_LEAST_STEPS // steps))
    epoch = limits.picture * len(study.train.targets)
    if run.config.epochs is None and least * epoch > run.spendable:
        # A step of a large network takes seconds: where there is no time for enough of them, none is measured.
        return {"epochs": 0, "precision": "f32", "minutes": run.minutes_for(1.5 * least * epoch)}
    run.tell(study.stage, 0, 1, "measuring how long a step takes")
    precision, seconds = quickest(run, study, base)
    # Validation and what surrounds a step cost a little more.
    epoch = 1.07 * seconds * steps / run.work.accelerator.num_processes
    epochs = min(limits.most, int(run.spendable / epoch))
    if epochs < limits.least or (steps * epochs < _LEAST_STEPS and epoch * _LEAST_STEPS > run.spendable * steps):
        epochs = 0
    minutes = run.minutes_for(least * epoch)
    return {"epochs": run.config.epochs or epochs, "precision": precision, "minutes": minutes}


def _steps(study: Study, plan: Plan) -> int:
    return -(-len(study.train.targets) // plan.batch_size)


def quickest(run: TrainingRun, study: Study, base: Plan) -> tuple[Literal["f32", "bf16"], float]:
    """The arithmetic in which a step of a study is quicker on this machine, and the seconds that it takes."""
    device, limit = run.work.accelerator.device, min(3.0, _MEASURING * run.budget)
    with quickly(study, run):
        f32 = step_seconds(study, base, device, limit)
        bf16 = step_seconds(study, replace(base, precision="bf16"), device, limit, hopeless=1.5 * f32)
    return ("bf16", bf16) if bf16 < f32 else ("f32", f32)


def step_seconds(
    study: Study, plan: Plan, device: torch.device, limit: float = 3.0, hopeless: float = float("inf")
) -> float:
    """Median time of one forward and backward pass on random inputs.

    Args:
        study, plan, device: what is measured.
        limit: seconds after which two passes are enough.
        hopeless: seconds of the first pass with which no second one is needed.
    """
    trial = copy.deepcopy(study.part).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    inputs = torch.rand(plan.batch_size, *study.input_shape, device=device).contiguous(
        memory_format=torch.channels_last
    )
    for module in trial.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not plan.train_norm:
            module.eval()
    times: list[float] = []
    while len(times) < 2 or (len(times) < 12 and sum(times) < limit):
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss = trial(inputs).float().square().mean()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
        if times[0] > hopeless:
            return times[0]
    return float(np.median(times[len(times) // 3 or 1 :]))  # the first ones also pay for memory and kernels


def quickly(study: Study, run: TrainingRun) -> contextlib.AbstractContextManager[None]:
    """On a CPU, pretrained depthwise kernels stay as they are: to train them would take most of the time."""
    cpu = run.work.accelerator.device.type == "cpu"
    return frozen_depthwise(study.part) if cpu and study.pretrained else contextlib.nullcontext()
