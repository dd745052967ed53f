"""Any function from pictures to predictions as a model in memory, which can be questioned like one of ours.

There is no graph, so it cannot be saved, served or made smaller; for that its network has to be exported and adopted.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.task import Task, task, tasks
from photovision.core.types import Image
from photovision.engine import adopt_text
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
        self.function, self.classes = function, tuple(classes)
        self._outputs = row.part("returned")

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """What the function returns, as the outputs of a graph of the task; raises UsageError for anything else."""
        found: dict[str, np.ndarray] = self._outputs(self.function(images), images, self.classes)
        return found


def adopt_function(
    function: Callable[[Image], Any],
    classes: Sequence[str],
    given: StatedPreparation | None = None,
    task_name: str | None = None,
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

    Raises:
        UsageError: what it returns is of no kind that is known, or something else is stated of its preparation.
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
    model = row.part("model")(Bundle(folder, info, runner=FunctionSession(function, row, classes)))
    weakref.finalize(model.bundle, shutil.rmtree, folder, ignore_errors=True)
    return model


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
