"""Data in, as people have it: a path whose format is found out, or arrays and paths from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.address import is_address
from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.image_formats import INDEX
from photovision.core.inputs import Given, Source, as_pixels, as_sources
from photovision.core.suggest import did_you_mean, paths_beside
from photovision.core.types import Image, Sample
from photovision.data.archive_members import is_archive
from photovision.data.archives import left_out, unpacked
from photovision.data.corrections import Corrections, corrected
from photovision.data.dataset import Dataset, Problem
from photovision.data.dicom.attributes import with_scans
from photovision.data.formats import FORMATS, Format, clean, ordered
from photovision.data.formats.doubts import DATA
from photovision.data.formats.folder import unused
from photovision.data.formats.tree import NAMED, Tree, files_of, list_files
from photovision.data.read_options import ReadOptions
from photovision.data.session_corrections import SessionCorrections

Labels = Sequence[str] | Sequence[int] | Sequence[Sequence[str]] | np.ndarray
Pictures = Given | Iterable[Given]


def read_dataset(
    source: str | Path,
    *,
    format: str | None = None,
    multilabel: bool | None = None,
    label_column: str | None = None,
    file_column: str | None = None,
    root: str | Path | None = None,
    uncertain: str | None = None,
    label_separator: str | None = None,
    label_from: str | None = None,
    unlabelled: bool | None = None,
    corrections: bool = True,
) -> Dataset:
    """Read the names and labels of pictures, as people corrected them; no picture is opened.

    Args:
        source: a folder, a zip or tar archive of one, tar shards (also at an address such as s3://bucket/shards), or
            the path of a table or of a file of annotations.
        format: name of a format, one of `FORMATS.names()`; found out if None.
        multilabel: whether a picture may have several labels; found out if None.
        label_column: the table's column to take labels from; `label` or one of its other names if None.
        file_column: the table's column to take file names from; found by its name, else by its values, if None.
        root: the folder that the names of pictures start from; the folder of the table if None.
        uncertain: what -1 means in a column of 0 and 1: "negative", "positive", or "ignore", which leaves out the
            picture; such a table is refused if None.
        label_separator: what separates several labels in one cell; found out if None.
        label_from: how the name of a file tells its label, see `photovision.data.formats.names`.
        unlabelled: whether a table needs no labels, and those that it has are left out.
        corrections: whether `photovision-labels.csv` and `photovision-sessions.csv` beside the pictures count, see
            `photovision.data.corrections` and `photovision.data.session_corrections`.

    Raises:
        DataError: it does not exist, has no pictures, or its labels cannot be understood.
        UsageError: no format of that name, or an option that the format does not accept.
        MissingExtra: a Parquet table without pyarrow.

    Example:
        >>> read_dataset("nowhere/at/all")
        Traceback (most recent call last):
        photovision.core.errors.DataError: nowhere/at/all does not exist: check the path of the data
    """
    options = ReadOptions(
        format=format,
        multilabel=multilabel,
        label_column=label_column,
        file_column=file_column,
        root=None if root is None else Path(root),
        uncertain=uncertain,
        label_separator=label_separator,
        label_from=label_from,
        unlabelled=unlabelled,
    )
    if is_address(source):
        return _read_at(str(source), options)
    path = _existing(source)
    packed = is_packed(path, options.format)
    dataset = _read(unpacked(path) if packed else path, options)
    if packed and (others := left_out(unpacked(path))):
        lines = (Problem(first, "left out of the archive", f"{n:,} {kind}") for kind, (n, first) in others.items())
        dataset = replace(dataset, problems=(*dataset.problems, *lines))
    dataset = with_scans(dataset)
    if not corrections:
        return dataset
    root = root_of(path)
    return replace(corrected(dataset, Corrections(root)), sessions=SessionCorrections(root).latest())


def _existing(source: str | Path) -> Path:
    """The path of data that are there; of a DICOMDIR the folder that it lists."""
    path = Path(source)
    if not path.exists():
        meant = did_you_mean(str(source), paths_beside(path))
        raise DataError(f"{path} does not exist: check the path of the data{meant}")
    return path.parent if path.name == INDEX and path.is_file() else path


def is_packed(path: Path, format: str | None = None) -> bool:
    """Whether a path is an archive that is unpacked to be read; tar shards are read as they are. Raises DataError."""
    if path.is_dir() or not is_archive(path):
        return False
    return not (format in (None, "shards") and (format is not None or FORMATS.load("shards").detects(path)))


def _read_at(address: str, options: ReadOptions) -> Dataset:
    """The shards at an address."""
    if options.format not in (None, "shards"):
        raise UsageError(f"only tar shards are read at an address, not the format '{options.format}': leave it out")
    _refuse_others("shards", FORMATS.load("shards"), options)
    from photovision.data.formats.shards import read_at

    return read_at(address)


def _read(path: Path, options: ReadOptions) -> Dataset:
    for name in FORMATS.names() if options.format is None else (options.format,):
        known: Format = FORMATS.load(name)
        if options.format is not None or known.detects(path):
            _refuse_others(name, known, options)
            return known.read(path, options)
    raise DataError(
        f"{path} is neither a folder nor a table (.csv, .tsv, .jsonl, .parquet) nor a file of boxes"
        " (COCO, Label Studio, CVAT, data.yaml) nor a zip or tar archive: give one of these"
    )


def unnamed(path: Path, dataset: Dataset) -> list[Problem]:
    """The files of a folder that its annotations do not name, counted: nothing is passed over in silence.

    A folder per class has counted its own. Tables and annotations themselves are not among them.
    """
    if not path.is_dir() or dataset.source in ("folder", "shards"):
        return []
    listing = list_files(path)
    notes = unused(replace(listing, others=_without(listing.others, DATA)))
    known = {sample.id for sample in dataset.samples} | {problem.id for problem in dataset.problems}
    strange = [file for file in files_of(listing.pictures) if file not in known]
    if strange and dataset.source not in ("masks", "mvtec") and len(dataset.problems) < NAMED:
        many = "1 picture is" if len(strange) == 1 else f"{len(strange):,} pictures are"
        notes.insert(0, Problem(strange[0], "not used", f"{many} not named by the annotations, and not used"))
    return notes


def _without(tree: Tree, suffixes: frozenset[str]) -> Tree:
    """The files that have none of these suffixes."""
    kept = {parts: [n for n in names if Path(n).suffix.lower() not in suffixes] for parts, names in tree.items()}
    return {parts: names for parts, names in kept.items() if names}


def _refuse_others(name: str, known: Format, options: ReadOptions) -> None:
    """Raise UsageError where an option was chosen that the format does not accept: none is ever ignored."""
    others = [option for option in options.chosen() if option not in known.accepts]
    if others:
        takers = [other for other in FORMATS.names() if others[0] in FORMATS.load(other).accepts]
        raise UsageError(
            f"the format '{name}' does not accept {others[0]} (--{others[0].replace('_', '-')}); formats that do:"
            f" {', '.join(takers) or 'none'}: leave it out, or choose another format"
        )


def root_of(source: Path) -> Path:
    """The folder that a data set lies in: itself, or the folder of its table."""
    return source if source.is_dir() else source.parent


def dataset_from_arrays(
    images: Pictures,
    labels: Labels,
    classes: Sequence[str] | None = None,
    splits: Mapping[str, Sequence[int] | np.ndarray] | None = None,
) -> Dataset:
    """A dataset from pictures in memory, or from their paths.

    Args:
        images: N pictures, as `photovision.core.inputs.as_source` takes them, or an array (N, H, W, 3), or (N, H, W)
            of grey ones. Paths stay paths; all others are decoded here.
        labels: N class names, class indices, or lists of class names (multi-label).
        classes: names in their order; found from the labels if None.
        splits: published split as "train", "val" or "test" -> positions.

    Raises:
        DataError: lengths differ, or a label is not among the classes.
        UsageError: something is not a picture.
        UnreadableImage: a picture that is no path cannot be decoded.

    Example:
        >>> data = dataset_from_arrays(np.zeros((4, 8, 8), np.uint8), ["a", "b", "a", "b"])
        >>> len(data), data.classes, data.samples[0].image.shape
        (4, ('a', 'b'), (8, 8, 3))
    """
    sources, labels = list(as_sources(images, stacks=True)[0]), _listed(labels)
    if len(sources) != len(labels):
        raise DataError(f"each picture needs its label, got {len(sources):,} pictures and {len(labels):,} labels")
    if not sources:
        raise DataError("expected at least one picture with its label, got none")
    targets, multilabel = _targets(labels, classes)
    names = tuple(clean(name) for name in classes) if classes is not None else ordered(n for t in targets for n in t)
    width = len(str(len(sources) - 1))
    samples = tuple(
        Sample(*_picture(source, f"{position:0{width}d}"), target)
        for position, (source, target) in enumerate(zip(sources, targets, strict=True))
    )
    if len({sample.id for sample in samples}) != len(samples):
        raise DataError("each picture should be given once, but a path is given more than once: remove the repetitions")
    kept = {name: tuple(int(i) for i in positions) for name, positions in (splits or {}).items()}
    return Dataset(samples, names, kept, multilabel)


def _picture(source: Source | UnreadableImage, number: str) -> tuple[str, Path | Image]:
    if isinstance(source, UnreadableImage):
        raise source
    if isinstance(source, str | Path):
        return Path(source).as_posix(), Path(source)
    return number, as_pixels(source, f"picture {int(number) + 1}")


def _listed(labels: Labels | Iterable[Any]) -> list[Any]:
    """Labels as a list of Python's own values, of whatever library their column is."""
    column = getattr(labels, "tolist", None)
    return list(labels if column is None else column())


def _targets(labels: list[Any], classes: Sequence[str] | None) -> tuple[list[tuple[str, ...]], bool]:
    first = labels[0]
    if isinstance(first, str):
        return [(clean(str(label)),) for label in labels], False
    if isinstance(first, int | np.integer):
        return [(_name(int(label), classes),) for label in labels], False
    if isinstance(first, Sequence):
        return [tuple(dict.fromkeys(clean(str(name)) for name in label)) for label in labels], True
    raise DataError(f"labels should be names, whole numbers or lists of names, got {type(first).__name__}")


def _name(index: int, classes: Sequence[str] | None) -> str:
    if classes is None:
        return str(index)
    if not 0 <= index < len(classes):
        raise DataError(f"labels should be 0 to {len(classes) - 1}, one for each class name, got {index}")
    return clean(classes[index])


def as_dataset(
    data: Dataset | str | Path | Pictures, labels: Labels | None = None, classes: Sequence[str] | None = None
) -> Dataset:
    """Labelled pictures as people give them: a data set, its path, or pictures with labels beside them.

    Args:
        data: a `Dataset`, what `read_dataset` reads, or with `labels` what `dataset_from_arrays` takes.
        labels: as `dataset_from_arrays` takes them; None for a data set and for a path.
        classes: names that whole numbers among the labels stand for.

    Raises:
        DataError: as `read_dataset` and `dataset_from_arrays` do.
        UsageError: pictures without labels, or labels beside a data set that has its own.
    """
    if labels is None and isinstance(data, str | Path):
        return read_dataset(data)
    if labels is None and isinstance(data, Dataset):
        return data
    if labels is None:
        raise UsageError(
            f"pictures need their labels beside them: give both, a data set, or its path; got {type(data).__name__}"
        )
    if isinstance(data, Dataset | str | Path):
        raise UsageError("a data set has its own labels: give labels beside pictures only")
    labels = _listed(labels)
    numbers = bool(labels) and isinstance(labels[0], int | np.integer)
    return dataset_from_arrays(data, labels, classes if numbers else None)
