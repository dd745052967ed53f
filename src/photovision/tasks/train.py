"""train: the whole way from pictures to a proved Recognizer, climbing a ladder of rungs within a time budget."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from photovision.core.energy import Meter
from photovision.core.errors import DataError
from photovision.core.folder import reserved
from photovision.core.output import placed
from photovision.core.progress import Listener, Progress, silent
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.learn.log import MetricTracker, open_trackers
from photovision.models.backbones import Backbone, choose
from photovision.models.weights import require_commercial
from photovision.tasks.classify.export_bundle import licences, write_bundle
from photovision.tasks.classify.fair import Fairness, values_of
from photovision.tasks.classify.finetune import climb_upper, climb_whole
from photovision.tasks.classify.handcrafted import HandcraftedFeatures, climb_handcrafted, mirror_keeps_class
from photovision.tasks.classify.linear_probe import HEAD_VIEWS, Features, climb_frozen, open_features
from photovision.tasks.classify.objective import ClassifyObjective
from photovision.tasks.classify.recognizer import Recognizer, load
from photovision.tasks.classify.scratch import climb_scratch
from photovision.tasks.classify.select_variant import climb_variants, planned
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.learn import run as run_boxes
from photovision.tasks.segment.learn import learns_masks, train_masks
from photovision.tasks.segment.segmenter import Segmenter
from photovision.tasks.splits import gather
from photovision.tasks.training_run import TrainConfig, TrainedStage, TrainingRun
from photovision.tasks.workdir import Work

_ENOUGH_FOR_FROZEN = 1000
"""Training pictures below which frozen features of small pictures are left out: learning needs the time more."""
_ENOUGH_FOR_SCRATCH = 5000
"""Training pictures from which on small pictures get a network of their own."""


def train(
    data: str | Path | Dataset,
    output: str | Path,
    *,
    minutes: float = 5.0,
    backbone: str | None = None,
    weights: str = "auto",
    size: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    fair_by: str | None = None,
    robust: tuple[str, ...] = (),
    commercial: bool = False,
    listener: Listener = silent,
) -> Recognizer | Detector | Segmenter:
    """Turn pictures into a proved recogniser, pictures with boxes into a detector, with masks into a segmenter.

    Handcrafted features come first, so that the report can say what deep learning bought; then frozen pretrained
    features; then fine-tuning from the head downwards, or learning from scratch. The rung that validates best is kept,
    calibrated, exported, compared with its export, and judged once on pictures that took no part. Detectors and
    segmenters are learned in one step, see `photovision.models`, and are proved in the same way.

    Args:
        data: a folder, a table, or a Dataset; see `photovision.read_dataset`.
        output: folder of the bundle to write; a model already there is replaced at the end, whole.
        minutes: wall time for everything.
        backbone: a timm architecture; None takes the one that fits the weights and the pictures.
        weights: "auto" (offline weights that are installed), "none" (from scratch), "hub", a name of
            `photovision weights list`, or a file's path.
        size: side of the network's square input in pixels.
        epochs: of the last rung, whatever the budget says.
        seed: of everything random.
        fair_by: an attribute of the pictures (a column of their table) whose groups should be served equally well; the
            best rung is learned again in three ways that mind groups, and kept so where that is fairer.
        robust: corruptions or families of them ("weather", "blur"), and "augmix"; the best rung is learned again with
            them, and kept so where it bears them better at no more than a point of accuracy.
        commercial: refuse parts whose licence forbids commercial use.
        listener: told of every step.

    Raises:
        DataError, UsageError, LicenceError, ExportError: each with one line that says what to do.

    Interrupted or killed, the same call goes on where it was. What the command line offers beyond this (downloads,
    trackers, mirrored views) `run` takes as `TrainConfig`.
    """
    options = TrainConfig(
        minutes,
        backbone,
        weights,
        size,
        epochs,
        seed=seed,
        commercial=commercial,
        fair_by=fair_by,
        robust=tuple(robust),
    )
    return run(data if isinstance(data, Dataset) else read_dataset(data), Path(output), options, listener)


def run(
    dataset: Dataset, output: Path, options: TrainConfig, listener: Listener = silent
) -> Recognizer | Detector | Segmenter:
    """`train` with all options, also those that only the command line offers."""
    first = os.environ.get("RANK", "0") == "0"  # of several processes, the one that writes
    with reserved(output, "model", options.files(), alone=first):
        if dataset.annotation_type in ("boxes", "masks"):
            learn = train_masks if learns_masks(dataset) else run_boxes
            with _tracking(options, output) as trackers:
                return learn(dataset, output, options, listener, trackers)
        return _run(dataset, output, options, listener)


def _run(dataset: Dataset, output: Path, options: TrainConfig, listener: Listener) -> Recognizer:
    started, meter = time.monotonic(), Meter()
    if any(sample.target is None for sample in dataset.samples):
        raise DataError("training needs a label for every picture; some have none: complete the table or the folders")
    if options.fair_by is not None:
        values_of(dataset, options.fair_by)  # an attribute that does not exist is told before anything is read
    wanted = _wanted(options)
    if options.commercial:
        require_commercial(licences(wanted))
    accelerator = Accelerator()
    work = Work(output, {**options.to_json(), "data": dataset.fingerprint}, accelerator, dict(options.decisions))
    work.announce(listener)
    material = gather(
        dataset, seed=options.seed, progress=lambda done, total: listener(Progress("checking pictures", done, total))
    )
    with _tracking(options, output) as trackers:
        task = ClassifyObjective(dataset.multilabel)
        fairness = Fairness.of(material, options.fair_by) if options.fair_by is not None else None
        ahead = planned(options, fairness)
        climb = TrainingRun(options, material, work, task, listener, trackers, started, fairness, meter, ahead)
        plain = climb_ladder(climb, wanted)
        varied = climb_variants(climb, best_of(plain))
        rungs, chosen = [*plain, *varied.rungs], varied.chosen
        # All processes judge together; only one of them writes.
        judged = [None if reached is chosen else reached.answer(material.test, "test") for reached in rungs]
        variants = varied.judge()
        if accelerator.is_main_process:
            write_bundle(climb, rungs, judged, chosen, output, variants)
    work.close()
    return load(output)


def climb_ladder(climb: TrainingRun, wanted: Backbone) -> list[TrainedStage]:
    """All rungs that the budget allows, from the cheapest to the dearest."""
    rungs = []
    for reached in _ladder(climb, wanted):
        climb.reached(reached.rung)
        rungs.append(reached)
    return rungs


def _ladder(climb: TrainingRun, wanted: Backbone) -> Iterator[TrainedStage]:
    """One rung after the other, each learned when it is asked for."""
    handcrafted = climb_handcrafted(climb, 0.12 * climb.left)
    augment = Augment(flip=_mirrored(climb, handcrafted))
    yield handcrafted.reached
    wanted = _fitting(wanted, climb)
    wanted = replace(wanted, preprocess=climb.material.shown(wanted.preprocess))
    if wanted.weights == "none":
        yield climb_scratch(climb, wanted, augment)
        return
    features = open_features(climb, wanted)
    own = climb.material.small and len(climb.material.train) >= _ENOUGH_FOR_SCRATCH and climb.options.weights == "auto"
    train = _affordable(features, 0.15 if own else 0.3)
    if own:  # many small pictures: a network of their own size learns more from them than enlarged ones can teach
        if len(train) >= _ENOUGH_FOR_FROZEN:
            yield climb_frozen(features, train, augment)[0]
        yield climb_scratch(climb, choose("small_resnet", "none", None), augment)
        return
    frozen, per_view = climb_frozen(features, train, augment)
    yield frozen
    upper = climb_upper(features, frozen, train, augment, per_view)
    if upper is not None:
        yield upper
    whole = climb_whole(climb, upper or frozen, climb.material.train, augment)
    if whole is not None:
        yield whole


def best_of(rungs: list[TrainedStage]) -> TrainedStage:
    """The network that validates best; of equal ones the one that learned more.

    Handcrafted features are the yardstick and are never kept: they have no graph to export.
    """
    networks = [reached for reached in rungs if reached.network is not None]
    best = max(reached.rung.val.value for reached in networks)
    return [reached for reached in networks if reached.rung.val.value == best][-1]


def _wanted(options: TrainConfig) -> Backbone:
    return choose(options.backbone, options.weights, options.size, options.allow_download)


def _fitting(wanted: Backbone, climb: TrainingRun) -> Backbone:
    """From scratch, and with no architecture asked for, the one that fits the pictures and the machine."""
    if wanted.weights != "none" or climb.options.backbone is not None:
        return wanted
    if climb.material.small:
        return choose("small_resnet", "none", None)
    return choose("resnet50" if climb.work.accelerator.device.type == "cuda" else "resnet18", "none", None)


def _mirrored(climb: TrainingRun, handcrafted: HandcraftedFeatures) -> bool:
    if climb.options.flip != "auto":
        return climb.options.flip == "on"
    return bool(climb.work.value("flip", lambda: mirror_keeps_class(climb, handcrafted)))


def _affordable(features: Features, share: float) -> Dataset:
    """The training pictures whose frozen features fit into a share of the time left; at least 500 of them."""
    climb, train = features.climb, features.climb.material.train

    def count() -> int:
        features.open()  # exporting and loading the graph is paid once
        started = time.monotonic()
        probe = train.subset(np.linspace(0, len(train) - 1, min(64, len(train))).astype(int))
        features.compute(probe, "probe", None, 0)
        per_picture = (time.monotonic() - started) / len(probe)
        held_out = len(climb.material.val) + len(climb.material.test)
        return int((share * climb.left / per_picture - held_out) / HEAD_VIEWS)

    most = max(500, climb.work.value("affordable", count))
    if most >= len(train):
        return train
    rng = np.random.default_rng(climb.options.seed)
    return train.subset(np.sort(rng.permutation(len(train))[:most]))


@contextmanager
def _tracking(options: TrainConfig, output: Path) -> Iterator[tuple[MetricTracker, ...]]:
    place = placed(output)
    folder = place.with_name(f"{place.name}-tracking")
    if options.track:
        folder.mkdir(parents=True, exist_ok=True)
    trackers = tuple(open_trackers(options.track, folder))
    try:
        yield trackers
    finally:
        for tracker in trackers:
            tracker.close()
