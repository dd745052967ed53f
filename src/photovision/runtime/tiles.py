"""Sliced inference: a big picture seen through overlapping windows, so that small objects are large enough.

After Akyon et al. 2022 (Slicing Aided Hyper Inference): every window and the whole picture go through the network, and
what they found is merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.inputs import Source
from photovision.core.parallel import in_order
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image
from photovision.core.window import Window
from photovision.runtime.nms import ScoredBoxes, merge
from photovision.runtime.session import Session
from photovision.runtime.stream import opener, stream

MIN_TILE = 16
_BORDER = 0.01  # share of a window's side: boxes that end so near to a border inside the picture are cut by it
Size = tuple[int, int]


class Beholder(Protocol):
    """What tiles need of a detector."""

    preprocess: Preprocess
    iou: float
    most: int

    @property
    def session(self) -> Session:
        """Its graph."""
        ...

    def boxes(self, outputs: dict[str, np.ndarray], size: Size, window: Window | None = None) -> ScoredBoxes:
        """From outputs to boxes in the picture."""
        ...


@dataclass(frozen=True)
class Tiling:
    """How a picture is divided.

    Attributes:
        tile: (H, W) of a window in pixels of the picture.
        overlap: share of a window's side that its neighbour sees, too.

    Raises:
        UsageError: a side is below 16 pixels, or the overlap not 0 to 0.9.
    """

    tile: Size
    overlap: float = 0.2

    def __post_init__(self) -> None:
        if len(self.tile) != 2 or min(self.tile) < MIN_TILE:
            raise UsageError(f"tile should be (H, W), each at least {MIN_TILE} pixels, got {self.tile}")
        if not 0 <= self.overlap <= 0.9:
            raise UsageError(f"overlap should be 0 to 0.9, got {self.overlap}")

    def windows(self, size: Size) -> list[Window]:
        """The windows over a picture of (H, W), row by row; together they cover it, and none reaches outside.

        None where the picture is no larger than one window.

        Example:
            >>> Tiling((100, 100), 0.2).windows((100, 180))
            [(0.0, 0.0, 100.0, 100.0), (80.0, 0.0, 180.0, 100.0)]
        """
        if size[0] <= self.tile[0] and size[1] <= self.tile[1]:
            return []
        tops, lefts = (self._starts(side, tile) for side, tile in zip(size, self.tile, strict=True))
        high, wide = min(self.tile[0], size[0]), min(self.tile[1], size[1])
        return [(left, top, left + wide, top + high) for top in tops for left in lefts]

    def _starts(self, side: int, tile: int) -> list[float]:
        if side <= tile:
            return [0.0]
        steps = int(np.ceil((side - tile) / max(1.0, tile * (1 - self.overlap))))
        # Evenly, in whole pixels: the last window ends where the picture does.
        return [float(start) for start in np.linspace(0, side - tile, steps + 1).round()]


@dataclass(frozen=True, eq=False)
class _Tile:
    source: Source | UnreadableImage
    picture: Pillow.Image | UnreadableImage
    window: Window
    size: Size
    last: bool


def seen_in_tiles(
    sources: Iterable[Source | UnreadableImage], tiling: Tiling, detector: Beholder, *, batch_size: int = 8
) -> Iterator[tuple[Source | UnreadableImage, Size, ScoredBoxes | UnreadableImage]]:
    """(source, size, merged boxes in pixels of the picture or why it is unreadable) for every picture, in order.

    A few pictures are in memory at a time, whole.
    """

    def load(tile: _Tile) -> Image:
        if isinstance(tile.picture, UnreadableImage):
            raise tile.picture
        return detector.preprocess.resize(tile.picture, tile.window)

    found: list[ScoredBoxes] = []
    cut: list[np.ndarray] = []
    for answer in stream(_tiles(sources, tiling, detector.preprocess), load, detector.session, batch_size=batch_size):
        tile = answer.item
        if answer.error is not None:
            yield tile.source, (0, 0), answer.error
            continue
        boxes = detector.boxes(answer.outputs, tile.size, tile.window)
        found.append(boxes)
        cut.append(cut_by(boxes.xyxy, tile.window, tile.size))
        if tile.last:
            yield tile.source, tile.size, merge(_joined(found), np.concatenate(cut), detector.iou, detector.most)
            found, cut = [], []


def cut_by(boxes: Floats, window: Window, size: Size) -> np.ndarray:
    """bool (N,): which boxes (N, 4) end at a border of the window that lies inside the picture of (H, W)."""
    left, top, right, bottom = window
    across, down = max(1.0, _BORDER * (right - left)), max(1.0, _BORDER * (bottom - top))
    return np.asarray(
        ((boxes[:, 0] < left + across) & (left > 0))
        | ((boxes[:, 1] < top + down) & (top > 0))
        | ((boxes[:, 2] > right - across) & (right < size[1]))
        | ((boxes[:, 3] > bottom - down) & (bottom < size[0]))
    )


def _tiles(sources: Iterable[Source | UnreadableImage], tiling: Tiling, preprocess: Preprocess) -> Iterator[_Tile]:
    for source, picture in in_order(sources, opener(preprocess), ahead=2):
        if isinstance(picture, UnreadableImage):
            yield _Tile(source, picture, (0, 0, 0, 0), (0, 0), True)
            continue
        size = picture.height, picture.width
        windows = [*tiling.windows(size), preprocess.window(*picture.size)]
        for number, window in enumerate(windows, 1):
            yield _Tile(source, picture, window, size, number == len(windows))


def _joined(parts: list[ScoredBoxes]) -> ScoredBoxes:
    return ScoredBoxes(
        np.concatenate([part.xyxy for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
