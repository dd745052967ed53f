"""A small shop for tests: things cut out of photographs, moved over a photograph, with known truth.

The photographs come with scikit-image. Things are found by a real if simple detector: normalised correlation with their
own pictures, so that what is hidden scores lower or is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from photovision.core.regions import Detections

SIZE = (120, 240)
"""(H, W) of a frame."""
CLASSES = ("cup", "cat", "person")
SHELF = ((0.0, 0.0), (0.35, 0.0), (0.35, 1.0), (0.0, 1.0))
BASKET = ((0.65, 0.0), (1.0, 0.0), (1.0, 1.0), (0.65, 1.0))
ZONES = {"shelf": SHELF, "basket": BASKET}
SIDE = 26
Way = Callable[[int], tuple[float, float] | None]
"""From the frame's number to the middle of a thing; None where it is not in the picture."""


@cache
def photographs() -> tuple[Any, dict[str, Any]]:
    """The ground, uint8 (H, W, 3), and the pictures of the things: of a cup, of a cat's face, of a person's."""
    from PIL import Image
    from skimage import data

    def small(picture: Any, box: tuple[int, int, int, int], size: tuple[int, int]) -> Any:
        return np.asarray(Image.fromarray(picture).crop(box).resize(size[::-1], Image.Resampling.LANCZOS))

    ground = np.repeat(data.brick()[..., None], 3, axis=2)
    things = {
        "cup": small(data.coffee(), (200, 60, 450, 310), (SIDE, SIDE)),
        "cat": small(data.chelsea(), (120, 40, 300, 220), (SIDE, SIDE)),
        "person": small(data.astronaut(), (150, 0, 300, 150), (2 * SIDE, 2 * SIDE)),
    }
    return small(ground, (0, 0, 512, 256), SIZE), things


def frame(places: Sequence[tuple[str, tuple[float, float] | None]], seed: int = 0) -> Any:
    """uint8 (H, W, 3): things (class, middle) over the ground, the later ones in front, with a camera's noise."""
    ground, things = photographs()
    page = ground.copy()
    for name, middle in places:
        if middle is None:
            continue
        thing = things[name]
        high, wide = thing.shape[:2]
        left, top = round(middle[0] - wide / 2), round(middle[1] - high / 2)
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + wide, SIZE[1]), min(top + high, SIZE[0])
        if x2 > x1 and y2 > y1:
            page[y1:y2, x1:x2] = thing[y1 - top : y2 - top, x1 - left : x2 - left]
    noise = np.random.default_rng(seed).normal(0, 3, page.shape)
    return np.clip(page + noise, 0, 255).astype(np.uint8)


def film(things: Sequence[tuple[str, Way]], count: int) -> list[Any]:
    """Frames of things that go their ways, the later ones in front."""
    return [frame([(name, way(i)) for name, way in things], i) for i in range(count)]


def carried(stops: Mapping[int, tuple[float, float]]) -> Way:
    """A way through places at frames, in straight lines; at rest before and after.

    Example:
        >>> carried({0: (0, 0), 10: (10, 20)})(5)
        (5.0, 10.0)
    """
    numbers = sorted(stops)
    x, y = ([stops[number][axis] for number in numbers] for axis in (0, 1))
    return lambda i: (float(np.interp(i, numbers, x)), float(np.interp(i, numbers, y)))


def find(images: Sequence[Any]) -> list[Detections]:
    """What is where: places at which the correlation with a thing's picture is a peak."""
    return [_find(image) for image in images]


def _find(image: Any, least: float = 0.6) -> Detections:
    from skimage.feature import match_template, peak_local_max

    boxes, labels, scores = [], [], []
    for label, name in enumerate(CLASSES):
        thing = photographs()[1][name]
        near = np.mean([match_template(a, b) for a, b in zip(_half(image), _half(thing), strict=True)], axis=0)
        for top, left in 2 * peak_local_max(near, min_distance=4, threshold_abs=least, exclude_border=False):
            boxes.append((left, top, left + thing.shape[1], top + thing.shape[0]))
            labels.append(label)
            scores.append(min(1.0, near[top // 2, left // 2]))
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), CLASSES, np.array(scores, np.float32)
    )


def _half(image: Any) -> Any:
    """Red and blue, 0 to 1, (2, H / 2, W / 2): colours tell things apart, and half the size is less work."""
    high, wide = image.shape[0] // 2, image.shape[1] // 2
    return image.reshape(high, 2, wide, 2, 3).mean((1, 3))[..., ::2].transpose(2, 0, 1) / 255


@dataclass(frozen=True)
class Truth:
    """A move that happened: its kind, class, and the frames in which it went on."""

    kind: str
    label: str
    frames: tuple[int, int]


def agreement(told: Sequence[Any], truth: Sequence[Truth], rate: float, slack: float = 0.6) -> tuple[int, int, int]:
    """Moves that are right, told moves, true ones: right is a move of the kind and class within the time."""
    left = list(truth)
    right = 0
    for move in told:
        for one in left:
            within = one.frames[0] / rate - slack <= move.time <= one.frames[1] / rate + slack
            if (one.kind, one.label) == (move.kind, move.label) and within:
                left.remove(one)
                right += 1
                break
    return right, len(told), len(truth)
