"""Cover: faces made unrecognisable, for good; a plain blur is left out, since much of it can be undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UsageError
from photovision.core.types import Image

How = Literal["solid", "pixels"]
"""How faces are covered: in black, or by squares of which there are five across a face."""
Box = tuple[float, float, float, float]
MARGIN = 0.3
"""Share of a box's sides by which it is widened on every side: a detector's box ends at the forehead and the ears."""
_SQUARES = 5


def checked_how(how: str) -> How:
    """How faces are covered; raises UsageError."""
    for known in get_args(How):
        if how == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(f"faces are covered in {' or '.join(get_args(How))}, got {how}")


def covered(image: Image, boxes: Iterable[Box], how: How = "solid") -> Image:
    """A copy of a picture uint8 RGB (H, W, 3) in which boxes, each with a margin, cannot be recognised."""
    shown = np.array(image, np.uint8)
    for box in boxes:
        x1, y1, x2, y2 = widened(box, image.shape)
        if x2 > x1 and y2 > y1:
            shown[y1:y2, x1:x2] = 0 if how == "solid" else _squares(image[y1:y2, x1:x2])
    return shown


def widened(box: Box, size: Sequence[int]) -> tuple[int, int, int, int]:
    """A box with its margin, within a picture of (H, W): x1, y1, x2, y2 in whole pixels."""
    x1, y1, x2, y2 = box
    across, down = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    sides = (np.floor(x1 - across), np.floor(y1 - down), np.ceil(x2 + across), np.ceil(y2 + down))
    limits = (size[1], size[0], size[1], size[0])
    left, top, right, bottom = (int(np.clip(side, 0, limit)) for side, limit in zip(sides, limits, strict=True))
    return left, top, right, bottom


def _squares(part: Image) -> Image:
    """A part of a picture in squares of one colour, in steps of 16, so that the frames of a video add little."""
    height, width = part.shape[:2]
    shown = Pillow.fromarray(np.ascontiguousarray(part))
    few = np.asarray(shown.resize((min(_SQUARES, width), min(_SQUARES, height)), Pillow.Resampling.BOX)) // 16 * 16 + 8
    return np.asarray(Pillow.fromarray(few.astype(np.uint8)).resize((width, height), Pillow.Resampling.NEAREST))
