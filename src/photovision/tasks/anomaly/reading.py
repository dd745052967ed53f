"""Data read for anomaly detection: MVTec's layout, also with defects in train/, or a folder of good images."""

from __future__ import annotations

from pathlib import Path

from photovision.core.errors import DataError
from photovision.data.dataset import Dataset, FileSamples
from photovision.data.formats.mvtec import GOOD, good_class
from photovision.data.formats.split_names import split_named
from photovision.data.formats.tree import list_files
from photovision.data.read import read_dataset
from photovision.data.read_options import ReadOptions


def read(path: Path, options: ReadOptions) -> Dataset:
    """The part "read": as `photovision.read_dataset`, and two more ways for folders.

    A folder with train/good is read as MVTec AD lays it out, masks included, also where train/ holds defects, which are
    then taken to test on. A folder of images without folders of classes holds good images.

    Raises:
        DataError: there is nothing to learn from.
    """
    if options.format is None and path.is_dir():
        if not options.chosen() and _has_good_training_part(path):
            return read_dataset(path, format="mvtec")
        listing = list_files(path)
        if set(listing.pictures) == {()} and not any(path.glob("*.csv")):
            return _all_good(path, sorted(listing.pictures[()]))
    return read_dataset(path, **vars(options))


def _has_good_training_part(path: Path) -> bool:
    try:
        parts = [folder for folder in path.iterdir() if folder.is_dir() and split_named(folder.name) == "train"]
        return any(good_class(one.name for one in part.iterdir() if one.is_dir()) is not None for part in parts)
    except OSError:
        return False


def _all_good(path: Path, names: list[str]) -> Dataset:
    if not names:
        raise DataError(f"{path} holds no pictures: give a folder of good ones")
    samples = FileSamples(path, names, [(GOOD[0],)] * len(names))
    return Dataset(samples, (GOOD[0],), source="good", annotation_type="defects")
