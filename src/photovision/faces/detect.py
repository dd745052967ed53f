"""Face detection: YuNet (Wu et al. 2023) on the whole picture, again at half the size, and on tiles of a large one.

The outputs are decoded as in OpenCV's FaceDetectorYN: a place of stride s in column c and row r has its centre at
(c + dx) s, (r + dy) s, its size is exp(w) s, exp(h) s, and its score the root of class times objectness.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from photovision.core.overlap import overlap
from photovision.core.types import Floats, Image
from photovision.models.face_graphs import SIZES, face_graph
from photovision.runtime.session import Prompted, open_session
from photovision.runtime.tiles import Tiling

SIDE = SIZES["yunet"]
SURE = 0.7
"""Score from which on a face is found."""
MAYBE = 0.35
"""Score from which on a face is covered, where one too many costs less than one too few."""
_STRIDES = (8, 16, 32)
_IOU, _INSIDE = 0.3, 0.6  # boxes that overlap so much, or lie so far in another one, are one face
_ENLARGED = 4.0  # small pictures are enlarged so many times at most
_BEFORE = 2000  # places that are compared with each other at most


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
        box: x1, y1, x2, y2 in pixels of the upright picture; it may reach beyond the border.
        points: float32 (5, 2), x and y in pixels: the eye on the left of the picture, the other eye, tip of the nose,
            the corner of the mouth on the left, and the other one.
        score: of the detection, 0 to 1.
    """

    box: tuple[float, float, float, float]
    points: Floats
    score: float

    @property
    def area(self) -> float:
        """Of its box, in pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    def inside(self, size: Sequence[int]) -> list[int]:
        """The part of its box within a picture of (H, W), in whole pixels: x1, y1, x2, y2."""
        return [int(np.clip(round(side), 0, size[1 - place % 2])) for place, side in enumerate(self.box)]


class View(NamedTuple):
    """What the network is shown: pixels uint8 (640, 640, 3); (x, y) of the picture is at scale * (x, y) + shift."""

    pixels: Image
    scale: float
    shift: tuple[float, float]


class FaceDetector:
    """YuNet; raises ModelError where its weights are not on this machine."""

    @cached_property
    def _session(self) -> Prompted:
        return open_session(face_graph("yunet"), allowed="f32", size=(SIDE, SIDE))

    def find(self, image: Image, *, least: float = SURE, tiles: bool = False) -> list[Face]:
        """Faces in an upright picture, the largest first.

        Args:
            image: uint8 RGB (H, W, 3).
            least: score from which on one is found.
            tiles: whether a picture larger than 640 pixels is also searched tile by tile, for small faces, and at half
                the size in any case, for large ones and those that the border cuts; else only where none is found.
        """
        found = self._faces([view_of(image)], least)
        if tiles or not found:
            found += self._faces([view_of(image, 0.5)], least)
        if tiles and max(image.shape[:2]) > SIDE:
            windows = Tiling((SIDE, SIDE), 0.25).windows((image.shape[0], image.shape[1]))
            for window in windows:
                left, top, right, bottom = (int(side) for side in window)
                part = self._faces([view_of(image[top:bottom, left:right])], least)
                found += [_moved(face, left, top) for face in part]
        return sorted(distinct(found), key=lambda face: -face.area)

    def lies(self, image: Image, face: Face) -> bool:
        """Whether a face stands on its side or its head: turned by quarters, it is found with a higher score.

        Such a face is found, but its points are not where they seem, so it resembles nobody.
        """
        across, down = face.box[2] - face.box[0], face.box[3] - face.box[1]
        x1, y1, x2, y2 = face.inside(image.shape)
        left, top = max(0, int(x1 - across)), max(0, int(y1 - down))
        part = image[top : int(y2 + down) + 1, left : int(x2 + across) + 1]
        views = (view_of(np.ascontiguousarray(np.rot90(part, quarters))) for quarters in range(4))
        scores = [max((one.score for one in self._faces([view], MAYBE)), default=0.0) for view in views]
        return max(scores[1:]) > scores[0]

    def _faces(self, views: Sequence[View], least: float) -> list[Face]:
        outputs = self._session.run(np.stack([view.pixels for view in views]))
        found: list[Face] = []
        for row, view in enumerate(views):
            boxes, points, scores = decoded({name: value[row] for name, value in outputs.items()}, least)
            shift = np.array(view.shift, np.float32)
            boxes = (boxes - np.tile(shift, 2)) / view.scale
            points = (points - shift) / view.scale
            for box, five, score in zip(boxes.tolist(), points, scores.tolist(), strict=True):
                found.append(Face((box[0], box[1], box[2], box[3]), five, score))
        return distinct(found)


def view_of(image: Image, share: float = 1.0) -> View:
    """A picture in the middle of the network's square, as large as it fits, or a share of that, the rest grey."""
    height, width = image.shape[:2]
    scale = share * min(SIDE / max(height, width), _ENLARGED)
    high, wide = max(1, round(height * scale)), max(1, round(width * scale))
    pixels = np.full((SIDE, SIDE, 3), 127, np.uint8)
    top, left = (SIDE - high) // 2, (SIDE - wide) // 2
    shown = Pillow.fromarray(np.ascontiguousarray(image))
    if (high, wide) != (height, width):
        shown = shown.resize((wide, high), Pillow.Resampling.BILINEAR, reducing_gap=2.0)
    pixels[top : top + high, left : left + wide] = np.asarray(shown)
    return View(pixels, scale, (float(left), float(top)))


def decoded(outputs: dict[str, np.ndarray], least: float) -> tuple[Floats, Floats, Floats]:
    """From the outputs for one picture to boxes (N, 4), points (N, 5, 2) and scores (N,), the most certain first."""
    every: list[tuple[Floats, Floats, Floats]] = []
    for stride in _STRIDES:
        # Rounding can push a product of two sigmoids beyond 1.
        cls, obj = (np.clip(outputs[f"{kind}_{stride}"][:, 0], 0, 1) for kind in ("cls", "obj"))
        scores = np.sqrt(cls * obj)
        rows = np.flatnonzero(scores >= least)
        across = SIDE // stride
        place = np.stack([rows % across, rows // across], axis=1).astype(np.float32)
        raw = outputs[f"bbox_{stride}"][rows]
        centre, half = (place + raw[:, :2]) * stride, np.exp(np.clip(raw[:, 2:], -9, 9)) * stride / 2
        points = (outputs[f"kps_{stride}"][rows].reshape(-1, 5, 2) + place[:, None]) * stride
        every.append((np.concatenate([centre - half, centre + half], axis=1), points, scores[rows]))
    boxes, points, scores = (np.concatenate(part) for part in zip(*every, strict=True))
    finite = np.isfinite(boxes).all(1) & np.isfinite(points).all((1, 2))
    order = np.flatnonzero(finite)[np.argsort(-scores[finite], kind="stable")][:_BEFORE]
    return boxes[order].astype(np.float32), points[order].astype(np.float32), scores[order].astype(np.float32)


def distinct(faces: Iterable[Face]) -> list[Face]:
    """One for each face, the most certain first: what overlaps a more certain one is left out."""
    order = sorted(faces, key=lambda face: -face.score)
    if not order:
        return []
    boxes = np.array([face.box for face in order], np.float32)
    same = (overlap(boxes, boxes) > _IOU) | (overlap(boxes, boxes, "smaller") > _INSIDE)
    kept: list[int] = []
    for row in range(len(order)):
        if not same[row, kept].any():
            kept.append(row)
    return [order[row] for row in kept]


def _moved(face: Face, left: float, top: float) -> Face:
    x1, y1, x2, y2 = face.box
    box = (x1 + left, y1 + top, x2 + left, y2 + top)
    return replace(face, box=box, points=face.points + np.array([left, top], np.float32))
