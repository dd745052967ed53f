"""The time of one step of learning, measured before a run is planned."""

from __future__ import annotations

import copy
import time

import torch
from torch import nn

from photovision.learn.objective import Objective

_TRIALS = 3


def step_seconds(task: Objective, part: nn.Module, batch: dict[str, torch.Tensor], precision: str) -> float:
    """Time of one step of learning on a batch, the quickest of a few.

    Args:
        task: gives the loss.
        part: what learns; it is copied.
        batch: tensors on the device, as the loss takes them.
        precision: "f32" or "bf16".
    """
    device = batch["inputs"].device
    trial = copy.deepcopy(part).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    times: list[float] = []
    for _ in range(_TRIALS):
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = task.loss(trial, batch, 0.0)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)
