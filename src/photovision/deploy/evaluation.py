"""What a changed detector or segmenter is judged by: evaluations on the same images as the model it was made from."""

from __future__ import annotations

from photovision.core.errors import DataError
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.engine.evaluate import evaluate_on
from photovision.engine.evaluation import Evaluation
from photovision.engine.splits import TrainingSplits
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter

Places = Detector | Segmenter
FIGURES = {"map": "mAP", "map50": "mAP at .5", "miou": "mean IoU", "dice": "Dice"}
"""Figure -> what people call it."""


def hold(model: Places, dataset: Dataset) -> Evaluation:
    """Predict every labelled image; raises DataError as its evaluation does."""
    evaluation: Evaluation = model.bundle.row.part("evaluate")(model, dataset)
    return evaluation


def proof(model: Places, material: TrainingSplits) -> Report:
    """The evaluation of a model on the test images."""
    return evaluate_on(model, material.test, leaked=material.leaked.tolist())


def need_regions(dataset: Dataset, model: Places) -> Dataset:
    """The data as they are; raises DataError where they lack what such a model is judged by."""
    if not any(sample.annotations is not None for sample in dataset.samples):
        kind = model.bundle.row.text.noun
        needed = "boxes" if kind == "detector" else "masks"
        raise DataError(f"a {kind} is judged by {needed}, but the data has none: give pictures with {needed}")
    return dataset
