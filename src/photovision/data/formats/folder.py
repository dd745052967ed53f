"""A folder per class, with or without folders for train, val and test above them.

    data/cat/1.jpg              data/train/cat/1.jpg        data/train/Fruit/Apple/1.jpg
    data/dog/2.jpg              data/test/dog/2.jpg         (the class is "Fruit/Apple")

Hidden entries, junk of other programs and files that are no pictures are passed over. Symbolic links are followed, but
no real folder is read twice, so a loop ends.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError
from photovision.core.files import new_folder
from photovision.core.image import SUFFIXES
from photovision.core.types import Sample
from photovision.data.dataset import Dataset, FileSamples, Problem
from photovision.data.formats import SPLIT_WORDS, Format, clean, ordered
from photovision.data.read_options import DEFAULTS, ReadOptions

JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "@eaDir", "__pycache__"})

Parts = tuple[str, ...]
Tree = dict[Parts, list[str]]
"""Folder, as its parts below the root -> names of the pictures that lie directly in it, sorted."""


def detects(path: Path) -> bool:
    """Any folder may be one of class folders; tables are asked first."""
    return path.is_dir()


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read class folders below `path`; raises DataError where there are no pictures or no classes."""
    if options.multilabel:
        raise DataError(
            f"{path} is a folder per class, which gives each picture one label: for several labels"
            " add a metadata.csv with the columns file_name and labels"
        )
    tree = pictures_below(path)
    if not tree:
        raise DataError(f"no pictures were found in {path}: expected a folder per class, as in cat/1.jpg and dog/2.jpg")
    top = _wrapper(tree)
    loose = sum(len(names) for parts, names in tree.items() if len(parts) <= top)
    if loose * 2 > sum(map(len, tree.values())):
        raise DataError(
            f"{path} holds {loose:,} pictures that are in no class folder: put each class into a folder of its own,"
            " or add a metadata.csv with the columns file_name and label"
        )
    return _dataset(path, tree, top, _has_splits(path, tree, top))


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/[split/]class/picture; arrays become PNG files. Raises DataError for multi-label data."""
    if dataset.multilabel:
        raise DataError("a folder per class holds one label a picture: write multi-label data as a table")
    split_of = {position: name for name, positions in dataset.splits.items() for position in positions}
    with new_folder(path) as folder:
        for position, sample in enumerate(dataset.samples):
            parts = sample.label.split("/")
            if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part or part in JUNK for part in parts):
                raise DataError(f"the class name {sample.label!r} cannot be a folder's name: write the data as a table")
            within = [split_of[position]] if position in split_of else []
            save_picture(sample, folder.joinpath(*within, *parts), f"{position:06d}")


def save_picture(sample: Sample, folder: Path, stem: str) -> Path:
    """Copy a sample's file into `folder`, or save its array there as PNG; returns the new file."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(sample.image, np.ndarray):
        target = folder / f"{stem}.png"
        Pillow.fromarray(sample.image).save(target)
        return target
    target = folder / f"{stem}{sample.image.suffix.lower()}"
    try:
        shutil.copyfile(sample.image, target)
    except FileNotFoundError:
        raise DataError(f"cannot copy {sample.image}, which does not exist any more: read the data again") from None
    return target


def pictures_below(root: Path) -> Tree:
    """All folders below `root` that directly hold pictures, with their names; sorted, junk left out."""
    tree: Tree = {}
    seen = set()
    waiting: list[tuple[str, Parts]] = [(str(root), ())]
    links: list[tuple[str, Parts]] = []
    while waiting or links:
        # Real folders come before links to them, so that a picture's id does not depend on the links beside it.
        folder, parts = (waiting or links).pop()
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in seen:
            continue
        seen.add((facts.st_dev, facts.st_ino))
        names = []
        for entry in sorted(_entries(folder), key=lambda entry: entry.name, reverse=True):
            if _is_folder(entry):
                (links if entry.is_symlink() else waiting).append((entry.path, (*parts, entry.name)))
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                names.append(entry.name)
        if names:
            tree[parts] = names[::-1]
    return dict(sorted(tree.items()))


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith(".") and entry.name not in JUNK)
    except PermissionError:
        raise DataError(f"the folder {folder} may not be read: change its permissions or choose another") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _wrapper(tree: Tree) -> int:
    """How many folders at the top merely wrap the rest, as archives often do (data/dataset/cat/1.jpg)."""
    depth = 0
    while True:
        heads = {parts[: depth + 1] for parts in tree}
        if len(heads) > 1:
            return depth
        head = next(iter(heads))
        if head in tree or len(head) <= depth or head[-1].lower() in SPLIT_WORDS:
            return depth
        depth += 1


def _has_splits(path: Path, tree: Tree, top: int) -> bool:
    """Whether the first level of folders names splits; raises DataError where it names splits and classes at once."""
    heads = {parts[top] for parts in tree if len(parts) > top}
    # A folder named "train" that directly holds pictures may be a class of vehicles; one with folders in it is a split.
    named = {head for head in heads if head.lower() in SPLIT_WORDS}
    deeper = {parts[top] for parts in tree if len(parts) > top + 1 and parts[top] in named}
    if not deeper:
        return False
    if others := sorted(heads - named):
        raise DataError(
            f"{path} mixes split folders ({', '.join(sorted(named))}) with other folders of pictures"
            f" ({', '.join(others[:3])}): keep only split folders, or only class folders, at the top"
        )
    return True


def _dataset(path: Path, tree: Tree, top: int, has_splits: bool) -> Dataset:
    files: list[str] = []
    labels: list[str] = []
    splits: dict[str, list[int]] = {}
    problems = []
    for parts, names in tree.items():
        inside = "".join(f"{part}/" for part in parts)
        label = clean("/".join(clean(part) for part in parts[top + has_splits :]))
        if not label:
            message = "lies beside the class folders, not in one, so its label is unknown"
            problems += [Problem(inside + name, "unlabelled", message) for name in names]
            continue
        if has_splits:
            positions = splits.setdefault(SPLIT_WORDS[parts[top].lower()], [])
            positions.extend(range(len(files), len(files) + len(names)))
        files += [inside + name for name in names]
        labels += [label] * len(names)
    classes = ordered(labels)
    targets = {label: (label,) for label in classes}
    samples = FileSamples(path, files, [targets[label] for label in labels])
    kept = {name: tuple(positions) for name, positions in splits.items()}
    return Dataset(samples, classes, kept, False, tuple(problems), "folder")


FORMAT = Format(detects, read, write, frozenset(("splits", "plain")), frozenset(("multilabel",)))
