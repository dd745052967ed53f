"""The handcrafted rung: the yardstick that every training is measured against, never the model that is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from photovision.core.parallel import in_order
from photovision.core.types import Floats, Image
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.stage import StageResult
from photovision.engine.training_run import TrainingRun
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.trained_stage import TrainedStage
from photovision.trust.baseline import Handmade, LinearSvm

_PROBE = 64
_LEAST_PICTURES = 300
_LARGEST_LOSS = 0.1
_ENOUGH_TO_TELL = 1000  # pictures: a loss that large shows with so many, and twice as many take 10 s longer


@dataclass(frozen=True, eq=False)
class HandcraftedFeatures:
    """The climbed rung with its parts.

    Attributes:
        reached: what it reached.
        features: how pictures are described.
        machine: what decides.
        train: the pictures that it learned from.
        described, val: float32 (N, D) and (M, D), their features and those of the pictures of val.
    """

    reached: TrainedStage
    features: Handmade
    machine: LinearSvm
    train: Dataset
    described: Floats
    val: Floats


def learn_handcrafted(run: TrainingRun, seconds: float) -> HandcraftedFeatures:
    """Climb the rung, with as many training pictures as fit into `seconds`, but at least 300."""
    material, work = run.splits, run.work
    started = time.monotonic()
    features = Handmade.fitting(material.typical_side)

    def affordable() -> int:
        probe = material.train.subset(range(min(_PROBE, len(material.train))))
        _describe(features, probe.subset(range(2)))  # the first ones also pay for libraries that are loaded
        before = time.monotonic()
        _describe(features, probe)
        rate = (time.monotonic() - before) / len(probe)
        # Validation and test must be described too; learning takes about as long as a third of all this.
        return int(seconds / 1.3 / rate) - len(material.val) - len(material.test)

    most = max(_LEAST_PICTURES, work.value("handcrafted-pictures", affordable))
    train = _some(material.train, most, run.config.seed)
    run.tell("handcrafted", 0, 3, f"gradients and colours of {len(train):,} pictures")
    described = work.array("handcrafted-train", lambda: _describe(features, train))
    val = work.array("handcrafted-val", lambda: _describe(features, material.val))
    run.tell("handcrafted", 1, 3, "linear support vector machine")
    machine = LinearSvm.fit(np.asarray(described), train.truth, len(train.classes))
    logits = machine(val)
    score = objective_of(run).score(objective_of(run).decode(logits), material.val.label_matrix)
    run.tell("handcrafted", 3, 3, f"val {score.value:.1%}")
    milliseconds = _milliseconds(features, machine, material.val)
    params = machine.weight.size + machine.bias.size
    note = f"HOG and colours at {features.side} px, linear SVM, {len(train):,} pictures"
    seconds_taken = time.monotonic() - started
    rung = StageResult("handcrafted", score, seconds_taken, 4 * params / 1e6, milliseconds, None, params, note)

    def answer(dataset: Dataset, name: str) -> Floats:
        return objective_of(run).decode(machine(_describe(features, dataset)))

    reached = TrainedStage(rung, logits, answer)
    return HandcraftedFeatures(reached, features, machine, train, np.asarray(described), np.asarray(val))


def mirror_keeps_class(run: TrainingRun, handcrafted: HandcraftedFeatures) -> bool:
    """Whether pictures may be mirrored in training: False where it would turn one class into another, as with letters.

    Measured: learn once from plain pictures and once from plain and mirrored ones. Where mirroring makes the classes
    overlap, the second machine is clearly worse on plain validation pictures.
    """
    material, features, classes = run.splits, handcrafted.features, len(run.splits.train.classes)
    rows = _rows(len(handcrafted.train), _ENOUGH_TO_TELL, run.config.seed)
    train, plain = handcrafted.train.subset(rows), handcrafted.described[rows]
    turned = _describe(features, train, mirrored=True)
    judges = _rows(len(material.val), 1000, run.config.seed)
    val, truth = handcrafted.val[judges], material.val.subset(judges).label_matrix

    def share(machine: LinearSvm) -> float:
        return objective_of(run).score(objective_of(run).decode(machine(val)), truth).value

    whole = len(rows) == len(handcrafted.train)
    alone = share(handcrafted.machine if whole else LinearSvm.fit(plain, train.truth, classes))
    both = share(LinearSvm.fit(np.concatenate([plain, turned]), np.concatenate([train.truth] * 2), classes))
    return both >= alone - _LARGEST_LOSS


def _describe(features: Handmade, dataset: Dataset, mirrored: bool = False) -> Floats:
    def images() -> Iterator[Image]:
        for _, image in in_order(dataset.samples, lambda sample: load_pixels(sample, features.preprocess)):
            yield image[:, ::-1] if mirrored else image

    return features.extract(images(), len(dataset))


def _some(dataset: Dataset, most: int, seed: int) -> Dataset:
    return dataset if len(dataset) <= most else dataset.subset(_rows(len(dataset), most, seed))


def _rows(count: int, most: int, seed: int) -> np.ndarray:
    """At most so many of some rows, by chance, in their order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def _milliseconds(features: Handmade, machine: LinearSvm, dataset: Dataset) -> float:
    picture = load_pixels(dataset.samples[0], features.preprocess)[None]
    times = []
    for _ in range(10):
        started = time.perf_counter()
        machine(features.describe(picture))
        times.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(times)), 3)
