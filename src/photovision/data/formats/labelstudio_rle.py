"""Label Studio's brush masks: run lengths of the bytes of an RGBA picture, packed into bits.

A head of 32 bits counts the bytes; 5 bits give the width of a byte less 1, four times 4 bits the widths of run lengths
less 1. Then come runs: a bit tells whether one value is repeated, 2 bits choose the width of the length, the length
less 1 follows, then the value or the values. A pixel belongs to the mask where its fourth byte is above 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.shapes import MAX_PIXELS, Rle

_WIDTHS = (3, 4, 8, 16)
_LONGEST = 1 << 16


class _Bits:
    """Reads whole numbers of a few bits from bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at, self.end = content, 0, 8 * len(content)

    def read(self, width: int) -> int:
        first, last = self.at // 8, (self.at + width + 7) // 8
        if self.at + width > self.end:
            raise DataError("the run lengths of a brush end too early")
        word = int.from_bytes(self.content[first:last], "big")
        self.at += width
        return word >> (8 * last - self.at) & ((1 << width) - 1)


def read_brush(value: Any, size: tuple[int, int]) -> Rle:
    """The mask of a picture of (H, W) pixels from Label Studio's list of bytes; raises DataError where it is none."""
    height, width = size
    if height * width > MAX_PIXELS:
        raise DataError(f"a brush should have at most {MAX_PIXELS:,} pixels")
    try:
        bits = _Bits(bytes(value)) if isinstance(value, list) else None
    except (ValueError, TypeError):
        bits = None
    if bits is None:
        raise DataError("the run lengths of a brush should be a list of bytes")
    count = bits.read(32)
    if count != 4 * height * width:
        raise DataError(f"a brush should cover 4 bytes for each of {height} x {width} pixels, got {count:,}")
    word = bits.read(5) + 1
    widths = [bits.read(4) + 1 for _ in range(4)]
    filled = np.zeros(count, dtype=bool)
    at = 0
    while at < count:
        repeated = bits.read(1)
        end = at + 1 + bits.read(widths[bits.read(2)])
        if end > count:
            raise DataError("the run lengths of a brush go on beyond its picture")
        if repeated:
            filled[at:end] = bits.read(word) > 0
        else:
            for place in range(at, end):
                filled[place] = bits.read(word) > 0
        at = end
    return Rle.of(filled[3::4].reshape(height, width))


def write_brush(shape: Rle) -> list[int]:
    """Label Studio's list of bytes of a mask."""
    counts = Rle.of(shape.bitmap().T).counts  # row after row
    words: list[tuple[int, int]] = [(4 * shape.size[0] * shape.size[1], 32), (7, 5), *((w - 1, 4) for w in _WIDTHS)]
    for place, run in enumerate((4 * counts).tolist()):
        while run > 0:
            length = min(run, _LONGEST)
            words += [(1, 1), (3, 2), (length - 1, 16), (255 * (place % 2), 8)]
            run -= length
    text = "".join(f"{value:0{width}b}" for value, width in words)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))
