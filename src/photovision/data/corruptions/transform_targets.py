"""The truth of a corrupted picture: where boxes and classes of pixels are after a corruption that moves pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.regions import IGNORE, Detections, LabelMap
from photovision.core.window import crop_boxes
from photovision.data.corruptions import corrupt
from photovision.data.corruptions.geometry import shown_window

MOVING = ("scale", "rotation")
"""Corruptions that move pixels; all others leave everything where it is."""
BOXLESS = ("rotation",)
"""Corruptions after which nobody knows a box: of an object that turns, its old box does not tell the new one."""
_EDGE = 1.5  # pixels; nearer to the border an object and its mirror image look like one


def moved_boxes(
    truth: Detections, size: tuple[int, int], name: str, severity: int, seed: int | Sequence[int] = 0
) -> Detections:
    """The objects of a picture of (H, W) pixels after `corrupt` with the same arguments.

    Seen from farther away the picture is mirrored at its borders, and mirror images of objects are objects. What is cut
    to less than 0.4 of its area, or touches its own mirror image, becomes a crowd, which nobody judges.

    Example:
        >>> one = Detections(np.float32([[40, 40, 60, 60]]), np.array([0]))
        >>> moved = moved_boxes(one, (100, 100), "scale", 5, seed=0)
        >>> len(moved), bool(moved.boxes[0, 0] < 40)  # nearer: it has become larger
        (1, True)
    """
    if name not in MOVING or not len(truth):
        return truth
    height, width = size
    window = shown_window(size, severity, np.random.default_rng(seed))
    if window[0] >= 0:
        return crop_boxes(truth, window, size)
    edges = np.minimum(truth.boxes[:, :2], (width, height) - truth.boxes[:, 2:]).min(1)
    crowd = np.zeros(len(truth), bool) if truth.crowd is None else truth.crowd
    boxes = _mirrored(truth.boxes.astype(np.float64), size).astype(np.float32)
    copies = len(boxes) // len(truth)
    unjudged = np.tile(crowd | (edges < _EDGE), copies)
    many = Detections(boxes, np.tile(truth.labels, copies), truth.classes, crowd=unjudged)
    return crop_boxes(many, window, size)


def moved_labels(labels: LabelMap, classes: int, name: str, severity: int, seed: int | Sequence[int] = 0) -> LabelMap:
    """The class of every pixel, int32 (H, W), after `corrupt` with the same arguments.

    Every class goes through the corruption as a colour of a picture; the one that is brightest at a pixel has it.
    """
    if name not in MOVING:
        return labels
    values = [*range(classes), IGNORE]
    planes = np.zeros((len(values) + -len(values) % 3, *labels.shape), np.uint8)
    for plane, value in zip(planes, values, strict=False):
        plane[labels == value] = 255
    moved = [
        corrupt(np.ascontiguousarray(np.moveaxis(part, 0, 2)), name, severity, seed)
        for part in planes.reshape(-1, 3, *labels.shape)
    ]
    best = np.concatenate(moved, axis=2)[..., : len(values)].argmax(2)
    return np.asarray(np.array(values)[best], dtype=np.int32)


def _mirrored(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The boxes and their images beyond all four borders and corners, (9 N, 4)."""
    height, width = size
    sideways = [boxes]
    for line in (0, width):
        sideways.append(np.column_stack([2 * line - boxes[:, 2], boxes[:, 1], 2 * line - boxes[:, 0], boxes[:, 3]]))
    found = []
    for part in sideways:
        found.append(part)
        for line in (0, height):
            found.append(np.column_stack([part[:, 0], 2 * line - part[:, 3], part[:, 2], 2 * line - part[:, 1]]))
    return np.concatenate(found)
