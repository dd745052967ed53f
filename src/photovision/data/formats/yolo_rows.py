"""What the rows of YOLO's label files mean: one rule for a whole data set, never one for each row.

    0 0.5 0.5 0.2 0.3                      class, centre x, y, width, height as shares of the picture
    0 0.5 0.5 0.2 0.3 0.91                 the same with a confidence or the number of a track, which is left out
    0 0.1 0.1 0.9 0.1 0.5 0.8              a polygon of 3 points or more; of 4: also a turned box
    0 0.5 0.5 0.2 0.3 0.4 0.4 2 0.6 0.6 1  a box with key points, which are left out

A row with key points looks like a polygon. It is one where `kpt_shape` of data.yaml says so, or where all rows are of
one length and each is a box around points with a visibility of 0, 1 or 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from photovision.core.errors import DataError
from photovision.core.shapes import Shape
from photovision.data.coordinates import Size, number, polygons

SAMPLED_FILES = 200
SAMPLED_ROWS = 50
MAX_LINE = 1 << 20
_NEAR = 0.02
_PIXELS = 2.0
"""Shares above this are pixels."""


@dataclass(frozen=True)
class Rows:
    """How rows are read.

    Attributes:
        key_points: how many numbers after the box are key points, 0 where there are none.
        confidence: whether polygons end with a confidence.
        note: what was concluded from the rows themselves, "" where nothing was.
    """

    key_points: int = 0
    confidence: bool = False
    note: str = ""

    def parse(self, line: str, size: Size) -> tuple[int, list[float] | None, Shape | None, str]:
        """Class, box or shape in pixels of a picture of (H, W), and what of the row is left out; raises DataError."""
        cells = line.split()
        values = [number(cell) for cell in cells]
        numbers = values[1:]
        if not values or any(map(math.isnan, values)) or values[0] != int(values[0]) or values[0] < 0:
            raise DataError("expected the number of a class and finite numbers")
        height, width = size
        if len(numbers) in (4, 5) or (self.key_points and len(numbers) - 4 - self.key_points in (0, 1)):
            x, y, w, h = numbers[0] * width, numbers[1] * height, numbers[2] * width, numbers[3] * height
            left_out = "" if len(numbers) == 4 else "a sixth number" if len(numbers) == 5 else "key points"
            return int(values[0]), [x - w / 2, y - h / 2, x + w / 2, y + h / 2], None, left_out
        points = numbers[:-1] if self.confidence else numbers
        if self.key_points or len(points) < 6 or len(points) % 2:
            raise DataError(
                f"expected a class with x, y, width, height{self._more()}, got {len(numbers)} numbers after the class"
            )
        scaled = [value * (height if i % 2 else width) for i, value in enumerate(points)]
        return int(values[0]), None, polygons([scaled]), "a confidence" if self.confidence else ""

    def _more(self) -> str:
        return f" and {self.key_points} of key points" if self.key_points else ", or with the points of a polygon"


def is_row(line: str) -> bool:
    """Whether a line may be one of YOLO's: a class and 4 finite shares or more, commas left aside."""
    values = [number(cell) for cell in line.split()[:400]]
    return (
        len(values) >= 5
        and not any(map(math.isnan, values))
        and values[0] >= 0
        and values[0] == int(values[0])
        and all(-1 <= value <= _PIXELS for value in values[1:5])
    )


def rows_of(files: Iterable[Path], key_points: int) -> Rows:
    """How the rows of a data set are read, from a sample of them.

    Args:
        files: label files, of which the first `SAMPLED_FILES` that have rows are looked at.
        key_points: what data.yaml says of them, 0 where it says nothing.

    Raises:
        DataError: the numbers are pixels, or boxes have an angle.
    """
    sample = list(_sample(files))
    boxes = [row[:4] for row in sample if len(row) in (4, 5)]
    if boxes and sum(max(row) > _PIXELS for row in boxes) * 2 > len(boxes):
        raise DataError(
            "the label files hold pixels, but YOLO's numbers are shares of the picture, 0 to 1: divide x and width by"
            f" the picture's width, y and height by its height (a row: {_shown(boxes[0])})"
        )
    sixth = [row[4] for row in sample if len(row) == 5]
    if any(not 0 <= value <= 1 and value != int(value) for value in sixth):
        odd = next(value for value in sixth if not 0 <= value <= 1 and value != int(value))
        raise DataError(
            f"the sixth number of a row should be a confidence or a track, got {odd:g}: a box with an angle is not"
            " known here, export its 4 corners (OBB)"
        )
    if key_points:
        return Rows(key_points)
    long = [row for row in sample if len(row) > 5]
    length = len(long[0]) if long and len(long) == len(sample) else 0
    if length > 6 and all(len(row) == length and _pose(row) for row in long):
        return Rows(length - 4, note=f"all rows are boxes with {length - 4} numbers of key points, which are left out")
    return Rows(confidence=bool(long) and all(len(row) % 2 for row in long))


def _sample(files: Iterable[Path]) -> Iterable[list[float]]:
    """The numbers after the class of some rows."""
    used = 0
    for file in files:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            head = [line for _ in range(SAMPLED_ROWS) if (line := lines.readline(MAX_LINE))]
        rows = [[number(cell) for cell in line.split()] for line in head]
        good = [row[1:] for row in rows if len(row) >= 5 and not any(map(math.isnan, row))]
        yield from good
        used += bool(good)
        if used == SAMPLED_FILES:
            return


def _pose(row: Sequence[float]) -> bool:
    """Whether the first four numbers are a box around key points x, y, visibility (0, 1 or 2)."""
    x, y, w, h = row[:4]
    points = [row[at : at + 3] for at in range(4, len(row), 3)]
    return (
        (len(row) - 4) % 3 == 0
        and all(point[2] in (0, 1, 2) for point in points)
        and all(
            abs(point[0] - x) <= w / 2 + _NEAR and abs(point[1] - y) <= h / 2 + _NEAR
            for point in points
            if point[0] or point[1]  # 0, 0 is one that cannot be seen
        )
    )


def _shown(row: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in row)
