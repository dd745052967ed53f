"""From pixels to objects: which pixels of a class are one thing, where things touch.

A network says of every pixel how deep inside its object it lies. Places deeper than half are the cores, of which every
object has one; from the cores the rest of the foreground is flooded, the deepest first (watershed, Meyer 1994).
"""

from __future__ import annotations

import numpy as np

from photovision.core.regions import Detections, LabelMap
from photovision.core.shapes import Rle

CORE = 0.5
"""How deep a core is, of 1 in an object's middle."""
SMALLEST = 0.1
"""Cores of less than this share of the largest one in the same piece of foreground are noise: in a large object the
depth wavers. (On the nuclei's validation pictures the best of 0 to 0.3.)"""
_CORE = round(255 * CORE)


def separate(foreground: np.ndarray, depth: np.ndarray, least: int = 1) -> LabelMap:
    """Number the objects of a picture: int32 (H, W), from 1, 0 for none.

    Args:
        foreground: bool (H, W), the pixels that belong to objects.
        depth: uint8 (H, W), 0 at an object's edge to 255 in its middle.
        least: objects of fewer pixels are left out.

    Example:
        >>> separate(np.ones((1, 5), bool), np.uint8([[90, 255, 60, 255, 90]])).tolist()
        [[1, 1, 1, 2, 2]]
    """
    from scipy import ndimage
    from skimage.segmentation import watershed

    cores, count = ndimage.label(foreground & (depth > _CORE))
    pieces, _ = ndimage.label(foreground)
    cores = _without_noise(cores, pieces)
    # An object without a core (thin, or the network unsure) is one all the same.
    seeded = np.zeros(int(pieces.max()) + 1, dtype=bool)
    seeded[pieces[cores > 0]] = True
    lonely = foreground & ~seeded[pieces]
    markers = np.where(lonely, pieces + count, cores).astype(np.int32)
    numbers = watershed(255 - depth.astype(np.int16), markers, mask=foreground)
    sizes = np.bincount(numbers.ravel())
    kept = sizes >= max(least, 1)
    kept[0] = False
    table = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    found: LabelMap = table[numbers]
    return found


def _without_noise(cores: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """The cores without those that are tiny beside another one of the same piece."""
    areas = np.bincount(cores.ravel())
    areas[0] = 0
    piece_of = np.zeros(len(areas), dtype=np.int64)
    piece_of[cores.ravel()] = pieces.ravel()
    largest = np.zeros(int(pieces.max()) + 1)
    np.maximum.at(largest, piece_of, areas)
    kept = areas >= SMALLEST * largest[piece_of]
    return np.where(kept[cores], cores, 0)


def detections(numbers: LabelMap, labels: np.ndarray, sure: np.ndarray, classes: tuple[str, ...]) -> Detections:
    """The numbered objects with boxes, masks and scores.

    Args:
        numbers: int32 (H, W), 1 to N, 0 for none.
        labels: uint8 (H, W), the class of every pixel, from 1 for objects; the commonest one names the object.
        sure: uint8 (H, W), how probable that class is, of 255; an object's score is the mean.
        classes: names of the classes of objects.
    """
    from scipy import ndimage

    count = int(numbers.max())
    every = np.arange(1, count + 1)
    votes = np.zeros((count + 1, len(classes) + 1), dtype=np.int64)
    np.add.at(votes, (numbers.ravel(), labels.ravel()), 1)
    scores = ndimage.mean(sure, numbers, every) / 255 if count else np.zeros(0)
    boxes, masks = np.zeros((count, 4), dtype=np.float32), []
    for row, where in enumerate(ndimage.find_objects(numbers)):
        boxes[row] = where[1].start, where[0].start, where[1].stop, where[0].stop
        masks.append(_mask(numbers.shape, where, numbers[where] == row + 1))
    return Detections(
        boxes, votes[1:, 1:].argmax(1).astype(np.int64), classes, np.asarray(scores, dtype=np.float32), tuple(masks)
    )


def _mask(size: tuple[int, ...], where: tuple[slice, slice], inside: np.ndarray) -> Rle:
    """The runs of a mask given within its box, column after column, without looking at the rest of the picture."""
    height, width = size[0], size[1]
    columns, rows = np.nonzero(inside.T)
    places = (columns + where[1].start) * height + rows + where[0].start
    breaks = np.flatnonzero(np.diff(places) > 1)
    first, last = places[np.append(0, breaks + 1)], places[np.append(breaks, len(places) - 1)] + 1
    edges = np.concatenate([[0], np.stack([first, last], axis=1).ravel(), [height * width]])
    counts = np.diff(edges)
    return Rle((height, width), (counts if counts[-1] else counts[:-1]).astype(np.int64))
