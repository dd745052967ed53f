"""Detector: a model that finds objects, ready to predict. It runs without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast
from warnings import warn

import numpy as np

from photovision.core.errors import ModelError, UnreadableImage, UsageError
from photovision.core.inputs import Given, Source
from photovision.core.regions import Detections
from photovision.core.result import Result, Size
from photovision.core.types import Floats
from photovision.core.window import Window, clipped, to_image, whole
from photovision.runtime.bundle import Bundle
from photovision.runtime.model import OnnxModel
from photovision.runtime.nms import MAX_BOXES, ScoredBoxes, candidates, suppress
from photovision.runtime.session import Engine, Precision
from photovision.runtime.tiles import Tiling, seen_in_tiles

IOU = 0.5
"""How much two boxes of one class may overlap, unless the bundle says otherwise."""
OVERLAP = 0.2
"""Share of a window that its neighbour sees, too."""


class Detector(OnnxModel[Detections]):
    """A trained detector.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.
        threshold: the least score of a box, 0 to 1, for all classes; None: the bundle's, one a class.
        iou: how much two boxes of one class may overlap, 0 to 1; None: the bundle's.
        most: boxes of one picture.

    Raises:
        ModelError: the bundle is not a detector's.
        UsageError: a number is out of its range.

    Example: `photovision.load("shelf-model").predict("shelf.jpg").to_json()`.
    """

    task = "detect"

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: Engine = "auto",
        precision: Precision | None = None,
        threshold: float | None = None,
        iou: float | None = None,
        most: int = MAX_BOXES,
    ) -> None:
        super().__init__(bundle, engine=engine, precision=precision)
        for name, value in (("threshold", threshold), ("iou", iou)):
            _check_share(name, value)
        own = cast("Floats", bundle.thresholds)
        self.thresholds: Floats = own if threshold is None else np.full_like(own, threshold)
        stored = bundle.info.get("iou")
        self.iou = float(iou if iou is not None else IOU if stored is None else stored)
        self.most = most
        self.tiling: Tiling | None = None

    def with_options(
        self, *, threshold: float | None = None, tile: Size | None = None, overlap: float = OVERLAP
    ) -> Detector:
        """The same detector with other choices for a prediction; the loaded graph is shared.

        Args:
            threshold: lowest score of a box, 0 to 1; None: as before.
            tile: (H, W) in pixels: looks at overlapping windows of this size as well as at the whole picture, for
                small objects in big pictures (sliced inference, Akyon et al. 2022). It takes as much longer as there
                are windows.
            overlap: share of a window that its neighbour sees, too, 0 to 0.9.

        Raises:
            UsageError: a number is out of its range.
        """
        _check_share("threshold", threshold)
        other = self.with_session(self.session)
        if threshold is not None:
            other.thresholds = np.full_like(self.thresholds, threshold)
        if tile is not None:
            other.tiling = Tiling(tile, overlap)
        return other

    def predict(
        self, images: Given | Iterable[Given], *, tile: Size | None = None, overlap: float = OVERLAP
    ) -> Detections | list[Detections]:
        """Boxes in one picture, or in each of a list, in pixels of the upright picture; see `OnnxModel.predict`."""
        if tile is None:
            return super().predict(images)
        return self.with_options(tile=tile, overlap=overlap).predict(images)

    def stream(
        self,
        sources: Given | Iterable[Given],
        *,
        batch_size: int | None = None,
        tile: Size | None = None,
        overlap: float = OVERLAP,
    ) -> Iterator[Detections | UnreadableImage]:
        """`results` without files and sizes: boxes, or why a picture could not be read."""
        if tile is None:
            return super().stream(sources, batch_size=batch_size)
        return self.with_options(tile=tile, overlap=overlap).stream(sources, batch_size=batch_size)

    def see(
        self,
        sources: Given | Iterable[Given],
        *,
        batch_size: int | None = None,
        tile: Size | None = None,
        overlap: float = OVERLAP,
    ) -> Iterator[Result[Detections]]:
        """The old spelling of `results`."""
        warn("Detector.see is now with_options(tile=...).results(...)", DeprecationWarning, stacklevel=2)
        return self.with_options(tile=tile, overlap=overlap).results(sources, batch_size=batch_size)

    def _results(self, sources: Iterable[Source | UnreadableImage], batch_size: int) -> Iterator[Result[Detections]]:
        if self.tiling is None:
            yield from super()._results(sources, batch_size)
            return
        for source, size, found in seen_in_tiles(sources, self.tiling, self, batch_size=batch_size):
            yield self._result(source, size, found if isinstance(found, UnreadableImage) else self._named(found))

    def boxes(self, outputs: dict[str, np.ndarray], size: Size, window: Window | None = None) -> ScoredBoxes:
        """From the graph's outputs for one picture to the boxes that stand, in pixels of that picture.

        Args:
            outputs: "boxes" float32 (K, 4) and "scores" float32 (K, C).
            size: (H, W) of the upright picture.
            window: the part of it that the network saw (left, top, right, bottom); None: what `preprocess` shows.
        """
        found = suppress(candidates(self._checked(outputs), outputs["scores"], self.thresholds), self.iou, self.most)
        seen = window or self.preprocess.window(size[1], size[0])
        inside = clipped(seen, whole(size))  # a padded picture is smaller than what the network sees
        placed = clipped(to_image(found.xyxy, seen, self.preprocess.size), tuple(inside.tolist()))
        return ScoredBoxes(placed.astype(np.float32), np.clip(found.scores, 0, 1), found.labels)

    def decode(self, outputs: dict[str, np.ndarray], size: Size) -> Detections:
        """What the graph's outputs for one picture of `size` (H, W) mean; as `boxes`, with class names."""
        return self._named(self.boxes(outputs, size))

    def _checked(self, outputs: dict[str, np.ndarray]) -> Floats:
        boxes, scores = outputs.get("boxes"), outputs.get("scores")
        if (
            boxes is None
            or scores is None
            or boxes.shape != (len(scores), 4)
            or scores.shape[1:] != (len(self.classes),)
        ):
            raise ModelError(
                f"{self.bundle.graph} should give boxes (N, K, 4) and scores (N, K, {len(self.classes)}), but does not:"
                " copy or train the bundle again"
            )
        if scores.size and not (0 <= float(scores.max()) <= 1.01 and np.isfinite(boxes).all()):  # NaN, too
            raise ModelError(f"{self.bundle.graph} gives scores outside 0 to 1, or boxes nowhere: train it again")
        return boxes

    def _named(self, boxes: ScoredBoxes) -> Detections:
        return Detections(boxes.xyxy, boxes.labels, self.classes, boxes.scores)


def _check_share(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise UsageError(f"{name} should be 0 to 1, got {value}")
