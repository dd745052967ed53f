"""What the outputs of somebody else's detector mean: the layouts of the YOLO and DETR families, SSD and torchvision.

They are recognised by shapes, and by the values for a few inputs: whether boxes are shares of the input or pixels,
corners or middles, scores probabilities or logits. What stays open is tried on labelled pictures, or stated with
--layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from photovision.engine.foreign_layout import Layout, Probe, View
from photovision.models.composed_graph import GraphComposer

THRESHOLD = 0.25
"""The score from which on boxes are shown before thresholds are fitted, as the YOLO families have it."""
OVERLAP, NO_OVERLAP = 0.5, 1.0
"""How much boxes of a class may overlap: of dense detectors, and of those whose boxes do not repeat each other."""
PADDED: tuple[View, ...] = (("pad", 1.0), ("squash", 1.0))
SQUASHED: tuple[View, ...] = (("squash", 1.0), ("pad", 1.0))
STRIDES = (8, 16, 32)
_MOST = 300  # boxes of a graph that gives another number for every picture
_CORNERS = np.eye(4)
_MIDDLES = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])
"""From boxes as rows to corners x1, y1, x2, y2, as a matrix: of corners, and of middle, width and height."""

Parts = Callable[[GraphComposer], tuple[str, str]]
"""Adds what makes boxes (N, K, 4) and scores (N, K, C), still in the graph's own terms; their names."""


@dataclass(frozen=True, eq=False)
class BoxForm:
    """How boxes are written.

    Attributes:
        name: as in the name of the layout.
        matrix: (4, 4) to corners.
        shares: whether they are shares of the input, not pixels.
    """

    name: str
    matrix: np.ndarray
    shares: bool


def layouts(probe: Probe) -> list[Layout]:
    """The layouts that a graph with boxes may have, the likeliest first."""
    names, count = probe.graph.outputs, len(probe.classes)
    if not count or probe.coarsest is None:
        return []
    ranks = [len(probe.shape(name)) + 1 for name in names]
    if len(names) == 3 and sorted(ranks) == [1, 1, 2]:
        return _listed(probe)
    three = [name for name, rank in zip(names, ranks, strict=True) if rank == 3]
    boxes = [name for name in three if probe.shape(name)[1] == 4]
    if len(three) >= 2 and boxes:
        scores = [name for name in three if name != boxes[0] and probe.shape(name)[0] == probe.shape(boxes[0])[0]]
        fitting = [name for name in scores if probe.shape(name)[1] in (count, count + 1)]
        return _paired(probe, boxes[0], fitting[0]) if fitting else []
    return _single(probe, three[0]) if three and three[0] == names[0] else []


def _single(probe: Probe, name: str) -> list[Layout]:
    """One output: rows or columns of boxes with their scores."""
    count, (first, second) = len(probe.classes), probe.shape(name)
    found: list[Layout] = []
    if second == 6 and probe.every(name, lambda rows: _is_numbered(rows, count)):
        found.append(
            _layout(
                probe,
                "end2end",
                "boxes with a score and a class each",
                partial(_numbered, name, count),
                _form_of(probe, name, False, corners=True),
                NO_OVERLAP,
                PADDED,
            )
        )
    if second == 5 + count and first != 4 + count:
        found += _with_objectness(probe, name)
    for turned, side, other in ((True, first, second), (False, second, first)):
        if side == 4 + count and other != side:
            parts = partial(_rows, name, turned, count, _is_probability(probe, name, turned, 4))
            found += [
                _layout(probe, f"yolov8{form.name}", "boxes with a score for every class", parts, form, OVERLAP, PADDED)
                for form in _forms(probe, name, turned)
            ]
    return found


def _with_objectness(probe: Probe, name: str) -> list[Layout]:
    """YOLOv5 and YOLOX: rows of a box, whether there is an object, and a score for every class."""
    count, rows = len(probe.classes), probe.shape(name)[0]
    cells = sum((probe.size[0] // side) * (probe.size[1] // side) for side in STRIDES)
    ready = _is_probability(probe, name, False, 4)
    about = "boxes with objectness and a score for every class"
    raw = rows == cells and probe.every(name, lambda found: np.abs(found[..., :2]).max() < 0.25 * min(probe.size))
    if raw:  # YOLOX leaves its boxes in cells
        parts = partial(_celled, name, count, probe.size, ready)
        return [_layout(probe, "yolox", about, parts, BoxForm("", _MIDDLES, False), OVERLAP, PADDED)]
    parts = partial(_objects, name, count, ready)
    return [
        _layout(probe, f"yolov5{form.name}", about, parts, form, OVERLAP, PADDED) for form in _forms(probe, name, False)
    ]


def _paired(probe: Probe, boxes: str, scores: str) -> list[Layout]:
    """Boxes and scores apart: the DETR families, and SSD."""
    count, columns = len(probe.classes), probe.shape(scores)[1]
    ready = probe.every(scores, lambda found: found.min() >= -1e-6 and found.max() <= 1 + 1e-5)
    found = []
    for form in _forms(probe, boxes, False):
        if columns == count:
            parts = partial(_apart, boxes, scores, count, "" if ready else "Sigmoid", 0)
            found.append(
                _layout(
                    probe,
                    f"detr{form.name}",
                    "boxes of queries with a score for every class",
                    parts,
                    form,
                    NO_OVERLAP,
                    SQUASHED,
                )
            )
            continue
        # With a class for "nothing": the last one of DETR, the first one of SSD.
        kind = "" if ready else "Softmax"
        for name, start, overlap in (("detr-softmax", 0, NO_OVERLAP), ("ssd", 1, OVERLAP)):
            parts = partial(_apart, boxes, scores, count, kind, start)
            about = "boxes with a score for every class and for nothing"
            found.append(_layout(probe, f"{name}{form.name}", about, parts, form, overlap, SQUASHED))
    return found


def _listed(probe: Probe) -> list[Layout]:
    """The boxes of one picture with their labels and scores, as torchvision gives them."""
    names = probe.graph.outputs
    boxes = next(name for name in names if len(probe.shape(name)) == 1)
    flat = [name for name in names if name != boxes]
    labels = next((name for name in flat if probe.values[name][0].dtype.kind in "iu"), None)
    scores = next((name for name in flat if probe.values[name][0].dtype.kind == "f"), None)
    if labels is None or scores is None or not probe.graph.alone:
        return []
    form = BoxForm("", _CORNERS, False)
    return [
        _layout(
            probe,
            name,
            "boxes with a score and a class each, one picture at a time",
            partial(_loose, boxes, labels, scores, len(probe.classes), first),
            form,
            NO_OVERLAP,
            SQUASHED,
        )
        for name, first in (("torchvision", 1), ("torchvision-0", 0))
    ]


def _layout(
    probe: Probe, name: str, about: str, parts: Parts, form: BoxForm, overlap: float, views: tuple[View, ...]
) -> Layout:
    count = len(probe.classes)
    facts: dict[str, Any] = {
        "thresholds": [THRESHOLD] * count,
        "iou": overlap,
        "calibration": {"slope": [1.0] * count, "shift": [0.0] * count},
    }
    return Layout(name, about, partial(_tail, probe, parts, form), facts, views)


def _tail(probe: Probe, parts: Parts, form: BoxForm, composer: GraphComposer) -> Mapping[str, tuple[Any, ...]]:
    """boxes (N, K, 4) in pixels of the input, scores (N, K, C) and an embedding."""
    assert probe.coarsest is not None
    count, (height, width) = len(probe.classes), probe.size
    boxes, scores = parts(composer)
    scale = np.array([width, height, width, height], float) if form.shares else np.ones(4)
    corners = composer.add("MatMul", boxes, composer.constant(form.matrix * scale))
    bound = float(16 * max(probe.size))
    composer.add("Clip", corners, composer.constant(-bound), composer.constant(bound), name="boxes")
    moved = composer.logistic(scores, np.ones(count, np.float32), np.zeros(count, np.float32))
    composer.add("Identity", moved, name="scores")
    value, channels = probe.coarsest
    composer.unit(composer.pooled(value), channels, "embedding")
    return {"boxes": ("boxes_of_picture", 4), "scores": ("boxes_of_picture", count), "embedding": (channels,)}


def _rows(name: str, turned: bool, count: int, ready: bool, composer: GraphComposer) -> tuple[str, str]:
    value = composer.as_float(name)
    if turned:
        value = composer.add("Transpose", value, perm=[0, 2, 1])
    scores = composer.part(value, 4, 4 + count)
    return composer.part(value, 0, 4), scores if ready else composer.add("Sigmoid", scores)


def _objects(name: str, count: int, ready: bool, composer: GraphComposer) -> tuple[str, str]:
    value = composer.as_float(name)
    there, scores = composer.part(value, 4, 5), composer.part(value, 5, 5 + count)
    if not ready:
        there, scores = composer.add("Sigmoid", there), composer.add("Sigmoid", scores)
    return composer.part(value, 0, 4), composer.add("Mul", there, scores)


def _celled(name: str, count: int, size: tuple[int, int], ready: bool, composer: GraphComposer) -> tuple[str, str]:
    boxes, scores = _objects(name, count, ready, composer)
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : size[0] // stride, 0 : size[1] // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    step = composer.constant(np.concatenate(strides))
    middle = composer.add("Add", composer.part(boxes, 0, 2), composer.constant(np.concatenate(cells)))
    sides = composer.add("Exp", composer.held(composer.part(boxes, 2, 4), -10.0, 10.0))
    both = composer.add("Concat", middle, sides, axis=2)
    return composer.add("Mul", both, step), scores


def _numbered(name: str, count: int, composer: GraphComposer) -> tuple[str, str]:
    value = composer.as_float(name)
    label = composer.part(value, 5, 6)
    return composer.part(value, 0, 4), _spread(composer, label, composer.part(value, 4, 5), count, 0)


def _spread(composer: GraphComposer, labels: str, scores: str, count: int, first: int) -> str:
    """From labels and scores (N, K, 1) to scores (N, K, C), 0 for all other classes."""
    numbers = composer.constant(np.arange(first, first + count).reshape(1, 1, count))
    apart = composer.add("Abs", composer.add("Sub", labels, numbers))
    same = composer.add("Less", apart, composer.constant(0.5))
    return composer.add("Mul", composer.add("Cast", same, to=1), scores)


def _apart(boxes: str, scores: str, count: int, kind: str, start: int, composer: GraphComposer) -> tuple[str, str]:
    value = composer.as_float(scores)
    if kind == "Softmax":
        value = composer.add(kind, value, axis=2)
    elif kind:
        value = composer.add(kind, value)
    return composer.as_float(boxes), composer.part(value, start, start + count)


def _loose(boxes: str, labels: str, scores: str, count: int, first: int, composer: GraphComposer) -> tuple[str, str]:
    """As many rows for every picture: those that are given, then empty ones."""
    listed = []
    for name, width in ((boxes, 4), (labels, 1), (scores, 1)):
        rows = composer.shaped(composer.as_float(name), 1, -1, width)
        filled = composer.add("Concat", rows, composer.constant(np.full((1, _MOST, width), 0.0)), axis=1)
        listed.append(composer.part(filled, 0, _MOST, axis=1))
    return listed[0], _spread(composer, listed[1], listed[2], count, first)


def _is_numbered(rows: np.ndarray, count: int) -> bool:
    """Whether the last two columns are a score and the number of a class."""
    scores, labels = rows[..., 4], rows[..., 5]
    whole = np.abs(labels - np.round(labels)).max() < 1e-3
    return bool(whole and labels.min() >= -1e-3 and labels.max() < count and scores.min() >= 0 and scores.max() <= 1)


def _is_probability(probe: Probe, name: str, turned: bool, start: int) -> bool:
    def inside(rows: np.ndarray) -> bool:
        values = rows[:, start:] if turned else rows[..., start:]
        return bool(values.min() >= -1e-6 and values.max() <= 1 + 1e-5)

    return probe.every(name, inside)


def _forms(probe: Probe, name: str, turned: bool) -> list[BoxForm]:
    """How the boxes of an output may be written; both forms where their values allow both."""
    corners = probe.every(name, lambda rows: _are_corners(_boxes(rows, turned)))
    middles = probe.every(name, lambda rows: bool((_boxes(rows, turned)[..., 2:] >= -1e-3).all()))
    forms = [_form_of(probe, name, turned, corners=False)] if middles or not corners else []
    if corners:
        forms.append(_form_of(probe, name, turned, corners=True))
    return forms


def _form_of(probe: Probe, name: str, turned: bool, *, corners: bool) -> BoxForm:
    shares = probe.every(name, lambda rows: np.abs(_boxes(rows, turned)).max() <= 2)
    return BoxForm("-corners" if corners else "", _CORNERS if corners else _MIDDLES, shares)


def _boxes(rows: np.ndarray, turned: bool) -> np.ndarray:
    return rows[:, :4].transpose(0, 2, 1) if turned else rows[..., :4]


def _are_corners(boxes: np.ndarray) -> bool:
    """Whether the second corner lies right of and below the first one, in nearly all boxes."""
    return bool(((boxes[..., 2] >= boxes[..., 0]) & (boxes[..., 3] >= boxes[..., 1])).mean() > 0.98)
