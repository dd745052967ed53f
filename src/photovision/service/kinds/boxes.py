"""Boxes: what a detector says of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from photovision.core.regions import Detections
from photovision.core.result import Result
from photovision.runtime.session import Session
from photovision.runtime.tiles import Tiling
from photovision.service.kinds import options as asked
from photovision.service.kinds.kind import (
    Explained,
    ManyCalls,
    OneCall,
    Outputs,
    Size,
    Source,
    Tensor,
    Way,
    Why,
    check_windows,
    opened,
    through,
)
from photovision.service.settings import Limits
from photovision.tasks.detect.detector import Detector


@dataclass(frozen=True, eq=False)
class Found:
    """The boxes of one picture.

    Attributes:
        size: (H, W) of the upright picture.
        boxes: most probable first.
    """

    size: Size
    boxes: Detections

    def to_json(self, file: str | None) -> dict[str, Any]:
        """`{"file", "size": [h, w], "boxes": [{"label", "score", "xyxy"}]}`."""
        return Result(file, self.size, self.boxes).to_json()

    def facts(self) -> dict[str, Any]:
        """All boxes; the most probable one stands for the picture, "" for none."""
        best = self.boxes.names[0] if len(self.boxes) else ""
        prob = float(_scores(self.boxes)[0]) if len(self.boxes) else 0.0
        told = self.to_json(None)
        del told["file"]
        return {"label": best, "best": best, "prob": prob, "found": told}


class Detecting:
    """A detector; see `Kind`."""

    name, options = "a detector", ("threshold", "tile")

    def __init__(self, model: Detector) -> None:
        self.model = model

    def way(self, options: Mapping[str, str]) -> Way:
        """Every picture is one input, but where tiles are asked for."""
        threshold, tile = asked.threshold(options), asked.tile(options)
        model = self.model if threshold is None else self.model.with_options(threshold=threshold)
        if tile is not None:
            return ManyCalls(partial(_in_tiles, model, Tiling(tile)))
        return OneCall(model.preprocess, partial(_found, model))

    def explain(self, source: Source, outcome: Found, why: Why, limits: Limits) -> Explained:
        """The maps of what is found."""
        from photovision.service.kinds.place_maps import explain_places

        return explain_places(self.model, source, why, limits)

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """Boxes in pixels of the upright picture; rows after a picture's `count` are padding."""
        return {
            "size": ("INT64", [-1, 2]),
            "count": ("INT64", [-1]),
            "boxes": ("FP32", [-1, -1, 4]),
            "scores": ("FP32", [-1, -1]),
            "classes": ("INT64", [-1, -1]),
            "labels": ("BYTES", [-1, -1]),
        }

    def tensors(self, outcomes: Sequence[Found]) -> dict[str, Tensor]:
        """As `outputs` names them; padded with zeros, the class -1 and the label ""."""
        counts = [len(one.boxes) for one in outcomes]
        shape = len(outcomes), max(counts)
        boxes, scores = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32)
        classes = np.full(shape, -1, np.int64)
        for row, (one, count) in enumerate(zip(outcomes, counts, strict=True)):
            boxes[row, :count], scores[row, :count] = one.boxes.boxes, _scores(one.boxes)
            classes[row, :count] = one.boxes.labels
        names = [[*one.boxes.names, *[""] * (shape[1] - len(one.boxes))] for one in outcomes]
        return {
            "size": ("INT64", np.array([one.size for one in outcomes], np.int64)),
            "count": ("INT64", np.array(counts, np.int64)),
            "boxes": ("FP32", boxes),
            "scores": ("FP32", scores),
            "classes": ("INT64", classes),
            "labels": ("BYTES", names),
        }


def _found(model: Detector, outputs: Outputs, size: Size) -> Found:
    return Found(size, model.decode(outputs, size))


def _in_tiles(model: Detector, tiling: Tiling, source: Source, limits: Limits, session: Session) -> Found:
    picture = opened(source, model.preprocess, limits)
    size = picture.shape[0], picture.shape[1]
    check_windows(len(tiling.windows(size)) + 1, limits)
    found = through(model, session).predict(picture, tile=tiling.tile, overlap=tiling.overlap)
    assert isinstance(found, Detections)
    return Found(size, found)


def _scores(boxes: Detections) -> np.ndarray:
    assert boxes.scores is not None
    return boxes.scores
