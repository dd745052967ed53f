"""Layouts of other people's detectors: each as a tiny graph whose boxes are known, adopted and asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import photovision as pv
from photovision.core.errors import UsageError
from photovision.models.preparation import StatedPreparation

SIDE, CLASSES = 64, ("cat", "dog")
CORNERS = np.array([[4, 8, 20, 40], [30, 6, 62, 26], [10, 30, 50, 60]], np.float32)
"""x1, y1, x2, y2 of what the graphs below find, in pixels of their input."""
SCORES = np.array([[0.9, 0.05], [0.1, 0.8], [0.6, 0.02]], np.float32)
MIDDLES = np.concatenate([(CORNERS[:, :2] + CORNERS[:, 2:]) / 2, CORNERS[:, 2:] - CORNERS[:, :2]], axis=1)
THERE = np.array([[0.95], [0.9], [0.7]], np.float32)
"""Whether there is an object, of the families that say so."""
CELLS = 64 + 16 + 4
PLAIN = StatedPreparation(channels="rgb", range="0-1", fit="squash")


def logit(values: np.ndarray) -> np.ndarray:
    held = np.clip(values, 1e-4, 1 - 1e-4)
    found: np.ndarray = np.log(held / (1 - held)).astype(np.float32)
    return found


def graph_of(path: Path, *values: np.ndarray, batch: str | int = "N") -> Path:
    """A graph that finds the same in every picture; a convolution of its pictures stands for the network."""
    constants = [numpy_helper.from_array(np.ones((2, 3, 32, 32), np.float32) / 3072, "kernel")]
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["maps"], strides=[32, 32]),
        helper.make_node("ReduceMean", ["maps"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "none"], ["zero"]),
    ]
    constants.append(numpy_helper.from_array(np.zeros((1, 1, 1), np.float32), "none"))
    outputs = []
    for number, value in enumerate(values):
        constants.append(numpy_helper.from_array(value, f"value_{number}"))
        if batch == "N":
            nodes.append(helper.make_node("Reshape", ["zero", "rows"], [f"zero_{number}"]))
            nodes.append(helper.make_node("Add", [f"value_{number}", f"zero_{number}"], [f"out_{number}"]))
        else:
            nodes.append(helper.make_node("Identity", [f"value_{number}"], [f"out_{number}"]))
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        shape: list[Any] = list(value.shape) if batch != "N" else ["N", *value.shape[1:]]
        outputs.append(helper.make_tensor_value_info(f"out_{number}", kind, shape))
    constants.append(numpy_helper.from_array(np.array([-1, 1, 1]), "rows"))
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])
    made = helper.make_graph(nodes, "foreign", [taken], outputs, constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def rows(*parts: np.ndarray) -> np.ndarray:
    """float32 (1, K, D) of parts (K, d)."""
    found: np.ndarray = np.concatenate(parts, axis=1)[None].astype(np.float32)
    return found


def yolov5(ready: bool) -> list[np.ndarray]:
    shown = (lambda values: values) if ready else logit
    return [rows(MIDDLES, shown(THERE), shown(SCORES))]


def yolox() -> list[np.ndarray]:
    """A row for every cell of strides 8, 16 and 32, those of the boxes among them; all others see nothing."""
    found = np.zeros((CELLS, 7), np.float32)
    found[:, 4:] = 0.001
    for place, (middle, there, scores) in enumerate(zip(MIDDLES, THERE, SCORES, strict=True)):
        column, line = (int(value // 8) for value in middle[:2])
        row = line * 8 + column
        assert not found[row, 4] > 0.01, place
        found[row, :2] = middle[:2] / 8 - (column, line)
        found[row, 2:4] = np.log(middle[2:] / 8)
        found[row, 4:] = np.append(there, scores)
    return [found[None]]


def end2end() -> list[np.ndarray]:
    best = SCORES.max(1, keepdims=True)
    return [rows(CORNERS, best, SCORES.argmax(1)[:, None].astype(np.float32))]


def ssd(ready: bool, nothing_first: bool = True) -> list[np.ndarray]:
    nothing = 1 - SCORES.sum(1, keepdims=True)
    scores = np.concatenate([nothing, SCORES] if nothing_first else [SCORES, nothing], axis=1)
    scores = scores if ready else np.log(np.maximum(scores, 1e-3))
    return [rows(CORNERS / SIDE), scores[None].astype(np.float32)]


def torchvision() -> list[np.ndarray]:
    return [CORNERS, (SCORES.argmax(1) + 1).astype(np.int64), SCORES.max(1)]


KNOWN = {
    "yolov5": ("yolov5", None, yolov5(True), THERE * SCORES),
    "yolov5 as logits": ("yolov5", None, yolov5(False), THERE * SCORES),
    "yolox": ("yolox", None, yolox(), THERE * SCORES),
    "end2end": ("end2end", "end2end", end2end(), SCORES * (SCORES.max(1, keepdims=True) == SCORES)),
    "ssd": ("ssd-corners", "ssd-corners", ssd(True), SCORES),
    "ssd as logits": ("ssd-corners", "ssd-corners", ssd(False), SCORES),
    "detr": ("detr-softmax-corners", "detr-softmax-corners", ssd(True, False), SCORES),
    "torchvision": ("torchvision", "torchvision", torchvision(), SCORES * (SCORES.max(1, keepdims=True) == SCORES)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_boxes_and_scores_of_a_layout_are_read(name: str, tmp_path: Path) -> None:
    wanted, stated, values, scores = KNOWN[name]
    graph = graph_of(tmp_path / "theirs.onnx", *values, batch=1 if name == "torchvision" else "N")
    model = pv.adopt(graph, tmp_path / "model", classes=CLASSES, given=PLAIN, layout=stated)
    assert model.info["adoption"]["layout"] == wanted
    found = model.session.run(np.zeros((2, SIDE, SIDE, 3), np.uint8))
    assert found["scores"].shape[0] == 2
    best = np.argsort(-found["scores"][1].max(1), kind="stable")[:3]
    order = np.argsort(-scores.max(1), kind="stable")
    assert np.allclose(found["boxes"][1][best], CORNERS[order], atol=0.05)
    assert np.allclose(found["scores"][1][best], scores[order], atol=0.01)
    answer = model.with_options(threshold=0.3).predict(np.zeros((128, 192, 3), np.uint8))
    assert sorted(answer.names) == ["cat", "cat", "dog"]
    assert np.allclose(sorted(answer.boxes[:, 2]), sorted(3 * CORNERS[:, 2]), atol=0.5), "in pixels of the picture"


def test_a_layout_that_stays_open_is_asked_for(tmp_path: Path) -> None:
    graph = graph_of(tmp_path / "theirs.onnx", *ssd(True))
    with pytest.raises(UsageError, match="--layout"):
        pv.adopt(graph, tmp_path / "model", classes=CLASSES, given=PLAIN)
    with pytest.raises(UsageError, match="cannot be of the layout 'yolox'"):
        pv.adopt(graph, tmp_path / "model", classes=CLASSES, given=PLAIN, layout="yolox")
