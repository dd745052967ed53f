"""Which pictures are frames of one video? What names and folders tell, and no more than they tell.

    street_frame_0001.jpg, street_frame_0002.jpg        the word "frame" tells
    clip1/0001.jpg, clip1/0002.jpg, clip2/0001.jpg      numbers in a row, in more than one folder
    walk_0001.jpg, walk_0002.jpg, run_0001.jpg          numbers in a row, under more than one name

Frames that follow each other look alike, so a video must be on one side of a split. Camera names (IMG_0001.jpg) and
names that all pictures share tell nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

_FRAME = re.compile(r"^(.*?)[ _.\-]*frame[ _.\-]*(\d+)$", re.IGNORECASE)
_NUMBERED = re.compile(r"^(.*?)[ _.\-]*(\d{2,})$")
_CAMERAS = frozenset(
    ("img", "dsc", "dscn", "dscf", "p", "pxl", "image", "photo", "picture", "pic", "dji", "gopr", "mvi")
)
_FOLDERS = frozenset(("images", "jpegimages", "train", "val", "valid", "test", "data", "default", ""))
MIN_FRAMES = 3
"""So many numbers in a row make a video."""


def videos(files: Sequence[str]) -> list[str]:
    """The video that every picture is a frame of, "" where nothing tells.

    Args:
        files: paths relative to the data set, with forward slashes.

    Example:
        >>> videos(["a_frame_1.jpg", "a_frame_2.jpg", "b.jpg"])
        ['a', 'a', '']
    """
    found = [""] * len(files)
    rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for position, file in enumerate(files):
        folder, _, name = file.rpartition("/")
        stem = name.rpartition(".")[0] or name
        inside = folder.rpartition("/")[2]
        inside = "" if inside.lower() in _FOLDERS else inside
        if match := _FRAME.match(stem):
            found[position] = "/".join(part for part in (inside, match[1]) if part)
        elif match := _NUMBERED.match(stem):
            prefix = match[1]
            if (prefix or inside) and prefix.lower() not in _CAMERAS:
                rows["/".join(part for part in (inside, prefix) if part)].append((int(match[2]), position))
    series = {name: numbers for name, numbers in rows.items() if _in_a_row(numbers)}
    # One name for all pictures is the data set's, not a video's.
    if len(series) > 1:
        for name, numbers in series.items():
            for _, position in numbers:
                found[position] = name
    return found


def _in_a_row(numbers: list[tuple[int, int]]) -> bool:
    """Whether the numbers follow each other at a steady step, but for a few gaps."""
    values = sorted({number for number, _ in numbers})
    if len(values) < MIN_FRAMES:
        return False
    steps = [after - before for before, after in pairwise(values)]
    usual = sorted(steps)[len(steps) // 2]
    return sum(step == usual for step in steps) >= 0.8 * len(steps)
