"""Any function from pictures to predictions as a model in memory, which can be questioned like one of ours.

There is no graph, so it cannot be saved, served or made smaller; for that its network has to be exported and adopted.
Where it returns scores of classes, labelled pictures fit its confidence, prediction sets and novelty detection.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from photovision.core.errors import UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.task import Task, task, tasks
from photovision.core.types import Image
from photovision.data.dataset import Dataset
from photovision.engine import adopt_text
from photovision.engine.evaluate import evaluate_on
from photovision.engine.recognise_layout import halves
from photovision.engine.remember import remember_embeddings
from photovision.engine.splits import TrainingSplits
from photovision.models.preparation import StatedPreparation
from photovision.models.weights import LedgerEntry
from photovision.runtime.bundle import Bundle
from photovision.runtime.bundle_info import describe_model, write_info
from photovision.runtime.similarity import NAME as SIMILARITY
from photovision.runtime.similarity import VERSION

SIZE = 224
"""Side in pixels of the pictures that a function gets, where nothing else is stated."""
_BATCH = 8


class FunctionSession:
    """A function that stands for a graph.

    Args:
        function: takes uint8 RGB pictures (N, H, W, 3).
        row: the task of what it returns.
        classes: names, in its order.
    """

    engine, precision = "python", "f32"

    def __init__(self, function: Callable[[Image], Any], row: Task, classes: Sequence[str]) -> None:
        self.function, self.classes, self.temperature = function, tuple(classes), 1.0
        self._outputs = row.part("returned")

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """What the function returns, as the outputs of a graph of the task; raises UsageError for anything else."""
        found: dict[str, np.ndarray] = self._outputs(self.function(images), images, self.classes)
        if self.temperature != 1.0:  # fitted only where there are logits
            probs = softmax(found["logits"].astype(np.float64) / self.temperature, axis=1)
            found = {**found, "probs": probs.astype(np.float32)}
        return found


def adopt_function(
    function: Callable[[Image], Any],
    classes: Sequence[str],
    given: StatedPreparation | None = None,
    task_name: str | None = None,
    data: Dataset | None = None,
    seed: int = 0,
) -> Any:
    """A model in memory that predicts as a function does.

    Args:
        function: takes uint8 RGB pictures (N, H, W, 3), all of one size, and prepares them itself. It returns scores
            (N, C), logits or probabilities; or for every picture its boxes, scores and labels, as `Detections`, a tuple
            or torchvision's mapping, in pixels of the picture that it got; or maps (N, C, h, w), or the class of every
            pixel (N, H, W).
        classes: names, in the order of its scores.
        given: size, fit and crop of the pictures that it gets; by default the whole picture, 224 x 224.
        task_name: of what it returns; None to recognise it.
        data: labelled images: half of them fit confidence, prediction sets and novelty detection, the others judge.
        seed: of the halves.

    Raises:
        UsageError: what it returns is of no kind that is known, or is fitted to no data; or something else is stated of
            its preparation.
        DataError: the data are too few, or of other classes.
    """
    given = given or StatedPreparation()
    if given.mean is not None or given.channels is not None or given.range is not None:
        raise UsageError("a function prepares its pictures itself: leave out channels, range, mean and std")
    height, width = given.sides or (SIZE, SIZE)
    preprocess = Preprocess((height, width), given.fit or "squash", given.crop or 1.0)
    row = _row(function, preprocess.size, classes) if task_name is None else task(task_name)
    info = _described(function, row, classes, preprocess)
    folder = Path(tempfile.mkdtemp(prefix="photovision-"))
    write_info(folder, info)
    bundle = Bundle(folder, info, runner=FunctionSession(function, row, classes))
    try:
        model = row.part("model")(bundle if data is None else _fitted(row, bundle, data, seed))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(model.bundle, shutil.rmtree, folder, ignore_errors=True)
    return model


def _fitted(row: Task, bundle: Bundle, data: Dataset, seed: int) -> Bundle:
    """The same with its limits fitted to one half of labelled images, and figures by the other."""
    if "temperature" not in row.needs:
        raise UsageError(
            f"a function is fitted to data where it returns scores of classes, and this one is {row.text.a_noun}: leave"
            " out data, or export its network to ONNX and adopt that"
        )
    splits = halves(data, seed)
    splits.remember(bundle.path)
    facts = fit_limits(row, bundle, splits, seed)
    info = {**bundle.info, "data": described(splits), **facts}
    info["adoption"] = {**info["adoption"], "calibrated": True, "pictures": len(data)}
    model = row.part("model")(replace(bundle, info=info))
    proof = evaluate_on(model, splits.test, leaked=splits.leaked.tolist())
    info["metrics"] = {name: metric.to_json() for name, metric in proof.metrics.items()}
    write_info(bundle.path, info)
    return replace(bundle, info=info)


def fit_limits(row: Task, bundle: Bundle, splits: TrainingSplits, seed: int) -> dict[str, Any]:
    """What depends on pictures, fitted to those that do not judge: confidence, thresholds, sets, novelty detection.

    Args:
        row: the task of an adopted model.
        bundle: in the making.
        splits: of labelled images, see `halves`.
        seed: of the choice of those that are remembered.

    Returns:
        entries of bundle.json; files are written into the bundle's folder.
    """
    model = row.part("model")(bundle)
    if row.has("drift"):
        remember_embeddings(model, splits.train, splits.val, bundle.path, seed)
    if not row.has("refit"):
        return {}
    align = row.part("align") if row.has("align") else (lambda model, dataset: dataset)
    parts = (align(model, part) for part in (splits.train, splits.val, splits.unseen))
    found: dict[str, Any] = row.part("refit")(bundle, *parts)
    return found


def described(splits: TrainingSplits) -> dict[str, Any]:
    """What bundle.json says of the images that a model was adopted with.

    Nothing was learned from them, but new images are compared with them.
    """
    data = splits.describe()
    counts = data["counts"]
    data["counts"] = {"reference": counts["train"], "val": counts["val"], "test": counts["test"]}
    return {**data, "train_per_class": {}}


def _described(
    function: Callable[[Image], Any], row: Task, classes: Sequence[str], preprocess: Preprocess
) -> dict[str, Any]:
    name = str(getattr(function, "__name__", type(function).__name__))
    count = len(classes)
    facts: dict[str, Any] = {"multilabel": False, "temperature": 1.0} if "temperature" in row.needs else {}
    if "thresholds" in row.needs:
        facts |= {"thresholds": [0.5] * count, "iou": 1.0}
    info = describe_model(
        row.name,
        classes,
        preprocess,
        backbone={"name": name, "weights": "adopted"},
        chosen="adopted",
        training={"by": "unknown"},
        data={},
        parity={},
        licences=[LedgerEntry("weights", name, "unknown", None)],
        facts=facts,
    )
    info["adoption"] = {
        "name": name,
        "layout": "function",
        "channels": "rgb",
        "preparation": "its own",
        "pictures": 0,
        "calibrated": False,
    }
    info[SIMILARITY] = {"version": VERSION, "missing": adopt_text.NO_SIMILARITY}
    return info


def _row(function: Callable[[Image], Any], size: tuple[int, int], classes: Sequence[str]) -> Task:
    """The first task that what a function returns for two pictures fits."""
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    returned = function(images)
    refusals = []
    for row in (one for one in tasks() if one.has("returned")):
        try:
            row.part("returned")(returned, images, tuple(classes))
        except UsageError as error:
            refusals.append(str(error))
            continue
        return row
    raise UsageError(f"the function returns {_kind(returned)}, which is none of: {'; '.join(refusals)}")


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"an array {tuple(shape)}"
