"""Objects of many pictures in few bytes: a million boxes take some 25 MB; each picture's are made when asked for."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import overload

import numpy as np

from photovision.core.regions import Detections, Regions
from photovision.core.shapes import Shape, unpack
from photovision.core.types import Floats


class Objects:
    """Objects in the order in which a file names them, which is any."""

    def __init__(self) -> None:
        self.pictures, self.labels, self.tracks = array("q"), array("i"), array("q")
        self.crowd, self.boxes = array("b"), array("f")
        self.shapes: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def reach(self) -> float:
        """The largest coordinate of all boxes; 0 where there is none."""
        return float(np.asarray(self.boxes).max(initial=0.0))

    def add(self, picture: int, label: int, box: Floats, shape: Shape | None, crowd: bool, track: int) -> None:
        """One object of the picture at that position; box float32 (4,), x1, y1, x2, y2."""
        if shape is not None:
            self.shapes[len(self.labels)] = shape.pack()
        self.pictures.append(picture)
        self.labels.append(label)
        self.crowd.append(crowd)
        self.tracks.append(track)
        self.boxes.extend(box.tolist())


class DetectionColumns(Sequence[Regions | None]):
    """The `Detections` of N pictures, made when they are asked for.

    Args:
        objects: of all pictures.
        count: N.
        classes: names of the classes.
        unknown: positions of pictures without annotation; None is given for these.
    """

    def __init__(self, objects: Objects, count: int, classes: tuple[str, ...], unknown: frozenset[int]) -> None:
        pictures = np.array(objects.pictures, dtype=np.int64)
        order = np.argsort(pictures, kind="stable")
        self._starts = np.searchsorted(pictures[order], np.arange(count + 1))
        self._boxes = np.array(objects.boxes, dtype=np.float32).reshape(-1, 4)[order]
        self._labels = np.array(objects.labels, dtype=np.int32)[order]
        crowd, tracks = (np.array(objects.crowd, dtype=bool)[order], np.array(objects.tracks, dtype=np.int64)[order])
        self._crowd = crowd if crowd.any() else None
        self._tracks = tracks if (tracks >= 0).any() else None
        self._shapes = [objects.shapes.get(i, b"") for i in order.tolist()] if objects.shapes else None
        self._classes, self._unknown = classes, unknown

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Regions | None: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Regions | None, ...]: ...
    def __getitem__(self, index: int | slice) -> Regions | tuple[Regions | None, ...] | None:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        index = range(len(self))[index]
        if index in self._unknown:
            return None
        part = slice(int(self._starts[index]), int(self._starts[index + 1]))
        shapes = tuple(map(unpack, self._shapes[part])) if self._shapes is not None else ()
        return Detections(
            self._boxes[part],
            self._labels[part].astype(np.int64),
            self._classes,
            masks=shapes if any(shape is not None for shape in shapes) else None,
            crowd=self._crowd[part] if self._crowd is not None and self._crowd[part].any() else None,
            track_ids=self._tracks[part] if self._tracks is not None and (self._tracks[part] >= 0).any() else None,
        )

    def targets(self) -> list[tuple[str, ...] | None]:
        """The names of the classes that occur in every picture, in their order; None where there is no annotation."""
        known: dict[tuple[int, ...], tuple[str, ...]] = {}
        found: list[tuple[str, ...] | None] = []
        for index in range(len(self)):
            numbers = tuple(sorted(set(self._labels[self._starts[index] : self._starts[index + 1]].tolist())))
            names = known.setdefault(numbers, tuple(self._classes[i] for i in numbers))
            found.append(None if index in self._unknown else names)
        return found
