"""From pictures with masks to a proved segmenter: a backbone with a decoder, learned whole within a time budget."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import Accelerator
from safetensors.torch import save_file

from photovision.core.drawing import learning_curve, percent
from photovision.core.energy import Meter
from photovision.core.errors import DataError, UsageError
from photovision.core.files import explained, write_json
from photovision.core.folder import new_folder
from photovision.core.page import write_report
from photovision.core.progress import Listener, Progress
from photovision.core.regions import IGNORE, Detections
from photovision.core.report import Figure, Report
from photovision.core.seal import write_sealed
from photovision.core.system import cores, keep_memory, provenance
from photovision.data.augment.image import Augment
from photovision.data.augment.mask import MaskAugmenter
from photovision.data.dataset import Dataset
from photovision.data.formats.colours import BACKGROUND
from photovision.engine.evaluate import evaluate_on
from photovision.learn.log import MetricTracker
from photovision.learn.loop import FitResult, RunContext, fit, outputs
from photovision.learn.pixels import PixelFeed
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, choose, count_macs, count_parameters
from photovision.models.depthwise import frozen_depthwise
from photovision.models.export import Normalise, export_graph
from photovision.models.segmenter import FACTOR, PixelDecider, SegmenterNetwork, check_pixels
from photovision.models.weights import require_commercial
from photovision.runtime.bundle import VERSION, Bundle, read_bundle
from photovision.tasks.classify.export_bundle import licences
from photovision.tasks.classify.finetune import Study, step_seconds
from photovision.tasks.datasheet import datasheet
from photovision.tasks.model_card import model_card
from photovision.tasks.segment import segmenter as runtime
from photovision.tasks.segment.objective import SegmentObjective
from photovision.tasks.splits import TrainingSplits, gather
from photovision.tasks.stage import StageResult
from photovision.tasks.training_run import TrainConfig
from photovision.tasks.workdir import Work
from photovision.trust.metrics.calibrate import fit_temperature

SIZE = 256
"""Side of the network's input, unless another is asked for."""
NAME = "masks"
_MOST_EPOCHS = 200
_MOST_VAL = 200  # pictures: enough to choose, and their maps fit into memory
_PARITY_PICTURES = 24
_PIXELS = 100_000  # that confidence is learned from
_SMALLEST, _LARGEST = 12, 64  # sides in pixels at which a network sees a usual object well


def learns_masks(dataset: Dataset) -> bool:
    """Whether data are learned pixel by pixel: classes of pixels, or objects that mask files tell apart."""
    return dataset.annotation_type == "masks" or (dataset.annotation_type == "boxes" and dataset.source == "masks")


@dataclass(frozen=True, eq=False)
class SegmentTraining:
    """What one training learns, and how pictures are shown to it.

    Attributes:
        material: the pictures.
        task: the classes, and whether objects are told apart.
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


def train_masks(
    dataset: Dataset, output: Path, options: TrainConfig, listener: Listener, trackers: tuple[MetricTracker, ...] = ()
) -> runtime.Segmenter:
    """Learn masks and write the bundle; `photovision.tasks.train.run` comes here for data that `learns_masks`.

    Raises:
        DataError, UsageError, LicenceError, ExportError: each with one line that says what to do.
    """
    started, meter = time.monotonic(), Meter()
    source = _source(options)
    if options.commercial:
        require_commercial(licences(source))
    if options.fair_by is not None or options.robust:
        raise UsageError("masks are not learned fairly or robustly yet: leave out --fair-by and --robust")
    accelerator = Accelerator()
    work = Work(output, {**options.to_json(), "data": dataset.fingerprint}, accelerator, dict(options.decisions))
    work.announce(listener)
    material = gather(
        dataset, seed=options.seed, progress=lambda done, total: listener(Progress("checking pictures", done, total))
    )
    source = replace(source, preprocess=material.shown(source.preprocess))
    lesson = plan_lesson(material, source)
    network = SegmenterNetwork(source, len(lesson.classes), lesson.task.instances)
    judging = min(0.25 * options.minutes * 60, 30 + 0.5 * len(material.test))
    free = options.epochs is not None or options.decisions  # what is asked for is not cut short
    deadline = float("inf") if free else started + 60 * options.minutes - judging
    setting = RunContext(accelerator, listener, trackers, work.folder / "checkpoint-masks.pt", deadline, NAME)
    learned, val = _learn(lesson, network, options, setting, work)
    if accelerator.is_main_process:
        facts = {"seconds": round(time.monotonic() - started, 1), "decisions": work.decisions}
        _write(lesson, network, learned, val, output, {**options.to_json(), **facts}, meter)
    work.close()
    return runtime.Segmenter(read_bundle(output))


def _source(options: TrainConfig) -> Backbone:
    size = options.size or SIZE
    if size % FACTOR:
        raise UsageError(f"--size should be a multiple of {FACTOR} for masks, got {size}")
    backbone = options.backbone or ("resnet18" if options.weights == "none" else None)
    return choose(backbone, options.weights, size, options.allow_download)


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


def _learn(
    lesson: SegmentTraining, network: SegmenterNetwork, options: TrainConfig, setting: RunContext, work: Work
) -> tuple[FitResult, PixelFeed]:
    material, preprocess, workers = lesson.material, lesson.source.preprocess, cores()
    # Under a microscope or from above no direction means anything; in photographs up is up.
    turn = lesson.tile is not None and preprocess.size[0] == preprocess.size[1]
    view = MaskAugmenter(Augment(flip=options.flip != "off"), lesson.tile, turn and options.flip != "off")
    train = PixelFeed(material.train.samples, preprocess, view, workers)
    some = np.linspace(0, len(material.val) - 1, min(_MOST_VAL, len(material.val))).astype(int)
    val = PixelFeed(material.val.subset(some).samples, preprocess, view, workers, judged=True)
    prepare = Normalise(preprocess).to(setting.accelerator.device)
    study = Study(NAME, material.train, network, prepare, train, val, (3, *preprocess.size))
    pretrained = lesson.source.weights != "none"
    cpu = setting.accelerator.device.type == "cpu"
    keep_memory()
    with frozen_depthwise(network) if cpu and pretrained else contextlib.nullcontext():
        plan = _plan(study, options, setting, work, pretrained)
        learned = fit(network, lesson.task, plan, train, val, prepare, setting)
    work.decisions["shortened-masks"] = learned.shortened
    return learned, val


def _plan(study: Study, options: TrainConfig, setting: RunContext, work: Work, pretrained: bool) -> Plan:
    """As many epochs as the loop finds time for: it measures the first ones and shortens the run."""
    base = Plan(
        options.epochs or _MOST_EPOCHS,
        batch_size=8 if len(study.train.targets) < 1000 else 16,
        lr=2e-3 if pretrained else 1e-3,
        layer_decay=0.3 if pretrained else 1.0,
        label_smoothing=0.0,
        ema=0.99,
        train_norm=not pretrained,
        validate_every=3,
        shortened=tuple((a, b) for a, b in options.decisions.get("shortened-masks", ())),
        seed=options.seed,
    )
    kinds: tuple[Literal["f32", "bf16"], ...] = ("f32", "bf16")

    def faster() -> str:
        device = setting.accelerator.device
        return min(kinds, key=lambda kind: step_seconds(study, replace(base, precision=kind), device))

    return replace(base, precision=work.value("precision", faster))


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


def _write(
    lesson: SegmentTraining,
    network: SegmenterNetwork,
    learned: FitResult,
    val: PixelFeed,
    output: Path,
    training: dict[str, Any],
    meter: Meter,
) -> None:
    """Calibrate, export, compare, judge on test, and write the bundle at once."""
    size = lesson.source.preprocess.size
    decider = PixelDecider(network, lesson.source.preprocess, _temperature(network, lesson.task, val, Accelerator()))
    with new_folder(output, "model") as folder:
        with explained(folder):
            state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
            save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        lesson.material.remember(folder)
        export_graph(decider, size, decider.outputs, folder / "model.onnx")
        few = np.arange(min(_PARITY_PICTURES, len(val.samples)))
        parity = check_pixels(decider, folder / "model.onnx", val.take(few, -1, 0).numpy())
        info = _info(lesson, network, learned, training)
        info |= {"parity": parity.to_json(), "temperature": float(decider.temperature)}
        judged, leaked = runtime.Segmenter(Bundle(folder, info)), lesson.material.leaked.tolist()
        proof = evaluate_on(judged, lesson.material.test, leaked=leaked)
        info["metrics"] = {name: metric.to_json() for name, metric in proof.metrics.items()}
        info["rungs"][0]["test"] = info["metrics"]["miou"]
        info |= {"energy": meter.read().to_json(), "warnings": list(proof.warnings)}
        report = _report(proof, learned, info)
        write_json(folder / "bundle.json", info)
        write_report(report, folder)
        write_sealed(folder / "README.md", model_card(info, report.to_json()))
        write_sealed(folder / "DATASHEET.md", datasheet(info))


def _info(
    lesson: SegmentTraining, network: SegmenterNetwork, learned: FitResult, training: dict[str, Any]
) -> dict[str, Any]:
    source, epochs = lesson.source, int(learned.curve[-1]["epoch"])
    params, macs = count_parameters(network), count_macs(network, source.preprocess.size)
    note = f"a backbone with a decoder, all of it, {epochs} epochs ({learned.stopped})"
    rung = StageResult(
        NAME, learned.score, training["seconds"], 4 * params / 1e6, None, macs, params, note, tuple(learned.curve)
    )
    weights = source.weights if source.weights in ("none", "hub") else Path(source.weights).name
    return {
        "format": "photovision",
        "version": VERSION,
        "task": "segment",
        "classes": list(lesson.classes),
        "instances": lesson.task.instances,
        "tile": None if lesson.tile is None else list(lesson.tile),
        "least_area": lesson.least,
        "preprocess": source.preprocess.to_json(),
        "backbone": {"name": source.backbone, "weights": weights, "params": params, "macs": macs},
        "chosen": NAME,
        "rungs": [rung.to_json()],
        "training": training,
        "data": lesson.material.describe(),
        "licences": [vars(entry) for entry in licences(source)],
        "provenance": provenance(),
        "metrics": {},
    }


def _report(proof: Report, learned: FitResult, info: dict[str, Any]) -> Report:
    counts = info["data"]["counts"]
    told = (
        f"Learned from {counts['train']:,} pictures in {info['training']['seconds']:.0f} s; chosen by"
        f" {percent(learned.score.value)} mean IoU on {counts['val']:,} others; judged once on"
        f" {counts['test']:,} more."
    )
    curve = Figure("Learning", svg=learning_curve(learned.curve, "Mean IoU on validation"))
    drawn = (*proof.figures, curve) if len(learned.curve) > 1 else tuple(proof.figures)
    return replace(proof, kind="train", summary=(*proof.summary, told, *info["data"]["notes"]), figures=drawn)
