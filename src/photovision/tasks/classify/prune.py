"""Prune: the channels of a network that matter least are taken out, and the rest learns again from the whole one.

Torch-Pruning (MIT) finds which channels of which layers hang together, and takes them out together (DepGraph; Fang et
al. 2023). What is left is an ordinary, narrower network: no mask, no special engine.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from photovision.core.errors import MissingExtra, ModelError, UsageError
from photovision.engine.optimize.step import OptimizeRun
from photovision.engine.training_run import TrainingRun
from photovision.learn.distill import HEAT, SHARE
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, count_parameters
from photovision.models.load_network import source_of, trained_network
from photovision.models.pruned_shapes import prunable, settle
from photovision.models.small import SMALL
from photovision.tasks.classify.candidates import MARGIN, speedup
from photovision.tasks.classify.scratch import scratch_plan
from photovision.tasks.classify.student import FASTER, open_lesson, teach_whole, write_student

RATIOS = (0.25, 0.375, 0.5, 0.625, 0.75)
"""Shares of the channels that are taken out, tried in turn until the network is fast enough."""
_ROUND = 8  # engines compute channels in blocks of 8 or 16
_SLOWER = 0.3


def prune(job: OptimizeRun) -> Path:
    """Take channels out of a model's network until it is twice as fast, teach it by the whole one, write its bundle.

    Args:
        job: the step; `backbone` is not used.

    Returns:
        `job.folder`, a complete bundle with the widths of its layers in bundle.json; `training` teaches, `validation`
        selects and calibrates. timm cannot build it from its folder, so it has no config.json.

    Raises:
        MissingExtra: torch-pruning is not installed.
        ModelError: the model has no weights for torch.
        UsageError: the network is no convolutional one, or does not become fast enough.
        DataError, ExportError: as in training.

    Interrupted, it goes on with what it has; killed, the same job resumes. A bundle is written whole or
    not at all.
    """
    library = pruner()
    bundle = job.model.bundle
    network, name = trained_network(bundle), bundle.info["backbone"]["name"]
    if not prunable(network):
        raise UsageError(f"{name} is no network of convolutions and batch normalisation: use --distill-to instead")
    source = source_of(bundle)
    lesson = open_lesson(job, "prune")
    before = count_parameters(network)
    ratio, gained = lesson.run.work.value("ratio", lambda: _choose(library, job, network, source))
    pruned = narrowed(library, network, source.preprocess.size, ratio)
    job.say(f"{ratio:.0%} of the channels taken out: {count_parameters(pruned):,} of {before:,} parameters are left")
    score, epochs = teach_whole(lesson, pruned, source, _plan(lesson.run, source), pretrained=False)
    facts = {
        "chosen": "pruned",
        "pruned": {
            "ratio": ratio,
            "params_before": before,
            "speedup": round(gained, 2),
            "val": score.to_json(),
            "heat": HEAT,
            "share": SHARE,
            "how": f"all of it, {epochs} epochs of {len(lesson.run.splits.train):,} pictures",
        },
    }
    return write_student(lesson, pruned, source, facts, pruned=True)


def pruner() -> Any:
    """The module torch_pruning; raises MissingExtra where it is not installed."""
    try:
        return import_module("torch_pruning")
    except ImportError:
        raise MissingExtra("torch-pruning", "pruning") from None


def narrowed(library: Any, network: nn.Module, size: tuple[int, int], ratio: float) -> nn.Module:
    """A copy of a network without the given share of the channels of every layer, those of the smallest weights.

    Args:
        library: of `pruner`.
        network: convolutional, in evaluation mode.
        size: (H, W) of its input.
        ratio: 0 to 1.
    """
    narrow, example = copy.deepcopy(network).eval(), torch.zeros(1, 3, *size)
    for parameter in narrow.parameters():
        parameter.requires_grad_(True)  # the library follows gradients to see what hangs together
    chosen = library.pruner.BasePruner(
        narrow,
        example,
        importance=library.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        round_to=_ROUND,
        ignored_layers=[narrow.get_classifier()],  # type: ignore[operator]
    )
    chosen.step()
    settle(narrow)
    return narrow


def _choose(library: Any, job: OptimizeRun, network: nn.Module, source: Backbone) -> tuple[float, float]:
    """The smallest share that makes the network fast enough, and how many times as fast it is."""
    gained = 0.0
    for ratio in RATIOS:
        try:
            gained = speedup(job, narrowed(library, network, source.preprocess.size, ratio), source)
        except (RuntimeError, ValueError, IndexError) as error:
            raise ModelError(f"this network cannot be pruned ({error}): use --distill-to instead") from error
        job.say(f"without {ratio:.0%} of its channels it is {gained:.1f} times as fast")
        if gained >= FASTER * MARGIN:
            return ratio, gained
    raise UsageError(
        f"without {RATIOS[-1]:.0%} of its channels the network is only {gained:.1f} times as fast: use --distill-to"
    )


def _plan(run: TrainingRun, source: Backbone) -> Plan:
    """As from scratch where the network is small, but with smaller steps: much is known already."""
    plan = scratch_plan(run, source)
    return replace(plan, lr=plan.lr * _SLOWER) if source.backbone in SMALL else replace(plan, lr=5e-4)
