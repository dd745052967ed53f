"""Masks as files: the numbers they store, whether they are masks at all, and the classes they stand for.

JPEG changes the numbers that it stores, so that only masks of an object and its background can be kept in it; these,
and others with smoothed edges, are read as what is nearer: 0 or 255.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.geometry import upright_values
from photovision.core.image import COLOUR, decode, decode_values, read_header
from photovision.core.regions import IGNORE, LabelMap
from photovision.core.shapes import Rle
from photovision.core.types import Ints
from photovision.data.dataset import Problem
from photovision.data.formats.mask_names import Paired, pair, place_of
from photovision.data.formats.tree import Listing

LOSSY = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif"))
WHITE = COLOUR + 0xFFFFFF
MANY = 64
"""A mask with more different values has smoothed edges, or is none."""
_NEAR, _SHARE = 64, 0.9
_SAMPLES, _SMOOTHED = 3, 16


class Survey(NamedTuple):
    """What the masks of a picture hold: values, how they are to be turned, whether they are nearly black and white."""

    values: Ints
    orientation: int
    nearly: bool


def read_values(file: Path, colours: bool = False, snap: bool = False) -> LabelMap:
    """The numbers of a mask, int32 (H, W), see `decode_values`; 0 and 255 where it is JPEG, or is to be snapped.

    Raises:
        DataError: the file cannot be read, or holds more than an object and its background in JPEG.
    """
    if not snap and file.suffix.lower() not in LOSSY:
        return decode_values(file, colours)
    dark, light = _tones(file)
    plain = (light < _NEAR) | (dark > 255 - _NEAR)
    if plain.mean() < _SHARE:
        raise DataError(
            f"{file}: JPEG and smoothing change the numbers of a mask, so it should be black and white only: save it as"
            " PNG, without smoothing"
        )
    return np.where(light > 127, 255, 0).astype(np.int32)


def _tones(file: Path) -> tuple[LabelMap, LabelMap]:
    """The smallest and the largest of red, green and blue, int32 (H, W) of 0 to 255; what is transparent is black."""
    if file.suffix.lower() in LOSSY:
        pixels = np.asarray(decode(file).convert("RGB")).astype(np.int32)
        return pixels.min(axis=2), pixels.max(axis=2)
    stored = decode_values(file, colours=True)
    if stored.max(initial=0) < COLOUR:
        grey = np.clip(stored, 0, 255)
        return grey, grey
    colour = np.where(stored == IGNORE, WHITE, stored) % COLOUR
    bands = [(colour >> 16).astype(np.int32), ((colour >> 8) & 255).astype(np.int32), (colour & 255).astype(np.int32)]
    return np.minimum.reduce(bands), np.maximum.reduce(bands)


def looks_like_mask(file: Path) -> bool:
    """Whether a file holds few different values, or black and white; also where it cannot be read, as others tell."""
    try:
        if file.suffix.lower() not in LOSSY and len(np.unique(decode_values(file))) <= MANY:
            return True
        read_values(file, snap=True)
    except UnreadableImage:
        return True
    except DataError:
        return False
    return True


@dataclass(frozen=True)
class MaskFile:
    """A LabelSource: the classes of a picture's pixels in its mask, or in several masks of objects laid together.

    Attributes:
        files: the files; where there are several, a pixel has the largest value.
        values: the value that stands for each class.
        orientation: how the picture is turned by EXIF where the mask lies on stored pixels; else 1.
        colours: whether palette indices stand for colours.
        snap: whether values are read as 0 or 255, whichever is nearer.
    """

    files: tuple[Path, ...]
    values: tuple[int, ...]
    orientation: int = 1
    colours: bool = False
    snap: bool = False

    def load(self) -> LabelMap:
        """int32 (H, W); raises DataError where a file cannot be read."""
        stored = upright_values(laid_together(self.files, self.colours, self.snap), self.orientation).astype(np.int32)
        if max(self.values, default=0) >= COLOUR:
            return self._of_colours(stored)
        table = np.full(max(int(stored.max()), *self.values, IGNORE) + 1, -1, dtype=np.int32)
        table[IGNORE] = IGNORE
        table[list(self.values)] = np.arange(len(self.values))
        if stored.min() < 0:
            raise DataError(f"{self.files[0]} should hold values of 0 or more, got {stored.min()}")
        return table[stored]

    def _of_colours(self, stored: LabelMap) -> LabelMap:
        """As with numbers, without a table of 16 million colours."""
        order = np.argsort(self.values)
        ordered = np.asarray(self.values, dtype=np.int32)[order]
        places = np.minimum(np.searchsorted(ordered, stored), len(ordered) - 1)
        found = np.where(ordered[places] == stored, order[places], np.where(stored == IGNORE, IGNORE, -1))
        return found.astype(np.int32)

    def digest(self) -> bytes:
        """Changes when the content of a file changes."""
        digests = (hashlib.sha256(file.read_bytes()).digest() for file in self.files)
        return b"".join(digests) + repr((self.values, self.orientation)).encode()


def laid_together(files: tuple[Path, ...], colours: bool, snap: bool) -> LabelMap:
    """int32 (H, W): the largest value of each pixel; raises DataError where one cannot be read, or sizes differ."""
    stored = read_values(files[0], colours, snap)
    for file in files[1:]:
        other = read_values(file, colours, snap)
        if other.shape != stored.shape:
            raise DataError(f"{file} has {_shown(other.shape)} pixels, {files[0].name} {_shown(stored.shape)}")
        stored = np.maximum(stored, other).astype(np.int32)
    return stored


def survey(picture: Path, files: tuple[Path, ...], colours: bool) -> Survey | DataError:
    """What the masks of a picture hold."""
    try:
        stored = laid_together(files, colours, snap=False)
        orientation = turn(picture, stored.shape)
        values = np.unique(stored).astype(np.int64)
        return Survey(values, orientation, len(values) > 2 and _black_and_white(files))
    except DataError as error:
        return error


def black_and_white(surveys: Sequence[Survey]) -> bool:
    """Whether all masks are an object and its background, in several forms or with smoothed edges."""
    values = [known.values for known in surveys]
    present = set(np.concatenate(values).tolist())
    if present <= {0, IGNORE, WHITE}:
        return WHITE in present
    smoothed = any(len(one) > _SMOOTHED and bool(((one > _NEAR) & (one < 255 - _NEAR)).any()) for one in values)
    plain = (known.nearly or _two_tones(known.values.tolist()) for known in surveys)
    return (smoothed or any(len(one) > MANY for one in values)) and all(plain)


def _two_tones(values: list[int]) -> bool:
    """Whether a mask holds black and at most one other, bright value."""
    bright = [value for value in values if value]
    return len(bright) < 2 and all(max(value >> 16 & 255, value >> 8 & 255, value & 255) > 127 for value in bright)


def _black_and_white(files: tuple[Path, ...]) -> bool:
    try:
        return bool(laid_together(files, colours=False, snap=True).any())
    except DataError:
        return False


def turn(file: Path, size: tuple[int, ...]) -> int:
    """The EXIF orientation to turn a mask by: 1 where it is as large as the upright picture.

    Raises:
        DataError: the mask has another size than its picture.
    """
    try:
        with open_regular(file) as stream:
            header = read_header(stream.read())
    except (OSError, UnreadableImage, DataError):
        return 1  # the scan will tell that the picture cannot be read
    if header.size == size:
        return 1
    if header.orientation in (5, 6, 7, 8) and header.size == size[::-1]:
        return header.orientation
    raise DataError(f"the mask has {_shown(size)} pixels, the picture {_shown(header.size)}: they should be equal")


def are_masks(root: Path, paired: Paired) -> bool:
    """Whether there are masks; where not both folders are called so, the first of them have to look like masks."""
    found = [
        (mask.file, paired.places[picture].role == "image" and bool(place_of(Path(mask.file).parts[:-1]).role))
        for some in (paired.objects, paired.masks)
        for picture, masks in some.items()
        for mask in masks
    ]
    doubtful = [file for file, sure in found if not sure]
    return bool(found) and all(looks_like_mask(root / file) for file in doubtful[:_SAMPLES])


def without_masks(listing: Listing) -> tuple[Listing, list[Problem]]:
    """The listing without the masks of its pictures, and a note on them where there are some."""
    paired = pair(listing)
    if not are_masks(listing.root, paired):
        return listing, []
    masks = {mask.file for found in (paired.objects, paired.masks) for some in found.values() for mask in some}
    masks.update(paired.spare)
    kept = {
        parts: rest
        for parts, names in listing.pictures.items()
        if (rest := [name for name in names if "/".join((*parts, name)) not in masks])
    }
    message = f"{len(masks):,} masks of pictures are left out: --format masks reads them"
    return replace(listing, pictures=kept), [Problem(min(masks), "masks", message)]


def _shown(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"


def objects_of(numbers: LabelMap) -> list[Rle]:
    """The mask of every object of an int32 (H, W) picture in which each has its own number above 0.

    Example:
        >>> [shape.box for shape in objects_of(np.int32([[0, 2], [0, 2]]))]
        [(1.0, 0.0, 2.0, 2.0)]
    """
    height, width = numbers.shape
    flat = numbers.T.ravel()
    order = np.argsort(flat, kind="stable")
    values, starts = np.unique(flat[order], return_index=True)
    found = []
    for value, places in zip(values.tolist(), np.split(order, starts[1:]), strict=True):
        if value <= 0:
            continue
        breaks = np.flatnonzero(np.diff(places) > 1)
        first, last = places[np.append(0, breaks + 1)], places[np.append(breaks, len(places) - 1)] + 1
        edges = np.concatenate([[0], np.stack([first, last], axis=1).ravel(), [height * width]])
        counts = np.diff(edges)
        found.append(Rle((height, width), (counts if counts[-1] else counts[:-1]).astype(np.int64)))
    return found
