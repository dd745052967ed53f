"""Calibrate: a model's confidence learned on pictures from the place of use, never on its training pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from photovision.core.progress import Listener, counted, silent
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures, as_dataset
from photovision.engine.holdout import unseen_part
from photovision.engine.load import opened
from photovision.tasks.classify.calibrate import recalibrate_classes
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.calibrate import recalibrate_boxes
from photovision.tasks.detect.detector import Detector


def calibrate(
    model: Recognizer | Detector | str | Path,
    data: Dataset | str | Path | Pictures,
    output: str | Path,
    labels: Labels | None = None,
    *,
    seed: int = 0,
    listener: Listener = silent,
) -> Report:
    """Write a copy of a model whose confidence is learned on these pictures.

    Pictures that the model learned from, or that resemble these, are left out: on them every model is too sure.

    Args:
        model: a classifier with prediction sets and a gate, or a detector, or its folder.
        data, labels: labelled pictures, as for `evaluate`: 50 for a classifier, 30 with 50 boxes for a detector.
        output: folder of the new bundle.
        seed: of the parts of the cross-validation.
        listener: told what goes on.

    Returns:
        A report of kind "calibrate", see `recalibrate_classes` and `recalibrate_boxes`.

    Raises:
        DataError: too few labelled pictures that the model did not learn from, or of other classes.
        ModelError: the classifier was made without prediction sets and a gate.
        UsageError: a model that cannot be calibrated, or `output` is its own folder.
    """
    own: Recognizer | Detector = opened(model, "calibrate")
    dataset, checking = as_dataset(data, labels, own.classes), counted(listener, "checking pictures")
    part = unseen_part(dataset, own, "to calibrate a model", checking)
    progress = counted(listener, "calibrating")
    if isinstance(own, Detector):
        report = recalibrate_boxes(own, part.dataset, output, seed=seed, progress=progress)
    else:
        report = recalibrate_classes(own, part.dataset, output, seed=seed, progress=progress)
    return replace(report, summary=(*report.summary, part.note))


recalibrate = calibrate
"""The older name."""
