"""Training a detector: from pictures with boxes to a proved bundle within a time budget."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from photovision.core.energy import Meter
from photovision.core.errors import DataError, UsageError
from photovision.core.progress import Listener, Progress, silent
from photovision.core.system import cores, keep_memory
from photovision.core.types import Floats
from photovision.data.augment.box import BoxAugmenter
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.engine.load import load
from photovision.learn.boxes import BoxFeed, found_in, sizes_of
from photovision.learn.log import MetricTracker
from photovision.learn.loop import FitResult, Prepare, fit, outputs
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, choose
from photovision.models.checkpoints import is_checkpoint
from photovision.models.depthwise import frozen_depthwise
from photovision.models.detector import STRIDES, DetectorNetwork, Lower
from photovision.models.export import Normalise, export_graph
from photovision.models.query_detector import QueryDetector, QuerySource, query_source
from photovision.models.weights import require_commercial
from photovision.runtime.session import Precision, open_session
from photovision.tasks.classify.export_bundle import licences
from photovision.tasks.detect import detector as runtime
from photovision.tasks.detect.export_bundle import TrainedDetector, need_judge, write_detector
from photovision.tasks.detect.training_run import DetectTrainingRun
from photovision.tasks.splits import gather
from photovision.tasks.training_run import TrainConfig
from photovision.tasks.workdir import Work

_MOST_EPOCHS = 150
_LEAST_SIDE, _MOST_SIDE = 320, 640
_SEEN_SIDE = 24.0  # pixels of the input that an object of the smallest class should have
_MOSAIC = 0.5  # share of the views that show parts of four pictures
_REMEMBERED = 100, 500  # steps that the mean of the weights goes back to, a quarter of all between these
_IOUS = (0.4, 0.5, 0.6, 0.7)
_QUERY_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # queries learn not to repeat each other: 1.0 suppresses nothing


@dataclass(frozen=True, eq=False)
class DetectTraining:
    """What learns from what: the part of the network that is trained, and its feeds.

    Attributes:
        network: the whole of it.
        part: what learns; shares its modules with `network`.
        prepare: from a feed's inputs to the part's.
        train, val: feeds.
        frozen: whether the part leaves out the lower stages, and depthwise kernels stay as they are.
    """

    network: DetectorNetwork | QueryDetector
    part: nn.Module
    prepare: Prepare
    train: BoxFeed
    val: BoxFeed
    frozen: bool

    def quickly(self) -> contextlib.AbstractContextManager[None]:
        """On a CPU to train depthwise kernels would take most of the time."""
        return frozen_depthwise(self.part) if self.frozen else contextlib.nullcontext()


def run(
    dataset: Dataset,
    output: Path,
    options: TrainConfig,
    listener: Listener = silent,
    trackers: tuple[MetricTracker, ...] = (),
) -> runtime.Detector:
    """Train a detector; see `photovision.tasks.train.train`.

    Interrupted or killed, the same call goes on where it was.

    Raises:
        DataError: pictures without boxes, or too few pictures.
        UsageError: a choice that detectors do not have, or a backbone without maps of several resolutions.
    """
    started, meter = time.monotonic(), Meter()
    if options.fair_by is not None or options.robust:
        raise UsageError("fair and robust variants are made of classifiers only: leave out --fair-by and --robust")
    bare = sum(sample.annotations is None for sample in dataset.samples)
    if bare or not any(len(found_in(sample)) for sample in dataset.samples):
        raise DataError(f"training a detector needs boxes around the objects; {bare or 'all'} pictures have none")
    need_judge()
    wanted = _wanted(options)
    if options.commercial:
        require_commercial(licences(wanted))
    accelerator = Accelerator()
    work = Work(output, {**options.to_json(), "data": dataset.fingerprint}, accelerator, dict(options.decisions))
    work.announce(listener)
    material = gather(
        dataset, seed=options.seed, progress=lambda done, total: listener(Progress("checking pictures", done, total))
    )
    size = work.value("size", lambda: size_for(wanted, material.train, options.size))
    source = replace(
        wanted,
        preprocess=replace(material.shown(wanted.preprocess), size=(size[0], size[1]), fit="squash", crop=1.0),
    )
    told = listener if accelerator.is_main_process else silent
    course = DetectTrainingRun(options, material, work, source, told, trackers, started, meter)
    lesson = lesson_of(course)
    plan = planned(course, lesson)
    keep_memory()
    with lesson.quickly():
        done = fit(lesson.part, course.task, plan, lesson.train, lesson.val, lesson.prepare, course.setting())
    finish(course, lesson, plan, done, output)
    work.close()
    return load(output)  # type: ignore[no-any-return]


def lesson_of(course: DetectTrainingRun) -> DetectTraining:
    """The network and its feeds: on a CPU the stages above 1/8 learn from pretrained maps, elsewhere all of it.

    Networks with queries learn whole everywhere.
    """
    options, source, material = course.options, course.source, course.material
    torch.manual_seed(options.seed)
    network = _network(source, material.dataset.classes)
    device = course.work.accelerator.device
    session = None
    part: nn.Module = network
    frozen = isinstance(network, DetectorNetwork) and device.type == "cpu" and source.weights != "none"
    if isinstance(network, DetectorNetwork) and frozen:
        whole = Lower(network, source.preprocess)
        path = course.work.file(
            "lower.onnx", lambda target: export_graph(whole, source.preprocess.size, ("maps",), target)
        )
        session, part = open_session(path), network.upper
    view = BoxAugmenter(Augment(scale=0.5, ratio=1.25, flip=options.flip != "off"), mosaic=_MOSAIC)

    def feed(data: Dataset) -> BoxFeed:
        return BoxFeed(data.samples, source.preprocess, view, cores(), session)

    prepare: Prepare = (lambda maps: maps) if frozen else Normalise(source.preprocess).to(device)
    return DetectTraining(network, part, prepare, feed(material.train), feed(material.val), frozen)


def planned(course: DetectTrainingRun, lesson: DetectTraining) -> Plan:
    """A plan that fits into the budget, by measured steps in both arithmetics; stored, so that a resumed run has it."""
    count, options = len(lesson.train.targets), course.options
    batch_size = 16 if count >= 100 else 8 if count >= 16 else 4
    base = _recipe(course.source, batch_size)
    # In bf16 a corner of a query's box would be rounded to a 256th of the picture.
    kinds: tuple[Precision, ...] = ("f32",) if isinstance(course.source, QuerySource) else ("f32", "bf16")
    steps = -(-count // batch_size)

    def decide() -> dict[str, Any]:
        with lesson.quickly():
            times = {kind: _pace(course, lesson, replace(base, precision=kind)) for kind in kinds}
        precision = min(times, key=lambda kind: times[kind])
        fitting = int(max(course.spendable, 1.0) / (1.1 * steps * times[precision]))
        return {"epochs": options.epochs or min(max(fitting, 1), _MOST_EPOCHS), "precision": precision}

    decided = course.work.value("plan", decide)
    epochs = int(decided["epochs"])
    return replace(
        base,
        epochs=epochs,
        ema=1 - 1 / float(np.clip(epochs * steps / 4, *_REMEMBERED)),
        precision=decided["precision"],
        validate_every=max(1, epochs // 12),
        shortened=tuple((a, b) for a, b in options.decisions.get("shortened", ())),
        seed=options.seed,
    )


def _recipe(source: Backbone, batch_size: int) -> Plan:
    """Rates as their authors have them: attention wants small ones, and backbones that know pictures smaller ones."""
    scratch = source.weights == "none"
    if isinstance(source, QuerySource):
        lr, decay = (4e-4, 1.0) if scratch else (2e-4, 0.1)
        rest: dict[str, Any] = {"weight_decay": 1e-4, "clip": 0.1}
    else:
        lr, decay, rest = 2e-3, 1.0 if scratch else 0.6, {"clip": 5.0}
    return Plan(1, batch_size, lr=lr, layer_decay=decay, ema=0.99, train_norm=scratch, **rest)


def _pace(course: DetectTrainingRun, lesson: DetectTraining, plan: Plan) -> float:
    """Seconds of one batch, its making included."""
    device = course.work.accelerator.device
    positions = np.arange(plan.batch_size) % len(lesson.train.targets)
    trial = copy.deepcopy(lesson.part).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if not plan.train_norm:
        for module in trial.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    times = []
    for number in range(4):
        started = time.perf_counter()
        inputs = lesson.prepare(lesson.train.take(positions, number, 0).to(device))
        truth = torch.from_numpy(lesson.train.truth(positions, number, 0)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss = course.task.loss(trial, {"inputs": inputs, "targets": truth}, 0.0)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))


def finish(course: DetectTrainingRun, lesson: DetectTraining, plan: Plan, done: FitResult, output: Path) -> None:
    """Settle how much boxes may overlap, and write the bundle."""
    course.work.decisions["shortened"] = done.shortened
    raw = outputs(lesson.part, lesson.val, lesson.prepare, course.work.accelerator, 16)
    predicted: Floats = course.task.decode(raw)
    lesson.network.cpu().eval()
    ious = _IOUS if isinstance(lesson.network, DetectorNetwork) else _QUERY_IOUS
    tasks = [replace(course.task, iou=iou) for iou in ious]
    found = [task.score(predicted, lesson.val.targets).value for task in tasks]
    task = tasks[int(np.argmax(found))]
    if course.work.accelerator.is_main_process:
        learned = TrainedDetector(lesson.network, task, predicted, lesson.val.targets, plan, done)
        write_detector(course, learned, output)
    course.work.accelerator.wait_for_everyone()


def size_for(source: Backbone, train: Dataset, asked: int | None) -> list[int]:
    """[H, W] of the network's input: of a pretrained one with queries what it was trained at, else by the pictures."""
    if not isinstance(source, QuerySource):
        return input_size(train, asked)
    keep = asked is None and source.weights != "none"
    sides = list(source.preprocess.size) if keep else input_size(train, asked)
    if source.found.family.square:
        sides = [max(sides)] * 2
    block = source.found.block
    return [max(block, block * round(side / block)) for side in sides]


def input_size(train: Dataset, asked: int | None) -> list[int]:
    """[H, W] of the network's input: the proportions of the pictures, and large enough for the smallest class.

    Args:
        train: with boxes.
        asked: the longer side that the user wants, in pixels.
    """
    sizes = np.array(sizes_of(train.samples), dtype=np.float64)
    longest = sizes.max(1)
    shares: dict[int, list[float]] = {}
    for sample, side in zip(train.samples, longest.tolist(), strict=True):
        found = found_in(sample)
        for label, extent in zip(found.labels.tolist(), (found.boxes[:, 2:] - found.boxes[:, :2]).min(1), strict=True):
            shares.setdefault(label, []).append(float(extent) / side)
    smallest = min((float(np.median(values)) for values in shares.values()), default=1.0)
    largest = min(max(_SEEN_SIDE / max(smallest, 1e-6), _LEAST_SIDE), _MOST_SIDE, max(float(np.median(longest)), 64.0))
    sides = np.median(sizes / longest[:, None], axis=0) * (asked or largest)
    return [max(STRIDES[-1], STRIDES[-1] * math.ceil(side / STRIDES[-1] - 0.25)) for side in sides.tolist()]


def _wanted(options: TrainConfig) -> Backbone:
    if is_checkpoint(options.backbone):
        return query_source(str(options.backbone), options.weights, options.allow_download)
    return choose(options.backbone or _plain(options), options.weights, options.size, options.allow_download)


def _network(source: Backbone, classes: tuple[str, ...]) -> DetectorNetwork | QueryDetector:
    if isinstance(source, QuerySource):
        return QueryDetector(source.found, source.preprocess.size, classes)
    return DetectorNetwork(source, len(classes))


def _plain(options: TrainConfig) -> Literal["resnet18"] | None:
    """From scratch, and with no architecture asked for, a small one."""
    return "resnet18" if options.weights == "none" else None
