"""Learning to detect: from images with boxes to a trained detector, within a time budget."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from photovision.core.errors import DataError, MissingExtra
from photovision.core.system import cores, keep_memory
from photovision.core.types import Floats
from photovision.data.augment.box import BoxAugmenter
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.engine.closing import closing_seconds
from photovision.engine.learned import Learned
from photovision.engine.time_text import enough_minutes
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.learn.boxes import BoxFeed, found_in, sizes_of
from photovision.learn.loop import FitResult, Prepare, fit, outputs
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, choose
from photovision.models.checkpoints import is_checkpoint
from photovision.models.depthwise import frozen_depthwise
from photovision.models.detector import STRIDES, DetectorNetwork, Frozen, Lower, OnMaps
from photovision.models.export import Normalise, export_graph
from photovision.models.query_detector import QueryDetector, QuerySource, query_source
from photovision.runtime.neighbours import MAX_IMAGES
from photovision.runtime.session import Precision, open_session
from photovision.tasks.detect.export_bundle import NAME, TrainedDetector, learned_from
from photovision.tasks.detect.objective import DetectByQueriesObjective, DetectObjective

_STORED_BELOW = 150.0  # seconds of budget in which on a CPU only what follows the backbone learns, from stored maps
_STORED_SIDE = 192, 24.0  # longer side of the input then, in pixels, of 30 s, and pixels more for every 10 s more
_STORED_BATCH, _STORED_LR, _STORED_VIEWS = 4, 4e-3, 6  # steps teach more than pictures in them
_STORED_PACE = 0.5  # of the time in which maps are made, that a step waits for them: they come again
_TIMED = 16  # validation pictures
_MOST_EPOCHS = 150
_VALIDATIONS = 6  # in a training: a validation takes as long as a few steps
_VIEWS = 4, 16  # as few where a machine is quicker than it seemed; more are as good as new ones in every epoch
_EXPORT = 7.0  # seconds in which a graph is written and opened, before it has been measured
_GRAPHS = 1.6  # times as long as that of the lower stages takes that of the whole network, with its comparison
_GRAPH_ABOVE = 0.6  # the same of what follows a backbone that stayed as it is
_MOST_CLOSING = 0.4  # share of the budget
_ENOUGH_STEPS = 300
_LATE = 1.1  # how much longer steps take than those measured
_FEW_STEPS = 1000  # up to which steps of few pictures teach more than fewer steps of many
_RETURNS = 4  # epochs in which a view of a picture is shown, where the maps of all views have room in memory
_HEAD_STEPS, _HEAD_SHARE = 300, 0.4  # steps in which only what is new learns, and at most this share of all
_LEAST_SIDE, _MOST_SIDE = 320, 640
_SEEN_SIDE = 24.0  # pixels of the input that an object of the smallest class should have
_MOSAIC = 0.5  # share of the views that show parts of four pictures
_REMEMBERED = 500  # steps that the mean of the weights goes back to; early on a ninth of those that there were
_IOUS = (0.4, 0.5, 0.6, 0.7)
_QUERY_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # queries learn not to repeat each other: 1.0 suppresses nothing


@dataclass(frozen=True, eq=False)
class DetectTraining:
    """What learns from what: the part of the network that is trained, and its feeds.

    Attributes:
        source: the backbone and what it expects.
        objective: the loss and the score.
        network: the whole of it.
        part: what learns; shares its modules with `network`.
        prepare: from a feed's inputs to the part's.
        train, val: feeds.
        frozen: whether the part leaves out the lower stages, and depthwise kernels stay as they are.
        graph: of the whole backbone, where it stays as it is and the part learns from its stored maps.
    """

    source: Backbone
    objective: DetectObjective
    network: DetectorNetwork | QueryDetector
    part: nn.Module
    prepare: Prepare
    train: BoxFeed
    val: BoxFeed
    frozen: bool
    graph: Path | None = None

    def fits(self, views: int) -> bool:
        """Whether the maps of so many views of every picture may be kept in memory."""
        assert isinstance(self.network, DetectorNetwork)
        shapes = self.network.shapes if self.graph else self.network.shapes[:1]
        return self.train.fits(views, (sum(map(math.prod, shapes)),))

    def quickly(self) -> contextlib.AbstractContextManager[None]:
        """On a CPU to train depthwise kernels would take most of the time."""
        return frozen_depthwise(self.part) if self.frozen else contextlib.nullcontext()


@dataclass(frozen=True)
class Pace:
    """How quickly this machine learns.

    Attributes:
        precision: the arithmetic it was measured in.
        making, step: seconds that a batch takes to be made, and to be learned from.
        batch_size: pictures in it.
    """

    precision: Precision
    making: float
    step: float
    batch_size: int


def prepare(dataset: Dataset, config: TrainConfig) -> Backbone:
    """Refuse what cannot be learned before an image is read, and settle where the network starts from.

    Raises:
        DataError: images without boxes.
        MissingExtra: the reference evaluation of detectors is not installed.
        UsageError: backbone and weights do not fit together, or nothing is installed.
    """
    bare = sum(sample.annotations is None for sample in dataset.samples)
    if bare or not any(len(found_in(sample)) for sample in dataset.samples):
        raise DataError(f"training a detector needs boxes around the objects; {bare or 'all'} pictures have none")
    if find_spec("pycocotools") is None:  # said before hours of training
        raise MissingExtra("pycocotools", "training a detector")
    if is_checkpoint(config.backbone):
        return query_source(str(config.backbone), config.weights, config.allow_download)
    backbone = config.backbone or ("resnet18" if config.weights == "none" else None)
    return choose(backbone, config.weights, config.size, config.allow_download)


def learn(run: TrainingRun, source: Backbone) -> Learned:
    """Learn boxes within the time budget.

    Args:
        run: the training.
        source: of `prepare`.
    """
    stored = run.work.value("stored", lambda: stores(run, source))
    size = run.work.value("size", lambda: size_for(source, run.splits.train, run.config.size, run.budget, stored))
    preprocess = replace(run.splits.shown(source.preprocess), size=(size[0], size[1]), fit="squash", crop=1.0)
    lesson = lesson_of(run, replace(source, preprocess=preprocess), stored)
    keep_memory()
    plan, closing = planned(run, lesson)
    run = replace(run, closing=closing)
    with lesson.quickly():
        done = fit(lesson.part, lesson.objective, plan, lesson.train, lesson.val, lesson.prepare, run.context(NAME))
    return finish(run, lesson, plan, done)


def stores(run: TrainingRun, source: Backbone) -> bool:
    """Whether the time is so short that the backbone stays as it is: what follows it learns quickly from its maps."""
    learnable = source.weights != "none" and not isinstance(source, QuerySource) and run.config.epochs is None
    return learnable and run.work.accelerator.device.type == "cpu" and run.budget < _STORED_BELOW


def lesson_of(run: TrainingRun, source: Backbone, stored: bool) -> DetectTraining:
    """The network and its feeds: on a CPU the stages above 1/8 learn from pretrained maps, elsewhere all of it.

    Networks with queries learn whole everywhere.

    Args:
        run: the training.
        source: what the network starts from, at the size of its input.
        stored: of `stores`.
    """
    splits = run.splits
    torch.manual_seed(run.config.seed)
    network = _network(source, splits.dataset.classes)
    device = run.work.accelerator.device
    session = graph = None
    part: nn.Module = network
    frozen = isinstance(network, DetectorNetwork) and device.type == "cpu" and source.weights != "none"
    if isinstance(network, DetectorNetwork) and frozen:
        kind = Frozen if stored else Lower
        whole, began = kind(network, source.preprocess), time.monotonic()
        path = run.work.file(
            "lower.onnx", lambda target: export_graph(whole, source.preprocess.size, kind.outputs, target)
        )
        session, part = open_session(path), OnMaps(network.upper, network.shapes) if stored else network.upper
        graph = path if stored else None
        run.work.value("exported", lambda: time.monotonic() - began)
    usual = Augment(scale=0.5, ratio=1.25, flip=run.config.flip != "off")
    view = BoxAugmenter(run.config.tuning.augment or usual, mosaic=_MOSAIC)

    def feed(data: Dataset) -> BoxFeed:
        return BoxFeed(data.samples, source.preprocess, view, cores(), session)

    ready: Prepare = (lambda maps: maps) if frozen else Normalise(source.preprocess).to(device)
    task = DetectByQueriesObjective if isinstance(source, QuerySource) else DetectObjective
    objective = task(len(splits.dataset.classes), source.preprocess.size)
    feeds = feed(splits.train), feed(splits.val)
    return DetectTraining(source, objective, network, part, ready, *feeds, frozen, graph)


def planned(run: TrainingRun, lesson: DetectTraining) -> tuple[Plan, float]:
    """A plan that fits into the budget, by measured steps in both arithmetics, and the seconds that it leaves for what
    follows; decisions are stored, so that a resumed run has them."""
    count, options = len(lesson.train.targets), run.config
    asked, stored = options.tuning.batch_size, lesson.graph is not None
    batch_size = asked or (_STORED_BATCH if stored else 16 if count >= 100 else 8 if count >= 16 else 4)

    def decide() -> dict[str, Any]:
        pace = _quickest(run, lesson, _recipe(lesson.source, batch_size, stored))
        graphs = (_GRAPH_ABOVE if stored else _GRAPHS) * float(run.work.decisions.get("exported", _EXPORT))
        closing = min(_MOST_CLOSING * run.budget, closing_seconds(graphs, _prediction(lesson, pace) * _answered(run)))
        making = (_STORED_PACE if stored else 1.0) * pace.making
        batches = max(run.spendable - closing, 1.0) / (_LATE * (pace.step + making))
        halved = not asked and lesson.frozen and batch_size == 16 and batches < _FEW_STEPS
        size = batch_size // 2 if halved else batch_size
        epochs = min(max(int(batches * batch_size / count), 1), _MOST_EPOCHS)
        minutes = replace(run, closing=closing).minutes_for(_ENOUGH_STEPS * _LATE * (pace.step + pace.making))
        plan = {"epochs": epochs, "precision": pace.precision, "batch_size": size, "closing": closing}
        return {**plan, "steps": int(batches), "minutes": minutes}

    decided = run.work.value("plan", decide)
    if stored:
        run.leave_out("learning the backbone's upper stages, on larger inputs", enough_minutes(_STORED_BELOW))
    elif decided.get("steps", _ENOUGH_STEPS) < _ENOUGH_STEPS and not options.epochs:
        run.leave_out(f"more than about {max(decided['steps'], 1)} steps of learning", decided["minutes"])
    epochs, size = int(options.epochs or decided["epochs"]), int(decided.get("batch_size", batch_size))
    steps = epochs * -(-count // size)
    lesson.train.views, lesson.train.plain = _views(lesson, epochs), stored
    head = lesson.frozen and not stored and run.work.accelerator.num_processes == 1
    plan = replace(
        _recipe(lesson.source, size, stored),
        epochs=epochs,
        most_epochs=_MOST_EPOCHS,
        head_first=min(_HEAD_SHARE, _HEAD_STEPS / steps) if head else 0.0,
        precision=decided["precision"],
        validate_every=epochs if run.short else max(1, epochs // _VALIDATIONS),
        paced=tuple((a, b) for a, b in options.decisions.get("paced", ())),
        seed=options.seed,
    )
    plan = options.tuning.applied(plan)
    return plan, float(decided.get("closing", _EXPORT))


def _views(lesson: DetectTraining, epochs: int) -> int:
    """How many views of every picture come again and again; 0 where each epoch has new ones."""
    if lesson.graph is not None:
        most = min(-(-epochs // 2), _STORED_VIEWS)
        return next((views for views in range(most, 0, -1) if lesson.fits(views)), 0)
    views = max(-(-epochs // _RETURNS), _VIEWS[0])
    return views if lesson.frozen and views <= _VIEWS[1] and lesson.fits(views) else 0


def _prediction(lesson: DetectTraining, pace: Pace) -> float:
    """Seconds that a prediction takes, about; a step of learning goes forward once and twice backward."""
    began, rows = time.perf_counter(), np.arange(min(_TIMED, len(lesson.val.targets)))
    lesson.val.take(rows, -1, 0)
    return (time.perf_counter() - began) / len(rows) + pace.step / (3 * pace.batch_size)


def _answered(run: TrainingRun) -> int:
    """How many pictures the exported graph answers before the bundle is there: remembered, calibrated, evaluated."""
    splits = run.splits
    return min(len(run.remembered), MAX_IMAGES) + len(splits.val) + len(splits.test)


def _recipe(source: Backbone, batch_size: int, stored: bool = False) -> Plan:
    """Rates as their authors have them: attention wants small ones, and backbones that know pictures smaller ones."""
    scratch = source.weights == "none"
    if isinstance(source, QuerySource):
        lr, decay = (4e-4, 1.0) if scratch else (2e-4, 0.1)
        rest: dict[str, Any] = {"weight_decay": 1e-4, "clip": 0.1}
    elif stored:
        lr, decay, rest = _STORED_LR, 1.0, {"clip": 5.0}
    else:
        lr, decay, rest = 2e-3, 1.0 if scratch else 0.6, {"clip": 5.0}
    ema = 1 - 1 / _REMEMBERED
    return Plan(1, batch_size, lr=lr, layer_decay=decay, ema=ema, train_norm=scratch, **rest)


def _pace(run: TrainingRun, lesson: DetectTraining, plan: Plan, limit: float) -> Pace:
    """Measure batches, fewer where the first takes longer than `limit` seconds."""
    device = run.work.accelerator.device
    positions = np.arange(plan.batch_size) % len(lesson.train.targets)
    trial = copy.deepcopy(lesson.part).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if not plan.train_norm:
        for module in trial.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    making, steps = [], []
    for number in range(3):
        run.threads.adapt()
        started = time.perf_counter()
        inputs = lesson.prepare(lesson.train.take(positions, number, 0).to(device))
        truth = torch.from_numpy(lesson.train.truth(positions, number, 0)).to(device)
        making.append(time.perf_counter() - started)
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss = lesson.objective.loss(trial, {"inputs": inputs, "targets": truth}, 0.0)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        steps.append(time.perf_counter() - started - making[-1])
        if steps[0] > limit:
            break
    return Pace(plan.precision, float(np.min(making)), float(np.min(steps)), plan.batch_size)


def _quickest(run: TrainingRun, lesson: DetectTraining, plan: Plan) -> Pace:
    """The pace in the arithmetic that is quicker here."""
    # In bf16 a corner of a query's box would be rounded to a 256th of the picture.
    queries = isinstance(lesson.source, QuerySource)
    kinds: tuple[Precision, ...] = ("f32",) if queries else ("bf16", "f32")
    best: Pace | None = None
    with lesson.quickly():
        for kind in kinds:
            limit = float("inf") if best is None else 2 * best.step
            pace = _pace(run, lesson, replace(plan, precision=kind), limit)
            best = pace if best is None or pace.step < best.step else best
    assert best is not None
    return best


def finish(run: TrainingRun, lesson: DetectTraining, plan: Plan, done: FitResult) -> Learned:
    """Settle how much boxes may overlap."""
    run.work.decisions["paced"] = done.paced
    device = run.work.accelerator.device
    with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
        raw = outputs(lesson.part, lesson.val, lesson.prepare, run.work.accelerator, 16)
    predicted: Floats = lesson.objective.decode(raw)
    lesson.network.cpu().eval()
    ious = _IOUS if isinstance(lesson.network, DetectorNetwork) else _QUERY_IOUS
    objectives = [replace(lesson.objective, iou=iou) for iou in ious]
    found = [objective.score(predicted, lesson.val.targets).value for objective in objectives]
    best = objectives[int(np.argmax(found))]
    truth = lesson.val.targets
    trained = TrainedDetector(lesson.network, lesson.source, best, predicted, truth, plan, done, lesson.graph)
    return learned_from(run, trained)


def size_for(
    source: Backbone, train: Dataset, asked: int | None, budget: float = math.inf, stored: bool = False
) -> list[int]:
    """[H, W] of the network's input: of a pretrained one with queries what it was trained at, else by the pictures,
    and smaller where the budget is so short that maps are stored."""
    if not isinstance(source, QuerySource):
        side = _STORED_SIDE[0] + _STORED_SIDE[1] * max(budget - 30, 0) / 10
        found = input_size(train, asked)
        return input_size(train, round(side)) if stored and not asked and max(found) > side else found
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


def _network(source: Backbone, classes: tuple[str, ...]) -> DetectorNetwork | QueryDetector:
    if isinstance(source, QuerySource):
        return QueryDetector(source.found, source.preprocess.size, classes)
    return DetectorNetwork(source, len(classes))
