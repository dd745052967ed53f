"""Adopted models go through the verbs as our own do: a classifier, a detector, a segmenter, a function."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper
from tiny import TASKS, save
from verbs import VERBS, Place

import photovision as pv
from photovision.core.errors import ModelError, UsageError
from photovision.models.preparation import StatedPreparation

sys.path.append(str(Path(__file__).parents[1]))
from foreign import BYTE, OLD, ZERO, disguised


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The classifier of version 0.1 as others would export it, adopted, with files for all verbs."""
    task, folder = TASKS["classify"], tmp_path_factory.mktemp("adopted")
    pictures = tuple(folder / f"{number}.png" for number in range(3))
    for number, file in enumerate(pictures):
        save(task.picture(9000 + number), file)
    data, new = task.data(folder / "data", 120, 0), task.data(folder / "new", 60, 5)
    graph = disguised(folder / "theirs.onnx", mean=ZERO, std=BYTE, channels="bgr", batch=1)
    pv.adopt(graph, folder / "model", classes=("disc", "square"), data=data)
    return Place(task, folder / "model", data, new, pictures)


REFUSED = {"adapt": "calibrate", "estimate": "adopted"}


@pytest.mark.parametrize("verb", [name for name in VERBS if name != "optimize"])
def test_an_adopted_classifier_has_every_verb(verb: str, adopted: Place, tmp_path: Path) -> None:
    answer = VERBS[verb].asked_python(adopted, tmp_path / "out")
    if verb in REFUSED:
        assert REFUSED[verb] in answer.reason
        return
    assert answer.ok, answer.reason


@pytest.mark.slow
def test_an_adopted_classifier_is_made_smaller(adopted: Place, tmp_path: Path) -> None:
    answer = VERBS["optimize"].asked_python(adopted, tmp_path / "out")
    assert answer.ok, answer.reason


def _yolo(path: Path) -> Path:
    """The detector of version 0.1, with boxes as middles and sizes, in columns, as YOLOv8 has them."""
    half = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]], np.float32)
    tail = [
        helper.make_node("Constant", [], ["tail/half"], value=numpy_helper.from_array(half)),
        helper.make_node("MatMul", ["old/boxes", "tail/half"], ["tail/middles"]),
        helper.make_node("Concat", ["tail/middles", "old/scores"], ["tail/rows"], axis=2),
        helper.make_node("Transpose", ["tail/rows"], ["output0"], perm=[0, 2, 1]),
    ]
    return disguised(path, "detect", tail=tail, shapes={"output0": ["N", 6, "K"]})


def test_a_detector_of_the_yolo_kind_is_recognised(tmp_path: Path) -> None:
    data = TASKS["detect"].data(tmp_path / "data", 24, 3)
    given = StatedPreparation(range="0-1", fit="squash")
    graph = _yolo(tmp_path / "theirs.onnx")
    model = pv.adopt(graph, tmp_path / "model", classes=("disc", "square"), data=data, given=given)
    own = pv.load(OLD / "detect" / "model")
    assert model.info["adoption"]["layout"] == "yolov8"
    assert model.info["adoption"]["preparation"].startswith("RGB, 0 to 1")
    assert model.info["metrics"]["map50"]["value"] > 0.5
    picture = TASKS["detect"].picture(7)
    ours, theirs = (one.with_options(threshold=0.3).predict(picture) for one in (own, model))
    assert len(theirs)
    assert pv.evaluate(model, data).metrics["map50"].value > 0.5
    assert set(ours.names) & set(theirs.names)


@pytest.mark.slow
def test_boxes_and_scores_apart_are_of_the_detr_kind(tmp_path: Path) -> None:
    data = TASKS["detect"].data(tmp_path / "data", 24, 3)
    graph = disguised(tmp_path / "theirs.onnx", "detect", outputs=("boxes", "scores"))
    given = StatedPreparation(channels="rgb", range="0-1", fit="squash")
    model = pv.adopt(graph, tmp_path / "model", classes=("disc", "square"), data=data, given=given)
    assert model.info["adoption"]["layout"] == "detr-corners"
    assert model.info["metrics"]["map50"]["value"] > 0.5


def test_a_segmenter_is_recognised(tmp_path: Path) -> None:
    data = TASKS["segment"].data(tmp_path / "data", 16, 3)
    classes = ("background", "disc", "square")
    graph = disguised(tmp_path / "theirs.onnx", "segment", outputs=("classes",), mean=ZERO, std=BYTE)
    model = pv.adopt(graph, tmp_path / "model", classes=classes, data=data)
    assert model.info["adoption"]["preparation"].startswith("RGB, 0 to 255")
    assert model.info["metrics"]["miou"]["value"] > 0.5


def test_a_function_is_questioned_but_not_saved(tmp_path: Path) -> None:
    task = TASKS["classify"]
    data = task.data(tmp_path / "data", 24, 0)

    def warm(images: np.ndarray) -> Any:
        """How much redder than blue the pictures are."""
        red, blue = images[..., 0].mean((1, 2)), images[..., 2].mean((1, 2))
        return np.stack([red, blue], axis=1) / 4

    model = pv.adopt(warm, classes=("disc", "square"), given=StatedPreparation(size=32))
    assert pv.evaluate(model, data).metrics["accuracy"].value > 0.8
    assert pv.compare(model, model, data).metrics
    assert pv.explain(model, [task.picture(1)], tests=True)
    assert pv.audit(model, data, only=["slices"], minutes=1)
    for refused in (lambda: model.save(tmp_path / "m"), lambda: pv.calibrate(model, data, tmp_path / "m")):
        with pytest.raises(ModelError, match="export its network to ONNX"):
            refused()


def test_a_function_that_returns_scores_is_calibrated(tmp_path: Path) -> None:
    task = TASKS["classify"]
    data = task.data(tmp_path / "data", 160, 0)

    def timid(images: np.ndarray) -> Any:
        """Right about red and blue, and never sure of it."""
        red, blue = images[..., 0].mean((1, 2)), images[..., 2].mean((1, 2))
        return np.stack([red, blue], axis=1) / 200

    given, picture = StatedPreparation(size=32), task.picture(2)
    plain = pv.adopt(timid, classes=("disc", "square"), given=given)
    fitted = pv.adopt(timid, classes=("disc", "square"), given=given, data=data)
    assert fitted.predict(picture).label == plain.predict(picture).label
    assert fitted.predict(picture).prob > plain.predict(picture).prob + 0.05, "it may be surer than it is"
    assert fitted.predict(picture).prediction_set
    report = pv.evaluate(fitted, data)
    assert report.provenance["data"]["pictures"] <= 82, "the half that fitted it does not judge it"
    assert report.metrics["ece"].value < pv.evaluate(plain, data).metrics["ece"].value
    with pytest.raises(UsageError, match="scores of classes"):
        pv.adopt(lambda images: (images[..., 0] > 9).astype(int), classes=("a", "b"), given=given, data=data)


def test_functions_may_return_boxes_or_maps(tmp_path: Path) -> None:
    def boxes(images: np.ndarray) -> Any:
        return [{"boxes": [[4, 4, 20, 20]], "scores": [0.9], "labels": ["square"]} for _ in images]

    def maps(images: np.ndarray) -> Any:
        return (images[..., 0] > images[..., 2]).astype(int)

    picture = TASKS["detect"].picture(3)
    found = pv.adopt(boxes, classes=("disc", "square")).predict(picture)
    assert list(found.names) == ["square"]
    assert pv.adopt(maps, classes=("other", "red")).predict(picture).labels.shape == picture.shape[:2]
    with pytest.raises(UsageError, match="none of"):
        pv.adopt(lambda images: "a rose", classes=("disc", "square"))
