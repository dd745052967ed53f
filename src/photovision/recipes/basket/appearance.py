"""How things look: cut out of a picture, and compared by their colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from photovision.core.types import Floats, Image

Histogram = npt.NDArray[np.float64]
_MARK = (255, 220, 0)


def cut(image: Image, box: Floats | npt.NDArray[np.float64], around: float = 0.0) -> Image:
    """The part of a picture in a box (4,), x1, y1, x2, y2 in pixels, at least one pixel large.

    Args:
        image: uint8 RGB (H, W, 3).
        box: it may reach outside.
        around: how much more is shown on every side, as a share of the longer side of the box.
    """
    height, width = image.shape[:2]
    more = around * float(max(box[2] - box[0], box[3] - box[1]))
    x1, y1 = (int(np.clip(box[i] - more, 0, side - 1)) for i, side in ((0, width), (1, height)))
    x2, y2 = (
        int(np.clip(np.ceil(box[i] + more), least + 1, side)) for i, least, side in ((2, x1, width), (3, y1, height))
    )
    return image[y1:y2, x1:x2]


def marked(image: Image, box: Floats, around: float = 1.0) -> Image:
    """A copy of the surroundings of a box with the box drawn: what a person needs to see of it, and little more."""
    page = image.copy()
    x1, y1, x2, y2 = np.clip(np.rint(box), 0, [image.shape[1] - 1, image.shape[0] - 1] * 2).astype(int).tolist()
    page[[y1, y2], x1 : x2 + 1] = _MARK
    page[y1 : y2 + 1, [x1, x2]] = _MARK
    return cut(page, box, around).copy()


def colours(image: Image) -> Histogram:
    """float64 (64,): the share of the pixels of an uint8 RGB picture in every of 4 x 4 x 4 colours.

    Example:
        >>> black = np.zeros((4, 4, 3), np.uint8)
        >>> float(colours(black)[0])
        1.0
    """
    parts = (image.reshape(-1, 3) >> 6).astype(np.int64)
    return np.bincount(parts @ [16, 4, 1], minlength=64) / max(1, len(parts))


def alike(one: Histogram, other: Histogram) -> float:
    """How much two histograms have in common, 0 to 1 (Swain and Ballard 1991)."""
    return float(np.minimum(one, other).sum())
