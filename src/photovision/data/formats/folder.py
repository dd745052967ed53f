"""A folder per class, with or without folders for train, val and test above, below or in their names.

    data/cat/1.jpg              data/train/cat/1.jpg        data/seg_train/seg_train/Fruit/Apple/1.jpg
    data/dog/2.jpg              data/test/dog/2.jpg         (the class is "Fruit/Apple")

layout.py tells what the folders mean. This is the last reading that is tried; where something speaks against it, see
doubts.py, it is refused unless it is asked for. Files that are not used are counted by their suffix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.folder import new_folder
from photovision.core.image import read_header
from photovision.core.types import Sample
from photovision.data.archive_members import SUFFIXES as ARCHIVES
from photovision.data.dataset import Dataset, FileSamples, Problem
from photovision.data.formats import Format, clean, ordered
from photovision.data.formats.doubts import refuse_doubtful, unknown_file
from photovision.data.formats.layout import FolderLayout, layout_of
from photovision.data.formats.mask_files import without_masks
from photovision.data.formats.names import read_names, suggested
from photovision.data.formats.portable import check_folders
from photovision.data.formats.tree import Listing, Parts, Tree, list_files
from photovision.data.read_options import DEFAULTS, ReadOptions


def detects(path: Path) -> bool:
    """Any folder may be one of class folders; all other formats are asked first."""
    return path.is_dir()


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read class folders below `path`; raises DataError where there are no pictures or no classes.

    Where the format was not asked for, it is also raised where something speaks against this reading.
    """
    if options.multilabel:
        raise DataError(
            f"{path} is a folder per class, which gives each picture one label: for several labels"
            " add a metadata.csv with the columns file_name and labels"
        )
    listing = list_files(path)
    if not listing.pictures:
        raise DataError(_no_pictures(listing))
    if options.label_from is not None:
        return read_names(path, listing.pictures, options.label_from)
    listing, notes = without_masks(listing)
    layout = layout_of(path, listing.pictures)
    if options.format is None:
        refuse_doubtful(listing, layout)
    loose = sum(len(names) for parts, names in listing.pictures.items() if not layout.labels[parts])
    if all(not label for label in layout.labels.values()) or (
        not layout.splits and loose * 2 > sum(map(len, listing.pictures.values()))
    ):
        raise DataError(
            f"{path} holds {loose:,} pictures that are in no class folder: put each class into a folder of its own,"
            f" or add a metadata.csv with the columns file_name and label{suggested(path, listing.names())}"
            f"{unknown_file(listing)}"
        )
    return _dataset(listing, layout, notes)


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/[split/]class/picture; arrays become PNG files. Raises DataError for multi-label data."""
    if dataset.multilabel:
        raise DataError("a folder per class holds one label a picture: write multi-label data as a table")
    split_of = {position: name for name, positions in dataset.splits.items() for position in positions}
    labels = dict.fromkeys(sample.label for sample in dataset.samples)
    check_folders(labels)
    _check_read_again(path, dataset, split_of)
    with new_folder(path, "data set") as folder:
        for position, sample in enumerate(dataset.samples):
            within = [split_of[position]] if position in split_of else []
            save_picture(sample, folder.joinpath(*within, *sample.label.split("/")), f"{position:06d}")


def _check_read_again(path: Path, dataset: Dataset, split_of: dict[int, str]) -> None:
    """Raise DataError where the folders would be read as something else than what they are written for."""
    places: dict[Parts, tuple[str, str]] = {}
    for position, sample in enumerate(dataset.samples):
        split = split_of.get(position, "")
        places[(*([split] if split else []), *sample.label.split("/"))] = (split, sample.label)
    listing = Listing(path, {parts: ["1.png"] for parts in places})
    try:
        layout = layout_of(path, listing.pictures)
        refuse_doubtful(listing, layout)
    except DataError:
        layout = FolderLayout({}, {})
    for parts, (split, label) in places.items():
        if "/".join(layout.labels.get(parts, ())) != label or layout.splits.get(parts, "") != split:
            raise DataError(
                f"the class name {label!r} would be read as something else from a folder's name: write the data as a"
                " table (--to table)"
            )


def save_picture(sample: Sample, folder: Path, stem: str) -> Path:
    """Copy a sample's file into `folder`, or save its array there as PNG; returns the new file."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(sample.image, np.ndarray):
        target = folder / f"{stem}.png"
        Pillow.fromarray(sample.image).save(target)
        return target
    target = folder / f"{stem}{sample.image.suffix.lower()}"
    try:
        with open_regular(sample.image) as source, target.open("wb") as copy:
            content = source.read()
            read_header(content)  # a file that only has the name of a picture may hold anything of its owner's
            copy.write(content)
    except FileNotFoundError:
        raise DataError(f"cannot copy {sample.image}, which does not exist any more: read the data again") from None
    except UnreadableImage as error:
        raise DataError(f"cannot copy {sample.image}: {error}; remove it") from None
    return target


def pictures_below(root: Path) -> Tree:
    """All folders below `root` that directly hold pictures, with their names; sorted, junk left out."""
    return list_files(root).pictures


def _no_pictures(listing: Listing) -> str:
    """Why a folder without pictures is none of class folders."""
    path = listing.root
    if listing.refused["link"]:
        return (
            f"{path} holds links that lead out of it ({listing.refused['link']:,}), which are never followed:"
            " give the folder that they lead to, or copy the pictures (cp -rL)"
        )
    others = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, (count, _) in listing.suffixes().items())
    found = f" among its files ({others:.200})" if others else ""
    packed = next((first for _, first in listing.suffixes().values() if first.lower().endswith(ARCHIVES)), None)
    if packed is not None:
        return f"no pictures were found in {path}{found}: give the archive itself, such as {path / packed}"
    return f"no pictures were found in {path}{found}: expected a folder per class, as in cat/1.jpg and dog/2.jpg"


def _dataset(listing: Listing, layout: FolderLayout, notes: Sequence[Problem]) -> Dataset:
    files: list[str] = []
    labels: list[str] = []
    splits: dict[str, list[int]] = {}
    problems = []
    for parts, names in listing.pictures.items():
        inside = "".join(f"{part}/" for part in parts)
        label = clean("/".join(clean(part) for part in layout.labels[parts]))
        if not label:
            message = "lies beside the class folders, not in one, so its label is unknown"
            problems += [Problem(inside + name, "unlabelled", message) for name in names]
            continue
        if parts in layout.splits:
            positions = splits.setdefault(layout.splits[parts], [])
            positions.extend(range(len(files), len(files) + len(names)))
        files += [inside + name for name in names]
        labels += [label] * len(names)
    classes = ordered(labels)
    targets = {label: (label,) for label in classes}
    samples = FileSamples(listing.root, files, [targets[label] for label in labels])
    kept = {name: tuple(positions) for name, positions in splits.items()}
    left_out = (*problems, *listing.left_out())
    return Dataset(samples, classes, kept, False, left_out, "folder", notes=(*notes, *_notes(listing, classes)))


def _notes(listing: Listing, classes: tuple[str, ...]) -> tuple[Problem, ...]:
    """What is odd about the folder: files that are not used, and classes that may be one."""
    notes = unused(listing)
    last: dict[str, list[str]] = {}
    for name in classes:
        last.setdefault(name.rsplit("/", 1)[-1].casefold(), []).append(name)
    twice = [names for names in last.values() if len(names) > 1]
    if len(twice) * 2 >= len(last):
        shown = " and ".join(f"'{name}'" for name in twice[0][:2])
        message = f"{shown} are taken as different classes: where they are one, merge the folders above them"
        notes.append(Problem(listing.root.name, "equal class names", message))
    lower = {re.sub(r"\d+", "#", name.rpartition("/")[2]) for name in classes}
    numbered = len(lower) == 1 and re.search("[a-z].*#", lower.pop(), re.IGNORECASE)
    if len(classes) > 2 and numbered and all("/" in name for name in classes):
        message = (
            f"'{classes[0]}' and '{classes[1]}' are taken as different classes: where the lower folders are patients or"
            " series, move their pictures up, or give label and group in a metadata.csv"
        )
        notes.append(Problem(listing.root.name, "numbered folders", message))
    return tuple(notes)


def unused(listing: Listing) -> list[Problem]:
    """A note on the files that are no pictures, counted by suffix, with the first of the commonest."""
    kinds = listing.suffixes()
    if not kinds:
        return []
    shown = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, (count, _) in list(kinds.items())[:8])
    more = ", ..." if len(kinds) > 8 else ""
    first = next(iter(kinds.values()))[1]
    return [Problem(first, "not used", f"files that are no pictures are not used: {shown}{more}")]


FORMAT = Format(detects, read, write, frozenset(("splits", "plain")), frozenset(("multilabel", "label_from")))
