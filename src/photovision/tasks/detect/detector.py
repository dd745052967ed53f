"""Detector: a model that tells what is where, ready to answer. It runs without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from photovision.core.errors import DataError, ModelError, UnreadableImage, UsageError
from photovision.core.files import open_regular
from photovision.core.image import read_header
from photovision.core.inputs import Given, Source, as_sources, name_of, placed
from photovision.core.preprocess import Box, Preprocess
from photovision.core.regions import Detections
from photovision.core.types import Floats, Image
from photovision.runtime.bundle import Bundle, lasting
from photovision.runtime.nms import MOST, ScoredBoxes, candidates, suppress
from photovision.runtime.session import Engine, Precision, Session
from photovision.runtime.stream import stream
from photovision.runtime.tiles import Tiling, seen_in_tiles

OUTPUTS = ("boxes", "scores")
"""Outputs of a detector's graph: float32 (N, K, 4) in pixels of its input, and float32 (N, K, C)."""
IOU = 0.5
"""How much two boxes of one class may overlap, unless the bundle says otherwise."""
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class DetectResult:
    """What a detector says of one picture.

    Attributes:
        file: where the picture came from; None for arrays and bytes.
        size: (H, W) of the upright picture in pixels; (0, 0) of an unreadable one.
        found: its objects, most probable first; None where it could not be read.
        error: why it could not be read, or None.
    """

    file: str | None
    size: Size
    found: Detections | None
    error: UnreadableImage | None = None

    def to_json(self) -> dict[str, Any]:
        """`{"file", "size": [h, w], "boxes": [{"label", "score", "xyxy"}]}`, or `{"file", "error"}`."""
        if self.found is None:
            return {"file": self.file, "error": str(self.error).removeprefix(f"{self.file}: ")}
        return {"file": self.file, "size": list(self.size), "boxes": self.found.to_json()}


class Detector:
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

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: Engine = "auto",
        precision: Precision | None = None,
        threshold: float | None = None,
        iou: float | None = None,
        most: int = MOST,
    ) -> None:
        bundle.expect("detect")
        for name, value in (("threshold", threshold), ("iou", iou)):
            _check_share(name, value)
        self.bundle = bundle
        self.classes = bundle.classes
        self.preprocess = bundle.preprocess
        own = cast("Floats", bundle.thresholds)
        self.thresholds: Floats = own if threshold is None else np.full_like(own, threshold)
        stored = bundle.info.get("iou")
        self.iou = float(iou if iou is not None else IOU if stored is None else stored)
        self.most = most
        self._engine: Engine = engine
        self._precision = precision

    @property
    def info(self) -> dict[str, Any]:
        """The whole of bundle.json."""
        return self.bundle.info

    @cached_property
    def session(self) -> Session:
        """The loaded graph; opened at first use."""
        return self.bundle.open_session(self._engine, self._precision, OUTPUTS)

    def at(self, threshold: float) -> Detector:
        """The same detector with another least score of a box, 0 to 1; the loaded graph is shared."""
        _check_share("threshold", threshold)
        other = copy(self)
        other.session = self.session
        other.thresholds = np.full_like(self.thresholds, threshold)
        return other

    def predict(
        self, images: Given | Iterable[Given], *, tile: Size | None = None, overlap: float = 0.2
    ) -> Detections | list[Detections]:
        """What is where in one picture, or in each of a list of pictures, in pixels of the upright picture.

        Args:
            images: one picture, or any iterable of pictures, as `photovision.core.inputs.as_source` takes them; an
                array (N, H, W, 3) counts as a list.
            tile, overlap: as for `see`.

        Raises:
            UnreadableImage: a picture cannot be decoded; use `see` to go on over such files.
        """
        sources, single = as_sources(images)
        found: list[Detections] = []
        for number, seen in enumerate(self._answers(sources, tile=tile, overlap=overlap), 1):
            if seen.found is None:
                error = cast("UnreadableImage", seen.error)
                raise error if single else placed(error, f"picture {number}")
            found.append(seen.found)
        return found[0] if single else found

    def stream(
        self, sources: Given | Iterable[Given], *, batch_size: int = 8, tile: Size | None = None, overlap: float = 0.2
    ) -> Iterator[Detections | UnreadableImage]:
        """`see` without the sizes: objects, or why a picture could not be read."""
        for seen in self.see(sources, batch_size=batch_size, tile=tile, overlap=overlap):
            yield seen.found if seen.found is not None else cast("UnreadableImage", seen.error)

    def see(
        self, sources: Given | Iterable[Given], *, batch_size: int = 8, tile: Size | None = None, overlap: float = 0.2
    ) -> Iterator[DetectResult]:
        """Answer any number of pictures in order, with flat memory.

        Args:
            sources: as for `predict`.
            batch_size: pictures, or tiles, a call of the network.
            tile: (H, W) in pixels: looks at overlapping windows of this size as well as at the whole picture, for
                small objects in big pictures (sliced inference, Akyon et al. 2022). It takes as much longer as there
                are windows.
            overlap: share of a window that its neighbour sees, too, 0 to 0.9.

        Raises:
            UsageError: tile or overlap are out of range.
            ModelError: the graph is damaged or not a detector's.
        """
        return self._answers(as_sources(sources)[0], batch_size=batch_size, tile=tile, overlap=overlap)

    def _answers(
        self,
        sources: Iterable[Source | UnreadableImage],
        *,
        batch_size: int = 8,
        tile: Size | None = None,
        overlap: float = 0.2,
    ) -> Iterator[DetectResult]:
        if tile is not None:
            tiling = Tiling(tile, overlap)
            for source, size, answer in seen_in_tiles(sources, tiling, self, batch_size=batch_size):
                yield self._seen(source, size, answer)
            return
        items = (_Item(source) for source in sources)
        for read in stream(items, self._load, self.session, batch_size=batch_size):
            size = read.item.size
            yield self._seen(read.item.source, size, read.error or self.boxes(read.outputs, size))

    def boxes(self, outputs: dict[str, np.ndarray], size: Size, window: Box | None = None) -> ScoredBoxes:
        """From the graph's outputs for one picture to the boxes that stand, in pixels of that picture.

        Args:
            outputs: "boxes" float32 (K, 4) and "scores" float32 (K, C).
            size: (H, W) of the upright picture.
            window: the part of it that the network saw (left, top, right, bottom); None: what `preprocess` shows.
        """
        found = suppress(candidates(self._checked(outputs), outputs["scores"], self.thresholds), self.iou, self.most)
        placed = to_picture(found.xyxy, self.preprocess, size, window)
        return ScoredBoxes(placed, np.clip(found.scores, 0, 1), found.labels)

    def answer(self, outputs: dict[str, np.ndarray], size: Size) -> Detections:
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

    def _seen(
        self, source: Source | UnreadableImage, size: Size, answer: ScoredBoxes | UnreadableImage
    ) -> DetectResult:
        file = name_of(source)
        if isinstance(answer, UnreadableImage):
            return DetectResult(file, (0, 0), None, answer)
        return DetectResult(file, size, self._named(answer))

    def _load(self, item: _Item) -> Image:
        if isinstance(item.source, UnreadableImage):
            raise item.source
        if isinstance(item.source, np.ndarray):
            item.size = (item.source.shape[0], item.source.shape[1])
            return self.preprocess.apply(item.source)
        try:
            content = item.source
            if not isinstance(content, bytes):
                with open_regular(content) as file:
                    content = file.read()
            item.size = read_header(content).size
            return self.preprocess.load(content)
        except (OSError, DataError):
            return self.preprocess.load(item.source)  # raises again, with the name of the file

    __getstate__ = lasting

    def __repr__(self) -> str:
        return f"Detector({str(self.bundle.path)!r}, {len(self.classes)} classes)"


def _check_share(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise UsageError(f"{name} should be 0 to 1, got {value}")


@dataclass(eq=False)
class _Item:
    """A picture on its way through the network; its size is known once it is decoded."""

    source: Source | UnreadableImage
    size: Size = (0, 0)


def to_picture(boxes: Floats, preprocess: Preprocess, size: Size, window: Box | None = None) -> Floats:
    """From pixels of a network's input to pixels of the picture, clipped to what the network saw of it.

    Args:
        boxes: float32 (N, 4), x1, y1, x2, y2.
        preprocess: how the picture became the input.
        size: (H, W) of the upright picture.
        window: (left, top, right, bottom), the part that became the input; None: `preprocess.window`.

    Example:
        >>> to_picture(np.float32([[0, 0, 50, 100]]), Preprocess((100, 100)), (300, 400)).tolist()
        [[0.0, 0.0, 200.0, 300.0]]
    """
    left, top, right, bottom = window or preprocess.window(size[1], size[0])
    across, down = (right - left) / preprocess.size[1], (bottom - top) / preprocess.size[0]
    # Scaled in double precision: a pixel of a picture 20,000 wide needs more than float32 leaves after two roundings.
    placed = boxes.astype(np.float64) * (across, down, across, down) + (left, top, left, top)
    placed = np.clip(placed, (left, top, left, top), (right, bottom, right, bottom))
    placed[:, 2:] = np.maximum(placed[:, 2:], placed[:, :2])
    return placed.astype(np.float32)
