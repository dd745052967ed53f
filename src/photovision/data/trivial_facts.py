"""Facts about pictures that say nothing of what is shown: number in the file name, size, header, corners, brightness.

A class that they predict can be named without looking (Lapuschkin et al., Nature Communications 2019; DeGrave et al.,
Nature Machine Intelligence 2021): `photovision.trust.robustness.trivial_predictors` measures how well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import read_file
from photovision.core.image import captured, open_sample, read_header
from photovision.core.parallel import in_order
from photovision.core.types import Floats, Ints, Sample
from photovision.data.dataset import Dataset

NUMBER, SIZE, HEADER = "the number in the file name", "the size in pixels", "the file's header"
CORNERS, BRIGHTNESS, THUMBNAIL = "the four corners", "mean and spread of the grey values", "a 16 x 16 thumbnail"
OUTSIDE = (NUMBER, SIZE, HEADER)
"""Facts that lie outside the picture."""
DEVICES = frozenset(("device", "camera", "scanner", "manufacturer", "hospital", "institution", "station"))
"""Attributes that are part of the header: which apparatus of which place made the picture."""
MAX_PICTURES = 1000
_SIDE, _CORNER, _PATCH = 16, 8, 4
"""Sides of the thumbnail; parts of a side that a corner takes; of the grid within it."""
_FULL = 16 * _CORNER
_NUMBERS = re.compile(r"\d{1,18}")


@dataclass(frozen=True, eq=False)
class TrivialFacts:
    """Facts about N pictures.

    Attributes:
        positions: int64 (N,), where they stand in the data set.
        blocks: name of a kind of facts -> float32 (N, D); kinds of which all pictures are alike are left out.
    """

    positions: Ints
    blocks: dict[str, Floats]


class _Header(NamedTuple):
    size: tuple[int, int]
    kind: tuple[str, ...]


def trivial_facts(
    dataset: Dataset, positions: Ints, max_pictures: int = MAX_PICTURES, workers: int | None = None
) -> TrivialFacts:
    """Read such facts of pictures, in threads; of many, evenly spread ones. Unreadable ones are left out.

    Args:
        dataset: pictures.
        positions: int64, of those that count.
        max_pictures: so many are looked at, at most.
        workers: threads; the number of cores if None.
    """
    chosen = positions[np.linspace(0, len(positions) - 1, min(max_pictures, len(positions))).astype(np.int64)]
    rows, headers, pixels = [], [], []

    def look(position: int) -> tuple[_Header, np.ndarray] | UnreadableImage:
        sample = dataset.samples[position]
        try:
            return _header(sample), np.asarray(open_sample(sample, (_FULL, _FULL)).convert("L"))
        except UnreadableImage as error:
            return error

    for position, found in in_order(chosen.tolist(), look, workers):
        if isinstance(found, UnreadableImage):
            continue
        rows.append(position)
        headers.append(found[0])
        pixels.append([_corners(found[1]), _brightness(found[1]), _thumbnail(found[1])])
    blocks = {
        NUMBER: _numbers([dataset.samples[row] for row in rows]),
        SIZE: np.array([header.size for header in headers], np.float32).reshape(len(rows), 2),
        HEADER: _kinds([header.kind for header in headers]),
    }
    for number, name in enumerate((CORNERS, BRIGHTNESS, THUMBNAIL)):
        blocks[name] = np.array([one[number] for one in pixels], np.float32).reshape(len(rows), -1)
    if len(rows) and np.median(np.min(blocks[SIZE], axis=1)) < _FULL:
        del blocks[THUMBNAIL]  # it would be nearly the whole of such small pictures
    kept = {name: block for name, block in blocks.items() if block.size and (block != block[:1]).any()}
    return TrivialFacts(np.array(rows, np.int64), kept)


def _header(sample: Sample) -> _Header:
    devices = tuple(f"{name} {value}" for name, value in sorted(sample.groups.items()) if name.lower() in DEVICES)
    if isinstance(sample.image, np.ndarray):
        return _Header(sample.image.shape[:2], devices)
    try:
        content = read_file(sample.image)
    except OSError as error:
        raise UnreadableImage(f"cannot be opened ({error.strerror})") from None
    except DataError as error:
        raise UnreadableImage(str(error)) from None
    header = read_header(content)
    return _Header(header.size, (header.format, header.mode, captured(content).camera, *devices))


def _numbers(samples: Sequence[Sample]) -> Floats:
    """The first and the last number in each name, -1 where there is none; empty for pictures without a file."""
    if any(not isinstance(sample.image, Path) for sample in samples):
        return np.empty((len(samples), 0), np.float32)
    found = [_NUMBERS.findall(Path(sample.id).stem) or ["-1"] for sample in samples]
    numbers = np.array([(int(one[0]), int(one[-1])) for one in found], np.int64).reshape(len(found), 2)
    # Ranks, since the digits of a long number do not fit into a float.
    ranks = [np.unique(column, return_inverse=True)[1].ravel() for column in numbers.T]
    return np.stack(ranks, axis=1).astype(np.float32)


def _kinds(kinds: Sequence[tuple[str, ...]]) -> Floats:
    """A column of 0 and 1 for each of the kinds that at least 5 pictures have in common."""
    index: dict[tuple[str, ...], int] = {}
    codes = np.array([index.setdefault(kind, len(index)) for kind in kinds], np.int64)
    common = np.flatnonzero(np.bincount(codes, minlength=len(index)) >= 5)
    flags: Floats = (codes[:, None] == common).astype(np.float32)
    return flags


def _corners(grey: np.ndarray) -> np.ndarray:
    """Of each corner a small grid of grey values, and what is darkest and brightest in it."""
    height, width = (max(2, side // _CORNER) for side in grey.shape)
    parts = []
    for corner in (grey[:height, :width], grey[:height, -width:], grey[-height:, :width], grey[-height:, -width:]):
        grid = Pillow.fromarray(np.ascontiguousarray(corner)).resize((_PATCH, _PATCH), Pillow.Resampling.BOX)
        parts += [np.asarray(grid, np.float32).ravel(), np.array([corner.min(), corner.max()], np.float32)]
    return np.concatenate(parts)


def _brightness(grey: np.ndarray) -> np.ndarray:
    return np.array([grey.mean(), grey.std(), *np.percentile(grey, (1, 50, 99))], np.float32)


def _thumbnail(grey: np.ndarray) -> np.ndarray:
    small = Pillow.fromarray(np.ascontiguousarray(grey)).resize((_SIDE, _SIDE), Pillow.Resampling.BOX)
    return np.asarray(small, np.float32).ravel()
