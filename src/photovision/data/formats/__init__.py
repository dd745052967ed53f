"""How datasets lie on a disk: one file per format, one line per format in the table below.

A format is a `Format` value of three small functions. To add one here, write a file beside this one that ends in
`FORMAT = Format(detects, read, write)` and add its line to `FORMATS`; `read_dataset` asks the formats in that order,
so the more particular one comes first. Another package adds one through an entry point, without touching Photovision:

    [project.entry-points."photovision.formats"]
    coco = "my_package.coco:FORMAT"
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from photovision.core.registry import Registry
from photovision.data.dataset import AnnotationType, Dataset
from photovision.data.formats.split_names import SPLIT_WORDS as SPLIT_WORDS
from photovision.data.read_options import DEFAULTS, ReadOptions


class Detects(Protocol):
    """Whether a file or folder looks like this format; cheap, and never raises for an existing path."""

    def __call__(self, path: Path) -> bool: ...


class Read(Protocol):
    """Read the dataset at `path` as `options` say; those that the format does not accept are all None."""

    def __call__(self, path: Path, options: ReadOptions = DEFAULTS) -> Dataset: ...


class Write(Protocol):
    """Write the dataset to the new folder `path`, pictures included, all or nothing."""

    def __call__(self, dataset: Dataset, path: Path) -> None: ...


@dataclass(frozen=True)
class Format:
    """One way in which datasets lie on a disk.

    Attributes:
        detects, read, write: see above.
        holds: what it can hold beside the classes of each picture, in the words of `photovision.data.convert`.
        accepts: names of the `ReadOptions` that its `read` obeys.
        annotation_type: that of most data in it, as far as is known without reading them.
    """

    detects: Detects
    read: Read
    write: Write
    holds: frozenset[str] = frozenset()
    accepts: frozenset[str] = frozenset()
    annotation_type: AnnotationType = "labels"


FORMATS = Registry(
    "dataset format",
    {
        "shards": "photovision.data.formats.shards:FORMAT",
        "table": "photovision.data.formats.table:FORMAT",
        "coco": "photovision.data.formats.coco:FORMAT",
        "cvat": "photovision.data.formats.cvat:FORMAT",
        "labelstudio": "photovision.data.formats.labelstudio:FORMAT",
        "labelme": "photovision.data.formats.labelme:FORMAT",
        "via": "photovision.data.formats.via:FORMAT",
        "createml": "photovision.data.formats.createml:FORMAT",
        "voc": "photovision.data.formats.voc:FORMAT",
        "yolo": "photovision.data.formats.yolo:FORMAT",
        "boxcsv": "photovision.data.formats.box_table:FORMAT",
        "mvtec": "photovision.data.formats.mvtec:FORMAT",
        "masks": "photovision.data.formats.masks:FORMAT",
        "folder": "photovision.data.formats.folder:FORMAT",
    },
    "photovision.formats",
)


def clean(name: str) -> str:
    """A class or attribute name without outer blanks, in Unicode's composed form (NFC), so that equal looks equal.

    Example:
        >>> clean(" Cafe\\u0301 ") == "Caf\\u00e9"
        True
    """
    printable = name.encode("utf-8", "replace").decode()  # file names may hold bytes that are not UTF-8
    return unicodedata.normalize("NFC", printable).strip()


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in their fixed order: by value where all are whole numbers, else alphabetically.

    Example:
        >>> ordered({"10", "9"}), ordered({"b", "a10", "a9"})
        (('9', '10'), ('a10', 'a9', 'b'))
    """
    unique = sorted(set(names))
    if all(name.isdecimal() for name in unique):
        unique.sort(key=int)
    return tuple(unique)
