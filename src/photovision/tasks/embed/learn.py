"""Metric learning: pretrained features as they are, then a learned projection of them, then fine-tuning.

Every stage searches for the validation pictures among training pictures; the one with the best recall@1 is kept. What
the first stage finds shows what metric learning gains.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from photovision.core.errors import DataError
from photovision.core.phrases import count
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.engine.closing import closing_seconds
from photovision.engine.learned import Learned
from photovision.engine.remember import chosen
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.models.backbones import Backbone, choose, create
from photovision.models.export import classifier
from photovision.models.frozen_features import default_cut
from photovision.runtime.neighbours import MAX_IMAGES
from photovision.tasks.classify.learn import affordable
from photovision.tasks.classify.linear_probe import HEAD_VIEWS, Features
from photovision.tasks.embed.export_bundle import learned_from
from photovision.tasks.embed.stages import EmbeddingStage, MetricRun, fine_tuned, from_scratch, frozen, projected

WIDTH = 256
"""Numbers of an embedding, at most."""
_EXPORT = 7.0  # seconds in which a graph is written and opened
_PREDICTION = 0.004  # seconds of a prediction; what is kept for the end is bounded by a share of the budget
_MOST_CLOSING = 0.6


def prepare(dataset: Dataset, config: TrainConfig) -> Backbone:
    """Refuse what cannot be learned before an image is read, and settle where the network starts from.

    Raises:
        DataError: a picture has no class, or several.
        UsageError: backbone and weights do not fit together, or nothing is installed.
    """
    other = next((sample for sample in dataset.samples if len(sample.target or ()) != 1), None)
    if other is not None:
        raise DataError(
            f"an embedding is learned from exactly one class a picture, and {other.id} has"
            f" {count(len(other.target or ()), 'class', 'classes')}: complete the table or the folders"
        )
    return choose(config.backbone, config.weights, config.size, config.allow_download)


def learn(run: TrainingRun, source: Backbone) -> Learned:
    """Learn every stage that the budget allows, and keep the best.

    Args:
        run: the training.
        source: of `prepare`.
    """
    asked = min(len(run.splits.train), MAX_IMAGES) + len(run.splits.val) + len(run.splits.test)
    run = replace(run, closing=min(_MOST_CLOSING * run.budget, closing_seconds(_EXPORT, _PREDICTION * asked)))
    source = replace(source, preprocess=run.splits.shown(source.preprocess))
    network = create(source, min(WIDTH, classifier(create(source, 2)).in_features))
    augment, train = run.config.tuning.augment or Augment(flip=run.config.flip != "off"), run.splits.train
    features = None
    if source.weights != "none":
        features = Features(run, source, network, default_cut(network, source.preprocess.size))
        train = affordable(features, 0.3)
    lesson, stages = MetricRun(run, train, chosen(train, run.config.seed), augment), []
    found = [from_scratch(lesson, network, source)] if features is None else _stages(lesson, features)
    for stage in found:
        run.reached(stage.result)
        stages.append(stage)
    return learned_from(lesson, stages)


def _stages(lesson: MetricRun, features: Features) -> Iterator[EmbeddingStage]:
    """One stage after the other, from the cheapest to the dearest, each learned when it is asked for."""
    yield frozen(lesson, features, time.monotonic())
    second = projected(lesson, features, time.monotonic())
    yield second
    started = time.monotonic()
    features.views(lesson.train, lesson.augment, HEAD_VIEWS)
    third = fine_tuned(lesson, features, second, (time.monotonic() - started) / (HEAD_VIEWS - 1))
    if third is not None:
        yield third
