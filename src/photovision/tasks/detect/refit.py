"""Scores, thresholds and references of a changed detector, fitted to what its own graph predicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from photovision.data.dataset import Dataset
from photovision.engine.graph_constants import set_constants
from photovision.engine.remember import remember_embeddings, usual
from photovision.runtime.bundle import Bundle
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluation import evaluate
from photovision.trust.metrics.box_confidence import fit_logistic
from photovision.trust.metrics.detection import best_thresholds


def refit(bundle: Bundle, training: Dataset, validation: Dataset, unseen: Dataset) -> dict[str, Any]:
    """Make scores probabilities again, and choose thresholds that fit them; the graph's constants are written.

    What is fitted comes on top of what the graph does: logistic(s2 (s1 x + b1) + b2).

    Args:
        bundle: in the making.
        training: images that it learned from, its references.
        validation: labelled images that the model did not learn from.
        unseen: test images, which choose nothing; what is predicted of them stands for what is usual.

    Returns:
        the entries of bundle.json that changed.
    """
    evaluation, changed = evaluate(Detector(bundle), validation), dict[str, Any]()
    known = bundle.info.get("calibration") or {}
    slope, shift = (np.array(known.get(name, ()), np.float64) for name in ("slope", "shift"))
    if len(slope) == len(shift) == len(bundle.classes):
        more, moved = (np.array(one) for one in fit_logistic(evaluation.matches))
        slope, shift = more * slope, more * shift + moved
        if set_constants(bundle.graph, {"slope": slope, "shift": shift}):
            changed["calibration"] = {"slope": slope.tolist(), "shift": shift.tolist()}
            evaluation = evaluate(Detector(Bundle(bundle.path, {**bundle.info, **changed})), validation)
    changed["thresholds"] = [float(value) for value in best_thresholds(evaluation.matches)]
    model = Detector(Bundle(bundle.path, {**bundle.info, **changed}))
    seed = int((bundle.info.get("training") or {}).get("seed", 0))
    remember_embeddings(model, training, usual(validation, unseen), bundle.path, seed)
    return changed
