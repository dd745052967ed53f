"""Confidence of a changed detector or segmenter, learned anew from what its own graph says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import write_json
from photovision.core.regions import IGNORE
from photovision.data.dataset import Dataset
from photovision.runtime.bundle import Bundle
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluation import evaluate
from photovision.tasks.segment.evaluation import label_map
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.metrics.box_confidence import fit_logistic
from photovision.trust.metrics.calibrate import fit_temperature
from photovision.trust.metrics.detection import best_thresholds, match

MOST = 100
"""Validation pictures that a segmenter's temperature is learned from at most."""
_PLACES = 1000  # of each
_LEAST = 1e-6


def learned_anew(model: Detector | Segmenter, validation: Dataset) -> Any:
    """The same bundle, changed in place: scores that are probabilities again, and thresholds that fit them.

    Args:
        model: a bundle in the making.
        validation: labelled pictures that it did not learn from.

    Returns:
        The model opened anew.
    """
    if isinstance(model, Detector):
        return _detector(model, validation)
    return _segmenter(model, validation)


def _detector(model: Detector, validation: Dataset) -> Detector:
    """What is fitted comes on top of what the graph does: logistic(s2 (s1 x + b1) + b2)."""
    looked = evaluate(model, validation)
    info = dict(model.info)
    told = info.get("calibration") or {}
    slope, shift = (np.array(told.get(name, ()), np.float64) for name in ("slope", "shift"))
    if len(slope) == len(shift) == len(model.classes):
        more, moved = (np.array(one) for one in fit_logistic(match(looked.pairs, looked.classes)))
        slope, shift = more * slope, more * shift + moved
        if set_constants(model.bundle.graph, {"slope": slope, "shift": shift}):
            info["calibration"] = {"slope": slope.tolist(), "shift": shift.tolist()}
            looked = evaluate(Detector(Bundle(model.bundle.path, info)), validation)
    info["thresholds"] = [float(value) for value in best_thresholds(match(looked.pairs, looked.classes))]
    write_json(model.bundle.path / "bundle.json", info)
    return Detector(Bundle(model.bundle.path, info))


def _segmenter(model: Segmenter, validation: Dataset) -> Segmenter:
    info = dict(model.info)
    if "temperature" not in info:
        return model
    logits, truth = _places(model, validation)
    temperature = float(info["temperature"]) * fit_temperature(logits, truth)
    if set_constants(model.bundle.graph, {"temperature": np.array(temperature)}):
        info["temperature"] = temperature
        write_json(model.bundle.path / "bundle.json", info)
    return Segmenter(Bundle(model.bundle.path, info))


def _places(model: Segmenter, validation: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of probabilities float32 (P, C) at random judged places, and their classes int64 (P,)."""
    rng, logits, truth = np.random.default_rng(0), [], []
    told = [sample for sample in validation.samples if sample.annotations is not None][:MOST]
    for sample in told:
        try:
            whole = model.preprocess.decode(sample.image)
            labels, _ = label_map(sample, model.classes, (whole.height, whole.width))
        except (UnreadableImage, DataError):
            continue
        tile = model.tile or (whole.height, whole.width)
        high, wide = min(tile[0], whole.height), min(tile[1], whole.width)
        top, left = (int(rng.integers(0, side - own + 1)) for side, own in ((whole.height, high), (whole.width, wide)))
        seen = model.preprocess.resize(whole, (left, top, left + wide, top + high))
        probs = model.session.run(seen[None])["classes"][0]
        rows = (np.arange(probs.shape[1]) + 0.5) * high / probs.shape[1]
        columns = (np.arange(probs.shape[2]) + 0.5) * wide / probs.shape[2]
        at = labels[top + rows.astype(int)[:, None], left + columns.astype(int)[None]].ravel()
        kept = rng.permutation(np.flatnonzero(at != IGNORE))[:_PLACES]
        logits.append(np.log(np.clip(probs.reshape(len(probs), -1).T[kept], _LEAST, 1)))
        truth.append(at[kept])
    if not truth:
        raise DataError("none of the validation pictures could be read: check the files")
    return np.concatenate(logits).astype(np.float32), np.concatenate(truth).astype(np.int64)


def set_constants(graph: Path, values: dict[str, np.ndarray]) -> bool:
    """Write other values into constants of an ONNX file; False, and nothing written, where it does not name them all.

    Args:
        graph: the file.
        values: name -> float array of the constant's shape.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    known = {value.name: value for value in model.graph.initializer}
    if any(name not in known or tuple(known[name].dims) != array.shape for name, array in values.items()):
        return False
    for name, array in values.items():
        known[name].CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))
    onnx.save(model, str(graph))
    return True
