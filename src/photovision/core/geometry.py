"""Turning what was drawn on stored pixels upright, as EXIF turns the picture (Exif 2.32, tag 0x0112)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from photovision.core.shapes import Polygons, Rle, Shape
from photovision.core.types import Floats

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap height and width."""


def upright_points(points: Floats, size: tuple[int, int], orientation: int) -> Floats:
    """Points (..., 2), x and y on stored pixels of size (H, W), as points of the upright picture.

    Example:
        >>> upright_points(np.float32([[1, 0]]), (10, 20), 6)
        array([[10.,  1.]], dtype=float32)
    """
    height, width = size
    x, y = points[..., 0], points[..., 1]
    turned = {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }.get(orientation, (x, y))
    return np.stack(turned, axis=-1).astype(np.float32)


def upright_box(box: Floats, size: tuple[int, int], orientation: int) -> Floats:
    """A box (4,), x1, y1, x2, y2 on stored pixels of size (H, W), as a box of the upright picture."""
    corners = upright_points(box.reshape(2, 2), size, orientation)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def upright_values(values: npt.NDArray[np.generic], orientation: int) -> npt.NDArray[np.generic]:
    """An array (H, W) on stored pixels, turned like the picture."""
    turns = {
        2: lambda v: v[:, ::-1],
        3: lambda v: v[::-1, ::-1],
        4: lambda v: v[::-1],
        5: lambda v: v.T,
        6: lambda v: v[::-1].T,
        7: lambda v: v[::-1, ::-1].T,
        8: lambda v: v[:, ::-1].T,
    }
    return turns[orientation](values) if orientation in turns else values


def upright_shape(shape: Shape, size: tuple[int, int], orientation: int) -> Shape:
    """An outline or mask drawn on stored pixels of size (H, W), turned like the picture."""
    if isinstance(shape, Polygons):
        return Polygons(tuple(upright_points(part, size, orientation) for part in shape.parts))
    return Rle.of(upright_values(shape.bitmap(size), orientation).astype(bool))
