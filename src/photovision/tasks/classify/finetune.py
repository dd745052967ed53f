"""The fine-tuned rungs: the network learns from the user's pictures, from the head downwards.

First the upper stages: the frozen part below them is run once for several augmented views of every picture, and the
loop trains on these stored feature maps, many times faster than on pictures. Then, where the budget allows, the whole.
"""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

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
from photovision.learn.loop import FitResult, fit, outputs
from photovision.learn.objective import Objective
from photovision.learn.plan import Plan
from photovision.learn.tuning import relative_frequencies
from photovision.models.backbones import Backbone, count_macs, count_parameters
from photovision.models.export import Normalise
from photovision.models.frozen_features import upper_of
from photovision.tasks.classify.fair import fairly, fairness_of
from photovision.tasks.classify.linear_probe import HEAD_VIEWS, Features
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.study import EpochLimits, Study, budgeted, quickly
from photovision.tasks.classify.trained_stage import Continuation, TrainedStage
from photovision.tasks.classify.variants import PLAIN, Variant

FINAL = "final"
"""The name of the run of the loop in which the chosen network learns from val, too."""
_MOST_VIEWS = 16
_MOST_EPOCHS = 100
_MOST_EPOCHS_OF_WHOLE = 30
_LEARNING = 8
"""Times as long as a prediction by the fast runtime, at the very least, a network takes to learn from a picture."""
_WORTHWHILE = 5
"""Epochs below which the whole network only unlearns what the upper stages know."""
_DROPOUT = 0.2


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
    base = tuned(run, len(train), Plan(1, lr=5e-4, head_lr=1e-3))
    count = run.work.value("views", lambda: stored_views(features, len(train), per_view))
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
    plan = budgeted(run, study, base, EpochLimits(_MOST_EPOCHS))
    if plan is None:
        return None
    note = f"the steps from {cut.upper[0]} to the head, on {len(learned.views)} stored views of {len(train):,} pictures"
    more = Continuation(run, everything)
    return learn_study(run, study, plan, network, features.source, started, note, answer, again, more)


def _stored(views: Sequence[tuple[Floats, np.ndarray]], dataset: Dataset) -> FeatureFeed:
    """A feed of the maps of views of a data set, as `Features` gives them."""
    return FeatureFeed([maps for _, maps in views], dataset.label_matrix)


def learn_whole(
    run: TrainingRun,
    start: TrainedStage,
    train: Dataset,
    augment: Augment,
    predicted: float = 0.0,
    variant: Variant = PLAIN,
) -> TrainedStage | None:
    """Train the whole network on pictures, with smaller rates further down; None where there is no time.

    Args:
        run, start: the training, and the stage to start from.
        train: the training pictures.
        augment: of their views.
        predicted: seconds in which the fast runtime predicts a picture.
        variant: a change to how it learns.
    """
    assert start.network is not None
    assert start.source is not None
    network, source, material = copy.deepcopy(start.network), start.source, run.splits
    started = time.monotonic()
    base = tuned(run, len(train), Plan(1, lr=3e-4, layer_decay=0.85, ema=0.998))
    shape = (3, *source.preprocess.size)

    def feed(dataset: Dataset, varied: Augment) -> PictureFeed:
        return PictureFeed(dataset.samples, dataset.label_matrix, source.preprocess, varied, cores())

    prepare = Normalise(source.preprocess).to(run.work.accelerator.device)
    feeds = feed(train, variant.of(augment)), feed(material.val, Augment())
    study = Study("whole network", train, network, prepare, *feeds, shape, variant=variant)
    plan = budgeted(run, study, base, EpochLimits(_MOST_EPOCHS_OF_WHOLE, _WORTHWHILE, _LEARNING * predicted))
    if plan is None:
        return None

    def answer(dataset: Dataset, name: str) -> Floats:
        return study_probs(run, study, feed(dataset, Augment()))

    def again(change: Variant) -> TrainedStage | None:
        return learn_whole(run, start, train, augment, predicted, change)

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
    with quickly(study, run):
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


def study_probs(run: TrainingRun, study: Study, feed: Feed) -> Floats:
    """Probabilities float32 (N, C) of a trained study for another feed."""
    return objective_of(run).decode(outputs(study.part, feed, study.prepare, run.work.accelerator))


def stored_views(features: Features, pictures: int, per_view: float) -> int:
    """How many stored views a quarter of the time and half of the free disk allow; no more than there are epochs."""
    seconds = features.run.spendable
    free = shutil.disk_usage(features.run.work.folder).free
    affordable = int(0.25 * seconds / max(per_view, 1e-6)) + HEAD_VIEWS
    storable = int(0.5 * free / max(features.bytes_of_view(pictures), 1))
    return max(HEAD_VIEWS, min(_MOST_VIEWS, features.run.config.epochs or _MOST_VIEWS, affordable, storable))


def tuned(run: TrainingRun, pictures: int, plan: Plan) -> Plan:
    """A plan for so many pictures, with what the user chose of it."""
    return run.config.tuning.applied(replace(plan, batch_size=_batch_size(pictures), seed=run.config.seed))


def _with(study: Study, val: Dataset, joined: JoinedFeed) -> Study:
    """The study that a chosen network ends with: the same on the pictures of val, too."""
    pictures = replace(study.pictures, samples=(*study.pictures.samples, *val.samples))
    return replace(study, name=FINAL, pictures=pictures, train=joined)


def _batch_size(pictures: int) -> int:
    """Enough steps an epoch for few pictures, full use of the machine for many."""
    return 64 if pictures >= 1500 else 32 if pictures >= 300 else 16
