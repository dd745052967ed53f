"""Optimise: a model made smaller and faster, step by step, with what every step loses measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from photovision.core.registry import Registry
from photovision.data.dataset import Dataset
from photovision.tasks.recognizer import Recognizer


@dataclass(frozen=True, eq=False)
class Job:
    """One step: the model to make smaller, the pictures to do it with, and where the new bundle goes.

    Attributes:
        model: the bundle to make smaller.
        training: labelled pictures to calibrate and to fine-tune with.
        validation: labelled pictures that choose settings and learn confidence; never those that judge at the end.
            Both data sets have the model's classes, in its order.
        folder: where to write the new bundle, through `core.files.new_folder`.
        work: folder for unfinished work; it exists.
        minutes: wall time that the step may take.
        backbone: architecture of the smaller network, for methods that need one.
        say: called with a line that tells what is going on.
        max_drop: share of the validation pictures that may be lost, for methods that can try something more careful.
    """

    model: Recognizer
    training: Dataset
    validation: Dataset
    folder: Path
    work: Path
    minutes: float
    backbone: str | None
    say: Callable[[str], None]
    max_drop: float = 0.005


METHODS = Registry(
    "method",
    {
        "distill": "photovision.deploy.distill:distill",
        "prune": "photovision.deploy.prune:prune",
        "bf16": "photovision.deploy.quantize:bf16",
        "int8": "photovision.deploy.quantize:int8",
    },
    "photovision.methods",
)
"""Every method is a function (job: Job) -> Path that writes one new bundle and returns its folder; they are applied in
this order."""
