"""Views of pictures in which boxes move with the pixels: windows, mirrored, in other colours.

The truth of a view is float32 (N, 5): the class of every object and its box, x1, y1, x2, y2 in pixels of the view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from photovision.core.files import read_file
from photovision.core.image import read_header
from photovision.core.preprocess import Preprocess
from photovision.core.regions import Detections
from photovision.core.types import Floats, Image, Sample
from photovision.core.window import Window, crop_boxes, rescaled
from photovision.data.augment.image import Augment

UNJUDGED = -2
"""The class of what is not judged: crowds, and objects of which a view shows too little to name them."""


@dataclass(frozen=True)
class Draw:
    """What a view shows: a part of the picture (left, top, right, bottom), mirrored or not."""

    window: Window
    sideways: bool = False
    upside_down: bool = False

    def pixels(self, picture: Pillow.Image, size: tuple[int, int], preprocess: Preprocess) -> Image:
        """The view, uint8 (h, w, 3), before its colours are varied.

        Args:
            picture: upright, RGB; it may have been decoded smaller than `size`.
            size: (H, W) of the whole picture, whose pixels the boxes are given in.
            preprocess: the size of the view.
        """
        image = shown(picture, size, self.window, preprocess)
        image = image[:, ::-1] if self.sideways else image
        return np.ascontiguousarray(image[::-1] if self.upside_down else image)

    def truth(self, found: Detections, preprocess: Preprocess) -> Floats:
        """The truth of the view, float32 (N, 5)."""
        height, width = preprocess.size
        rows = targets_in_window(found, self.window, preprocess.size)
        if self.sideways:
            rows[:, [1, 3]] = width - rows[:, [3, 1]]
        if self.upside_down:
            rows[:, [2, 4]] = height - rows[:, [4, 2]]
        return rows


@dataclass(frozen=True)
class BoxAugmenter:
    """How pictures with boxes are varied for a network that learns.

    Attributes:
        augment: what is varied of the pixels; `scale`, `ratio` and `flip` move the boxes, too.
        turn: whether views are also turned upside down, where up and down mean nothing (microscopy, aerial pictures).
        mosaic: share of the views that are put together from four pictures, see `photovision.data.augment.mosaic`.

    Example:
        >>> found = Detections(np.float32([[0, 0, 20, 30]]), np.array([1]))
        >>> view, preprocess = BoxAugmenter(Augment(scale=1, ratio=1, flip=False)), Preprocess((60, 40))
        >>> draw = view.draw((30, 40), np.random.default_rng(0))
        >>> draw.pixels(Pillow.new("RGB", (40, 30)), (30, 40), preprocess).shape, draw.truth(found, preprocess).tolist()
        ((60, 40, 3), [[1.0, 0.0, 0.0, 20.0, 60.0]])
    """

    augment: Augment
    turn: bool = False
    mosaic: float = 0.0

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> Draw:
        """What is shown of a picture of `size` (H, W), and how it is turned."""
        return self.turned(self.augment.window((size[1], size[0]), rng), rng)

    def turned(self, window: Window, rng: np.random.Generator) -> Draw:
        """A window of a picture, mirrored or not."""
        return Draw(window, self.augment.flip and rng.random() < 0.5, self.turn and rng.random() < 0.5)

    def recolour(self, image: Image, rng: np.random.Generator) -> Image:
        """A view in other colours, disturbed where that is asked for."""
        return self.augment.disturb(self.augment.recolour(image, rng), rng)


def shown(picture: Pillow.Image, size: tuple[int, int], window: Window, preprocess: Preprocess) -> Image:
    """A part of a picture at the preprocessing's size.

    Args:
        picture: upright, RGB; it may have been decoded smaller than `size`.
        size: (H, W) of the whole picture.
        window: (left, top, right, bottom) of the part, in pixels of the whole picture.
        preprocess: the size of the result.
    """
    return preprocess.resize(picture, rescaled(window, size, (picture.height, picture.width)))


def targets_in_window(found: Detections, window: Window, size: tuple[int, int]) -> Floats:
    """The truth of a part of a picture, float32 (N, 5), for a view of `size` (H, W).

    Example:
        >>> whole = Detections(np.float32([[0, 0, 10, 10], [0, 0, 90, 10], [85, 0, 95, 10]]), np.array([0, 1, 2]))
        >>> targets_in_window(whole, (80, 0, 100, 20), (20, 20)).tolist()
        [[-2.0, 0.0, 0.0, 10.0, 10.0], [2.0, 5.0, 0.0, 15.0, 10.0]]
    """
    part = crop_boxes(found, window, size)
    labels = part.labels if part.crowd is None else np.where(part.crowd, UNJUDGED, part.labels)
    return np.column_stack([labels, part.boxes]).astype(np.float32)


def open_whole(sample: Sample, preprocess: Preprocess) -> tuple[Pillow.Image, tuple[int, int]]:
    """A sample's upright picture, with enough pixels for windows of it, and the (H, W) of the whole."""
    if isinstance(sample.image, np.ndarray):
        return Pillow.fromarray(sample.image), (sample.image.shape[0], sample.image.shape[1])
    size = read_header(read_file(sample.image)).size
    return preprocess.open(sample, (2 * preprocess.size[0], 2 * preprocess.size[1])), size
