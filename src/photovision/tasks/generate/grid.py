"""Images side by side in one."""

from __future__ import annotations

import numpy as np

from photovision.core.types import Image


def grid(images: Image, scale: int = 1, columns: int = 8) -> Image:
    """Images of one size in rows, uint8 (H, W, 3); places that are left over are white.

    Args:
        images: uint8 (N, h, w, 3), N of 1 or more.
        scale: whole times that every image is enlarged.
        columns: images of a row, at most.

    Example:
        >>> grid(np.zeros((3, 2, 2, 3), np.uint8), columns=2).shape
        (4, 4, 3)
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = images.shape[1:3]
    full = np.full((rows * columns, height, width, 3), 255, np.uint8)
    full[: len(images)] = images
    joined = full.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    return joined.repeat(scale, 0).repeat(scale, 1)
