"""What becomes of the ladder: the best stage calibrated, exported, compared, and ready to be written as a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from photovision.core.files import explained, write_json
from photovision.core.report import Report
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.latency import milliseconds
from photovision.engine.learned import Learned
from photovision.engine.stage import StageResult
from photovision.engine.training_run import TrainingRun
from photovision.models.backbones import Backbone
from photovision.models.export import Decider, DeciderOnFeatures, check_parity, export_graph, write_graph
from photovision.models.frozen_features import frozen_shapes
from photovision.models.joined_graph import join_graphs
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.fit_novelty import fit_limits
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.out_of_fold import complete_out_of_fold
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.report_text import training_report
from photovision.tasks.classify.select_variant import Varied
from photovision.tasks.classify.trained_stage import TrainedStage
from photovision.tasks.classify.variants import finding
from photovision.trust.metrics.calibrate import fit_temperature
from photovision.trust.metrics.scores import choose_thresholds

PARITY_PICTURES = 128
"""Pictures on which the exported graph is compared with the network."""
FEW_PARITY_PICTURES = 12
"""The same in short trainings, and where the time that was kept has been used up."""


def learned_from(run: TrainingRun, stages: list[TrainedStage], varied: Varied) -> Learned:
    """The chosen stage, calibrated, with what all stages reach on test.

    Args:
        run: the training.
        stages: all that were learned.
        varied: what fair and robust training brought, and the stage to keep.
    """
    splits, chosen = run.splits, varied.chosen
    network, source = chosen.network, chosen.source
    assert network is not None
    assert source is not None
    results = [_on_test(run, stage, stage is chosen) for stage in stages]  # all processes evaluate together
    facts = _facts(run, chosen, varied)

    def export(folder: Path) -> dict[str, Any]:
        decider = Decider(network, source.preprocess, facts["temperature"], facts["multilabel"])
        write_network(network, source, splits.dataset.classes, folder)
        write_decider(decider, source, chosen.graph, folder / "model.onnx")
        # Torch predicts slowly: where the time that was kept has been used up, a few pictures have to be enough.
        most = PARITY_PICTURES if run.left > run.closing / 2 and not run.short else FEW_PARITY_PICTURES
        return check_parity(decider, folder / "model.onnx", parity_pictures(splits.val, source, most)).to_json()

    def complete(bundle: Bundle) -> dict[str, Any]:
        rungs, taken = [result.to_json() for result in results], milliseconds(Recognizer(bundle))
        for rung, stage in zip(rungs, stages, strict=True):
            if stage.source is source:  # the same graph with other weights takes the same time
                rung["ms_per_picture"] = taken
        if chosen.before is not None:
            return {"rungs": rungs, **complete_out_of_fold(run, bundle, chosen.before, source)}
        model, component = Recognizer(bundle), splits.component[splits.splits.val]
        limits = fit_limits(model, run.remembered, splits.val, bundle.path, run.config.seed, component=component)
        return {"rungs": rungs, **limits}

    names = splits.dataset.classes, source.preprocess, source.describe(), source.ledger()
    return Learned(*names, results, chosen.result.name, export, facts, complete, _report)


def write_decider(decider: Decider, source: Backbone, graph: Path | None, target: Path) -> None:
    """The whole as one graph; where the graph of its frozen part is there already, with the last layer behind it."""
    frozen = None if graph is None else frozen_shapes(graph)
    if graph is None or frozen is None:
        export_graph(decider, source.preprocess.size, decider.outputs, target)
        return
    inputs = {name: torch.zeros(2, *shape) for name, shape in frozen.items()}
    upper = graph.with_name("upper.onnx")
    write_graph(DeciderOnFeatures(decider), inputs, dict.fromkeys(inputs, ("batch",)), decider.outputs, upper)
    join_graphs(graph, upper, target)


def _facts(run: TrainingRun, chosen: TrainedStage, varied: Varied) -> dict[str, Any]:
    """Temperature and thresholds, from validation; what variants brought, from test."""
    val, objective = run.splits.val, objective_of(run)
    variants = varied.judge()
    truth = val.label_matrix if objective.multilabel else val.labels
    temperature = fit_temperature(chosen.val_logits, truth, multilabel=objective.multilabel)
    probs = objective.decode(chosen.val_logits / temperature)
    thresholds = choose_thresholds(probs, val.label_matrix).tolist() if objective.multilabel else None
    return {
        "multilabel": objective.multilabel,
        "temperature": temperature,
        "thresholds": thresholds,
        "variants": variants,
        "learned_val": chosen.before is not None,
    }


def _on_test(run: TrainingRun, stage: TrainedStage, chosen: bool) -> StageResult:
    """The result of a stage with its figure on test; the chosen one is evaluated through its graph, later."""
    if chosen:
        return stage.result
    score = objective_of(run).score(stage.answer(run.splits.test, "test"), run.splits.test.label_matrix)
    return replace(stage.result, test=score)


def _report(info: Mapping[str, Any], proof: Report) -> Report:
    return training_report(info, proof).including(finding(info["variants"]))


def write_network(network: nn.Module, source: Backbone, classes: tuple[str, ...], folder: Path) -> None:
    """Write a network's weights (model.safetensors) and, for timm's architectures, how timm builds it (config.json)."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with explained(folder):
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if not timm.is_model(source.backbone) or source.cosine is not None:
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
        "label_names": list(classes),
    }
    sized = {} if source.any_size else {"img_size": list(preprocess.size)}
    config = {
        "architecture": source.backbone,
        "model_args": {**source.args, **sized},
        "num_classes": len(classes),
        "num_features": getattr(network, "num_features", None),
        "pretrained_cfg": pretrained,
        "label_names": list(classes),
    }
    write_json(folder / "config.json", config)


def parity_pictures(dataset: Dataset, source: Backbone, most: int = PARITY_PICTURES) -> np.ndarray:
    """Evenly spread pictures of a dataset, as the network sees them: uint8 (N, H, W, 3)."""
    count = min(most, len(dataset))
    positions = np.linspace(0, len(dataset) - 1, count).astype(int)
    return np.stack([load_pixels(dataset.samples[i], source.preprocess) for i in positions])
