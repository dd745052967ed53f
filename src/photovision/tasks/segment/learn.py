"""Learning to segment within a time budget: a pretrained backbone with a decoder, from images with masks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from photovision.core.drawing import learning_curve, percent
from photovision.core.errors import UsageError
from photovision.core.files import explained
from photovision.core.regions import IGNORE
from photovision.core.report import Figure, Report
from photovision.core.system import cores, keep_memory
from photovision.data.dataset import Dataset
from photovision.engine.learned import Learned
from photovision.engine.remember import remember_references
from photovision.engine.stage import StageResult
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.learn.loop import fit, outputs
from photovision.learn.pixels import PixelFeed
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, choose, count_macs, count_parameters
from photovision.models.export import Normalise, export_graph
from photovision.models.segmenter import FACTOR, PixelDecider, SegmenterNetwork, check_pixels
from photovision.runtime.bundle import Bundle
from photovision.tasks.segment.closing import usual_seconds
from photovision.tasks.segment.learn_stored import learn_stored
from photovision.tasks.segment.lesson import SegmentTraining, plan_lesson
from photovision.tasks.segment.segmenter import Segmenter
from photovision.tasks.segment.trained import NAME, TrainedSegmenter, quicker, quickly, validating
from photovision.trust.metrics.calibrate import fit_temperature

SIZE = 256
"""Side of the network's input, unless another is asked for."""
_MOST_EPOCHS = 200
_PARITY_PICTURES, _FEW_PARITY_PICTURES = 24, 6
_PIXELS = 100_000  # that confidence is learned from


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
    run = replace(run, closing=min(0.25 * run.budget, usual_seconds(run.splits)))
    lesson = plan_lesson(run.splits, replace(source, preprocess=run.splits.shown(source.preprocess)))
    return _learned_from(run, learn_stored(run, lesson) or _learn_whole(run, lesson))


def _learn_whole(run: TrainingRun, lesson: SegmentTraining) -> TrainedSegmenter:
    """Train the whole network, on pictures that are augmented in every epoch."""
    splits, preprocess = lesson.material, lesson.source.preprocess
    network = SegmenterNetwork(lesson.source, len(lesson.classes), lesson.task.instances, lesson.decoder)
    view, device = lesson.view(run.config.flip != "off", run.config.tuning.augment), run.work.accelerator.device
    train = PixelFeed(splits.train.samples, preprocess, view, cores())
    val = PixelFeed(validating(splits.val, lesson).samples, preprocess, view, cores(), judged=True)
    ready = Normalise(preprocess).to(device)
    pretrained = lesson.source.weights != "none"
    keep_memory()
    with quickly(run, network, pretrained):
        rows = np.arange(min(8, len(train.samples)))
        images, planes = train.take(rows, 0, 0).to(device), train.truth(rows, 0, 0)
        batch = {"inputs": ready(images), "targets": torch.from_numpy(planes).to(device)}
        plan = replace(_plan(run, len(train.targets), pretrained), precision=quicker(run, lesson.task, network, batch))
        done = fit(network, lesson.task, plan, train, val, ready, run.context(NAME))
    run.work.decisions["paced-masks"] = done.paced
    note = f"a backbone with a decoder, all of it, {int(done.curve[-1]['epoch'])} epochs ({done.stopped})"
    return TrainedSegmenter(lesson, network, network, val, ready, done.score, tuple(done.curve), note)


def _plan(run: TrainingRun, pictures: int, pretrained: bool) -> Plan:
    """As many epochs as the loop finds time for: it measures those that are done and fits the run to the time."""
    plan = Plan(
        run.config.epochs or _MOST_EPOCHS,
        batch_size=8 if pictures < 1000 else 16,
        lr=2e-3 if pretrained else 1e-3,
        layer_decay=0.3 if pretrained else 1.0,
        label_smoothing=0.0,
        ema=0.99,
        train_norm=not pretrained,
        validate_every=3,
        paced=tuple((a, b) for a, b in run.config.decisions.get("paced-masks", ())),
        seed=run.config.seed,
    )
    return run.config.tuning.applied(plan)


def _temperature(trained: TrainedSegmenter, accelerator: Accelerator) -> float:
    """What makes the probabilities of pixels true on validation."""
    task, truths = trained.lesson.task, trained.val.targets
    prepare = trained.prepare
    raw = outputs(trained.part.to(accelerator.device), trained.val, prepare, accelerator, batch_size=16)
    trained.network.cpu()
    step = truths.shape[1] // raw.shape[2]
    truth = truths[:, step // 2 :: step, step // 2 :: step, 0].ravel()
    rows = np.random.default_rng(0).permutation(np.flatnonzero(truth != IGNORE))[:_PIXELS]
    logits = raw[:, : task.classes].transpose(0, 2, 3, 1).reshape(-1, task.classes)[rows]
    return fit_temperature(logits, truth[rows].astype(np.int64))


def _learned_from(run: TrainingRun, trained: TrainedSegmenter) -> Learned:
    """The trained segmenter, calibrated."""
    lesson, network, source = trained.lesson, trained.network, trained.lesson.source
    seconds = round(time.monotonic() - run.started, 1)
    temperature = _temperature(trained, run.work.accelerator)

    def export(folder: Path) -> dict[str, Any]:
        decider = PixelDecider(network, source.preprocess, temperature)
        _write_weights(network, folder)
        export_graph(decider, source.preprocess.size, decider.outputs, folder / "model.onnx")
        few = run.splits.val.subset(
            np.arange(min(_FEW_PARITY_PICTURES if run.short else _PARITY_PICTURES, len(run.splits.val)))
        )
        pictures = PixelFeed(few.samples, source.preprocess, lesson.view(False), cores())
        images = pictures.take(np.arange(len(few)), -1, 0).numpy()
        return check_pixels(decider, folder / "model.onnx", images).to_json()

    def complete(bundle: Bundle) -> dict[str, Any]:
        remember_references(Segmenter(bundle), run.remembered, bundle.path, run.config.seed)
        return {}

    facts = {
        "instances": lesson.task.instances,
        "tile": None if lesson.tile is None else list(lesson.tile),
        "least_area": lesson.least,
        "temperature": temperature,
        "decoder": vars(lesson.decoder),
    }
    return Learned(
        lesson.classes,
        source.preprocess,
        source.describe(),
        source.ledger(),
        [_result(trained, seconds)],
        NAME,
        export,
        facts,
        complete,
        report=_report,
    )


def _write_weights(network: SegmenterNetwork, folder: Path) -> None:
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with explained(folder):
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _result(trained: TrainedSegmenter, seconds: float) -> StageResult:
    network, size = trained.network, trained.lesson.source.preprocess.size
    params, macs = count_parameters(network), count_macs(network, size)
    return StageResult(NAME, trained.score, seconds, 4 * params / 1e6, None, macs, params, trained.note, trained.curve)


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
