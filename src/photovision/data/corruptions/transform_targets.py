"""The truth of a corrupted picture: where boxes and classes of pixels are after a corruption that moves pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.regions import IGNORE, Detections, LabelMap
from photovision.data.corruptions import corrupt
from photovision.data.corruptions.geometry import shown_window

MOVING = ("scale", "rotation")
"""Corruptions that move pixels; all others leave everything where it is."""
BOXLESS = ("rotation",)
"""Corruptions after which nobody knows a box: of an object that turns, its old box does not tell the new one."""
_SHOWN, _SCRAP = 0.4, 0.05  # of an object's area: less is not judged; of less than the second nothing is left
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
        return through(truth, window, size)
    edges = np.minimum(truth.boxes[:, :2], (width, height) - truth.boxes[:, 2:]).min(1)
    crowd = np.zeros(len(truth), bool) if truth.crowd is None else truth.crowd
    boxes = _mirrored(truth.boxes.astype(np.float64), size).astype(np.float32)
    copies = len(boxes) // len(truth)
    unjudged = np.tile(crowd | (edges < _EDGE), copies)
    many = Detections(boxes, np.tile(truth.labels, copies), truth.classes, crowd=unjudged)
    return through(many, window, size)


def through(
    truth: Detections, window: tuple[float, float, float, float], size: tuple[int, int], least: float = _SHOWN
) -> Detections:
    """The objects in a part of a picture (left, top, right, bottom), in pixels of a view of it of `size` (H, W).

    Those of which less than `least` of their area is left become crowds, which nobody judges; masks are let go of.

    Example:
        >>> one = Detections(np.float32([[0, 0, 10, 10], [0, 0, 90, 10]]), np.array([0, 0]))
        >>> part = through(one, (0, 0, 20, 20), (40, 40))
        >>> part.boxes.tolist(), part.crowd.tolist()
        ([[0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 40.0, 20.0]], [False, True])
    """
    height, width = size
    across, down = width / (window[2] - window[0]), height / (window[3] - window[1])
    whole = (truth.boxes.astype(np.float64) - np.tile(window[:2], 2)) * np.tile((across, down), 2)
    clipped = np.clip(whole, 0, np.tile((width, height), 2))
    area = np.maximum((whole[:, 2:] - whole[:, :2]).prod(1), 1e-9)
    left = (clipped[:, 2:] - clipped[:, :2]).prod(1) / area
    crowd = np.zeros(len(truth), bool) if truth.crowd is None else truth.crowd
    kept = np.flatnonzero(left > _SCRAP)
    return Detections(
        clipped[kept].astype(np.float32),
        truth.labels[kept],
        truth.classes,
        None if truth.scores is None else truth.scores[kept],
        crowd=(crowd | (left < least))[kept],
    )


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
