"""Segmenter: a model that tells the class of every pixel, and which pixels are one object. It runs without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast
from warnings import warn

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import ModelError, UnreadableImage, UsageError
from photovision.core.image import pixel_area
from photovision.core.inputs import Given, Source, as_sources
from photovision.core.parallel import in_order
from photovision.core.regions import Detections, Segmentation
from photovision.core.result import Result, Size
from photovision.core.window import Window, clipped, to_view, whole
from photovision.runtime.bundle import Bundle
from photovision.runtime.instances import detections, separate
from photovision.runtime.model import OnnxModel
from photovision.runtime.session import Engine, Precision
from photovision.runtime.stream import check_batch_size, opener
from photovision.runtime.tiles import Tiling
from photovision.tasks.segment.summary import ImageSummary, SummaryBuilder

OVERLAP = 0.25
"""Share of a window that its neighbour sees, too: what lies at a border is decided by the one that sees around it."""
_BAND = 4_000_000  # pixels that are enlarged at a time


@dataclass(frozen=True, eq=False)
class _TilePixels:
    """What the network says of every pixel: the class, how sure it is, and how deep inside an object, 0 to 255."""

    labels: np.ndarray
    sure: np.ndarray
    depth: np.ndarray | None
    summary: ImageSummary


class Segmenter(OnnxModel[Segmentation]):
    """A trained segmenter.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.

    Raises:
        ModelError: the bundle is not a segmenter's.

    Example: `photovision.load("nuclei-model").predict("slide.png").labels`.
    """

    task = "segment"

    def __init__(self, bundle: Bundle, *, engine: Engine = "auto", precision: Precision | None = None) -> None:
        super().__init__(bundle, engine=engine, precision=precision)
        self.instances = bool(bundle.info.get("instances"))
        self.tile = _tile_of(bundle)

    def with_options(self, *, tile: Size | None = None) -> Segmenter:
        """The same segmenter with other choices for a prediction; the loaded graph is shared.

        Args:
            tile: (H, W) of the windows that a picture is seen through, in its pixels; None: as the model was trained.

        Raises:
            UsageError: tile is below 16 pixels.
        """
        other = self.with_session(self.session)
        if tile is not None:
            other.tile = Tiling(tile, OVERLAP).tile
        return other

    def objects(self, image: Given) -> Detections:
        """The objects of one picture with their masks; raises UsageError for a model that does not tell them apart."""
        if not self.instances:
            raise UsageError(f"{self.bundle.path} tells classes of pixels, not objects: train it on masks of objects")
        (result,) = self.results([image])
        if result.value is None:
            raise cast("UnreadableImage", result.error)
        return cast("Detections", result.value.objects)

    def see(
        self, sources: Given | Iterable[Given], *, batch_size: int | None = None, tile: Size | None = None
    ) -> Iterator[Result[Segmentation]]:
        """The old spelling of `results`."""
        warn("Segmenter.see is now with_options(tile=...).results(...)", DeprecationWarning, stacklevel=2)
        return self.with_options(tile=tile).results(sources, batch_size=batch_size)

    def summaries(self, sources: Given | Iterable[Given]) -> Iterator[ImageSummary | None]:
        """What is predicted for whole images, at less cost than their masks; None for those that cannot be read."""
        for _, picture in in_order(as_sources(sources)[0], opener(self.preprocess), ahead=2):
            if isinstance(picture, UnreadableImage):
                yield None
                continue
            found = SummaryBuilder(len(self.classes))
            for _, outputs in self._outputs(picture, self._windows(picture), self.batch_size):
                found.add(outputs)
            yield found.summary()

    def _results(self, sources: Iterable[Source | UnreadableImage], batch_size: int) -> Iterator[Result[Segmentation]]:
        """A few pictures are in memory at a time, whole."""
        check_batch_size(batch_size)
        for source, picture in in_order(sources, opener(self.preprocess), ahead=2):
            if isinstance(picture, UnreadableImage):
                yield self._result(source, (0, 0), picture)
                continue
            pixels = self._pixels(picture, batch_size)
            yield self._result(source, (picture.height, picture.width), self._segmentation(pixels, pixel_area(source)))

    def _segmentation(self, pixels: _TilePixels, area: float | None) -> Segmentation:
        sure, embedding = pixels.summary.confidence, pixels.summary.embedding
        if pixels.depth is None:
            labels = pixels.labels.astype(np.int32)
            return Segmentation(labels, self.classes, confidence=sure, embedding=embedding, pixel_mm2=area)
        least = int(self.info.get("least_area") or 1)
        numbers = separate(pixels.labels > 0, pixels.depth, least)
        # What is too small to be an object is background, too.
        labels = np.where(numbers > 0, pixels.labels, 0).astype(np.int32)
        objects = detections(numbers, pixels.labels, pixels.sure, self.classes[1:])
        return Segmentation(labels, self.classes, numbers, objects, sure, embedding, area)

    def _windows(self, picture: Pillow.Image) -> list[Window]:
        """The tiles of a picture, or the whole of it."""
        size = picture.height, picture.width
        return ([] if self.tile is None else Tiling(self.tile, OVERLAP).windows(size)) or [whole(size)]

    def _outputs(
        self, picture: Pillow.Image, windows: Sequence[Window], batch_size: int
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """The number of every window with its rows of the graph's outputs."""
        for start in range(0, len(windows), batch_size):
            part = windows[start : start + batch_size]
            images = np.stack([self.preprocess.resize(picture, window) for window in part])
            outputs = self._checked(self.session.run(images))
            for row in range(len(part)):
                yield start + row, {name: values[row] for name, values in outputs.items()}

    def _pixels(self, picture: Pillow.Image, batch_size: int) -> _TilePixels:
        """Every window decides about the middle part of it, up to halfway into what its neighbours see, too."""
        size, windows = (picture.height, picture.width), self._windows(picture)
        labels, sure = np.zeros(size, dtype=np.uint8), np.zeros(size, dtype=np.uint8)
        depth = np.zeros(size, dtype=np.uint8) if self.instances else None
        owned = _owned(windows, size)
        found = SummaryBuilder(len(self.classes))
        for number, outputs in self._outputs(picture, windows, batch_size):
            _fill(labels, sure, outputs["classes"], windows[number], owned[number])
            if depth is not None:
                _fill_depth(depth, outputs["depth"][0], windows[number], owned[number])
            found.add(outputs)
        return _TilePixels(labels, sure, depth, found.summary())

    def _checked(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        probs, depth = outputs.get("classes"), outputs.get("depth")
        if (
            probs is None
            or probs.ndim != 4
            or probs.shape[1] != len(self.classes)
            or (self.instances and (depth is None or depth.ndim != 4))
        ):
            more = " and depth (N, 1, h, w)" if self.instances else ""
            raise ModelError(
                f"{self.bundle.graph} should give classes (N, {len(self.classes)}, h, w){more}, but does not: copy or"
                " train the bundle again"
            )
        if not 0 <= float(probs.max()) <= 1.01:  # NaN, too
            raise ModelError(f"{self.bundle.graph} gives probabilities outside 0 to 1: train it again")
        embedding = outputs.get("embedding")
        if embedding is not None and not (embedding.ndim == 2 and np.isfinite(embedding).all()):
            raise ModelError(f"{self.bundle.graph} should give a finite embedding (N, D), but does not: train it again")
        return outputs


def enlarged(values: np.ndarray, window: Window, part: tuple[int, int, int, int]) -> np.ndarray:
    """A map (h, w) over a window of a picture, at the pixels of a part of that window: float32 (bottom - top, ...).

    Args:
        values: float32 (h, w).
        window: (left, top, right, bottom) that the map lies over, in pixels.
        part: (left, top, right, bottom) in whole pixels, inside the window.
    """
    shape = values.shape[0], values.shape[1]
    box = tuple(clipped(to_view(part, window, shape), whole(shape)).tolist())
    size = part[2] - part[0], part[3] - part[1]
    picture = Pillow.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize(size, Pillow.Resampling.BILINEAR, box=box))


def _fill(
    labels: np.ndarray, sure: np.ndarray, probs: np.ndarray, window: Window, part: tuple[int, int, int, int]
) -> None:
    """Write the most probable class of every pixel of a part, and its probability times 255; band by band."""
    left, top, right, bottom = part
    rows = max(1, _BAND // max(right - left, 1))
    for start in range(top, bottom, rows):
        end = min(start + rows, bottom)
        best = np.full((end - start, right - left), -1.0, dtype=np.float32)
        name = np.zeros(best.shape, dtype=np.uint8)
        for number, plane in enumerate(probs):
            value = enlarged(plane, window, (left, start, right, end))
            better = value > best
            best[better], name[better] = value[better], number
        labels[start:end, left:right] = name
        sure[start:end, left:right] = (255 * np.clip(best, 0, 1)).round()


def _fill_depth(depth: np.ndarray, values: np.ndarray, window: Window, part: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = part
    depth[top:bottom, left:right] = (255 * np.clip(enlarged(values, window, part), 0, 1)).round()


def _owned(windows: Sequence[Window], size: Size) -> list[tuple[int, int, int, int]]:
    """The part of every window that it decides about: (left, top, right, bottom); together they are the picture."""
    across, down = (_borders(sorted({(w[i], w[i + 2]) for w in windows}), size[1 - i]) for i in (0, 1))
    return [(across[w[0]][0], down[w[1]][0], across[w[0]][1], down[w[1]][1]) for w in windows]


def _borders(spans: list[tuple[float, float]], side: int) -> dict[float, tuple[int, int]]:
    """Start of a span -> from where to where it decides: up to the middle of what it shares with the next one."""
    cuts = [0, *(round((end + start) / 2) for (_, end), (start, _) in pairwise(spans)), side]
    return {start: (cuts[at], cuts[at + 1]) for at, (start, _) in enumerate(spans)}


def _tile_of(bundle: Bundle) -> Size | None:
    tile = bundle.info.get("tile")
    if tile is None:
        return None
    if not isinstance(tile, list) or len(tile) != 2 or not all(isinstance(v, int) and 16 <= v <= 8192 for v in tile):
        raise ModelError(
            f"{bundle.path}: the tile of a segmenter should be two sides of 16 to 8192 pixels, got {tile!r}"
        )
    return tile[0], tile[1]
