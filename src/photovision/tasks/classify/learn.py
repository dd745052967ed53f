"""Learning to classify: a ladder of stages within a time budget, of which the one that validates best is kept.

Handcrafted features come first, so that the report can show what deep learning gains; then frozen pretrained features;
then fine-tuning from the head downwards, or learning from scratch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.engine.closing import closing_seconds
from photovision.engine.learned import Learned
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.models.backbones import Backbone, choose
from photovision.runtime.neighbours import MAX_IMAGES
from photovision.tasks.classify.export_bundle import FEW_PARITY_PICTURES, PARITY_PICTURES, learned_from
from photovision.tasks.classify.fair import fairness_of, values_of
from photovision.tasks.classify.final import SHARE, learn_final, may_learn_val
from photovision.tasks.classify.finetune import FINAL, learn_upper, learn_whole
from photovision.tasks.classify.handcrafted import HandcraftedFeatures, learn_handcrafted, mirror_keeps_class
from photovision.tasks.classify.input_size import fitting_features
from photovision.tasks.classify.linear_probe import Features, head_views, learn_frozen, open_features
from photovision.tasks.classify.scratch import learn_scratch
from photovision.tasks.classify.select_variant import learn_variants, planned
from photovision.tasks.classify.trained_stage import TrainedStage

_EXPORT = 7.0  # seconds in which a graph is written and opened, before it has been measured
_IN_TORCH = 10  # times as long as the fast runtime torch takes for a prediction
_MOST_CLOSING = 0.6
"""Share of a budget that is kept for what follows the learning, at most."""
_ENOUGH_FOR_FROZEN = 1000
"""Training images below which frozen features of small images are left out: learning needs the time more."""
_ENOUGH_FOR_SCRATCH = 5000
"""Training images from which on small images get a network of their own."""


def prepare(dataset: Dataset, config: TrainConfig) -> Backbone:
    """Refuse what cannot be learned before an image is read, and settle where the network starts from.

    Raises:
        DataError: images without a label, or an attribute that makes no groups.
        UsageError: backbone and weights do not fit together, or nothing is installed.
    """
    if alone := [name for name in ("delta", "per") if name in config.own]:
        raise UsageError(f"--{alone[0]} is of a private training: give --private EPSILON, too")
    if any(sample.target is None for sample in dataset.samples):
        raise DataError("training needs a label for every picture; some have none: complete the table or the folders")
    if config.fair_by is not None:
        values_of(dataset, config.fair_by)
    return choose(config.backbone, config.weights, config.size, config.allow_download)


def learn(run: TrainingRun, source: Backbone) -> Learned:
    """Learn every stage that the budget allows, and keep the best.

    Args:
        run: the training.
        source: of `prepare`.
    """
    asked = len(run.splits.test) + len(run.splits.val) + MAX_IMAGES  # images that the finished graph answers
    ahead = dict.fromkeys(planned(run.config, fairness_of(run)), 1.0)
    run = replace(run, closing=min(_MOST_CLOSING * run.budget, closing_seconds(_EXPORT, 0.002 * asked)), ahead=ahead)
    plain = []
    for stage in ladder(run, source):
        run.reached(stage.result)
        plain.append(stage)
    varied = learn_variants(run, best_of(plain))
    final = learn_final(varied.chosen)
    stages = [final if stage is varied.chosen else stage for stage in (*plain, *varied.rungs)]
    return learned_from(run, stages, replace(varied, chosen=final))


def ladder(run: TrainingRun, wanted: Backbone) -> Iterator[TrainedStage]:
    """One stage after the other, from the cheapest to the dearest, each learned when it is asked for.

    Args:
        run: the training.
        wanted: of `prepare`.
    """
    handcrafted = learn_handcrafted(run, 0.12 * run.left)
    augment = run.config.tuning.augment or Augment(flip=_mirrored(run, handcrafted))
    yield handcrafted.reached
    wanted = _fitting(wanted, run)
    wanted = replace(wanted, preprocess=run.splits.shown(wanted.preprocess))
    if wanted.weights == "none":
        yield learn_scratch(run, wanted, augment)
        return
    features = open_features(run, wanted)
    own = run.splits.small and len(run.splits.train) >= _ENOUGH_FOR_SCRATCH and run.config.weights == "auto"
    train = affordable(features, 0.15 if own else 0.3)
    if own:  # many small images: a network of their own size learns more from them than enlarged ones can teach
        if len(train) >= _ENOUGH_FOR_FROZEN:
            yield learn_frozen(features, train, augment)[0]
        yield learn_scratch(run, choose("small_resnet", "none", None), augment)
        return
    features = fitting_features(features, train)
    frozen, per_view = learn_frozen(features, train, augment)
    yield frozen
    if may_learn_val(run):
        run.ahead[FINAL] = SHARE
    run = _closing(run, per_view / len(train))
    features = replace(features, run=run)
    upper = learn_upper(features, frozen, train, augment, per_view)
    if upper is not None:
        yield upper
    whole = learn_whole(run, upper or frozen, run.splits.train, augment, per_view / len(train))
    if whole is not None:
        yield whole


def _closing(run: TrainingRun, per_image: float) -> TrainingRun:
    """The training with as many seconds kept for what follows the learning as it needs on this machine.

    Args:
        run: the training.
        per_image: seconds in which the lower part of the network predicts an image.
    """
    splits = run.splits
    asked = min(len(run.remembered), MAX_IMAGES) + len(splits.val) + 2 * len(splits.test)
    graphs, exported = 1, float(run.work.decisions.get("exported", _EXPORT))
    if FINAL in run.ahead:  # two networks are written and predict
        asked += min(len(splits.train), MAX_IMAGES) + 2 * len(splits.val)
        graphs = 2
    compared = _IN_TORCH * min(FEW_PARITY_PICTURES if run.short else PARITY_PICTURES, len(splits.val))
    needed = closing_seconds(graphs * exported, per_image * (asked + compared))
    return replace(run, closing=min(_MOST_CLOSING * run.budget, needed))


def best_of(stages: list[TrainedStage]) -> TrainedStage:
    """The network that validates best; of equal ones the one that learned more.

    Handcrafted features are the yardstick and are never kept: they have no graph to export.
    """
    networks = [stage for stage in stages if stage.network is not None]
    best = max(stage.result.val.value for stage in networks)
    return [stage for stage in networks if stage.result.val.value == best][-1]


def _fitting(wanted: Backbone, run: TrainingRun) -> Backbone:
    """From scratch, and with no architecture asked for, the one that fits the images and the machine."""
    if wanted.weights != "none" or run.config.backbone is not None:
        return wanted
    if run.splits.small:
        return choose("small_resnet", "none", None)
    return choose("resnet50" if run.work.accelerator.device.type == "cuda" else "resnet18", "none", None)


def _mirrored(run: TrainingRun, handcrafted: HandcraftedFeatures) -> bool:
    if run.config.flip != "auto":
        return run.config.flip == "on"
    # With a short budget nothing is measured that only adds variety to the views.
    return bool(run.work.value("flip", lambda: not run.short and mirror_keeps_class(run, handcrafted)))


def affordable(features: Features, share: float) -> Dataset:
    """The training images whose frozen features fit into a share of the time left; at least a few hundred of them."""
    run, train = features.run, features.run.splits.train

    began = time.monotonic()
    features.open()  # exporting and loading the graph is paid once
    run.work.value("exported", lambda: time.monotonic() - began)
    started = time.monotonic()
    probe = train.subset(np.linspace(0, len(train) - 1, min(64, len(train))).astype(int))
    features.compute(probe, "probe", None, 0)  # all processes wait for it, so it is no part of the decision of one
    per_image = (time.monotonic() - started) / len(probe)

    def count() -> int:
        if run.spendable <= 0:  # all the time that is left is needed for what follows
            return 0
        held_out = len(run.splits.val) + len(run.splits.test)
        return int((share * run.left / per_image - held_out) / head_views(run))

    most = max(300 if run.short else 500, run.work.value("affordable", count))
    if most >= len(train):
        return train
    rng = np.random.default_rng(run.config.seed)
    return train.subset(np.sort(rng.permutation(len(train))[:most]))
