"""What a classifier knows of its own limits, fitted again for a graph that was changed.

A graph with other weights or other arithmetic has other logits and embeddings. Its temperature, its thresholds, its
prediction sets, its novelty detection and its references are therefore fitted to its own predictions, so that
confidence stays true.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ModelError
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Tempered
from photovision.tasks.classify.fit_novelty import remember, remember_out_of_fold
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.metrics.calibrate import fit_temperature
from photovision.trust.metrics.novelty import moved_gate
from photovision.trust.metrics.scores import choose_thresholds

_SMALLEST_SCALE = 0.05


def align(model: Recognizer, dataset: Dataset) -> Dataset:
    """The data with the model's classes, in its order; raises DataError where it has others."""
    unknown = sorted({name for sample in dataset.samples for name in sample.target or ()} - set(model.classes))
    if unknown:
        raise DataError(f"the model does not know the class '{unknown[0]}': give pictures of its classes")
    return replace(dataset, classes=model.classes, multilabel=model.multilabel)


def refit(bundle: Bundle, training: Dataset, validation: Dataset, unseen: Dataset) -> dict[str, Any]:
    """Fit temperature, thresholds, sets, novelty detection and references to what the graph of a bundle predicts.

    Writes the temperature into `model.onnx`, and `doubt.safetensors`, `references.safetensors` and
    `heldout.safetensors` beside it.

    Args:
        bundle: in the making; its graph gives probs, logits and embedding.
        training: images that the network learned from, its references; classes in the model's order.
        validation: labelled images that it did not learn from; classes in the model's order.
        unseen: test images, which choose nothing; what is predicted of them stands for what is usual.

    Returns:
        the entries of bundle.json that changed: "temperature", "thresholds" and "doubt".

    Raises:
        DataError: no validation image could be read.
        ModelError: the graph has no temperature to set.
    """
    info = {**bundle.info, "doubt": None}
    found = Recognizer(replace(bundle, info=info)).respond(validation)
    rows = np.flatnonzero(np.isfinite(found.logits).all(1))
    if not len(rows):
        raise DataError("none of the validation pictures could be read: check the files")
    logits, truth, several = found.logits[rows], validation.truth[rows], bundle.multilabel
    temperature = fit_temperature(logits, truth, multilabel=several)
    _temper(bundle, temperature)
    thresholds = choose_thresholds(_sigmoid(logits / temperature), truth).tolist() if several else None
    changed = {"temperature": temperature, "thresholds": thresholds}
    model = Recognizer(replace(bundle, info={**info, **changed}))
    seed = int((info.get("training") or {}).get("seed", 0))
    return {**changed, "doubt": remember(model, training, validation, bundle.path, seed, unseen)}


def transfer(
    bundle: Bundle, model: Recognizer, training: Dataset, pictures: Dataset, unseen: Dataset
) -> dict[str, Any]:
    """Take over what was learned out-of-fold of a model for a changed graph of it, as far as the same pictures moved.

    The pictures that limits could be fitted to again were learned from, or are so much like those that everything would
    look too good. So prediction sets stay, and temperature and novelty detection follow the graph.

    Args:
        bundle: in the making; its graph gives probs, logits and embedding.
        model: that was changed.
        training: images that it learned from.
        pictures: N images that it did not learn from, on which both are compared.
        unseen: as for `refit`.

    Returns:
        the entries "temperature" and "doubt" of bundle.json.

    Raises:
        DataError: none of the pictures could be read.
        ModelError: the graph has no temperature to set.
    """
    info = {**bundle.info, "doubt": None}
    both = [one.respond(pictures, embeddings=True) for one in (model, Recognizer(Bundle(bundle.path, info)))]
    rows = np.flatnonzero(np.all([np.isfinite(found.logits).all(1) for found in both], axis=0))
    if not len(rows):
        raise DataError("none of the pictures could be read: check the files")
    before, after = (found.logits[rows] for found in both)
    scale = logit_scale(before, after, multilabel=bundle.multilabel)
    temperature = float(model.info["temperature"]) * scale
    set_temperature(bundle.graph, temperature)
    changed = Recognizer(Bundle(bundle.path, {**info, "temperature": temperature}))
    embeddings = [found.embeddings[rows] for found in both if found.embeddings is not None]
    seed = int((info.get("training") or {}).get("seed", 0))
    moved = partial(moved_gate, before=(embeddings[0], before), after=(embeddings[1], after))
    doubt = remember_out_of_fold(changed, training, model, bundle.path, seed, unseen, scale=scale, gate_of=moved)
    return {"temperature": temperature, "doubt": doubt}


def logit_scale(before: Floats, after: Floats, *, multilabel: bool = False) -> float:
    """How many times as large logits have become, by least squares; (N, C) each, of the same pictures.

    Example:
        >>> logits = np.random.default_rng(0).normal(size=(50, 3))
        >>> round(logit_scale(logits, 2 * logits + 5), 3)
        2.0
    """
    one, other = (np.asarray(logits, np.float64) for logits in (before, after))
    if not multilabel:  # softmax minds no constant
        one, other = one - one.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    return max(float((one * other).sum() / max(float((one**2).sum()), 1e-9)), _SMALLEST_SCALE)


def _temper(bundle: Bundle, temperature: float) -> None:
    """Set the temperature of a bundle in the making: in its graph, or in what answers in place of one."""
    if isinstance(bundle.runner, Tempered):
        bundle.runner.temperature = temperature
    else:
        set_temperature(bundle.graph, temperature)


def set_temperature(graph: Path, temperature: float) -> None:
    """Write another temperature into an ONNX file; raises ModelError where it has no place for one."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    nodes = model.graph.node
    divided = [node for node in nodes if node.op_type == "Div" and node.input[0] == "logits"]
    last = [k for k, node in enumerate(nodes) if node.op_type in ("Softmax", "Sigmoid") and node.input[0] == "logits"]
    if not divided and last:  # a division by 1 is left out of a graph when it is written
        nodes[last[0]].input[0] = "scaled_logits"
        nodes.insert(last[0], helper.make_node("Div", ["logits", "temperature"], ["scaled_logits"]))
        divided = [nodes[last[0]]]
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
