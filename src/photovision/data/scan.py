"""Scan: every picture is read and decoded once, and about a hundred bytes of facts are kept of each.

Pictures of more than 8 bits are decoded twice: what is black and what is white in them is known only when the values of
all of them are.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.image import captured, decode, measure, open_sample, read_header
from photovision.core.image_formats import DICOM, NIFTI
from photovision.core.parallel import batched, in_order
from photovision.core.progress import ProgressCallback
from photovision.core.types import Ints, Sample
from photovision.core.value_range import KINDS, ValueRanges, Values, choose, windows_in
from photovision.data.dataset import Dataset, Problem
from photovision.data.near_duplicates import Looks, Signature, Words, near_duplicates, signature

MAX_BYTES = 1 << 30
UNKNOWN = 0
"""The time of pictures whose file does not say when they were taken."""
_ENOUGH = (64, 64)
_BATCH = 32

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Sizes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Scan:
    """Facts about the N pictures of a dataset, in its order; zeros where a picture is unreadable.

    Attributes:
        readable: bool (N,).
        height, width: int32 (N,), pixels of the upright picture.
        rotated: bool (N,), whether EXIF turns or mirrors the stored pixels.
        bytes: int64 (N,), size of the file (of the pixels, for pictures in memory).
        kind: uint8 (N,), index into `kinds`.
        kinds: (format, mode) pairs that occur, such as ("JPEG", "RGB").
        digest: uint64 (N,), the first 8 bytes of the SHA-256 of the file.
        hash, colour, detail, brightness, contrast: as in `photovision.data.near_duplicates.Signature`, one row a
        picture. low, high: float32 (N,), the lowest and the highest value of pictures of more than 8 bits that count,
        see
            `core.value_range`; 0 for others.
        number: uint8 (N,), 1 + the index into KINDS of the kind of number of such pictures, 0 for others.
        taken: uint32 (N,), when the camera took the picture, in seconds since 1970 by its own clock; UNKNOWN where the
            file does not say.
        camera: uint32 (N,), a digest of the camera's make, model and serial number; 0 where none is known.
        problems: the unreadable pictures.
        oddities: what could not be obeyed in pictures that were read all the same, and in how many.
    """

    readable: Bools
    height: Sizes
    width: Sizes
    rotated: Bools
    bytes: Ints
    kind: Bytes
    kinds: tuple[tuple[str, str], ...]
    digest: Words
    hash: Words
    colour: npt.NDArray[np.int8]
    detail: Bytes
    brightness: npt.NDArray[np.float32]
    contrast: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    number: Bytes
    taken: npt.NDArray[np.uint32]
    camera: npt.NDArray[np.uint32]
    problems: tuple[Problem, ...]
    oddities: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.readable)

    @property
    def stretch(self) -> npt.NDArray[np.float64]:
        """float64 (N,): width / height, 0 for unreadable pictures."""
        return self.width / np.maximum(self.height, 1)

    @property
    def looks(self) -> Looks:
        """What tells pictures apart; all zeros for unreadable ones."""
        return Looks(self.digest, self.hash, self.colour, self.detail, self.contrast, self.stretch)

    def value_ranges(self, positions: Ints | None = None) -> ValueRanges:
        """What is black and what is white in pictures of more than 8 bits: of those at `positions`, or of all."""
        chosen = np.flatnonzero(self.number) if positions is None else positions[self.number[positions] > 0]
        return choose(
            Values(KINDS[self.number[row] - 1], float(self.low[row]), float(self.high[row])) for row in chosen
        )

    @cached_property
    def duplicates(self) -> Ints:
        """int64 (N,): position of the first picture of each group of near-duplicates, see `near_duplicates`."""
        return near_duplicates(self.looks, np.flatnonzero(self.readable))


class _Facts(NamedTuple):
    size: tuple[int, int]
    rotated: bool
    bytes: int
    kind: tuple[str, str]
    digest: int
    looks: Signature | None
    values: Values | None = None
    notes: tuple[str, ...] = ()
    taken: int = UNKNOWN
    camera: int = 0


def scan(dataset: Dataset, *, workers: int | None = None, progress: ProgressCallback | None = None) -> Scan:
    """Read and decode every picture once, in threads; unreadable ones are listed, never raised.

    Args:
        dataset: N pictures.
        workers: threads; the number of cores if None.
        progress: called with (pictures done, N) now and then.

    Example:
        >>> from photovision.data.read import dataset_from_arrays
        >>> scan(dataset_from_arrays(np.zeros((2, 8, 9), np.uint8), ["a", "b"])).width
        array([9, 9], dtype=int32)
    """
    count = len(dataset)
    found = _blank(count)
    kinds: dict[tuple[str, str], int] = {}
    problems, oddities = [], Counter[str]()

    def look(positions: Sequence[int]) -> list[_Facts | UnreadableImage]:
        return [_facts(dataset.samples[position]) for position in positions]

    # Batches keep the threads' bookkeeping small beside the decoding of thumbnails.
    for positions, facts_of in in_order(batched(range(count), _BATCH), look, workers):
        for position, facts in zip(positions, facts_of, strict=True):
            if isinstance(facts, UnreadableImage):
                problems.append(Problem(dataset.samples[position].id, "unreadable", str(facts)))
            else:
                _keep(found, position, facts, kinds.setdefault(facts.kind, len(kinds)))
                oddities.update(facts.notes)
        if progress is not None:
            progress(positions[-1] + 1, count)
    whole = Scan(kinds=tuple(kinds), problems=tuple(problems), oddities=oddities, **found)
    return _with_looks(whole, dataset, workers)


def _with_looks(found: Scan, dataset: Dataset, workers: int | None) -> Scan:
    """What pictures of more than 8 bits look like, by the range of all of them."""
    wide, ranges = np.flatnonzero(found.number).tolist(), found.value_ranges()

    def look(position: int) -> Signature | UnreadableImage:
        try:
            return signature(open_sample(replace(dataset.samples[position], ranges=ranges), _ENOUGH))
        except UnreadableImage as error:
            return error

    lost = []
    for position, looks in in_order(wide, look, workers):
        if isinstance(looks, UnreadableImage):  # it was changed meanwhile
            found.readable[position] = False
            lost.append(Problem(dataset.samples[position].id, "unreadable", str(looks)))
            continue
        for name in Signature._fields:
            getattr(found, name)[position] = getattr(looks, name)
    return replace(found, problems=(*found.problems, *lost)) if lost else found


def _blank(count: int) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "readable": (np.bool_, (count,)),
        "height": (np.int32, (count,)),
        "width": (np.int32, (count,)),
        "rotated": (np.bool_, (count,)),
        "bytes": (np.int64, (count,)),
        "kind": (np.uint8, (count,)),
        "digest": (np.uint64, (count,)),
        "hash": (np.uint64, (count, 4)),
        "colour": (np.int8, (count, 32)),
        "detail": (np.uint8, (count,)),
        "brightness": (np.float32, (count,)),
        "contrast": (np.float32, (count,)),
        "low": (np.float32, (count,)),
        "high": (np.float32, (count,)),
        "number": (np.uint8, (count,)),
        "taken": (np.uint32, (count,)),
        "camera": (np.uint32, (count,)),
    }
    return {name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}


def _keep(found: dict[str, np.ndarray], position: int, facts: _Facts, kind: int) -> None:
    found["readable"][position] = True
    found["height"][position], found["width"][position] = facts.size
    found["rotated"][position] = facts.rotated
    found["bytes"][position] = facts.bytes
    found["kind"][position] = kind
    found["digest"][position] = facts.digest
    found["taken"][position], found["camera"][position] = facts.taken, facts.camera
    if facts.values is not None:
        found["low"][position], found["high"][position] = facts.values.low, facts.values.high
        found["number"][position] = 1 + KINDS.index(facts.values.kind)
    if facts.looks is not None:
        for name in Signature._fields:
            found[name][position] = getattr(facts.looks, name)


def _facts(sample: Sample) -> _Facts | UnreadableImage:
    if isinstance(sample.image, np.ndarray):
        height, width = sample.image.shape[:2]
        content = sample.image.tobytes()
        looks = signature(Pillow.fromarray(np.ascontiguousarray(sample.image)))
        digest = _digest(content + repr(sample.image.shape).encode())
        return _Facts((height, width), False, len(content), ("array", "RGB"), digest, looks)
    try:
        content = _content(sample.image)
        header = read_header(content)
        facts = header.size, header.rotated, len(content), (header.format, header.mode), _digest(content)
        windowed = windows_in(sample.ranges) and header.format in (DICOM, NIFTI)
        if header.wide and not windowed and (values := measure(content)) is not None:
            return _Facts(*facts, None, values, (), *_capture(content))
        picture = decode(content, least=_ENOUGH, ranges=sample.ranges)
        return _Facts(*facts, signature(picture), None, picture.info["notes"], *_capture(content))
    except UnreadableImage as error:
        return UnreadableImage(str(error).removeprefix("the picture: "))


def _capture(content: bytes) -> tuple[int, int]:
    """When and by which camera a picture was taken, as numbers."""
    time, camera = captured(content)
    try:
        seconds = datetime.strptime(time or "", "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:  # not known, or not as Exif 2.32 has it: "0000:00:00 00:00:00" is common
        return UNKNOWN, 0
    known = UNKNOWN < seconds < 1 << 32
    return int(seconds) if known else UNKNOWN, _digest(camera.encode("utf-8", "replace")) >> 32 if camera else 0


def _content(path: Path) -> bytes:
    """The bytes of a file; raises UnreadableImage for what is not a file of sensible size."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            if size > MAX_BYTES:
                raise UnreadableImage(f"has {size:,} bytes, more than the limit of {MAX_BYTES:,}")
            if size == 0:
                raise UnreadableImage("is empty (0 bytes)")
            file.seek(0)
            return file.read()
    except OSError as error:
        raise UnreadableImage(f"cannot be opened ({error.strerror})") from None
    except DataError as error:
        raise UnreadableImage(str(error).removeprefix(f"{path}: ")) from None


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little")
