"""Finishing a training: calibrate, export, check parity, judge on test, and write the bundle with its proof."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import timm
from safetensors.torch import save_file
from torch import nn

from photovision.core.files import explained, write_json
from photovision.core.folder import new_folder
from photovision.core.page import write_report
from photovision.core.report import Report
from photovision.core.seal import write_sealed
from photovision.core.system import provenance
from photovision.core.types import Floats
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.evaluate import evaluate_on
from photovision.models.backbones import Backbone
from photovision.models.export import Decider, Parity, check_parity, export_graph
from photovision.models.weights import LedgerEntry
from photovision.runtime.bundle import VERSION, Bundle
from photovision.tasks.classify.fit_novelty import remember
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.report_text import training_report
from photovision.tasks.classify.variants import finding
from photovision.tasks.datasheet import datasheet
from photovision.tasks.model_card import model_card
from photovision.tasks.training_run import TrainedStage, TrainingRun
from photovision.trust.metrics.calibrate import fit_temperature
from photovision.trust.metrics.scores import choose_thresholds

_PARITY_PICTURES = 128


def write_bundle(
    climb: TrainingRun,
    rungs: list[TrainedStage],
    judged: list[Floats | None],
    chosen: TrainedStage,
    output: Path,
    variants: Mapping[str, Any],
) -> None:
    """Write the whole bundle at once, replacing an older one there.

    Args:
        climb: the training.
        rungs: all that were climbed.
        judged: their probabilities float32 (K, C) on test; None for the chosen one, which is judged through its graph.
        chosen: the one to keep.
        output: folder of the bundle.
        variants: what fair and robust training brought, of `vary.Varied.judge`.
    """
    material, network, source = climb.material, chosen.network, chosen.source
    assert network is not None
    assert source is not None
    truth = material.val.label_matrix if climb.task.multilabel else material.val.labels
    temperature = fit_temperature(chosen.val_logits, truth, multilabel=climb.task.multilabel)
    decider = Decider(network, source.preprocess, temperature, climb.task.multilabel)
    climb.tell("export", 0, 4, "writing the graph")
    with new_folder(output, "model") as folder:
        write_network(network, source, material.dataset.classes, folder)
        material.remember(folder)
        export_graph(decider, source.preprocess.size, decider.outputs, folder / "model.onnx")
        climb.tell("export", 1, 4, "comparing it with the network")
        parity = check_parity(decider, folder / "model.onnx", parity_pictures(material.val, source))
        info = {**_info(climb, rungs, chosen, source, temperature, parity), "variants": dict(variants)}
        climb.tell("export", 2, 4, "learning when to doubt")
        unfinished = Recognizer(Bundle(folder, info))
        info["doubt"] = remember(unfinished, material.train, material.val, folder, climb.options.seed, material.unseen)
        model = Recognizer(Bundle(folder, info))
        climb.tell("export", 3, 4, "judging on test")
        report = _prove(climb, model, rungs, judged, chosen)
        info |= {"energy": climb.meter.read().to_json(), "warnings": list(report.warnings)}
        write_json(folder / "bundle.json", info)
        write_report(report, folder)
        write_sealed(folder / "README.md", model_card(info, report.to_json()))
        write_sealed(folder / "DATASHEET.md", datasheet(info))
        climb.tell("export", 4, 4)


def _prove(
    climb: TrainingRun, model: Recognizer, rungs: list[TrainedStage], judged: list[Floats | None], chosen: TrainedStage
) -> Report:
    """Judge on test, and put the figures into the bundle's description."""
    info, test = model.info, climb.material.test
    proof = evaluate_on(model, test, leaked=climb.material.leaked.tolist())
    info["metrics"] = {name: metric.to_json() for name, metric in proof.metrics.items()}
    milliseconds = _milliseconds(model)
    for reached, probs, entry in zip(rungs, judged, info["rungs"], strict=True):
        if probs is None:
            score = proof.metrics["map" if climb.task.multilabel else "accuracy"]
        else:
            score = climb.task.score(probs, test.label_matrix)
        entry["test"] = score.to_json()
        if reached.source is chosen.source:  # the same graph with other weights takes the same time
            entry["ms_per_picture"] = milliseconds
    return training_report(info, proof).including(finding(info["variants"]))


def _info(
    climb: TrainingRun,
    rungs: list[TrainedStage],
    chosen: TrainedStage,
    source: Backbone,
    temperature: float,
    parity: Parity,
) -> dict[str, Any]:
    material = climb.material
    probs = climb.task.decode(chosen.val_logits / temperature)
    thresholds = choose_thresholds(probs, material.val.label_matrix).tolist() if climb.task.multilabel else None
    return {
        "format": "photovision",
        "version": VERSION,
        "task": "classify",
        "multilabel": climb.task.multilabel,
        "classes": list(material.dataset.classes),
        "preprocess": source.preprocess.to_json(),
        "backbone": {
            "name": source.backbone,
            "weights": source.weights if source.weights in ("none", "hub") else Path(source.weights).name,
            "params": chosen.rung.params,
            "macs": chosen.rung.macs,
        },
        "temperature": temperature,
        "thresholds": thresholds,
        "chosen": chosen.rung.name,
        "rungs": [reached.rung.to_json() for reached in rungs],
        "training": {
            **climb.options.to_json(),
            "decisions": climb.work.decisions,
            "seconds": round(time.monotonic() - climb.started, 1),
        },
        "data": material.describe(),
        "parity": parity.to_json(),
        "licences": [vars(entry) for entry in licences(source)],
        "provenance": provenance(),
        "metrics": {},
    }


def licences(source: Backbone) -> list[LedgerEntry]:
    """The ledger of a network's parts."""
    return source.ledger()


def write_network(network: nn.Module, source: Backbone, classes: tuple[str, ...], folder: Path) -> None:
    """Write a network's weights (model.safetensors) and, for timm's architectures, how timm builds it (config.json)."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with explained(folder):
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if not timm.is_model(source.backbone):
        return
    preprocess = source.preprocess
    pretrained = {
        "input_size": [3, *preprocess.size],
        "fixed_input_size": False,
        "interpolation": preprocess.interpolation,
        "crop_pct": preprocess.crop,
        "crop_mode": "squash" if preprocess.fit == "squash" else "center",
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "num_classes": len(classes),
    }
    config = {
        "architecture": source.backbone,
        "num_classes": len(classes),
        "num_features": getattr(network, "num_features", None),
        "pretrained_cfg": pretrained,
        "label_names": list(classes),
    }
    write_json(folder / "config.json", config)


def parity_pictures(dataset: Dataset, source: Backbone) -> np.ndarray:
    """Evenly spread pictures of a dataset, as the network sees them: uint8 (N, H, W, 3)."""
    count = min(_PARITY_PICTURES, len(dataset))
    positions = np.linspace(0, len(dataset) - 1, count).astype(int)
    return np.stack([load_pixels(dataset.samples[i], source.preprocess) for i in positions])


def _milliseconds(model: Recognizer) -> float:
    """Median time of one answer for one decoded picture."""
    picture = np.zeros((1, *model.preprocess.size, 3), np.uint8)
    times = []
    for _ in range(12):
        started = time.perf_counter()
        model.session.run(picture)
        times.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(times[2:])), 3)
