"""Evaluate: how good a model of any task is on labelled pictures that it did not learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from photovision.core.errors import UsageError
from photovision.core.progress import Listener, counted, silent
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures, as_dataset
from photovision.engine.holdout import Holdout, hold_out
from photovision.engine.load import opened
from photovision.tasks.classify.evaluation import evaluate_classes
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluate import evaluate_boxes
from photovision.tasks.segment.evaluation import evaluate_masks
from photovision.tasks.segment.segmenter import Segmenter

Model = Recognizer | Detector | Segmenter


def evaluate(
    model: Model | str | Path,
    data: Dataset | str | Path | Pictures,
    labels: Labels | None = None,
    *,
    split: str | None = None,
    unknown: Dataset | None = None,
    listener: Listener = silent,
) -> Report:
    """Compare a model's answers with the truth.

    Args:
        model: a classifier, a detector or a segmenter, or its folder.
        data: labelled pictures, their path, or pictures whose `labels` are given, too; with boxes for a detector, with
            masks for a segmenter. Their classes must be among the model's, in any order.
        labels: class names, or numbers of the model's classes.
        split: "all", "train", "val" or "test"; None takes the pictures that the model did not learn from, see
            `engine.holdout`.
        unknown: pictures of something else, their classes being what they show, to judge the gate of a classifier.
        listener: told what goes on.

    Returns:
        A report of kind "evaluate": see `evaluate_classes`, `evaluate_boxes` and `evaluate_masks`. Where pictures are
        or resemble training pictures, the leading figure without them stands beside it, as "accuracy_leak_free",
        "map_leak_free" or "miou_leak_free".

    Raises:
        DataError: a class is unknown to the model, nothing is labelled, nothing could be read, or all are training
            pictures.
        UsageError: a model or an argument that cannot be evaluated.
    """
    own: Model = opened(model, "evaluate")
    check_unknown(own, unknown)
    held = hold_out(as_dataset(data, labels, own.classes), [own], split, counted(listener, "checking pictures"))
    report = _evaluated(own, held, unknown, listener)
    return replace(report, summary=(*report.summary, held.note))


def _evaluated(model: Model, held: Holdout, unknown: Dataset | None, listener: Listener) -> Report:
    progress = counted(listener, "judging")
    if isinstance(model, Detector):
        return evaluate_boxes(model, held.dataset, leaked=held.leaked, progress=progress)
    if isinstance(model, Segmenter):
        return evaluate_masks(model, held.dataset, leaked=held.leaked, progress=progress)
    return evaluate_classes(model, held.dataset, leaked=held.leaked, unknown=unknown, progress=progress)


def check_unknown(model: Model, unknown: Dataset | None) -> None:
    """Raise UsageError where pictures of something else are given for a model that has no gate to judge with them."""
    if unknown is None:
        return
    if not isinstance(unknown, Dataset):
        raise UsageError(f"'unknown' should be a Dataset, such as read_dataset gives, got {type(unknown).__name__}")
    if not isinstance(model, Recognizer):
        raise UsageError("pictures of something else ('unknown') are for classifiers with a gate: leave them out")
    if model.doubt is None:
        raise UsageError(
            f"{model.bundle.path} was made without a gate, so there is nothing to judge with pictures of something else"
            " ('unknown'): leave them out, or train it again"
        )
