"""Good images to learn from and defects to test on, laid out as MVTec AD is (Bergmann et al., CVPR 2019).

    data/train/good/000.png                     good images only
    data/test/good/000.png                      good images
    data/test/scratch/000.png                   images with a defect, a folder for each kind
    data/ground_truth/scratch/000_mask.png      where the defect is: bright pixels; or masks/000.png; optional

Recognised where the training part holds a single folder, called good, normal or ok: nothing else could be learned from
it. Where the format is asked for, defects in the training part are taken into the test part.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError
from photovision.core.folder import new_folder
from photovision.core.geometry import upright_values
from photovision.core.regions import IGNORE, LabelMap, Segmentation
from photovision.data.dataset import Dataset, FileSamples, Problem
from photovision.data.formats import Format, clean, ordered
from photovision.data.formats.folder import save_picture, unused
from photovision.data.formats.mask_files import read_values, turn
from photovision.data.formats.mask_names import place_of
from photovision.data.formats.portable import check_folders
from photovision.data.formats.split_names import split_named
from photovision.data.formats.tree import JUNK, Listing, Parts, list_files
from photovision.data.read_options import DEFAULTS, ReadOptions

GOOD = ("good", "normal", "ok")
"""What people call images without a defect, in lower case."""
_SUFFIX = "_mask"


def good_class(names: Iterable[str]) -> str | None:
    """The class of images without a defect; None where no name means that, or several do.

    Example:
        >>> good_class(("Good", "scratch")), good_class(("cat", "dog"))
        ('Good', None)
    """
    found = [name for name in names if name.strip().casefold() in GOOD]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class DefectMask:
    """A LabelSource: the pixels of a defect in a mask, which is black elsewhere.

    Attributes:
        file: the mask; more than two tones are smoothed edges, of which the nearer counts.
        image: its image, which may be turned by EXIF.
        good, kind: classes of pixels outside and inside.
    """

    file: Path
    image: Path
    good: int
    kind: int

    def load(self) -> LabelMap:
        """int32 (H, W); raises DataError where a file cannot be read, or is not as large as its image."""
        stored = read_values(self.file)
        if len(np.unique(stored)) > 2:
            stored = read_values(self.file, snap=True)
        upright = upright_values(stored > 0, turn(self.image, stored.shape))
        return np.where(upright, self.kind, self.good).astype(np.int32)

    def digest(self) -> bytes:
        """Changes when the content of the file changes."""
        return hashlib.sha256(self.file.read_bytes()).digest() + repr((self.good, self.kind)).encode()


def detects(path: Path) -> bool:
    """Whether the training part holds one folder, of good images."""
    if not path.is_dir():
        return False
    try:
        home = path.joinpath(*_wrapper(path))
        parts = [folder for name in _folders(home) if split_named(name) == "train" for folder in _folders(home / name)]
    except OSError:  # a folder that may not be read
        return False
    return len(parts) == 1 and good_class(parts) is not None


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read images and masks of a folder; raises DataError where there is nothing good to learn from."""
    listing = list_files(path)
    found = _Found()
    for parts, names in listing.pictures.items():
        found.take(parts, names, len(_wrapper(path)))
    good = good_class(dict.fromkeys(found.labels[row] for row in found.splits.get("train", ())))
    if good is None:
        raise DataError(f"{path} should hold train/good, and test/good and test/KIND to test on (MVTec AD)")
    return found.dataset(path, listing, good)


@dataclass
class _Found:
    """Images with their labels and splits, and masks by kind ("" where they are not in folders) and stem."""

    files: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: dict[str, list[int]] = field(default_factory=dict)
    masks: dict[tuple[str, str], str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def take(self, parts: Parts, names: list[str], wrapped: int) -> None:
        """Take the images of one folder."""
        inside = "".join(f"{part}/" for part in parts)
        head, *below = parts[wrapped:] or ("",)
        split = split_named(head)
        if split is not None and below:
            self.splits.setdefault(split, []).extend(range(len(self.files), len(self.files) + len(names)))
            self.files += [inside + name for name in names]
            self.labels += [clean(below[0])] * len(names)
        elif place_of((head,)).role in ("mask", "objects"):
            kind = clean(below[0]) if below else ""
            self.masks |= {(kind, _stem(name)): inside + name for name in names}
        else:
            message = "lies outside of train/ and test/, so its label is unknown"
            self.problems += [Problem(inside + name, "unlabelled", message) for name in names]

    def dataset(self, path: Path, listing: Listing, good: str) -> Dataset:
        """All of it, with the good class by its name in the training part."""
        labels = [good if label.casefold() in GOOD else label for label in self.labels]
        classes = ordered(labels)
        splits, notes = self._moved(labels, good)
        regions, used = self._regions(path, labels, classes, good)
        spare = sorted(set(self.masks.values()) - used)
        problems = (
            *self.problems,
            *(Problem(file, "no picture", "a mask without its picture") for file in spare),
            *listing.left_out(),
        )
        targets = {label: (label,) for label in classes}
        samples = FileSamples(path, self.files, [targets[label] for label in labels], annotations=regions)
        kept = {name: tuple(rows) for name, rows in splits.items()}
        more = (*notes, *unused(listing))
        return Dataset(samples, classes, kept, False, problems, "mvtec", annotation_type="defects", notes=more)

    def _moved(self, labels: list[str], good: str) -> tuple[dict[str, list[int]], tuple[Problem, ...]]:
        """The splits, with defects of the training part in the test part."""
        bad = [row for row in self.splits["train"] if labels[row] != good]
        if not bad:
            return self.splits, ()
        train = [row for row in self.splits["train"] if labels[row] == good]
        test = sorted([*self.splits.get("test", ()), *bad])
        many = "1 image" if len(bad) == 1 else f"{len(bad):,} images"
        note = Problem(self.files[bad[0]], "reading", f"{many} with a defect in train/ are taken to test on")
        return {**self.splits, "train": train, "test": test}, (note,)

    def _regions(
        self, path: Path, labels: list[str], classes: tuple[str, ...], good: str
    ) -> tuple[list[Segmentation | None], set[str]]:
        """The mask of every image, and which files they are; a mask outside the folders of kinds needs its own name."""
        stems = Counter(_stem(file) for file, label in zip(self.files, labels, strict=True) if label != good)
        number = {name: place for place, name in enumerate(classes)}
        regions: list[Segmentation | None] = []
        used = set()
        for file, label in zip(self.files, labels, strict=True):
            stem = _stem(file)
            mask = self.masks.get((label, stem)) or (self.masks.get(("", stem)) if stems[stem] == 1 else None)
            if label == good or mask is None:
                regions.append(None)
                continue
            used.add(mask)
            source = DefectMask(path / mask, path / file, number[good], number[label])
            regions.append(Segmentation(source, classes))
        return regions, used


def write(dataset: Dataset, path: Path) -> None:
    """Write the layout above, all or nothing; images without a split: good ones to learn from, others to test on.

    Raises DataError for data without a class of good images.
    """
    good = None if dataset.multilabel else good_class(dataset.classes)
    if good is None:
        raise DataError(f"one class should be called {', '.join(GOOD)}, got {', '.join(dataset.classes)}: rename it")
    check_folders(dataset.classes)
    split_of = {position: name for name, positions in dataset.splits.items() for position in positions}
    digits = max(3, len(str(len(dataset))))
    with new_folder(path, "data set") as folder:
        for position, sample in enumerate(dataset.samples):
            label = sample.label
            split = split_of.get(position, "train") if label == good else "test"
            name = f"{position:0{digits}d}"
            save_picture(sample, folder / split / label, name)
            if label != good and isinstance(sample.annotations, Segmentation):
                labels = sample.annotations.labels
                bad = (labels != dataset.classes.index(good)) & (labels != IGNORE)
                place = folder / "ground_truth" / label
                place.mkdir(parents=True, exist_ok=True)
                Pillow.fromarray(np.where(bad, 255, 0).astype(np.uint8)).save(place / f"{name}{_SUFFIX}.png")


def _wrapper(path: Path) -> Parts:
    """Folders that merely wrap the rest, as archives often do."""
    parts: list[str] = []
    while True:
        here = path.joinpath(*parts)
        folders = _folders(here)
        if len(folders) != 1 or split_named(folders[0]) or len(_entries(here)) > 1:
            return tuple(parts)
        parts.append(folders[0])


def _folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(path) if entry.is_dir(follow_symlinks=False))


def _entries(path: Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in JUNK]


def _stem(file: str) -> str:
    return PurePosixPath(file).stem.casefold().removesuffix(_SUFFIX)


FORMAT = Format(detects, read, write, frozenset(("splits", "segmentation", "plain")), annotation_type="defects")
