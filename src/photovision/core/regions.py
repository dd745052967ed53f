"""Annotations and predictions of one picture: boxes with classes and masks, or a class for every pixel.

The truth is a prediction without scores. Coordinates are pixels of the upright picture: x to the right, y down, (0, 0)
the upper left corner of the upper left pixel, so that a box over the whole picture is (0, 0, W, H).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from photovision.core.errors import DataError, UsageError
from photovision.core.pictured import SIDE, Pictured
from photovision.core.shapes import Shape
from photovision.core.types import Floats, Image, Ints

Bools = npt.NDArray[np.bool_]
LabelMap = npt.NDArray[np.int32]
LISTED = 12
"""Objects that a notebook lists."""
IGNORE = 255
"""The label of pixels that nobody judges."""


@dataclass(frozen=True, eq=False)
class Detections(Pictured):
    """N objects of one picture.

    Attributes:
        boxes: float32 (N, 4), x1, y1, x2, y2 in pixels, x1 <= x2 and y1 <= y2; they may reach outside the picture.
        labels: int64 (N,), index of the class of each.
        classes: names of the classes; () where only the numbers are known.
        scores: float32 (N,), 0 to 1; None for the truth.
        masks: the outline or mask of each, None where there is none; None where no object has one.
        crowd: bool (N,), objects that are not judged: COCO's crowds, what Pascal VOC calls difficult; None for none.
        track_ids: int64 (N,), the same number for the same object in other frames, -1 for unknown.

    Example:
        >>> found = Detections(np.float32([[0, 0, 10, 20]]), np.array([1]), ("cat", "dog"), np.float32([0.75]))
        >>> len(found), found.names, found.to_json()
        (1, ('dog',), [{'label': 'dog', 'score': 0.75, 'xyxy': [0.0, 0.0, 10.0, 20.0]}])
    """

    boxes: Floats
    labels: Ints
    classes: tuple[str, ...] = ()
    scores: Floats | None = None
    masks: tuple[Shape | None, ...] | None = None
    crowd: Bools | None = None
    track_ids: Ints | None = None

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.boxes.shape != (count, 4) or self.boxes.dtype != np.float32 or not np.isfinite(self.boxes).all():
            raise UsageError(
                f"boxes should be finite float32 ({count}, 4), one for each label, got {self.boxes.dtype}"
                f" {self.boxes.shape}"
            )
        if (self.boxes[:, 2:] < self.boxes[:, :2]).any():
            raise UsageError("boxes should be x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, but one is not")
        if self.labels.ndim != 1 or self.labels.dtype.kind != "i":
            raise UsageError(f"labels should be int64 (N,), got {self.labels.dtype} {self.labels.shape}")
        if self.classes and count and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise UsageError(f"labels should be 0 to {len(self.classes) - 1}, got up to {self.labels.max()}")
        for name in ("scores", "masks", "crowd", "track_ids"):
            value = getattr(self, name)
            if value is not None and len(value) != count:
                raise UsageError(f"{count} boxes need as many {name}, got {len(value)}")
        if self.scores is not None and not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise UsageError("scores should be 0 to 1")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The class name of every object, its number where no names are known."""
        return tuple(self.classes[i] if self.classes else str(i) for i in self.labels.tolist())

    def bitmaps(self, size: tuple[int, int]) -> Bools:
        """bool (N, H, W): the mask of every object in a picture of `size`; its box where it has no mask."""
        masks = np.zeros((len(self), *size), dtype=bool)
        for row, box in enumerate(self.boxes):
            shape = self.masks[row] if self.masks is not None else None
            if shape is not None:
                masks[row] = shape.bitmap(size)
                continue
            x1, y1, x2, y2 = np.clip(np.rint(box), 0, [size[1], size[0]] * 2).astype(int)
            masks[row, y1:y2, x1:x2] = True
        return masks

    def to_json(self) -> list[dict[str, Any]]:
        """`[{"label", "score", "xyxy"}]`; the truth has no "score"."""
        scores = [None] * len(self) if self.scores is None else self.scores.tolist()
        return [
            {"label": name, **({} if score is None else {"score": round(score, 6)}), "xyxy": [round(v, 3) for v in box]}
            for name, score, box in zip(self.names, scores, self.boxes.tolist(), strict=True)
        ]

    def json_fields(self, size: tuple[int, int]) -> dict[str, Any]:
        """What stands beside "file" in a result: `{"size": [h, w], "boxes": [{"label", "score", "xyxy"}]}`."""
        return {"size": list(size), "boxes": self.to_json()}

    def drawn(self, image: Image, side: int = SIDE) -> Image:
        """The objects drawn over the picture: boxes, names, masks."""
        from photovision.core.boxes import draw_regions

        return draw_regions(image, self, side)

    def html_facts(self) -> str:
        """How many objects of which class, and the first of them with their scores."""
        from photovision.core.notebook import paragraph, table
        from photovision.core.phrases import count

        rows = [
            (box["label"], *([f"{box['score']:.1%}"] if "score" in box else []), *(f"{v:,.0f}" for v in box["xyxy"]))
            for box in self.to_json()[:LISTED]
        ]
        columns = ("label", *(() if self.scores is None else ("score",)), "x1", "y1", "x2", "y2")
        more = f", the first {LISTED}" if len(self) > LISTED else ""
        listed = table(columns, rows) if rows else ""
        return paragraph(count(len(self), "object") + more, strong=True) + listed

    def digest(self) -> bytes:
        """Changes when a box, a class, a mask or anything else of it changes."""
        parts: list[npt.NDArray[np.generic] | None] = [self.boxes, self.labels, self.scores, self.crowd, self.track_ids]
        content = b"|".join(b"" if part is None else part.tobytes() for part in parts)
        masks = b"|".join(b"" if shape is None else shape.pack() for shape in self.masks or ())
        return hashlib.sha256(content + masks + repr(self.classes).encode("utf-8", "replace")).digest()


class LabelSource(Protocol):
    """Where a class for every pixel comes from when it is asked for."""

    def load(self) -> LabelMap:
        """int32 (H, W): the class of every pixel, IGNORE where nobody judges."""
        ...

    def digest(self) -> bytes:
        """Changes when the content changes."""
        ...


@dataclass(frozen=True, eq=False)
class Segmentation(Pictured):
    """A class for every pixel of one picture, loaded when it is asked for.

    Attributes:
        source: int32 (H, W) with 0-based classes, 255 where nobody judges; or a LabelSource that loads it.
        classes: names of the classes.
        instance_map: int32 (H, W), the same number for the pixels of one object, 0 for none; None where objects are
            not separated.
        objects: the objects with their masks, in the order of these numbers; None likewise.
        confidence: the mean probability of the predicted classes, 0 to 1; None for the truth.
        embedding: float32 (D,) of unit norm, by which whole pictures are compared; None where a model gives none.
        pixel_mm2: what a pixel covers in mm2, where the picture's file says so, as DICOM does; else None.

    Example:
        >>> Segmentation(np.int32([[0, 1], [255, 1]]), ("ground", "road")).names
        ('ground', 'road')
    """

    source: LabelMap | LabelSource
    classes: tuple[str, ...]
    instance_map: LabelMap | None = None
    objects: Detections | None = None
    confidence: float | None = None
    embedding: Floats | None = None
    pixel_mm2: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, np.ndarray):
            self._checked(self.source)

    @property
    def labels(self) -> LabelMap:
        """int32 (H, W); raises DataError where the file is gone or holds classes that do not exist."""
        return self.source if isinstance(self.source, np.ndarray) else self._checked(self.source.load())

    @property
    def names(self) -> tuple[str, ...]:
        """The classes that occur, in their order."""
        found = np.unique(self.labels)
        return tuple(self.classes[i] for i in found.tolist() if i != IGNORE)

    def areas(self) -> dict[str, float]:
        """Class -> its share of the picture, 0 to 1, of the classes that occur, in their order."""
        labels = self.labels
        counts = np.bincount(labels.ravel(), minlength=len(self.classes))[: len(self.classes)] / labels.size
        return {name: round(float(share), 6) for name, share in zip(self.classes, counts, strict=True) if share}

    def areas_mm2(self) -> dict[str, float] | None:
        """Class -> its area in mm2; None where the picture's file states no physical spacing."""
        if self.pixel_mm2 is None:
            return None
        whole = self.pixel_mm2 * self.labels.size
        return {name: round(share * whole, 3) for name, share in self.areas().items()}

    def json_fields(self, size: tuple[int, int]) -> dict[str, Any]:
        """What stands beside "file": "size", "areas", "areas_mm2" and "objects", how many, where they are known."""
        physical = self.areas_mm2()
        known = {} if physical is None else {"areas_mm2": physical}
        counted = {} if self.objects is None else {"objects": len(self.objects)}
        return {"size": list(size), "areas": self.areas(), **known, **counted}

    def drawn(self, image: Image, side: int = SIDE) -> Image:
        """The colour of every pixel's class laid over the picture."""
        from photovision.core.boxes import draw_regions

        return draw_regions(image, self, side)

    def html_facts(self) -> str:
        """The share of every class that occurs, the largest first, and how many objects there are."""
        from photovision.core.notebook import bars, paragraph
        from photovision.core.phrases import count

        objects = "" if self.objects is None else paragraph(count(len(self.objects), "object"), strong=True)
        return objects + bars(sorted(self.areas().items(), key=lambda pair: -pair[1])[:LISTED])

    def digest(self) -> bytes:
        """Changes when the class of a pixel changes."""
        source = self.source
        content = source.tobytes() + repr(source.shape).encode() if isinstance(source, np.ndarray) else source.digest()
        return hashlib.sha256(content + repr(self.classes).encode("utf-8", "replace")).digest()

    def _checked(self, labels: LabelMap) -> LabelMap:
        if labels.ndim != 2 or labels.dtype.kind not in "iu" or 0 in labels.shape:
            raise DataError(f"labels should be whole numbers (H, W), got {labels.dtype} {labels.shape}")
        known = labels[labels != IGNORE]
        if len(known) and not 0 <= known.min() <= known.max() < len(self.classes):
            raise DataError(f"labels should be 0 to {len(self.classes) - 1} or {IGNORE}, got up to {known.max()}")
        return labels.astype(np.int32, copy=False)


Regions = Detections | Segmentation


@dataclass(frozen=True, eq=False)
class Mask(Pictured):
    """Mask of one object, as a prompted segmenter predicts it.

    Attributes:
        mask: bool (H, W), True where it is.
        score: how well the mask fits, the network's own estimate of its overlap (IoU) with the true one, 0 to 1.
    """

    mask: Bools
    score: float

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """x1, y1, x2, y2 in pixels of the smallest box around the mask; None where the mask is empty.

        Example:
            >>> Mask(np.array([[False, True, True]]), 1.0).box
            (1, 0, 3, 1)
        """
        rows, columns = (np.flatnonzero(self.mask.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def drawn(self, image: Image, side: int = SIDE) -> Image:
        """The picture, dimmed outside of the mask."""
        from photovision.core.pictured import shrunk

        dimmed = np.where(self.mask[..., None], image, (image * 0.3).astype(np.uint8))
        return shrunk(np.asarray(dimmed, np.uint8), side)

    def html_facts(self) -> str:
        """How much of the picture it covers, and how well it fits by the network's own estimate."""
        from photovision.core.notebook import paragraph

        return paragraph(f"{self.mask.mean():.1%} of the picture, estimated overlap {self.score:.2f}")
