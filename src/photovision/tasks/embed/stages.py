"""The stages of metric learning: features as they are, a projection of them, fine-tuning, or from scratch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from torch import nn

from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.engine.stage import StageResult
from photovision.engine.training_run import TrainingRun
from photovision.learn.feed import FeatureFeed, Feed, JoinedFeed
from photovision.learn.loop import outputs
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, count_macs, count_parameters
from photovision.models.export import Normalise, classifier
from photovision.models.frozen_features import upper_of
from photovision.tasks.classify.finetune import fit_study, frequencies, stored_views, tuned
from photovision.tasks.classify.linear_probe import Features, set_head
from photovision.tasks.classify.scratch import load_pictures, scratch_plan
from photovision.tasks.classify.study import EpochLimits, Study, budgeted
from photovision.tasks.embed.objective import MetricNetwork, MetricObjective
from photovision.tasks.embed.projection import (
    LEAST_SPREAD,
    SHRINKAGES,
    Projection,
    principal_axes,
    spread,
    whitened_axes,
)

FROZEN = "frozen"
"""The name of the stage that has learned nothing from the classes."""
_MOST_EPOCHS = 100
_DROPOUT = 0.2

Embed = Callable[[Dataset, str], Floats]
"""From a data set and its name to embeddings float32 (N, K) of unit norm."""


@dataclass(frozen=True, eq=False)
class EmbeddingStage:
    """A stage that was learned.

    Attributes:
        result: its figures.
        network: of timm, whose last layer gives the embedding before it gets unit norm.
        source: what the network is and expects.
        embed: what it makes of pictures.
        gallery: float32 (G, K), its embeddings of the training pictures that are searched.
    """

    result: StageResult
    network: nn.Module
    source: Backbone
    embed: Embed
    gallery: Floats


@dataclass(frozen=True, eq=False)
class MetricRun:
    """What all stages learn with.

    Attributes:
        run: the training.
        train: the pictures to learn from, as many as the budget allows.
        known: int64 (G,), those of them that validation searches; the bundle remembers as many.
        augment: of views.
    """

    run: TrainingRun
    train: Dataset
    known: Ints
    augment: Augment

    @property
    def val(self) -> Dataset:
        """Pictures that select."""
        return self.run.splits.val

    @cached_property
    def gallery(self) -> Dataset:
        """Training pictures that are searched."""
        return self.train.subset(self.known)

    def recall(self, queries: Floats, dataset: Dataset, gallery: Floats) -> Metric:
        """Recall@1 of pictures with embeddings float32 (N, K), searched for in the gallery."""
        truth = np.concatenate([dataset.label_matrix, self.gallery.label_matrix])
        return MetricObjective(len(dataset)).score(np.concatenate([queries, gallery]), truth)

    def proxies(self, embeddings: Floats) -> Floats:
        """float32 (C, K): the mean embedding of each class of `train`; at random for a class without pictures."""
        labels, width = self.train.labels, embeddings.shape[1]
        found = np.random.default_rng(self.run.config.seed).normal(size=(len(self.train.classes), width))
        for number in np.unique(labels):
            found[number] = embeddings[labels == number].mean(0)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)

    def stage(self, name: str, note: str, started: float, network: nn.Module, source: Backbone) -> StageResult:
        """The figures of a stage but for its recall."""
        params, macs = count_parameters(network), count_macs(network, source.preprocess.size)
        seconds = time.monotonic() - started
        return StageResult(name, Metric(0.0), seconds, 4 * params / 1e6, None, macs, params, note)


def frozen(lesson: MetricRun, features: Features, started: float) -> EmbeddingStage:
    """The pretrained features on their principal axes: what can be found without learning from the classes."""
    pooled = features.views(lesson.train, lesson.augment, 1)[0][0]
    axes = principal_axes(pooled, classifier(features.network).out_features)
    note = f"features of {features.source.backbone} ({features.source.weights}) on their principal axes"
    return _linear(FROZEN, note, lesson, features, axes, started)


def projected(lesson: MetricRun, features: Features, started: float) -> EmbeddingStage:
    """The pretrained features on their principal axes after within-class whitening: learned, but in closed form.

    Of the shrinkages that have not learned the training pictures by heart, the one of the best recall@1, and of equal
    ones the largest; where all have, the largest.
    """
    pooled, width = features.views(lesson.train, lesson.augment, 1)[0][0], classifier(features.network).out_features
    seen, labels = features.compute(lesson.val, "val", None, 0)[0], lesson.train.labels
    shrinkages, stages = SHRINKAGES[::-1], list[EmbeddingStage]()
    for shrinkage, axes in zip(shrinkages, whitened_axes(pooled, labels, width, shrinkages), strict=False):
        if stages and spread(axes(pooled), labels, axes(seen), lesson.val.labels) < LEAST_SPREAD:
            break
        note = f"the same after within-class whitening (shrinkage {shrinkage:g})"
        stages.append(_linear("projection", note, lesson, features, axes, started))
    return max(stages, key=lambda stage: stage.result.val.value)


def _linear(
    name: str, note: str, lesson: MetricRun, features: Features, head: Projection, started: float
) -> EmbeddingStage:
    """A stage whose network is the pretrained one with a linear map on top."""
    network, source = copy.deepcopy(features.network), features.source
    set_head(network, head.weight, head.bias)

    def embed(dataset: Dataset, name: str) -> Floats:
        return head(features.compute(dataset, name, None, 0)[0])

    gallery = head(features.compute(lesson.train, "train", None, 0)[0][lesson.known])
    recall = lesson.recall(embed(lesson.val, "val"), lesson.val, gallery)
    result = replace(lesson.stage(name, note, started, network, source), val=recall)
    return EmbeddingStage(result, network, source, embed, gallery)


def fine_tuned(lesson: MetricRun, features: Features, start: EmbeddingStage, per_view: float) -> EmbeddingStage | None:
    """The stages above the cut trained on stored feature maps; None where there is no cut, or no time.

    Args:
        lesson: the pictures.
        features: with a second view computed.
        start: the stage whose projection it starts with.
        per_view: seconds that one more view of the training pictures takes.
    """
    run, cut, train = lesson.run, features.cut, lesson.train
    if cut is None:
        return None
    started, network = time.monotonic(), copy.deepcopy(start.network)
    part = MetricNetwork(upper_of(network, cut, _DROPOUT), lesson.proxies(start.embed(train, "train")))
    count = run.work.value("views", lambda: stored_views(features, len(train), per_view))
    views = [maps for _, maps in features.views(train, lesson.augment, count)]
    known = FeatureFeed([views[0][lesson.known]], lesson.gallery.label_matrix)

    def seen(dataset: Dataset, name: str) -> FeatureFeed:
        return FeatureFeed([features.compute(dataset, name, None, 0)[1]], dataset.label_matrix)

    joined = JoinedFeed(seen(lesson.val, "val"), known)
    feed = FeatureFeed(views, train.label_matrix)
    study = Study("fine-tuned", train, part, lambda maps: maps, feed, joined, cut.shape)
    plan = budgeted(run, study, tuned(run, len(train), Plan(1, lr=5e-4, head_lr=5e-3)), EpochLimits(_MOST_EPOCHS))
    if plan is None:
        return None
    note = f"the steps from {cut.upper[0]} on, on {len(views)} stored views of {len(train):,} pictures"
    return _by_gradients(lesson, study, plan, network, features.source, (seen, known), note, started)


def from_scratch(lesson: MetricRun, network: nn.Module, source: Backbone) -> EmbeddingStage:
    """The whole network trained on pictures from random weights."""
    run, train, started = lesson.run, lesson.train, time.monotonic()

    def seen(dataset: Dataset, name: str) -> Feed:
        return load_pictures(dataset, source).feed(source, lesson.augment)

    width = classifier(network).out_features
    proxies = np.random.default_rng(run.config.seed).normal(size=(len(train.classes), width))
    part, known = MetricNetwork(network, proxies.astype(np.float32)), seen(lesson.gallery, "gallery")
    prepare = Normalise(source.preprocess).to(run.work.accelerator.device)
    feeds = seen(train, "train"), JoinedFeed(seen(lesson.val, "val"), known)
    study = Study("from scratch", train, part, prepare, *feeds, (3, *source.preprocess.size), pretrained=False)
    base = scratch_plan(run, source)
    plan = budgeted(run, study, base, EpochLimits(300, missing="more than one epoch")) or replace(base, epochs=1)
    note = f"{source.backbone} from random weights, {len(train):,} pictures"
    return _by_gradients(lesson, study, plan, network, source, (seen, known), note, started)


def _by_gradients(
    lesson: MetricRun,
    study: Study,
    plan: Plan,
    network: nn.Module,
    source: Backbone,
    feeds: tuple[Callable[[Dataset, str], Feed], Feed],
    note: str,
    started: float,
) -> EmbeddingStage:
    """Run the loop and word what it reached.

    Args:
        lesson: the pictures.
        study, plan: what is trained, and how.
        network: the whole network that the study's part belongs to.
        source: what the network is and expects.
        feeds: from a data set and its name to its feed, and the feed of the gallery.
        note: how it was learned.
        started: `time.monotonic()` when work on this stage began.
    """
    run, (seen, known) = lesson.run, feeds
    done = fit_study(run, study, plan, MetricObjective(len(lesson.val)), frequencies(run, study, plan))
    network.eval()

    def embed(dataset: Dataset, name: str) -> Floats:
        return outputs(study.part, seen(dataset, name), study.prepare, run.work.accelerator)

    gallery = outputs(study.part, known, study.prepare, run.work.accelerator)
    epochs = int(done.curve[-1]["epoch"])
    result = lesson.stage(study.name, f"{note}, {epochs} epochs", started, network, source)
    result = replace(result, val=done.score, curve=tuple(done.curve), plan=plan.to_json())
    return EmbeddingStage(result, network, source, embed, gallery)
