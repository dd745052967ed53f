"""Learning to segment from stored maps: the decoder on a frozen backbone first, then with the upper steps of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from photovision.core.regions import IGNORE
from photovision.core.system import cores, keep_memory
from photovision.data.dataset import Dataset
from photovision.engine.training_run import TrainingRun
from photovision.learn.loop import FitResult, fit
from photovision.learn.pixels import PixelFeed, StoredPixelFeed
from photovision.learn.plan import Plan
from photovision.learn.step_time import step_seconds
from photovision.models.segmenter import Decoder, SegmenterNetwork
from photovision.models.stored_maps import MapsPart, MapSteps, map_steps
from photovision.runtime.session import Session, open_session
from photovision.tasks.segment.closing import closing_seconds
from photovision.tasks.segment.lesson import MAX_PIXELS, SegmentTraining, fitted_size
from photovision.tasks.segment.objective import SegmentObjective, class_weights
from photovision.tasks.segment.trained import NAME, PRECISIONS, TrainedSegmenter, quickly, validating

DECODER = Decoder(width=96, finest=4)
_BATCH = 8
_TIMED = 2  # pictures of a step that is measured: on a slow machine eight would take a part of the time themselves
_MIN_PIXELS = 224 * 224
_EPOCHS = 20
"""Passes over the pictures below which a smaller input pays more than a finer one."""
_MOST_EPOCHS, _MOST_STEPS = 200, 6000
_MOST_VIEWS = 16
_MOST_CLOSING = 0.65  # share of the budget that is kept for what follows the learning
_VIEWS_TIME, _DECODER_TIME = 0.15, 0.35  # shares of the time: for the views, and of what is left for the decoder alone
_COUNTED = 200  # pictures whose pixels are counted for the weights of the classes


@dataclass(frozen=True, eq=False)
class MapStore:
    """Stored maps of one training.

    Attributes:
        run: the training.
        lesson: what it learns, at the size that its maps have.
        found: how the backbone comes to its maps.
    """

    run: TrainingRun
    lesson: SegmentTraining
    found: MapSteps

    @cached_property
    def session(self) -> Session:
        """The backbone in the fast runtime."""
        preprocess = self.lesson.source.preprocess
        return open_session(self.run.work.file("maps.onnx", lambda path: self.found.export(preprocess, path)))

    def pictures(self, dataset: Dataset) -> PixelFeed:
        """Pictures with their planes, as they are varied."""
        view = self.lesson.view(self.run.config.flip != "off", self.run.config.tuning.augment)
        return PixelFeed(dataset.samples, self.lesson.source.preprocess, view, cores())

    def feed(self, dataset: Dataset, name: str, views: int, *, judged: bool = False) -> StoredPixelFeed:
        """Maps and planes of `views` views, the first as prediction sees the pictures, the others varied."""
        both = [self._view(dataset, name, view) for view in range(views)]
        return StoredPixelFeed([maps for maps, _ in both], [planes for _, planes in both], judged=judged)

    def _view(self, dataset: Dataset, name: str, view: int) -> tuple[np.ndarray, np.ndarray]:
        pictures, count, seed = self.pictures(dataset), len(dataset), self.run.config.seed
        batches = np.array_split(np.arange(count), max(1, count // _BATCH))
        epoch = view or -1

        def maps() -> Iterator[np.ndarray]:
            for number, rows in enumerate(batches, 1):
                yield self._maps(pictures, rows, epoch)
                self.run.tell(f"maps of {name}, view {view + 1}", number, len(batches))

        def planes() -> Iterator[np.ndarray]:
            return (pictures.truth(rows, epoch, seed) for rows in batches)

        work, size = self.run.work, self.lesson.source.preprocess.size
        return (
            work.rows(f"{name}-{view}-maps", (count, self.found.numbers), "<f2", maps),
            work.rows(f"{name}-{view}-planes", (count, *size, 1), "|u1", planes),
        )

    def _maps(self, pictures: PixelFeed, rows: np.ndarray, epoch: int) -> np.ndarray:
        images = pictures.take(rows, epoch, self.run.config.seed).numpy()
        found: np.ndarray = self.session.run(images)["maps"].astype(np.float16)
        return found

    def seconds(self) -> float:
        """How long one view of one picture takes, with its planes."""
        pictures, epoch = self.pictures(self.run.splits.train), _MOST_VIEWS + 1
        rows = np.arange(min(2 * _BATCH, len(self.run.splits.train)))
        self._maps(pictures, rows[:_BATCH], epoch)  # the first ones also pay for memory and for kernels being chosen
        started = time.monotonic()
        for part in np.array_split(rows, max(1, len(rows) // _BATCH)):
            self._maps(pictures, part, epoch)
            pictures.truth(part, epoch, 0)
        return (time.monotonic() - started) / len(rows)

    def room(self, each: float) -> tuple[int, int]:
        """Of how many training pictures how many views fit into a share of the time and half of the free disk."""
        run, count = self.run, len(self.run.splits.train)
        height, width = self.lesson.source.preprocess.size
        free = shutil.disk_usage(run.work.folder).free
        fitting = min(_VIEWS_TIME * run.spendable / each, 0.5 * free / (2 * self.found.numbers + height * width))
        pictures = int(np.clip(fitting, min(count, 2 * _BATCH), count))
        return pictures, int(np.clip(fitting / pictures, 1, _MOST_VIEWS))


def learn_stored(run: TrainingRun, lesson: SegmentTraining) -> TrainedSegmenter | None:
    """Learn from stored maps; None where the backbone is not pretrained, or is no chain of steps.

    Args:
        run: the training.
        lesson: what is learned from whole pictures.
    """
    if lesson.source.weights == "none" or lesson.tile is not None:
        return None
    network = SegmenterNetwork(lesson.source, len(lesson.classes), False, DECODER)
    keep_memory()
    settled = run.work.value("input", lambda: _settled(run, lesson, network))
    if settled is None:
        return None
    height, width = settled["size"]
    lesson = replace(lesson.resized((height, width)), decoder=DECODER)
    found = map_steps(network, (height, width))
    assert found is not None
    store, started = MapStore(run, lesson, found), time.monotonic()
    assert store.session is not None  # its export is paid once and is no part of a view's time
    exported, each = time.monotonic() - started, store.seconds()
    run = replace(
        run, closing=min(closing_seconds(run.splits, lesson.classes, exported, each), _MOST_CLOSING * run.budget)
    )
    room = run.work.value("views", lambda: store.room(each))
    _name_left_out(run, settled, room[0], each)
    return _learn(replace(store, run=run), room, settled["precision"])


def _name_left_out(run: TrainingRun, settled: dict[str, Any], pictures: int, each: float) -> None:
    """Name what the time was too short for: the finest input, or some of the pictures."""
    finest, count = settled.get("finest"), len(run.splits.train)
    if finest is not None:
        run.leave_out(f"an input of {finest[1]} x {finest[0]} pixels", settled["minutes"])
    if pictures < count:
        minutes = run.minutes_for(each * count / _VIEWS_TIME)
        run.leave_out(f"{count - pictures:,} of the {count:,} training pictures", minutes)


def _settled(run: TrainingRun, lesson: SegmentTraining, network: SegmenterNetwork) -> dict[str, Any] | None:
    """The quicker arithmetic, and the size asked for, else that of the pictures as far as the budget lets it learn."""
    samples, asked = run.splits.train.samples, run.config.size is not None
    size = lesson.source.preprocess.size if asked else fitted_size(samples, MAX_PIXELS)
    found = map_steps(network, size)
    if found is None:
        return None
    batch = _blank(found, size, run.work.accelerator.device)
    with quickly(run, network, True):
        times = {kind: step_seconds(lesson.task, found.part(True), batch, kind) for kind in PRECISIONS}
    precision = min(times, key=lambda kind: times[kind])
    if not asked:
        epoch = times[precision] * max(1, len(samples) / _TIMED)
        share = min(1.0, run.spendable / epoch / _EPOCHS)
        smaller = fitted_size(samples, max(size[0] * size[1] * share, _MIN_PIXELS))
        if smaller != size:
            minutes = run.minutes_for(_EPOCHS * epoch)
            return {"size": list(smaller), "precision": precision, "finest": list(size), "minutes": minutes}
    return {"size": list(size), "precision": precision}


def _blank(found: MapSteps, size: tuple[int, int], device: torch.device) -> dict[str, torch.Tensor]:
    """A small batch of nothing, to measure steps with."""
    planes = torch.zeros(_TIMED, *size, 1, dtype=torch.uint8, device=device)
    return {"inputs": torch.rand(_TIMED, found.numbers, device=device), "targets": planes}


def _learn(store: MapStore, room: tuple[int, int], precision: Literal["f32", "bf16"]) -> TrainedSegmenter:
    """The decoder alone, then with the upper steps of the backbone, which is kept where val gains by it."""
    run, lesson, network, (count, views) = store.run, store.lesson, store.found.network, room
    every = run.splits.train
    some = np.sort(np.random.default_rng(run.config.seed).permutation(len(every))[:count])
    train = store.feed(every.subset(some), "train", views)
    val = store.feed(validating(run.splits.val, lesson), "val", 1, judged=True)
    task = replace(lesson.task, weights=class_weights(_pixels(train, lesson.task.classes)))
    alone = replace(run, closing=run.closing + (1 - _DECODER_TIME) * run.spendable)
    plan = _plan(run, len(train.targets), precision)
    done = _fit(alone, task, store.found.part(False), plan, train, val, NAME)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    upper = _fit(
        run, task, store.found.part(True), replace(plan, lr=1e-3, layer_decay=0.2), train, val, f"{NAME} upper"
    )
    gained = upper.score.value > done.score.value
    if not gained:
        network.load_state_dict(before)
    verdict = "which val gained by" if gained else "by which val did not gain: left out"
    note = (
        f"a decoder on stored maps of {views} views of {count:,} pictures, {_passes(done)}; then with the upper steps"
        f" of the backbone, {_passes(upper)}, {verdict}"
    )
    curve = (*done.curve, *_after(done.curve, upper.curve)) if gained else done.curve
    best = upper if gained else done
    return TrainedSegmenter(lesson, network, store.found.part(True), val, _as_they_are, best.score, tuple(curve), note)


def _fit(
    run: TrainingRun,
    task: SegmentObjective,
    part: MapsPart,
    plan: Plan,
    train: StoredPixelFeed,
    val: StoredPixelFeed,
    name: str,
) -> FitResult:
    paced = f"paced-{name.replace(' ', '-')}"
    plan = replace(plan, paced=tuple((a, b) for a, b in run.config.decisions.get(paced, ())))
    with quickly(run, part, True):
        done = fit(part, task, plan, train, val, _as_they_are, run.context(name))
    run.work.decisions[paced] = done.paced
    return done


def _plan(run: TrainingRun, pictures: int, precision: Literal["f32", "bf16"]) -> Plan:
    most = max(_MOST_EPOCHS, _MOST_STEPS * _BATCH // pictures)
    plan = Plan(
        run.config.epochs or most,
        batch_size=_BATCH,
        lr=2e-3,
        warmup=0.05,
        label_smoothing=0.0,
        ema=0.99,
        precision=precision,
        validate_every=3,
        most_epochs=0 if run.config.epochs else most,
        seed=run.config.seed,
    )
    return run.config.tuning.applied(plan)


def _pixels(train: StoredPixelFeed, classes: int) -> np.ndarray:
    """int64 (C,): how many pixels of some pictures each class has."""
    planes = train.planes[0]
    rows = np.linspace(0, len(planes) - 1, min(len(planes), _COUNTED)).astype(int)
    counts = sum(np.bincount(planes[row].ravel(), minlength=IGNORE + 1) for row in rows)
    return np.asarray(counts)[:classes]


def _passes(done: FitResult) -> str:
    return f"{int(done.curve[-1]['epoch'])} epochs ({done.stopped})"


def _after(first: list[dict[str, float]], second: list[dict[str, float]]) -> list[dict[str, float]]:
    """A curve that continues another one."""
    last = first[-1]
    return [{**one, **{name: one[name] + last[name] for name in ("epoch", "seconds")}} for one in second]


def _as_they_are(rows: torch.Tensor) -> torch.Tensor:
    return rows
