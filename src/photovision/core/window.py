"""Windows: parts of an image that a network, a tile or an augmented view sees, and the boxes in them.

A window is (left, top, right, bottom) in pixels of the image; its view has (H, W) pixels of its own. Everything is
computed in double precision: a pixel of an image 20,000 wide needs more than float32 leaves after two roundings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from photovision.core.regions import Detections

Window = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of an image."""
Size = tuple[int, int]
Boxes = npt.NDArray[np.float64]
"""float64 (N, 4): x1, y1, x2, y2."""
MIN_VISIBLE = 0.4
"""The share of an object's area below which a view shows too little of it to name it."""
_MIN_LEFT = 0.05  # of an object's area; below it nothing is left of it


def whole(size: Size) -> Window:
    """The window that is all of an image of (H, W)."""
    return 0.0, 0.0, float(size[1]), float(size[0])


def to_view(boxes: npt.ArrayLike, window: Window, size: Size) -> Boxes:
    """From pixels of the image to pixels of the view of a window.

    Args:
        boxes: (N, 4), x1, y1, x2, y2.
        window: the part of the image that is seen, of an area above 0.
        size: (H, W) of the view.

    Example:
        >>> to_view([[100, 0, 200, 300]], (0, 0, 400, 300), (100, 100)).tolist()
        [[25.0, 0.0, 50.0, 100.0]]
    """
    corner, scale = _corner(window), _scale(window, size)
    return np.asarray((np.asarray(boxes, np.float64) - corner) * scale)


def to_image(boxes: npt.ArrayLike, window: Window, size: Size) -> Boxes:
    """From pixels of the view of a window to pixels of the image; what `to_view` did, undone.

    Example:
        >>> to_image([[25, 0, 50, 100]], (0, 0, 400, 300), (100, 100)).tolist()
        [[100.0, 0.0, 200.0, 300.0]]
    """
    corner, scale = _corner(window), _scale(window, size)
    return np.asarray(np.asarray(boxes, np.float64) / scale + corner)


def rescaled(window: Window, size: Size, other: Size) -> Window:
    """A window of an image of (H, W), in pixels of a larger or smaller copy of that image.

    Example:
        >>> rescaled((0, 0, 200, 100), (100, 400), (50, 200))
        (0.0, 0.0, 100.0, 50.0)
    """
    left, top, right, bottom = to_view(window, whole(size), other).tolist()
    return left, top, right, bottom


def clipped(boxes: npt.ArrayLike, window: Window) -> Boxes:
    """Boxes (N, 4) without what lies outside a window, in the same pixels; x1 <= x2 and y1 <= y2 hold after it."""
    inside = np.clip(np.asarray(boxes, np.float64), _corner(window), np.tile(window[2:], 2))
    inside[..., 2:] = np.maximum(inside[..., 2:], inside[..., :2])
    return np.asarray(inside)


def visible(boxes: npt.ArrayLike, window: Window) -> npt.NDArray[np.float64]:
    """float64 (N,), 0 to 1: the share of the area of each box that lies in a window; 0 for boxes without area.

    Example:
        >>> visible([[0, 0, 10, 10], [5, 0, 25, 10]], (0, 0, 10, 10)).tolist()
        [1.0, 0.25]
    """
    boxes, inside = np.asarray(boxes, np.float64), clipped(boxes, window)
    area = np.maximum(_sides(boxes).prod(-1), 1e-9)
    return np.asarray(_sides(inside).prod(-1) / area)


def crop_boxes(found: Detections, window: Window, size: Size, min_visible: float = MIN_VISIBLE) -> Detections:
    """The objects in a window of an image, in pixels of its view of `size` (H, W).

    Those of which less than `min_visible` of the area is left become crowds, which nobody judges; those of which next
    to nothing is left are dropped, and masks are let go of.

    Example:
        >>> one = Detections(np.float32([[0, 0, 10, 10], [0, 0, 90, 10]]), np.array([0, 0]))
        >>> part = crop_boxes(one, (0, 0, 20, 20), (40, 40))
        >>> part.boxes.tolist(), part.crowd.tolist()
        ([[0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 40.0, 20.0]], [False, True])
    """
    left = visible(found.boxes, window)
    kept = np.flatnonzero(left > _MIN_LEFT)
    crowd = np.zeros(len(found), bool) if found.crowd is None else found.crowd
    boxes = clipped(to_view(found.boxes[kept], window, size), whole(size))
    return Detections(
        boxes.astype(np.float32),
        found.labels[kept],
        found.classes,
        None if found.scores is None else found.scores[kept],
        crowd=(crowd | (left < min_visible))[kept],
    )


def _corner(window: Window) -> npt.NDArray[np.float64]:
    return np.tile(np.asarray(window[:2], np.float64), 2)


def _scale(window: Window, size: Size) -> npt.NDArray[np.float64]:
    """How many pixels of the view a pixel of the image is, across and down, twice."""
    return np.tile([size[1] / (window[2] - window[0]), size[0] / (window[3] - window[1])], 2)


def _sides(boxes: Boxes) -> Boxes:
    return np.asarray(boxes[..., 2:] - boxes[..., :2])
