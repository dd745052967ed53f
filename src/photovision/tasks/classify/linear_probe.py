"""The frozen rung: pretrained features, computed once by the fast runtime, with a regularised linear head."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from photovision.core.files import explained, put, sync
from photovision.core.types import Floats, Image, Sample
from photovision.data.augment.image import Augment, load_pixels, open_picture
from photovision.data.dataset import Dataset
from photovision.engine.embed import open_trunk, trunk_graph
from photovision.engine.feature_cache import digest_of
from photovision.engine.stage import StageResult
from photovision.engine.training_run import TrainingRun
from photovision.learn.groups import Score, group_weights
from photovision.learn.head import Head, fit_head
from photovision.models.backbones import Backbone, count_macs, count_parameters, create
from photovision.models.export import classifier
from photovision.models.frozen_features import SplitPoint, default_cut
from photovision.runtime.session import Session
from photovision.runtime.stream import stream
from photovision.tasks.classify.fair import by_worst_group, cells_of, fairness_of, groups_of
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.trained_stage import TrainedStage
from photovision.tasks.classify.variants import PLAIN, Variant

HEAD_VIEWS = 2
"""Views of every training picture that the linear head learns from: as prediction sees it, and one augmented."""


@dataclass(frozen=True, eq=False)
class Features:
    """A pretrained network with what its frozen part says about the pictures, kept on disk.

    Attributes:
        run: the training this belongs to.
        source: what the network is and expects.
        network: pretrained, head untrained.
        cut: where the network is split, None where it cannot be.
    """

    run: TrainingRun
    source: Backbone
    network: nn.Module
    cut: SplitPoint | None

    @property
    def side(self) -> int:
        """Pixels of the longer side of the network's input."""
        return max(self.source.preprocess.size)

    @cached_property
    def session(self) -> Session:
        """The frozen part, in the fast runtime."""

        def opened() -> Session:
            return open_trunk(self.run.work, self.network, self.source.preprocess, self.cut)

        return opened() if self.run.cache is None else self.run.cache.session(self._key, opened)

    @property
    def graph(self) -> Path | None:
        """Of the frozen part; None where there is no cut, or where other trainings have it."""
        if self.run.cache is not None or self.cut is None:
            return None
        return trunk_graph(self.run.work, self.network, self.source.preprocess, self.cut)

    @property
    def _key(self) -> tuple[object, ...]:
        """What the frozen part depends on."""
        below = None if self.cut is None else tuple(self.cut.lower)
        return self.source.backbone, self.source.weights, self.source.preprocess, below

    def open(self) -> Session:
        """Export and load the frozen part, if that has not been done."""
        return self.session

    def compute(self, dataset: Dataset, name: str, augment: Augment | None, view: int) -> tuple[Floats, np.ndarray]:
        """Pooled features float32 (N, D) and feature maps float16 (N, C, H, W) of one view of all pictures."""
        work = self.run.work
        paths = {kind: work.folder / f"{name}-{view}-{self.side}-{kind}.npy" for kind in ("features", "maps")}
        if work.missing(paths["maps"]):
            with explained(paths["maps"]):
                self._run(dataset, name, augment, view, paths)
        work.accelerator.wait_for_everyone()
        return np.load(paths["features"]), np.load(paths["maps"], mmap_mode="r")

    def _run(self, dataset: Dataset, name: str, augment: Augment | None, view: int, paths: dict[str, Path]) -> None:
        # The maps of many pictures do not fit into memory. They are written one after the other, not into a memory map:
        # a disk that fills up kills the process there, without a word.
        parts = {kind: path.with_suffix(".part.npy") for kind, path in paths.items()}
        shape = (len(dataset), *self.cut.shape) if self.cut else (0,)
        features: list[np.ndarray] = []
        with parts["maps"].open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
            for outputs in self._answers(dataset, name, augment, view):
                features.append(outputs["features"].astype(np.float32))
                if self.cut:
                    file.write(outputs["maps"].astype("<f2").tobytes())
        with parts["features"].open("wb") as file:
            np.save(file, np.stack(features), allow_pickle=False)
        for kind in ("features", "maps"):
            sync(parts[kind])
            put(parts[kind], paths[kind])

    def _answers(
        self, dataset: Dataset, name: str, augment: Augment | None, view: int
    ) -> Iterator[dict[str, np.ndarray]]:
        load, cache, seed = self._loader(augment, view), self.run.cache, self.run.config.seed
        items = list(enumerate(dataset.samples))
        keys = [None if cache is None else (self._key, augment, view, seed, digest_of(sample)) for _, sample in items]
        known = [None if cache is None else cache.get(key) for key in keys]
        asked = (item for item, outputs in zip(items, known, strict=True) if outputs is None)
        answers = stream(asked, load, self.session)
        for done, (key, outputs) in enumerate(zip(keys, known, strict=True), 1):
            if outputs is None:
                answer = next(answers)
                if answer.error is not None:
                    raise answer.error
                outputs = answer.outputs
                if cache is not None:
                    cache.put(key, outputs)
            yield outputs
            if done % 64 == 0 or done == len(items):
                self.run.tell(f"features of {name}", done, len(items))

    def _loader(self, augment: Augment | None, view: int) -> Callable[[tuple[int, Sample]], Image]:
        preprocess, seed, shared = self.source.preprocess, self.run.config.seed, self.run.cache

        def load(item: tuple[int, Sample]) -> Image:
            position, sample = item
            if augment is None:
                return load_pixels(sample, preprocess)
            own = position if shared is None else digest_of(sample)  # shared views depend on the picture alone
            rng = np.random.default_rng((seed, view, own))
            return augment(open_picture(sample, preprocess), preprocess, rng)

        return load

    def views(
        self, dataset: Dataset, augment: Augment, count: int, variant: Variant = PLAIN, name: str = "train"
    ) -> list[tuple[Floats, np.ndarray]]:
        """`count` views of the pictures of a split: the first as prediction sees it, the others augmented.

        Those of a robust variant are kept beside the others.
        """
        kind, varied = f"{name}-{variant.disturbed}" if variant.disturbed else name, variant.of(augment)
        return [self.compute(dataset, kind if view else name, varied if view else None, view) for view in range(count)]

    def bytes_of_view(self, pictures: int) -> int:
        """Size of the feature maps of one view."""
        return 2 * pictures * int(np.prod(self.cut.shape)) if self.cut else 0


def head_views(run: TrainingRun) -> int:
    """Views of a training picture that the linear head learns from: one where another picture teaches more."""
    return 1 if run.short else HEAD_VIEWS


def open_features(run: TrainingRun, source: Backbone) -> Features:
    """Build the pretrained network and find where to cut it."""
    network = create(source, len(run.splits.dataset.classes))
    return Features(run, source, network, default_cut(network, source.preprocess.size))


def learn_frozen(
    features: Features, train: Dataset, augment: Augment, variant: Variant = PLAIN
) -> tuple[TrainedStage, float]:
    """Climb the rung.

    Args:
        features: of `open_features`.
        train: the training pictures, or as many of them as the budget allows.
        augment: of all views but the first.
        variant: a change to how it learns; a fair one weights the pictures.

    Returns:
        what was reached, and the seconds that one view of the training pictures takes.
    """
    run, material = features.run, features.run.splits
    session = features.open()  # its export is paid once and is no part of a view's time
    started = time.monotonic()
    count = head_views(run) * (2 if variant.disturbed else 1)  # half of the disturbed views are left as they are
    features.views(train, augment, 1, variant)  # it may be there already
    first = time.monotonic()
    views = [view for view, _ in features.views(train, augment, count, variant)]
    per_view = (time.monotonic() - first) / (count - 1) if count > 1 else first - started
    val = features.compute(material.val, "val", None, 0)[0]
    run.tell("linear head", 0, 1)
    head = _fit(run, views, train, val, variant)
    run.tell("linear head", 1, 1, f"val {head.score.value:.1%}")
    network = copy.deepcopy(features.network)
    set_head(network, head.weight, head.bias)
    source, params = features.source, count_parameters(network)
    note = f"{source.backbone} ({source.weights}) as it is, logistic regression of strength {head.strength:g} on top"
    note += f", features by {session.engine} in {session.precision}"
    note += f", {count} views{variant.told}" if variant is not PLAIN else ""
    macs, seconds = count_macs(network, source.preprocess.size), time.monotonic() - started
    score = objective_of(run).score(objective_of(run).decode(head(val)), material.val.label_matrix)
    rung = StageResult(variant.name or "frozen", score, seconds, 4 * params / 1e6, None, macs, params, note)

    def answer(dataset: Dataset, name: str) -> Floats:
        return objective_of(run).decode(head(features.compute(dataset, name, None, 0)[0]))

    def again(change: Variant) -> TrainedStage:
        return learn_frozen(features, train, augment, change)[0]

    return TrainedStage(rung, head(val), answer, network, source, again, graph=features.graph), per_view


def _fit(run: TrainingRun, views: list[Floats], train: Dataset, val: Floats, variant: Variant) -> Head:
    """The head that validates best, by the group served worst where the variant is fair."""
    judged: Score = objective_of(run).score
    weights = None
    if variant.fair:
        fairness = fairness_of(run)
        assert fairness is not None
        judged = by_worst_group(fairness, run.splits.val)
        groups = groups_of(train, fairness.attribute, fairness.values)
        weights = np.tile(group_weights(cells_of(train, groups)), len(views))
    return fit_head(
        np.concatenate(views),
        np.tile(train.label_matrix, (len(views), 1)),
        val,
        run.splits.val.label_matrix,
        lambda logits, truth: judged(objective_of(run).decode(logits), truth),
        multilabel=objective_of(run).multilabel,
        weights=weights,
    )


def set_head(network: nn.Module, weight: Floats, bias: Floats) -> None:
    """Put a linear head, float32 (C, D) and (C,), into a network's last layer."""
    layer = classifier(network)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
