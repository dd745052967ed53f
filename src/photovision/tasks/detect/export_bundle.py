"""What becomes of a trained detector: calibrated, with thresholds, exported, compared, ready to be a bundle."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from photovision.core.files import explained
from photovision.core.report import Metric, Report
from photovision.core.types import Floats
from photovision.data.augment.image import load_pixels
from photovision.engine.learned import Learned
from photovision.engine.remember import remember_references
from photovision.engine.stage import StageResult
from photovision.engine.training_run import TrainingRun
from photovision.learn.loop import FitResult
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, count_macs, count_parameters
from photovision.models.box_parity import check_boxes
from photovision.models.detector import BoxDecider, BoxDeciderOnMaps, DetectorNetwork, Frozen, OnMaps
from photovision.models.export import export_graph, write_graph
from photovision.models.joined_graph import join_graphs
from photovision.models.query_detector import QueryDetector
from photovision.runtime.bundle import Bundle
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.objective import DetectObjective
from photovision.trust.metrics.box_confidence import calibrated, fit_logistic
from photovision.trust.metrics.detection import best_thresholds, scores

NAME = "detector"
_PARITY_PICTURES, _FEW_PARITY_PICTURES = 32, 8


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """What was learned, and what it predicts for the validation images.

    Attributes:
        network: trained, on the CPU.
        source: what it is and expects.
        objective: with the overlap that was chosen.
        predicted: float32 (N, K, 4 + C), boxes and scores of the validation images.
        truth: float32 (N, M, 5), theirs.
        plan, done: how it was learned.
        graph: of its backbone, where that stayed as it is.
    """

    network: DetectorNetwork | QueryDetector
    source: Backbone
    objective: DetectObjective
    predicted: Floats
    truth: np.ndarray
    plan: Plan
    done: FitResult
    graph: Path | None = None


def learned_from(run: TrainingRun, trained: TrainedDetector) -> Learned:
    """The trained detector, calibrated, with a threshold for every class."""
    objective, network, source = trained.objective, trained.network, trained.source
    slope, shift = fit_logistic(objective.matches(trained.predicted, trained.truth))
    predicted = trained.predicted.copy()
    predicted[..., 4:] = calibrated(predicted[..., 4:], slope, shift)
    matches = objective.matches(predicted, trained.truth)

    def export(folder: Path) -> dict[str, Any]:
        decider = BoxDecider(network, source.preprocess, slope, shift)
        _save(network, source, folder)
        _export(decider, trained, folder)
        ranked = isinstance(network, QueryDetector)
        return check_boxes(decider, folder / "model.onnx", _pictures(run, source), ranked=ranked).to_json()

    def complete(bundle: Bundle) -> dict[str, Any]:
        remember_references(Detector(bundle), run.remembered, bundle.path, run.config.seed)
        return {}

    facts = {
        "thresholds": best_thresholds(matches).tolist(),
        "calibration": {"slope": slope, "shift": shift},
        "iou": objective.iou,
    }
    return Learned(
        run.splits.dataset.classes,
        source.preprocess,
        source.describe(),
        source.ledger(),
        [_result(run, trained, scores(matches, n_boot=0)[0]["map"])],
        NAME,
        export,
        facts,
        complete,
        _report,
    )


def _export(decider: BoxDecider, trained: TrainedDetector, folder: Path) -> None:
    """The whole as one graph; where the backbone stayed as it is, its graph is there, and only what follows is new."""
    target, network = folder / "model.onnx", trained.network
    if trained.graph is None:
        export_graph(decider, trained.source.preprocess.size, decider.outputs, target)
        return
    assert isinstance(network, DetectorNetwork)
    after = BoxDeciderOnMaps(decider, OnMaps(network.upper, network.shapes))
    maps = {name: torch.zeros(2, *shape) for name, shape in zip(Frozen.outputs, network.shapes, strict=True)}
    upper = trained.graph.with_name("upper.onnx")
    write_graph(after, maps, dict.fromkeys(maps, ("batch",)), decider.outputs, upper)
    join_graphs(trained.graph, upper, target)


def _save(network: DetectorNetwork | QueryDetector, source: Backbone, folder: Path) -> None:
    """The weights; of a network that transformers built also its description, so that training can start from there."""
    with explained(folder):
        if isinstance(network, QueryDetector):
            network.save(folder, source.preprocess)
            return
        state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _result(run: TrainingRun, trained: TrainedDetector, val: Metric) -> StageResult:
    network, size, done = trained.network, trained.source.preprocess.size, trained.done
    params, epochs = count_parameters(network), int(done.curve[-1]["epoch"])
    whole = "" if done.stopped == "done" else f" of {trained.plan.epochs} ({done.stopped})"
    note = f"{epochs}{whole} epochs on {len(run.splits.train):,} pictures, augmented differently in every epoch"
    if trained.graph is not None:
        note = f"{epochs}{whole} epochs on a frozen backbone's maps of {len(run.splits.train):,} pictures"
    curve, plan = tuple(done.curve), trained.plan.to_json()
    seconds = time.monotonic() - run.started
    return StageResult(NAME, val, seconds, 4 * params / 1e6, None, count_macs(network, size), params, note, curve, plan)


def _report(info: Mapping[str, Any], proof: Report) -> Report:
    """The evaluation on test as the report of the training."""
    counts, stage = info["data"]["counts"], info["rungs"][0]
    learned = (
        f"A detector on {info['backbone']['name']} learned for {stage['seconds'] / 60:.1f} minutes from"
        f" {counts['train']:,} pictures; {counts['val']:,} others chose its weights and thresholds, and these figures"
        f" come from {counts['test']:,} more.",
        *proof.summary,
    )
    data = {**proof.data, "rungs": list(info["rungs"])}
    return replace(proof, kind="train", summary=learned, data=data)


def _pictures(run: TrainingRun, source: Backbone) -> np.ndarray:
    """Evenly spread validation images as the network sees them: uint8 (N, H, W, 3)."""
    val = run.splits.val
    positions = np.linspace(
        0, len(val) - 1, min(_FEW_PARITY_PICTURES if run.short else _PARITY_PICTURES, len(val))
    ).astype(int)
    return np.stack([load_pixels(val.samples[i], source.preprocess) for i in positions])
