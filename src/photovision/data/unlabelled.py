"""Unlabelled: images of a place of use as people have them; labels, where there are some, are taken off.

A folder of any shape, a table or annotations that name images, an archive of either, single files, or images from
Python. The folder that an image lies in becomes its attribute "folder".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from photovision.core.address import is_address
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image_formats import SUFFIXES, is_picture
from photovision.core.inputs import as_pixels, as_sources
from photovision.core.suggest import did_you_mean, paths_beside
from photovision.core.types import Sample
from photovision.data.archives import unpacked
from photovision.data.dataset import ColumnSamples, Dataset, FileSamples
from photovision.data.dicom.attributes import with_scans
from photovision.data.formats import FORMATS
from photovision.data.formats.tree import list_files
from photovision.data.read import Pictures, is_packed, read_dataset
from photovision.data.read_options import DEFAULTS, ReadOptions
from photovision.data.shard_index import ChosenSamples

FOLDER = "folder"
"""The attribute that names the folder of an image."""


class Unlabelled(NamedTuple):
    """Images without their labels.

    Attributes:
        dataset: of samples without targets and annotations, and without classes.
        labelled: how many of them had labels or annotations, which were taken off.
    """

    dataset: Dataset
    labelled: int


def read_unlabelled(source: Dataset | str | Path | Pictures, reading: ReadOptions = DEFAULTS) -> Unlabelled:
    """Images of a place of use, without their labels.

    Args:
        source: a data set; a folder, archive, table, file of annotations or image by its path; or images as
            `photovision.core.inputs.as_sources` takes them, such as a list of paths or an array (N, H, W, 3).
        reading: options of the format that the path has.

    Raises:
        DataError: it does not exist, or holds no images.
        UsageError: an option that the format does not accept, or something that is no image.

    Example:
        >>> import numpy as np
        >>> len(read_unlabelled(np.zeros((3, 8, 8, 3), np.uint8)).dataset)
        3
    """
    if isinstance(source, Dataset):
        return _bare(source)
    if is_address(source):
        return _bare(read_dataset(str(source), **vars(reading)))
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            meant = did_you_mean(str(path), paths_beside(path))
            raise DataError(f"{path} does not exist: check the path of the images{meant}")
        if path.is_dir() or not is_picture(path) or reading.chosen():
            return _at(path, reading)
        source = [path]
    return Unlabelled(_given(source), 0)


def _at(path: Path, reading: ReadOptions) -> Unlabelled:
    """What lies at a path that is no image."""
    place = unpacked(path) if is_packed(path, reading.format) else path
    known = (name for name in FORMATS.names() if FORMATS.load(name).detects(place))
    name = reading.format or next(known, "folder")
    if name != "folder":
        named = "unlabelled" in FORMATS.load(name).accepts
        options: dict[str, Any] = vars(replace(reading, unlabelled=True) if named else reading)
        return _bare(read_dataset(place, **options, corrections=False))
    if reading.chosen() or place.is_file():
        return _bare(read_dataset(path, **vars(reading), corrections=False))  # refuses them in its own words
    listing = list_files(place)
    files = ["/".join((*parts, name)) for parts, names in listing.pictures.items() for name in names]
    if not files:
        raise DataError(f"the folder {path} holds no images ({', '.join(sorted(SUFFIXES))}): check the path")
    samples = FileSamples(place, files, [None] * len(files), _folders(files))
    return Unlabelled(with_scans(Dataset(samples, (), problems=listing.left_out(), source="folder")), 0)


def _given(images: Pictures) -> Dataset:
    """Images that are given one by one."""
    sources = list(as_sources(images)[0])
    for one in sources:
        if isinstance(one, UnreadableImage):
            raise one
    paths = [Path(one).as_posix() for one in sources if isinstance(one, str | Path)]
    if not sources:
        raise DataError("expected at least one image, got none")
    if len(paths) == len(sources):
        files = list(dict.fromkeys(paths))
        return Dataset(FileSamples(Path(), files, [None] * len(files), _folders(files)), (), source="files")
    width = len(str(len(sources) - 1))
    numbered = ((f"{number:0{width}d}", one) for number, one in enumerate(sources))
    return Dataset(tuple(Sample(name, as_pixels(one, f"image {name}")) for name, one in numbered), ())


def _folders(files: Iterable[str]) -> dict[str, list[str]]:
    """The attribute "folder" of files, where there is more than one."""
    names = [file.rpartition("/")[0] for file in files]
    return {FOLDER: [name or "." for name in names]} if len(set(names)) > 1 else {}


def _bare(dataset: Dataset) -> Unlabelled:
    """A data set without its labels and splits."""
    if isinstance(dataset.samples, ColumnSamples):
        labelled = int(np.count_nonzero(dataset.samples.codes() >= 0))
        bare = ChosenSamples(dataset.samples, np.arange(len(dataset)), labelled=False)
        return Unlabelled(Dataset(bare, (), problems=dataset.problems, source=dataset.source), labelled)
    had = [bool(sample.target) or sample.annotations is not None for sample in dataset.samples]
    samples = tuple(replace(sample, target=None, annotations=None) for sample in dataset.samples)
    problems = tuple(problem for problem in dataset.problems if problem.kind != "unlabelled")
    return Unlabelled(Dataset(samples, (), problems=problems, source=dataset.source, notes=dataset.notes), sum(had))
