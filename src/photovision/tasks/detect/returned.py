"""What a function that detects returns, as the outputs of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.regions import Detections
from photovision.core.types import Image


def outputs(returned: Any, images: Image, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """boxes float32 (N, K, 4) and scores (N, K, C), with rows of zeros where a picture has fewer than K.

    Args:
        returned: for every picture `Detections`, (boxes, scores, labels), or a mapping with these names; boxes are
            x1, y1, x2, y2 in pixels, labels numbers or names of classes.
        images: uint8 (N, H, W, 3).
        classes: C names.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(returned, Sequence) or isinstance(returned, str) or len(returned) != len(images):
        raise UsageError(f"a list of {len(images)} lists of boxes, scores and labels")
    listed = [_one(entry, tuple(classes)) for entry in returned]
    most = max(1, *(len(boxes) for boxes, _, _ in listed))
    found = {
        "boxes": np.zeros((len(images), most, 4), np.float32),
        "scores": np.zeros((len(images), most, len(classes)), np.float32),
    }
    for row, (boxes, scores, labels) in enumerate(listed):
        found["boxes"][row, : len(boxes)] = boxes
        found["scores"][row, np.arange(len(boxes)), labels] = scores
    return found


def _one(entry: Any, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if isinstance(entry, Detections):
        entry = entry.boxes, entry.scores, list(entry.names)
    if isinstance(entry, Mapping):
        entry = entry.get("boxes"), entry.get("scores"), entry.get("labels")
    try:
        boxes, scores, labels = entry
        numbers = [classes.index(name) if isinstance(name, str) else int(name) for name in labels]
        found = (
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.asarray(scores, np.float32),
            np.array(numbers, np.int64),
        )
    except (TypeError, ValueError):
        raise UsageError("boxes (K, 4), scores (K) and labels (K) of every picture") from None
    known = ((found[2] >= 0) & (found[2] < len(classes))).all()
    if not len(found[0]) == len(found[1]) == len(found[2]) or found[1].ndim != 1 or not known:
        raise UsageError(f"as many boxes, scores 0 to 1 and labels below {len(classes)} of every picture")
    if not (np.isfinite(found[0]).all() and ((found[1] >= 0) & (found[1] <= 1)).all()):
        raise UsageError("finite boxes, and scores from 0 to 1")
    return found
