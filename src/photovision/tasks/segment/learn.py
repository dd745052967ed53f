"""Learning to segment: a backbone with a decoder, learned whole within a time budget from images with masks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import Accelerator
from safetensors.torch import save_file

from photovision.core.drawing import learning_curve, percent
from photovision.core.errors import DataError, UsageError
from photovision.core.files import explained
from photovision.core.regions import IGNORE, Detections
from photovision.core.report import Figure, Report
from photovision.core.system import cores, keep_memory
from photovision.data.augment.image import Augment
from photovision.data.augment.mask import MaskAugmenter
from photovision.data.dataset import Dataset
from photovision.data.formats.colours import BACKGROUND
from photovision.engine.learned import Learned
from photovision.engine.remember import remember_embeddings, usual
from photovision.engine.splits import TrainingSplits
from photovision.engine.stage import StageResult
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.learn.loop import FitResult, fit, outputs
from photovision.learn.pixels import PixelFeed
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, choose, count_macs, count_parameters
from photovision.models.depthwise import frozen_depthwise
from photovision.models.export import Normalise, export_graph
from photovision.models.segmenter import FACTOR, PixelDecider, SegmenterNetwork, check_pixels
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.finetune import Study, step_seconds
from photovision.tasks.segment.objective import SegmentObjective
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.calibrate import fit_temperature

SIZE = 256
"""Side of the network's input, unless another is asked for."""
NAME = "masks"
_MOST_EPOCHS = 200
_MOST_VAL = 200  # pictures: enough to choose, and their maps fit into memory
_PARITY_PICTURES = 24
_PIXELS = 100_000  # that confidence is learned from
_SMALLEST, _LARGEST = 12, 64  # sides in pixels at which a network sees a usual object well


@dataclass(frozen=True, eq=False)
class SegmentTraining:
    """What one training learns, and how pictures are shown to it.

    Attributes:
        material: the pictures.
        task: the classes, and whether objects are separated.
        classes: C names.
        source: the backbone and its preprocessing.
        tile: (H, W) in pixels that the network sees at a time; None for whole pictures.
        least: pixels of the smallest thing that counts as an object.
    """

    material: TrainingSplits
    task: SegmentObjective
    classes: tuple[str, ...]
    source: Backbone
    tile: tuple[int, int] | None
    least: int


def prepare(dataset: Dataset, config: TrainConfig) -> Backbone:
    """Settle where the network starts from, before an image is read.

    Raises:
        UsageError: a size that the network cannot have, or backbone and weights that do not fit together.
    """
    size = config.size or SIZE
    if size % FACTOR:
        raise UsageError(f"--size should be a multiple of {FACTOR} for masks, got {size}")
    backbone = config.backbone or ("resnet18" if config.weights == "none" else None)
    return choose(backbone, config.weights, size, config.allow_download)


def learn(run: TrainingRun, source: Backbone) -> Learned:
    """Learn masks within the time budget.

    Args:
        run: the training.
        source: of `prepare`.

    Raises:
        DataError: objects are called "background", or the training images hold none.
    """
    run = replace(run, closing=min(0.25 * run.budget, 30 + 0.5 * len(run.splits.test)))
    lesson = plan_lesson(run.splits, replace(source, preprocess=run.splits.shown(source.preprocess)))
    network = SegmenterNetwork(lesson.source, len(lesson.classes), lesson.task.instances)
    done, val = _learn(run, lesson, network)
    return _learned_from(run, lesson, network, done, val)


def plan_lesson(material: TrainingSplits, source: Backbone) -> SegmentTraining:
    """Settle classes, the window that the network sees, and what counts as an object.

    Raises:
        DataError: objects are called "background".
    """
    dataset = material.dataset
    if dataset.annotation_type == "masks":
        return SegmentTraining(material, SegmentObjective(len(dataset.classes)), dataset.classes, source, None, 1)
    if BACKGROUND in dataset.classes:
        raise DataError(f"objects should not be called '{BACKGROUND}', which is what is no object: rename the class")
    areas = np.concatenate([_areas(sample.annotations) for sample in material.train.samples])
    if not len(areas):
        raise DataError("the training pictures hold no object: add pictures with masks")
    side = float(np.sqrt(np.median(areas)))
    scale = side / float(np.clip(side, _SMALLEST, _LARGEST))
    height, width = (int(np.clip(round(scale * v), 16, 8192)) for v in source.preprocess.size)
    least = max(1, int(np.percentile(areas, 1) / 4))
    classes = (BACKGROUND, *dataset.classes)
    return SegmentTraining(material, SegmentObjective(len(classes), True), classes, source, (height, width), least)


def _areas(regions: object) -> np.ndarray:
    """Pixels of every object, of its mask where it is run-length coded, else of its box."""
    if not isinstance(regions, Detections):
        return np.empty(0)
    sides = regions.boxes[:, 2:] - regions.boxes[:, :2]
    boxes = sides[:, 0] * sides[:, 1]
    counts = [getattr(shape, "counts", None) for shape in regions.masks or (None,) * len(regions)]
    return np.array([box if runs is None else runs[1::2].sum() for box, runs in zip(boxes, counts, strict=True)])


def _learn(run: TrainingRun, lesson: SegmentTraining, network: SegmenterNetwork) -> tuple[FitResult, PixelFeed]:
    splits, preprocess, workers = lesson.material, lesson.source.preprocess, cores()
    # Under a microscope or from above no direction means anything; in photographs up is up.
    turn = lesson.tile is not None and preprocess.size[0] == preprocess.size[1]
    flip, device = run.config.flip != "off", run.work.accelerator.device
    view = MaskAugmenter(Augment(flip=flip), lesson.tile, turn and flip)
    train = PixelFeed(splits.train.samples, preprocess, view, workers)
    some = np.linspace(0, len(splits.val) - 1, min(_MOST_VAL, len(splits.val))).astype(int)
    val = PixelFeed(splits.val.subset(some).samples, preprocess, view, workers, judged=True)
    ready = Normalise(preprocess).to(device)
    study = Study(NAME, splits.train, network, ready, train, val, (3, *preprocess.size))
    pretrained = lesson.source.weights != "none"
    keep_memory()
    with frozen_depthwise(network) if device.type == "cpu" and pretrained else contextlib.nullcontext():
        plan = _plan(run, study, pretrained)
        done = fit(network, lesson.task, plan, train, val, ready, run.context(NAME))
    run.work.decisions["paced-masks"] = done.paced
    return done, val


def _plan(run: TrainingRun, study: Study, pretrained: bool) -> Plan:
    """As many epochs as the loop finds time for: it measures those that are done and fits the run to the time."""
    base = Plan(
        run.config.epochs or _MOST_EPOCHS,
        batch_size=8 if len(study.train.targets) < 1000 else 16,
        lr=2e-3 if pretrained else 1e-3,
        layer_decay=0.3 if pretrained else 1.0,
        label_smoothing=0.0,
        ema=0.99,
        train_norm=not pretrained,
        validate_every=3,
        paced=tuple((a, b) for a, b in run.config.decisions.get("paced-masks", ())),
        seed=run.config.seed,
    )
    kinds: tuple[Literal["f32", "bf16"], ...] = ("f32", "bf16")

    def faster() -> str:
        device = run.work.accelerator.device
        return min(kinds, key=lambda kind: step_seconds(study, replace(base, precision=kind), device))

    return replace(base, precision=run.work.value("precision", faster))


def _temperature(network: SegmenterNetwork, task: SegmentObjective, val: PixelFeed, accelerator: Accelerator) -> float:
    """What makes the probabilities of pixels true on validation."""
    prepare = Normalise(val.preprocess).to(accelerator.device)
    raw = outputs(network.to(accelerator.device), val, prepare, accelerator, batch_size=16)
    network.cpu()
    step = val.targets.shape[1] // raw.shape[2]
    truth = val.targets[:, step // 2 :: step, step // 2 :: step, 0].ravel()
    logits = raw[:, : task.classes].transpose(0, 2, 3, 1).reshape(-1, task.classes)
    rows = np.flatnonzero(truth != IGNORE)
    rows = np.random.default_rng(0).permutation(rows)[:_PIXELS]
    return fit_temperature(logits[rows], truth[rows].astype(np.int64))


def _learned_from(
    run: TrainingRun, lesson: SegmentTraining, network: SegmenterNetwork, done: FitResult, val: PixelFeed
) -> Learned:
    """The trained segmenter, calibrated."""
    source, seconds = lesson.source, round(time.monotonic() - run.started, 1)
    temperature = _temperature(network, lesson.task, val, run.work.accelerator)

    def export(folder: Path) -> dict[str, Any]:
        decider = PixelDecider(network, source.preprocess, temperature)
        with explained(folder):
            state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
            save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        export_graph(decider, source.preprocess.size, decider.outputs, folder / "model.onnx")
        few = np.arange(min(_PARITY_PICTURES, len(val.samples)))
        return check_pixels(decider, folder / "model.onnx", val.take(few, -1, 0).numpy()).to_json()

    def complete(bundle: Bundle) -> dict[str, Any]:
        splits = run.splits
        held_out = usual(splits.val, splits.unseen)
        remember_embeddings(Segmenter(bundle), splits.train, held_out, bundle.path, run.config.seed)
        return {}

    facts = {
        "instances": lesson.task.instances,
        "tile": None if lesson.tile is None else list(lesson.tile),
        "least_area": lesson.least,
        "temperature": temperature,
    }
    return Learned(
        lesson.classes,
        source.preprocess,
        source.describe(),
        source.ledger(),
        [_result(network, source, done, seconds)],
        NAME,
        export,
        facts,
        complete,
        report=_report,
    )


def _result(network: SegmenterNetwork, source: Backbone, done: FitResult, seconds: float) -> StageResult:
    params, macs = count_parameters(network), count_macs(network, source.preprocess.size)
    note = f"a backbone with a decoder, all of it, {int(done.curve[-1]['epoch'])} epochs ({done.stopped})"
    return StageResult(NAME, done.score, seconds, 4 * params / 1e6, None, macs, params, note, tuple(done.curve))


def _report(info: Mapping[str, Any], proof: Report) -> Report:
    counts, stage = info["data"]["counts"], info["rungs"][0]
    learned = (
        f"Learned from {counts['train']:,} pictures in {info['training']['seconds']:.0f} s; chosen by"
        f" {percent(stage['val']['value'])} mean IoU on {counts['val']:,} others; evaluated once on"
        f" {counts['test']:,} more."
    )
    curve = Figure("Learning", svg=learning_curve(stage["curve"], "Mean IoU on validation"))
    drawn = (*proof.figures, curve) if len(stage["curve"]) > 1 else tuple(proof.figures)
    return replace(proof, kind="train", summary=(*proof.summary, learned, *info["data"]["notes"]), figures=drawn)
