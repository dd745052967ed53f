"""Outlines and masks of objects: polygons and run lengths, both small, both exact.

The run lengths are those of COCO: column after column, the first run is of background. Their compressed text is COCO's,
too (Lin et al., "Microsoft COCO", ECCV 2014; the code of its API is the only standard there is).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from photovision.core.errors import DataError
from photovision.core.types import Floats, Ints

Bools = npt.NDArray[np.bool_]
MAX_PIXELS = 250_000_000
MAX_SIDE = 1_000_000


@dataclass(frozen=True, eq=False)
class Polygons:
    """An object's outline as one polygon or several, one for each visible part.

    Attributes:
        parts: float32 (M, 2) each, M of 3 or more, x and y in pixels of the upright picture.

    Example:
        >>> Polygons((np.float32([[0, 0], [4, 0], [4, 2]]),)).box
        (0.0, 0.0, 4.0, 2.0)
    """

    parts: tuple[Floats, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise DataError("an outline should have at least one polygon, got none")
        for part in self.parts:
            if part.ndim != 2 or part.shape[1] != 2 or len(part) < 3 or not np.isfinite(part).all():
                raise DataError(f"a polygon should be at least 3 finite points (x, y), got an array {part.shape}")

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the smallest box around it."""
        points = np.concatenate(self.parts)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())

    def bitmap(self, size: tuple[int, int]) -> Bools:
        """bool (H, W): the pixels whose middle lies inside one of the polygons (even-odd rule)."""
        inside = np.zeros(size, dtype=bool)
        for part in self.parts:
            inside |= _filled(part.astype(np.float64), size)
        return inside

    def pack(self) -> bytes:
        """A compact form that `unpack` reads."""
        head = np.array([0, len(self.parts), *map(len, self.parts)], dtype="<i4")
        return head.tobytes() + b"".join(part.astype("<f4").tobytes() for part in self.parts)


@dataclass(frozen=True, eq=False)
class Rle:
    """A mask as the lengths of its runs, column after column; the first run is of background and may be 0.

    Attributes:
        size: (H, W) of the upright picture.
        counts: int64 (R,), 0 or more, which sum to H * W.

    Example:
        >>> mask = np.zeros((2, 3), bool); mask[0, 1] = True
        >>> Rle.of(mask).counts.tolist(), Rle.of(mask).box
        ([2, 1, 3], (1.0, 0.0, 2.0, 1.0))
    """

    size: tuple[int, int]
    counts: Ints

    def __post_init__(self) -> None:
        height, width = self.size
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and height * width <= MAX_PIXELS):
            raise DataError(f"a mask should have at most {MAX_PIXELS:,} pixels, got {height} x {width}")
        if self.counts.ndim != 1 or (self.counts < 0).any() or int(self.counts.sum()) != height * width:
            raise DataError(f"the run lengths of a mask should be 0 or more and sum to {height} x {width} pixels")

    @classmethod
    def of(cls, mask: Bools) -> Rle:
        """The runs of a bool mask (H, W)."""
        flat = np.asarray(mask, dtype=bool).T.ravel()
        ends = np.flatnonzero(np.diff(flat)) + 1
        edges = np.concatenate([[0], ends, [len(flat)]]) if not flat[0] else np.concatenate([[0, 0], ends, [len(flat)]])
        return cls((mask.shape[0], mask.shape[1]), np.diff(edges).astype(np.int64))

    @classmethod
    def read(cls, size: tuple[int, int], counts: Sequence[int] | str) -> Rle:
        """From COCO's numbers or its compressed text; raises DataError where they make no sense."""
        if isinstance(counts, str):
            return cls(size, _decompress(counts))
        try:
            return cls(size, np.array(counts, dtype=np.int64))
        except (ValueError, TypeError, OverflowError):
            raise DataError("the run lengths of a mask should be whole numbers of 0 or more") from None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the smallest box around it; zeros for an empty mask."""
        height = self.size[0]
        ends = np.cumsum(self.counts)
        first, last = ends[:-1:2], ends[1::2] - 1
        some = last >= first
        first, last = first[some], last[some]
        if not len(first):
            return (0.0, 0.0, 0.0, 0.0)
        columns = (int(first[0] // height), int(last[-1] // height))
        # A run over several columns touches the picture's upper and lower edge.
        over = first // height != last // height
        top = 0 if over.any() else int((first % height).min())
        bottom = height - 1 if over.any() else int((last % height).max())
        return (float(columns[0]), float(top), float(columns[1] + 1), float(bottom + 1))

    @property
    def area(self) -> int:
        """Pixels of the object."""
        return int(self.counts[1::2].sum())

    @property
    def text(self) -> str:
        """COCO's compressed text."""
        return _compress(self.counts)

    def bitmap(self, size: tuple[int, int] | None = None) -> Bools:
        """bool (H, W); raises DataError where the picture has another size."""
        if size is not None and tuple(size) != tuple(self.size):
            raise DataError(f"a mask of {self.size} does not fit a picture of {size} pixels (H, W)")
        values = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(values, self.counts).reshape(self.size[1], self.size[0]).T

    def pack(self) -> bytes:
        """A compact form that `unpack` reads."""
        return np.array([1, *self.size], dtype="<i4").tobytes() + self.counts.astype("<i4").tobytes()


Shape = Polygons | Rle


def unpack(content: bytes) -> Shape | None:
    """What `pack` made; None for b""."""
    if not content:
        return None
    words = np.frombuffer(content, dtype="<i4")
    if words[0] == 1:
        return Rle((int(words[1]), int(words[2])), words[3:].astype(np.int64))
    lengths = words[2 : 2 + words[1]].tolist()
    points = np.frombuffer(content, dtype="<f4", offset=4 * (2 + len(lengths))).reshape(-1, 2)
    return Polygons(tuple(np.split(points.astype(np.float32), np.cumsum(lengths)[:-1])))


def _filled(points: npt.NDArray[np.float64], size: tuple[int, int]) -> Bools:
    """One polygon: every edge switches its rows on or off from the first pixel whose middle lies to its right."""
    height, width = size
    switches = np.zeros((height, width + 1), dtype=np.int32)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = min(y1, y2), max(y1, y2)
        rows = np.arange(max(0, int(np.ceil(low - 0.5))), min(height, int(np.ceil(high - 0.5))))
        if len(rows):
            x = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            np.add.at(switches, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    return np.asarray(np.cumsum(switches, axis=1)[:, :width] % 2 == 1)


def _compress(counts: Ints) -> str:
    """Differences to the count two places before, five bits a letter, lowest first, as the COCO API writes them."""
    letters = []
    for place, count in enumerate(counts.tolist()):
        value = count - (int(counts[place - 2]) if place > 2 else 0)
        while True:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            letters.append(chr(48 + (bits | 0x20 if more else bits)))
            if not more:
                break
    return "".join(letters)


def _decompress(text: str) -> Ints:
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise DataError("the compressed text of a mask should be COCO's run lengths, but is damaged")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift or any(abs(count) > MAX_PIXELS for count in counts):
        raise DataError("the compressed text of a mask should be COCO's run lengths, but is damaged")
    return np.array(counts, dtype=np.int64)
