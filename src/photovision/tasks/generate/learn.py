"""Learning to make images: pictures in memory, one small network, the one loop, within the time budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import torch

from photovision.core.errors import DataError
from photovision.core.parallel import in_order
from photovision.core.preprocess import Preprocess
from photovision.core.system import cores
from photovision.core.types import Floats, Image
from photovision.data.augment.image import Augment, load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.learned import Learned
from photovision.engine.stage import StageResult
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.learn.feed import SmallPictureFeed
from photovision.learn.loop import FitResult, fit
from photovision.learn.plan import Plan
from photovision.learn.step_time import step_seconds
from photovision.models.backbones import Backbone, choose, count_macs, count_parameters
from photovision.models.export import Normalise
from photovision.tasks.generate.export_bundle import exported
from photovision.tasks.generate.judge import Judge
from photovision.tasks.generate.network import VelocityNetwork
from photovision.tasks.generate.objective import FlowNetwork, FlowObjective

NAME = "rectified flow"
WIDTHS = {"cpu": 48, "cuda": 128}
MAX_SIDES = {"cpu": 32, "cuda": 64}
_LARGEST_SIDE, _SMALLEST_SIDE = 128, 16
_MOST_IN_MEMORY = 2 * 2**30
_MOST_VAL = 512
_CLOSING, _LEAST_CLOSING = 0.2, 50.0  # share of the budget, and seconds, for samples, their features and the report
_MOST_EPOCHS, _VALIDATIONS = 20_000, 15


def prepare(dataset: Dataset, config: TrainConfig) -> Backbone:
    """Refuse what cannot be learned before an image is read, and settle in whose features samples are judged.

    Raises:
        DataError: pictures have boxes, masks or several classes.
        UsageError: no weights are installed to judge with, or the size is not one that the network can have.
    """
    other = next((sample for sample in dataset.samples if len(sample.target or ()) > 1), None)
    if other is not None or dataset.annotation_type != "labels":
        what = other.id if other is not None else f"the data with {dataset.annotation_type}"
        raise DataError(f"a generator learns from pictures of at most one class each, not from {what}: give folders")
    source = choose(config.backbone, config.weights, None, config.allow_download)
    if source.weights == "none":
        raise DataError("samples are judged in pretrained features, and --weights none leaves none: leave it out")
    return source


def learn(run: TrainingRun, source: Backbone) -> Learned:
    """Learn within the time budget, and judge what was learned beside pictures that took no part.

    Args:
        run: the training.
        source: of `prepare`.
    """
    run = replace(run, closing=max(_CLOSING * run.budget, min(_LEAST_CLOSING, 0.5 * run.budget)))
    started, device = time.monotonic(), run.work.accelerator.device
    preprocess = run.splits.shown(_shown(run))
    lesson = Lesson.of(run, preprocess)
    torch.manual_seed(run.config.seed)
    width, classes = WIDTHS.get(device.type, WIDTHS["cpu"]), run.splits.dataset.classes
    network = VelocityNetwork(len(classes), width, _levels(preprocess.size[0]))
    plan, done = _fitted(run, lesson, network)
    seconds = round(time.monotonic() - started, 1)
    judge = Judge(run, source, preprocess, lesson.images)
    params, macs = count_parameters(network), count_macs(_Alone(network), preprocess.size)
    epochs = int(done.curve[-1]["epoch"])
    note = f"{len(lesson.images):,} pictures at {preprocess.size[0]} px, {epochs} epochs ({done.stopped})"
    stage = StageResult(
        NAME, done.score, seconds, 4 * params / 1e6, None, macs, params, note, tuple(done.curve), plan.to_json()
    )
    run.reached(stage)
    return Learned(
        classes,
        preprocess,
        {"name": f"unet-{width}", "weights": "none"},
        source.ledger(),
        [stage],
        NAME,
        lambda folder: exported(network.cpu().eval(), preprocess, folder),
        {"generation": {"guidance": 1.0, "width": width, "features": source.backbone}},
        lambda bundle: {"generation": {**bundle.info["generation"], "guidance": judge.guidance(bundle)}},
        prove=judge.report,
    )


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is learned from.

    Attributes:
        images: uint8 (N, H, W, 3), training pictures in memory.
        targets: float32 (N, C).
        val: likewise, of held-out ones.
        val_targets: likewise.
    """

    images: Image
    targets: Floats
    val: Image
    val_targets: Floats

    @classmethod
    def of(cls, run: TrainingRun, preprocess: Preprocess) -> Lesson:
        """As many pictures of the training as fit into memory, and a few hundred to validate with."""
        fitting = _MOST_IN_MEMORY // (3 * preprocess.size[0] * preprocess.size[1])
        train = _some(run.splits.train, fitting, run.config.seed)
        if len(train) < len(run.splits.train):
            run.tell("pictures", 1, 1, f"{len(train):,} of {len(run.splits.train):,} fit into memory")
        val = _some(run.splits.val, _MOST_VAL, run.config.seed)
        return cls(loaded(train, preprocess), _targets(train), loaded(val, preprocess), _targets(val))


def loaded(dataset: Dataset, preprocess: Preprocess) -> Image:
    """All pictures of a data set, uint8 (N, H, W, 3)."""
    work = in_order(dataset.samples, lambda sample: load_pixels(sample, preprocess), cores())
    return np.stack([image for _, image in work])


def _some(dataset: Dataset, most: int, seed: int) -> Dataset:
    if len(dataset) <= most:
        return dataset
    return dataset.subset(np.sort(np.random.default_rng(seed).permutation(len(dataset))[:most]))


def _targets(dataset: Dataset) -> Floats:
    return np.eye(len(dataset.classes), dtype=np.float32)[dataset.labels]


def _shown(run: TrainingRun) -> Preprocess:
    """Squares with values from -1 to 1, whose side is a multiple of what the network folds."""
    device = run.work.accelerator.device.type
    most = run.config.size or min(run.splits.typical_side, MAX_SIDES.get(device, MAX_SIDES["cpu"]))
    side = int(np.clip(most, _SMALLEST_SIDE, _LARGEST_SIDE)) // 4 * 4
    half = (0.5, 0.5, 0.5)
    return Preprocess((side, side), fit="crop", crop=1.0, mean=half, std=half)


def _levels(side: int) -> int:
    """Resolutions of the network: the coarsest has four positions a side or more, and sides stay whole numbers."""
    levels = 1
    while side % 2 ** (levels + 1) == 0 and side // 2 ** (levels + 1) >= 4 and levels < 4:
        levels += 1
    return levels


class _Alone(torch.nn.Module):
    """The network as `count_macs` calls one: with images alone."""

    def __init__(self, network: VelocityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        count = len(images)
        found: torch.Tensor = self.network(images, torch.zeros(count), torch.zeros(count, dtype=torch.int64))
        return found


def _fitted(run: TrainingRun, lesson: Lesson, network: VelocityNetwork) -> tuple[Plan, FitResult]:
    """The one loop, for as many epochs as there is time for."""
    config, count, augment = run.config, len(lesson.images), Augment(flip=False)
    batch_size = int(np.clip(count // 4 * 2, 8, 128))
    flow, device = FlowNetwork(network), run.work.accelerator.device
    task = FlowObjective(mirror=config.flip != "off")
    ready = Normalise(_halved(lesson)).to(device)

    def decide() -> dict[str, Any]:
        run.tell(NAME, 0, 1, "measuring how long a step takes")
        batch = _trial_batch(lesson, batch_size, ready)
        times = {kind: step_seconds(task, flow, batch, kind) for kind in ("f32", "bf16")}
        precision = min(times, key=times.__getitem__)
        steps = -(-count // batch_size)
        epochs = int(np.clip(run.spendable / (1.05 * times[precision] * steps), 1, _MOST_EPOCHS))
        return {"epochs": epochs, "precision": precision}

    decided = run.work.value("plan-generate", decide)
    epochs = config.epochs or decided["epochs"]
    plan = Plan(
        epochs,
        batch_size=batch_size,
        lr=2e-3,
        weight_decay=0.0,
        warmup=0.02,
        schedule="linear",
        label_smoothing=0.0,
        ema=0.999,
        precision=cast("Literal['f32', 'bf16']", decided["precision"]),
        compile=device.type == "cuda",
        validate_every=max(1, epochs // _VALIDATIONS),
        most_epochs=0 if config.epochs else _MOST_EPOCHS,
        paced=tuple((a, b) for a, b in config.decisions.get("paced-generate", ())),
        seed=config.seed,
    )
    plan = config.tuning.applied(plan)
    train = SmallPictureFeed(lesson.images, lesson.targets, augment, shift=0)
    val = SmallPictureFeed(lesson.val, lesson.val_targets, augment, shift=0)
    done = fit(flow, task, plan, train, val, ready, run.context(NAME))
    run.work.decisions["paced-generate"] = done.paced
    return plan, done


def _halved(lesson: Lesson) -> Preprocess:
    half = (0.5, 0.5, 0.5)
    return Preprocess((lesson.images.shape[1], lesson.images.shape[2]), mean=half, std=half)


def _trial_batch(lesson: Lesson, batch_size: int, ready: Normalise) -> dict[str, torch.Tensor]:
    """Some pictures, to measure steps with."""
    device, rows = ready.mean.device, np.resize(np.arange(len(lesson.images)), batch_size)
    inputs = ready(torch.from_numpy(lesson.images[rows]).to(device))
    return {"inputs": inputs, "targets": torch.from_numpy(lesson.targets[rows]).to(device)}
