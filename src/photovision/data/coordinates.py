"""Numbers, sizes and outlines as annotation files of any format give them, checked before they are used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.shapes import MAX_SIDE, Polygons

LARGEST = 1e7
"""Coordinates beyond this many pixels are mistakes."""
ELLIPSE_POINTS = 32
"""Corners of the polygon that stands for an ellipse."""
Size = tuple[int, int]
Point = tuple[float, float]


def numbers(value: Any, least: int, most: int | None = None) -> list[float] | None:
    """A list of `least` to `most` finite numbers of sensible size as floats; None for anything else."""
    if not isinstance(value, list | tuple) or not least <= len(value) <= (least if most is None else most):
        return None
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float) or not -LARGEST < one < LARGEST:
            return None  # NaN compares with nothing
    return [float(one) for one in value]


def number(text: Any) -> float:
    """A cell of a text file as a number of sensible size; NaN for anything else."""
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return value if -LARGEST < value < LARGEST else math.nan


def size_of(height: Any, width: Any) -> Size | None:
    """(H, W) that a file declares; None where it says nothing of use."""
    sides = [number(side) for side in (height, width)]
    if not all(1 <= side <= MAX_SIDE for side in sides):
        return None
    return round(sides[0]), round(sides[1])


def polygons(rings: Sequence[Sequence[float]]) -> Polygons:
    """An outline from rings x1, y1, x2, y2, ...; raises DataError where one has fewer than 3 points."""
    parts = []
    for ring in rings:
        if len(ring) < 6 or len(ring) % 2:
            raise DataError(f"a polygon should be x and y of at least 3 points, got {len(ring)} numbers")
        parts.append(np.array(ring, dtype=np.float32).reshape(-1, 2))
    return Polygons(tuple(parts))


def rotated_box(box: Sequence[float], degrees: float, pivot: Point | None = None) -> Polygons:
    """The outline of a box x1, y1, x2, y2 that is turned clockwise about `pivot`, its centre if None.

    Example:
        >>> rotated_box([0, 0, 4, 2], 90).box
        (1.0, -1.0, 3.0, 3.0)
    """
    x1, y1, x2, y2 = box
    x, y = pivot if pivot is not None else ((x1 + x2) / 2, (y1 + y2) / 2)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(a - x, b - y) for a, b in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
    return polygons([[v for a, b in corners for v in (x + a * cos - b * sin, y + a * sin + b * cos)]])


def ellipse(centre: Point, radii: Point, degrees: float = 0.0) -> Polygons:
    """An ellipse, turned clockwise, as a polygon of `ELLIPSE_POINTS` corners that lie on it; raises DataError if empty.

    Example:
        >>> ellipse((5, 5), (2, 1)).box
        (3.0, 4.0, 7.0, 6.0)
    """
    if not min(radii) > 0:
        raise DataError(f"a circle or an ellipse should have a radius above 0, got {radii[0]:g} and {radii[1]:g}")
    angles = np.arange(ELLIPSE_POINTS) * (2 * math.pi / ELLIPSE_POINTS)
    along, across = radii[0] * np.cos(angles), radii[1] * np.sin(angles)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    points = np.stack([centre[0] + along * cos - across * sin, centre[1] + along * sin + across * cos], axis=1)
    return Polygons((points.astype(np.float32),))
