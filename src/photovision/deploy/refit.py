"""Renew: what a model knows of its own limits, learned anew for a graph that was changed.

A graph with other weights or other arithmetic has other logits and embeddings. Its temperature, its thresholds, its
prediction sets, its gate and its references are therefore learned from its own answers, so that confidence stays true.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ModelError
from photovision.core.files import write_json
from photovision.core.folder import new_folder
from photovision.core.seal import write_sealed
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.deploy.kept import keep
from photovision.deploy.optimize_classes import OptimizeRun
from photovision.engine.model_card import model_card
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.fit_novelty import remember
from photovision.tasks.classify.recognizer import Recognizer, load
from photovision.trust.metrics.calibrate import fit_temperature
from photovision.trust.metrics.scores import choose_thresholds


def write_copy(job: OptimizeRun, graph: Path, changes: Mapping[str, Any], *, weights: bool) -> Path:
    """Write a bundle like the job's, with another graph or other facts, and with what it knows of its limits renewed.

    Args:
        job: the step.
        graph: ONNX file to put into it.
        changes: entries of bundle.json that differ.
        weights: whether the network's weights for torch come along; not where the graph has others.

    Returns:
        `job.folder`.
    """
    source = job.model.bundle
    with new_folder(job.folder, "model") as folder:
        keep(source.path, folder, weights=weights)
        shutil.copyfile(graph, folder / "model.onnx")
        info = renew(folder, {**source.info, **changes}, job.training, job.validation)
        write_json(folder / "bundle.json", info)
        write_sealed(folder / "README.md", model_card(info))
        load(folder)  # refuses what it cannot read
    return job.folder


def renew(folder: Path, info: dict[str, Any], training: Dataset, validation: Dataset) -> dict[str, Any]:
    """Learn temperature, thresholds, sets, gate and references from what the graph in a folder answers.

    Writes the temperature into `model.onnx`, and `doubt.safetensors` and `references.safetensors` beside it.

    Args:
        folder: of a bundle in the making; its `model.onnx` gives probs, logits and embedding.
        info: what its bundle.json will say.
        training: pictures that the network learned from, its references; classes in the model's order.
        validation: labelled pictures that it did not learn from; classes in the model's order.

    Returns:
        `info` with "temperature", "thresholds" and "doubt" renewed.

    Raises:
        DataError: no validation picture could be read.
        ModelError: the graph has no temperature to set.
    """
    multilabel = bool(info["multilabel"])
    said = Recognizer(Bundle(folder, {**info, "doubt": None})).respond(validation)
    rows = np.flatnonzero(np.isfinite(said.logits).all(1))
    if not len(rows):
        raise DataError("none of the validation pictures could be read: check the files")
    logits, truth = said.logits[rows], validation.truth[rows]
    temperature = fit_temperature(logits, truth, multilabel=multilabel)
    set_temperature(folder / "model.onnx", temperature)
    thresholds = choose_thresholds(_sigmoid(logits / temperature), truth).tolist() if multilabel else None
    renewed = {**info, "temperature": temperature, "thresholds": thresholds}
    seed = int((info.get("training") or {}).get("seed", 0))
    model = Recognizer(Bundle(folder, {**renewed, "doubt": None}))
    return {**renewed, "doubt": remember(model, training, validation, folder, seed)}


def set_temperature(graph: Path, temperature: float) -> None:
    """Write another temperature into an ONNX file; raises ModelError where logits are not divided by one."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    divided = [node for node in model.graph.node if node.op_type == "Div" and node.input[0] == "logits"]
    if not divided:
        raise ModelError(f"the graph {graph} has no temperature to set: train the model again to be able to change it")
    # Older graphs have a constant without this name there, which other nodes may share.
    divided[0].input[1] = "temperature"
    others = [tensor for tensor in model.graph.initializer if tensor.name != "temperature"]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*others, numpy_helper.from_array(np.array(temperature, np.float32), "temperature")])
    onnx.save(model, str(graph))


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60))), dtype=np.float32)
