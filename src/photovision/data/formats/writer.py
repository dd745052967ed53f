"""Writing pictures into the folder of an annotation format, under their own names where these are different."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import read_file
from photovision.core.image import open_sample, read_header
from photovision.core.regions import Detections, Segmentation
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.formats.folder import save_picture
from photovision.data.formats.portable import fault_of

_LONGEST = 150
_UNSAFE = re.compile(r"[^\w.\- ]")
Size = tuple[int, int]


class Placed(NamedTuple):
    """A picture that was written: its file, its upright size, its split or "", and the sample."""

    file: Path
    size: Size
    split: str
    sample: Sample


def place(dataset: Dataset, folder: Path, by_split: bool = False) -> Iterator[Placed]:
    """Copy every picture into `folder` (or `folder`/split), and tell where it is; raises DataError where one is gone.

    Pictures that EXIF turns are copied as they are: sizes and boxes are those of the upright picture.
    """
    stems = [_stem(sample.id) for sample in dataset.samples]
    counts = Counter(stem.casefold() for stem in stems)
    taken = {stem for stem, count in counts.items() if count == 1}
    digits = len(str(max(len(stems) - 1, 0)))
    split_of = {position: name for name, positions in dataset.splits.items() for position in positions}
    for position, (sample, stem) in enumerate(zip(dataset.samples, stems, strict=True)):
        unique = stem if counts[stem.casefold()] == 1 else f"{position:0{digits}d}_{stem}"
        while unique != stem and unique.casefold() in taken:
            unique = f"{position:0{digits}d}_{unique}"
        split = split_of.get(position, "")
        file = save_picture(sample, folder / split if by_split and split else folder, unique)
        yield Placed(file, _size(sample), split, sample)


def by_folder(dataset: Dataset, folder: Path) -> dict[Path, list[Placed]]:
    """Copy every picture into `folder`/split, or `folder` where it has none: folder -> its pictures."""
    found: dict[Path, list[Placed]] = {}
    for placed in place(dataset, folder, by_split=True):
        found.setdefault(placed.file.parent, []).append(placed)
    return found


def detections(sample: Sample) -> Detections | None:
    """The objects of a picture; None where there is no annotation, or where its truth is a class for every pixel."""
    return sample.annotations if isinstance(sample.annotations, Detections) else None


def segmentation(sample: Sample) -> Segmentation | None:
    """The classes of a picture's pixels; None where there is no annotation."""
    return sample.annotations if isinstance(sample.annotations, Segmentation) else None


def shown(value: float, digits: int = 3) -> str:
    """A coordinate as text, without zeros that say nothing.

    Example:
        >>> shown(12.0), shown(1.23456)
        ('12', '1.235')
    """
    return f"{float(value):.{digits}f}".rstrip("0").rstrip(".") or "0"


def _stem(name: str) -> str:
    stem = unicodedata.normalize("NFC", _UNSAFE.sub("_", PurePosixPath(name).stem)).strip(" .")
    while len(stem.encode("utf-8")) > _LONGEST:
        stem = stem[: len(stem) * 9 // 10].rstrip(" .")
    return f"picture_{stem}".rstrip("_") if fault_of(stem) else stem


def _size(sample: Sample) -> Size:
    if isinstance(sample.image, np.ndarray):
        return sample.image.shape[0], sample.image.shape[1]
    try:
        return read_header(read_file(sample.image)).size
    except (OSError, UnreadableImage):
        try:
            picture = open_sample(sample)
        except UnreadableImage as error:
            raise DataError(f"{error}: its size is needed, remove it or mend it") from None
        return picture.height, picture.width
