"""The fine-tuned rungs: the network learns from the user's pictures, from the head downwards.

First the upper stages: the frozen part below them is run once for several augmented views of every picture, and the
loop trains on these stored feature maps, many times faster than on pictures. Then, where the budget allows, the whole.
"""

from __future__ import annotations

import contextlib
import copy
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from photovision.core.system import cores, keep_memory
from photovision.core.types import Floats
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.engine.stage import StageResult
from photovision.engine.training_run import TrainingRun
from photovision.learn.feed import FeatureFeed, Feed, JoinedFeed, PictureFeed
from photovision.learn.groups import balance
from photovision.learn.loop import FitResult, Prepare, fit, outputs
from photovision.learn.objective import Objective
from photovision.learn.plan import Plan
from photovision.learn.tuning import relative_frequencies
from photovision.models.backbones import Backbone, count_macs, count_parameters
from photovision.models.depthwise import frozen_depthwise
from photovision.models.export import Normalise
from photovision.models.frozen_features import upper_of
from photovision.tasks.classify.fair import fairly, fairness_of
from photovision.tasks.classify.linear_probe import HEAD_VIEWS, Features
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.trained_stage import Continuation, TrainedStage
from photovision.tasks.classify.variants import PLAIN, Variant

FINAL = "final"
"""The name of the run of the loop in which the chosen network learns from val, too."""
_MOST_VIEWS = 16
_MOST_EPOCHS = 100
_MOST_EPOCHS_OF_WHOLE = 30
_LEAST_STEPS = 40
_WORTHWHILE = 5
"""Epochs below which the whole network only unlearns what the upper stages know."""
_DROPOUT = 0.2
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


def learn_upper(
    features: Features,
    frozen: TrainedStage,
    train: Dataset,
    augment: Augment,
    per_view: float,
    variant: Variant = PLAIN,
) -> TrainedStage | None:
    """Train the stages above the cut on stored feature maps; None where there is no cut, or no time.

    Args:
        features: with at least HEAD_VIEWS views already computed.
        frozen: the rung to start from: its head is a better start than a random one.
        train: the training pictures that `features` were computed of.
        augment: of further views.
        per_view: seconds that one more view takes.
        variant: a change to how it learns.
    """
    run, cut, val = features.run, features.cut, features.run.splits.val
    assert frozen.network is not None
    if cut is None:
        return None
    network = copy.deepcopy(frozen.network)
    part = upper_of(network, cut, _DROPOUT)
    started = time.monotonic()
    base = _tuned(run, len(train), Plan(1, lr=5e-4, head_lr=1e-3))
    count = run.work.value("views", lambda: _views(features, len(train), per_view))
    learned = _stored(features.views(train, augment, count, variant), train)

    def seen(dataset: Dataset, name: str) -> FeatureFeed:
        return _stored([features.compute(dataset, name, None, 0)], dataset)

    def answer(dataset: Dataset, name: str) -> Floats:
        return study_probs(run, study, seen(dataset, name))

    def everything(network: nn.Module) -> Study:
        joined = JoinedFeed(learned, _stored(features.views(val, augment, count, variant, "val"), val))
        return replace(_with(study, val, joined), part=upper_of(network, cut, _DROPOUT))

    def again(change: Variant) -> TrainedStage | None:
        return learn_upper(features, frozen, train, augment, per_view, change)

    study = Study("fine-tuned", train, part, lambda maps: maps, learned, seen(val, "val"), cut.shape, variant=variant)
    plan = budgeted(run, study, base, most_epochs=_MOST_EPOCHS)
    if plan is None:
        return None
    note = f"the steps from {cut.upper[0]} to the head, on {len(learned.views)} stored views of {len(train):,} pictures"
    more = Continuation(run, everything)
    return learn_study(run, study, plan, network, features.source, started, note, answer, again, more)


def _stored(views: Sequence[tuple[Floats, np.ndarray]], dataset: Dataset) -> FeatureFeed:
    """A feed of the maps of views of a data set, as `Features` gives them."""
    return FeatureFeed([maps for _, maps in views], dataset.label_matrix)


def learn_whole(
    run: TrainingRun, start: TrainedStage, train: Dataset, augment: Augment, variant: Variant = PLAIN
) -> TrainedStage | None:
    """Train the whole network on pictures, with smaller rates further down; None where there is no time."""
    assert start.network is not None
    assert start.source is not None
    network, source, material = copy.deepcopy(start.network), start.source, run.splits
    started = time.monotonic()
    base = _tuned(run, len(train), Plan(1, lr=3e-4, layer_decay=0.85, ema=0.998))
    shape = (3, *source.preprocess.size)

    def feed(dataset: Dataset, varied: Augment) -> PictureFeed:
        return PictureFeed(dataset.samples, dataset.label_matrix, source.preprocess, varied, cores())

    study = Study(
        "whole network",
        train,
        network,
        Normalise(source.preprocess).to(run.work.accelerator.device),
        feed(train, variant.of(augment)),
        feed(material.val, Augment()),
        shape,
        variant=variant,
    )
    plan = budgeted(run, study, base, most_epochs=_MOST_EPOCHS_OF_WHOLE, least_epochs=_WORTHWHILE)
    if plan is None:
        return None

    def answer(dataset: Dataset, name: str) -> Floats:
        return study_probs(run, study, feed(dataset, Augment()))

    def again(change: Variant) -> TrainedStage | None:
        return learn_whole(run, start, train, augment, change)

    def everything(network: nn.Module) -> Study:
        joined = JoinedFeed(study.train, feed(material.val, variant.of(augment)))
        return replace(_with(study, material.val, joined), part=network)

    note = f"all stages, on {len(train):,} pictures augmented in every epoch"
    more = Continuation(run, everything)
    return learn_study(run, study, plan, network, source, started, note, answer, again, more)


def learn_study(
    run: TrainingRun,
    study: Study,
    plan: Plan,
    network: nn.Module,
    source: Backbone,
    started: float,
    note: str,
    answer: Callable[[Dataset, str], Floats],
    again: Callable[[Variant], TrainedStage | None],
    more: Continuation | None = None,
) -> TrainedStage:
    """Run the loop and word what it reached.

    Args:
        run, study, plan: what is trained, and how.
        network: the whole network that `study.part` belongs to.
        source: what the network is and expects.
        started: `time.monotonic()` when work on this rung began.
        note: how it was learned.
        answer, again, more: see `TrainedStage`.
    """
    task: Objective = objective_of(run)
    weights = frequencies(run, study, plan)
    if study.variant.fair:
        task, plan, weights = _fairly(run, study, plan)
    done = fit_study(run, study, plan, task, weights)
    logits = outputs(study.part, study.val, study.prepare, run.work.accelerator)
    study.part.cpu()
    network.eval()
    epochs = int(done.curve[-1]["epoch"])
    note += f", {epochs} epochs" if epochs == plan.epochs else f", {epochs} of {plan.epochs} epochs ({done.stopped})"
    note += study.variant.told
    params, macs = count_parameters(network), count_macs(network, source.preprocess.size)
    seconds = time.monotonic() - started
    score = (
        objective_of(run).score(objective_of(run).decode(logits), study.val.targets)
        if study.variant.fair
        else done.score
    )
    rung = StageResult(
        study.stage, score, seconds, 4 * params / 1e6, None, macs, params, note, tuple(done.curve), plan.to_json()
    )
    return TrainedStage(rung, logits, answer, network, source, again, more)


def frequencies(run: TrainingRun, study: Study, plan: Plan) -> Floats | None:
    """How often each picture of a study is shown, float (N,), relative to the others; None for once an epoch."""
    if run.config.tuning.sampler is not None:
        return relative_frequencies(run.config.tuning.sampler, study.pictures)
    return balance(study.train.targets) if plan.balanced else None


def fit_study(run: TrainingRun, study: Study, plan: Plan, task: Objective, weights: Floats | None) -> FitResult:
    """Run the loop on a study; how long it really took is among the decisions."""
    keep_memory()
    with _quickly(study, run):
        done = fit(study.part, task, plan, study.train, study.val, study.prepare, run.context(study.stage), weights)
    run.work.decisions[f"paced-{study.stage.replace(' ', '-')}"] = done.paced
    return done


def _fairly(run: TrainingRun, study: Study, plan: Plan) -> tuple[Objective, Plan, Floats | None]:
    """The task, the plan and the frequency of pictures by which a fair variant learns."""
    accelerator = run.work.accelerator
    fairness = fairness_of(run)
    assert fairness is not None

    def total(sums: torch.Tensor) -> torch.Tensor:
        whole: torch.Tensor = accelerator.reduce(sums.to(accelerator.device), "sum").cpu()
        return whole

    return fairly(fairness, study.variant, objective_of(run), study.pictures, run.splits.val, plan, total)


def budgeted(run: TrainingRun, study: Study, base: Plan, *, most_epochs: int, least_epochs: int = 1) -> Plan | None:
    """Fit a plan into the budget: measure a step in both arithmetics, take the faster, count the epochs.

    The outcome is stored, so that a resumed training, and every variant, has the same plan. None where the time is not
    enough.
    """

    steps = -(-len(study.train.targets) // base.batch_size)
    name, stage = (text.replace(" ", "-") for text in (study.name, study.stage))

    def decide() -> dict[str, Any]:
        accelerator = run.work.accelerator
        kinds: tuple[Literal["f32", "bf16"], ...] = ("f32", "bf16")
        with _quickly(study, run):
            times = {kind: step_seconds(study, replace(base, precision=kind), accelerator.device) for kind in kinds}
        precision = min(kinds, key=lambda kind: times[kind])
        # Validation and what surrounds a step cost a little more.
        epoch = 1.07 * times[precision] * steps / accelerator.num_processes
        epochs = min(most_epochs, int(run.spendable / epoch))
        if steps * epochs < _LEAST_STEPS and epoch * _LEAST_STEPS > run.spendable * steps:
            epochs = 0
        return {"epochs": run.config.epochs or epochs, "precision": precision}

    decided = run.work.value(f"plan-{name}", decide)
    if decided["epochs"] < least_epochs and run.config.epochs is None:
        return None
    every = max(1, decided["epochs"] // 15)  # validation is not free
    skewed = balance(study.train.targets) is not None
    epochs, tuning = decided["epochs"], run.config.tuning
    # Whoever chooses one of both gets that one.
    mixed = epochs >= _LONG and not study.pretrained and tuning.mixup is None and tuning.cutmix is None
    return replace(
        base,
        epochs=epochs,
        most_epochs=most_epochs,
        precision=decided["precision"],
        balanced=skewed,
        validate_every=every,
        # In short runs mixed pictures only slow learning down; in long ones from scratch they keep it from memorising.
        paced=tuple((a, b) for a, b in run.config.decisions.get(f"paced-{stage}", ())),
        mixup=base.mixup or (0.2 if mixed else 0.0),
        cutmix=base.cutmix or (1.0 if mixed else 0.0),
        # Compiling takes a minute, and pays on a GPU only: on a CPU it was slower than oneDNN (docs/benchmarks.md).
        compile=run.work.accelerator.device.type == "cuda" and epochs * steps >= _MANY_STEPS,
    )


def step_seconds(study: Study, plan: Plan, device: torch.device) -> float:
    """Median time of one forward and backward pass on random inputs."""
    trial = copy.deepcopy(study.part).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    inputs = torch.rand(plan.batch_size, *study.input_shape, device=device).contiguous(
        memory_format=torch.channels_last
    )
    for module in trial.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not plan.train_norm:
            module.eval()
    times: list[float] = []
    while len(times) < 5 or (len(times) < 12 and sum(times) < 3):
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss = trial(inputs).float().square().mean()
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return float(np.median(times[2:]))  # the first ones also pay for memory and for kernels being chosen


def study_probs(run: TrainingRun, study: Study, feed: Feed) -> Floats:
    """Probabilities float32 (N, C) of a trained study for another feed."""
    return objective_of(run).decode(outputs(study.part, feed, study.prepare, run.work.accelerator))


def _views(features: Features, pictures: int, per_view: float) -> int:
    """How many stored views a quarter of the time and half of the free disk allow; no more than there are epochs."""
    seconds = features.run.spendable
    free = shutil.disk_usage(features.run.work.folder).free
    affordable = int(0.25 * seconds / max(per_view, 1e-6)) + HEAD_VIEWS
    storable = int(0.5 * free / max(features.bytes_of_view(pictures), 1))
    return max(HEAD_VIEWS, min(_MOST_VIEWS, features.run.config.epochs or _MOST_VIEWS, affordable, storable))


def _quickly(study: Study, run: TrainingRun) -> contextlib.AbstractContextManager[None]:
    """On a CPU, pretrained depthwise kernels stay as they are: to train them would take most of the time."""
    cpu = run.work.accelerator.device.type == "cpu"
    return frozen_depthwise(study.part) if cpu and study.pretrained else contextlib.nullcontext()


def _tuned(run: TrainingRun, pictures: int, plan: Plan) -> Plan:
    """A plan for so many pictures, with what the user chose of it."""
    return run.config.tuning.applied(replace(plan, batch_size=_batch_size(pictures), seed=run.config.seed))


def _with(study: Study, val: Dataset, joined: JoinedFeed) -> Study:
    """The study that a chosen network ends with: the same on the pictures of val, too."""
    pictures = replace(study.pictures, samples=(*study.pictures.samples, *val.samples))
    return replace(study, name=FINAL, pictures=pictures, train=joined)


def _batch_size(pictures: int) -> int:
    """Enough steps an epoch for few pictures, full use of the machine for many."""
    return 64 if pictures >= 1500 else 32 if pictures >= 300 else 16
