"""Finishing a detector: calibrate, choose thresholds, export, check parity, judge on test, and write the bundle."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from photovision.core.errors import MissingExtra
from photovision.core.files import explained, write_json
from photovision.core.folder import new_folder
from photovision.core.page import write_report
from photovision.core.report import Metric, Report
from photovision.core.seal import write_sealed
from photovision.core.system import provenance
from photovision.core.types import Floats
from photovision.data.augment.image import load_pixels
from photovision.engine.evaluate import evaluate_on
from photovision.learn.loop import FitResult
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, count_macs, count_parameters
from photovision.models.box_parity import check_boxes
from photovision.models.detector import BoxDecider, DetectorNetwork
from photovision.models.export import Parity, export_graph
from photovision.models.query_detector import QueryDetector, QuerySource
from photovision.runtime.bundle import VERSION, Bundle
from photovision.tasks.datasheet import datasheet
from photovision.tasks.detect import detector as runtime
from photovision.tasks.detect.objective import DetectObjective
from photovision.tasks.detect.training_run import NAME, DetectTrainingRun
from photovision.tasks.model_card import model_card
from photovision.tasks.stage import StageResult
from photovision.trust.metrics.box_confidence import calibrated, fit_logistic
from photovision.trust.metrics.detection import best_thresholds, scores

_PARITY_PICTURES = 32


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """What was learned, and what it says of the validation pictures.

    Attributes:
        network: trained, on the CPU.
        task: with the overlap that was chosen.
        predicted: float32 (N, K, 4 + C), boxes and scores of the validation pictures.
        truth: float32 (N, M, 5), theirs.
        plan, done: how it was learned.
    """

    network: DetectorNetwork | QueryDetector
    task: DetectObjective
    predicted: Floats
    truth: np.ndarray
    plan: Plan
    done: FitResult


def write_detector(course: DetectTrainingRun, learned: TrainedDetector, output: Path) -> None:
    """Write the bundle at once, replacing an older one there.

    Raises:
        ExportError: the graph does not find what the network finds.
    """
    slope, shift = fit_logistic(learned.task.matches(learned.predicted, learned.truth))
    predicted = learned.predicted.copy()
    predicted[..., 4:] = calibrated(predicted[..., 4:], slope, shift)
    matches = learned.task.matches(predicted, learned.truth)
    source, test = course.source, course.material.test
    decider = BoxDecider(learned.network, source.preprocess, slope, shift)
    course.tell("export", 0, 3, "writing the graph")
    with new_folder(output, "model") as folder:
        _save(learned.network, source, folder)
        course.material.remember(folder)
        export_graph(decider, source.preprocess.size, decider.outputs, folder / "model.onnx")
        course.tell("export", 1, 3, "comparing it with the network")
        ranked = isinstance(learned.network, QueryDetector)
        parity = check_boxes(decider, folder / "model.onnx", _pictures(course), ranked=ranked)
        rung = _rung(course, learned, scores(matches, n_boot=0)[0]["map"])
        calibration = {"slope": slope, "shift": shift}
        info = {**_info(course, learned, rung, parity), "thresholds": best_thresholds(matches).tolist()}
        info |= {"calibration": calibration, "iou": learned.task.iou}
        course.tell("export", 2, 3, "judging on test")
        leaked = course.material.leaked.tolist()
        report = _proved(course, evaluate_on(runtime.Detector(Bundle(folder, info)), test, leaked=leaked), rung)
        info["metrics"] = {name: metric.to_json() for name, metric in report.metrics.items()}
        info["rungs"] = [{**rung.to_json(), "test": report.metrics["map"].to_json()}]
        info |= {"energy": course.meter.read().to_json(), "warnings": list(report.warnings)}
        write_json(folder / "bundle.json", info)
        write_report(report, folder)
        write_sealed(folder / "README.md", model_card(info, report.to_json()))
        write_sealed(folder / "DATASHEET.md", datasheet(info))
        course.tell("export", 3, 3)


def _save(network: DetectorNetwork | QueryDetector, source: Backbone, folder: Path) -> None:
    """The weights; of a network that transformers built also its description, so that training can start from there."""
    with explained(folder):
        if isinstance(network, QueryDetector):
            network.save(folder, source.preprocess)
            return
        state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def need_judge() -> None:
    """Raise MissingExtra where the reference that judges detectors is not installed: before hours of training."""
    from importlib.util import find_spec

    if find_spec("pycocotools") is None:
        raise MissingExtra("pycocotools", "detect", "training a detector")


def _rung(course: DetectTrainingRun, learned: TrainedDetector, val: Metric) -> StageResult:
    network, size = learned.network, course.source.preprocess.size
    params, epochs = count_parameters(network), int(learned.done.curve[-1]["epoch"])
    whole = f" of {learned.plan.epochs} ({learned.done.stopped})" if epochs != learned.plan.epochs else ""
    note = f"{epochs}{whole} epochs on {len(course.material.train):,} pictures, varied anew every epoch"
    curve, plan = tuple(learned.done.curve), learned.plan.to_json()
    seconds = time.monotonic() - course.started
    return StageResult(NAME, val, seconds, 4 * params / 1e6, None, count_macs(network, size), params, note, curve, plan)


def _info(course: DetectTrainingRun, learned: TrainedDetector, rung: StageResult, parity: Parity) -> dict[str, Any]:
    source = course.source
    return {
        "format": "photovision",
        "version": VERSION,
        "task": "detect",
        "classes": list(course.material.dataset.classes),
        "preprocess": source.preprocess.to_json(),
        "backbone": {
            "name": source.backbone,
            "weights": source.weights if source.weights in ("none", "hub") else Path(source.weights).name,
            "params": rung.params,
            "macs": rung.macs,
            **(source.origin() if isinstance(source, QuerySource) else {}),
        },
        "chosen": rung.name,
        "rungs": [rung.to_json()],
        "training": {
            **course.options.to_json(),
            "decisions": course.work.decisions,
            "seconds": round(time.monotonic() - course.started, 1),
        },
        "data": course.material.describe(),
        "parity": parity.to_json(),
        "licences": [vars(entry) for entry in source.ledger()],
        "provenance": provenance(),
        "metrics": {},
    }


def _proved(course: DetectTrainingRun, report: Report, rung: StageResult) -> Report:
    """The evaluation on test as the report of the training."""
    material = course.material
    counts = [len(part) for part in (material.train, material.val, material.test)]
    learned = (
        f"A detector on {course.source.backbone} learned for {rung.seconds / 60:.1f} minutes from {counts[0]:,}"
        f" pictures; {counts[1]:,} others chose its weights and thresholds, and these figures come from {counts[2]:,}"
        " more.",
        *report.summary,
    )
    data = {**report.data, "rungs": [rung.to_json()]}
    classes = ", ".join(material.dataset.classes[:5]) + (" ..." if len(material.dataset.classes) > 5 else "")
    return replace(report, kind="train", title=f"A detector of {classes}", summary=learned, data=data)


def _pictures(course: DetectTrainingRun) -> np.ndarray:
    """Evenly spread validation pictures as the network sees them: uint8 (N, H, W, 3)."""
    val = course.material.val
    positions = np.linspace(0, len(val) - 1, min(_PARITY_PICTURES, len(val))).astype(int)
    return np.stack([load_pixels(val.samples[i], course.source.preprocess) for i in positions])
