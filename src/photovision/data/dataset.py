"""Dataset: pictures with their truths, lazily: nothing is decoded until somebody needs pixels."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Literal, overload
from warnings import warn

import numpy as np

from photovision.core.errors import DataError
from photovision.core.files import version_of
from photovision.core.notebook import Html
from photovision.core.regions import Regions
from photovision.core.types import Floats, Ints, Sample
from photovision.core.value_range import ValueRanges
from photovision.data import dataset_view

SPLITS = ("train", "val", "test")
AnnotationType = Literal["labels", "boxes", "masks", "defects"]
"""What is known of the images: their classes; the objects in them, some with masks; the class of every pixel; or that
those to learn from are good, and the kind of defect of others, some with masks."""
ANNOTATION_TYPES: dict[AnnotationType, str] = {
    "labels": "classification",
    "boxes": "detection",
    "masks": "segmentation",
    "defects": "anomaly detection",
}
"""Type of annotations -> the field's word for data of that kind."""
_OLD = dict(zip(("classify", "detect", "segment"), ANNOTATION_TYPES, strict=False))
"""Old spelling of a type of annotations -> its name."""
FORMAT_WORDS = {
    "shards": "tar shards",
    "table": "a table",
    "coco": "COCO",
    "cvat": "CVAT",
    "labelstudio": "Label Studio",
    "voc": "Pascal VOC",
    "yolo": "YOLO",
    "masks": "masks",
    "mvtec": "good images and defects (MVTec AD)",
    "folder": "a folder per class",
    "good": "a folder of good images",
}
"""Name of a format -> how people call it; of others the name will do."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file: it is left out of learning, counted and named, never guessed at.

    Attributes:
        id: the sample's id.
        kind: "unreadable", "missing", "unlabelled" ...
        message: one line for people.
    """

    id: str
    kind: str
    message: str


@dataclass(frozen=True)
class Correction:
    """What a person decided about the label of one picture, see `photovision.data.corrections`.

    Attributes:
        id: the sample's id.
        was: the classes that the data give it.
        decision: "label", "leave out", "right" or "undone".
        label: the classes that are true of it, where the decision is "label".
        time: when, in UTC as ISO 8601.
        applied: whether the data follow it; False where they do not fit it (any more).
    """

    id: str
    was: tuple[str, ...]
    decision: str
    label: tuple[str, ...] = ()
    time: str = ""
    applied: bool = False


class FileSamples(Sequence[Sample]):
    """Samples of picture files, each made when it is asked for, so that a million files fit in little memory.

    Args:
        root: folder that all files lie below.
        files: paths relative to `root`, with forward slashes; they are the ids, too.
        targets: names of the true classes of every file, or None where unknown; equal tuples are best one object.
        attributes: attribute name -> one string per file; "" where a file has no such attribute.
        annotations: boxes, masks or pixel classes of every file; None where only classes are known.

    Example:
        >>> FileSamples(Path("data"), ["x/1.jpg"], [("x",)], {"camera": ["B"]})[0].groups
        {'camera': 'B'}
    """

    def __init__(
        self,
        root: Path,
        files: Sequence[str],
        targets: Sequence[tuple[str, ...] | None],
        attributes: Mapping[str, Sequence[str]] | None = None,
        annotations: Sequence[Regions | None] | None = None,
    ) -> None:
        self._root, self._files, self._targets, self._attributes = root, files, targets, dict(attributes or {})
        self._annotations = annotations
        columns = (targets, *self._attributes.values(), *(() if annotations is None else (annotations,)))
        if any(len(column) != len(files) for column in columns):
            raise DataError(f"{len(files)} files need as many targets and values of every attribute")

    @property
    def files(self) -> Sequence[str]:
        """The files, relative to their folder."""
        return self._files

    @property
    def attributes(self) -> Mapping[str, Sequence[str]]:
        """Attribute name -> the value of every file, "" where there is none."""
        return self._attributes

    def with_attribute(self, name: str, values: Sequence[str]) -> FileSamples:
        """The same files with one attribute more."""
        columns = {**self._attributes, name: values}
        return FileSamples(self._root, self._files, self._targets, columns, self._annotations)

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        file = self._files[index]
        groups = {name: column[index] for name, column in self._attributes.items() if column[index]}
        # A file name that is not UTF-8 still opens, but its id must be printable.
        name = file if file.isascii() else file.encode("utf-8", "replace").decode()
        annotations = None if self._annotations is None else self._annotations[index]
        return Sample(name, self._root / file, self._targets[index], groups, annotations)


class ColumnSamples(Sequence[Sample]):
    """Samples that are columns of a table on the disk: none is an object before it is asked for.

    Attributes:
        targets: the K different targets that occur.
    """

    targets: tuple[tuple[str, ...], ...]

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(index, slice):
            return tuple(self.sample(row) for row in range(*index.indices(len(self))))
        return self.sample(range(len(self))[index])

    @abstractmethod
    def sample(self, row: int) -> Sample:
        """One of the N samples, by its row from 0 to N - 1."""

    @abstractmethod
    def codes(self) -> Ints:
        """int64 (N,): which of `targets` every sample has; -1 where the truth is unknown."""

    @abstractmethod
    def at(self, positions: Ints) -> ColumnSamples:
        """The samples at these positions, int64 (M,), in that order."""

    @abstractmethod
    def digest(self) -> bytes:
        """What changes when any of the samples does."""


def _targets(samples: Sequence[Sample]) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """The targets that occur, each beside the id of a sample."""
    if isinstance(samples, ColumnSamples):
        yield from (("of the table", target) for target in samples.targets)
    else:
        yield from ((sample.id, sample.target) for sample in samples)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures with their truths.

    Attributes:
        samples: the pictures, in a fixed order.
        classes: names, in the order of all probability vectors.
        splits: the published split as name ("train", "val", "test") -> positions in `samples`; empty where the data
            has none. Positions in no split are used by nobody.
        multilabel: whether a picture may have any number of classes.
        problems: what was found wrong while reading.
        source: name of the format it was read from.
        corrections: what people decided about labels; the samples follow those that are `applied`.
        annotation_type: "labels" (targets alone), "boxes" (the samples have `Detections`), "masks" (they have
            `Segmentation`), or "defects" (targets, the classes of the training part being good; some have masks).
        notes: what was odd about files that are used all the same.
        sessions: id of a sample -> its capture session, as people gave it, see `photovision.data.session_corrections`.

    Example:
        >>> data = Dataset((Sample("a", Path("a.png"), ("x",)), Sample("b", Path("b.png"), ("y",))), ("x", "y"))
        >>> data.labels
        array([0, 1])
    """

    samples: Sequence[Sample]
    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[int]] = field(default_factory=dict)
    multilabel: bool = False
    problems: tuple[Problem, ...] = ()
    source: str = "memory"
    corrections: tuple[Correction, ...] = ()
    annotation_type: AnnotationType = "labels"
    notes: tuple[Problem, ...] = ()
    sessions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = set(self.classes)
        if len(known) != len(self.classes):
            raise DataError("class names should be unique, got " + ", ".join(sorted(self.classes)))
        if self.annotation_type not in ANNOTATION_TYPES:
            types = ", ".join(ANNOTATION_TYPES)
            raise DataError(f"annotation_type should be one of {types}, got '{self.annotation_type}'")
        for id, target in _targets(self.samples):
            for name in target or ():
                if name not in known:
                    raise DataError(f"sample '{id}' has the label '{name}', which is not among the classes")
        for name, positions in self.splits.items():
            if name not in SPLITS:
                raise DataError(f"a split should be called train, val or test, got '{name}'")
            ends = (positions[0], positions[-1]) if isinstance(positions, range) and positions else positions
            if ends and not 0 <= min(ends) <= max(ends) < len(self.samples):
                raise DataError(f"split '{name}' names positions outside the {len(self.samples)} samples")

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Sample | Dataset:
        """The sample at a position, or the data set of a slice, without splits."""
        if isinstance(index, slice):
            return self.subset(range(*index.indices(len(self))))
        return self.samples[index]

    def __repr__(self) -> str:
        return f"Dataset({dataset_view.summary(self)})"

    def _repr_html_(self) -> str:
        """What the data set is, and its first pictures of every class, for notebooks."""
        return dataset_view.shown(self, dataset_view.SHOWN)

    def show(self, count: int = 24) -> Html:
        """A grid of `count` pictures, classes in turn, with their labels, boxes and masks: a notebook shows it."""
        return Html(dataset_view.shown(self, count))

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, a row for each picture: id, file, split, label or labels, objects, attributes.

        Raises MissingExtra where pandas is not installed.
        """
        return dataset_view.frame(self)

    @property
    def task(self) -> str:
        """The old spelling of `annotation_type`: "classify", "detect" or "segment"."""
        warn("Dataset.task is now Dataset.annotation_type", DeprecationWarning, stacklevel=2)
        return {new: old for old, new in _OLD.items()}.get(self.annotation_type, self.annotation_type)

    @property
    def reading(self) -> str:
        """What the data were taken for, in words: annotations, format and splits."""
        several = "multi-label " if self.multilabel and self.annotation_type == "labels" else ""
        splits = f"{len(self.splits)} split{'s' if len(self.splits) != 1 else ''}" if self.splits else "no splits"
        known = FORMAT_WORDS.get(self.source, self.source)
        return f"{several}{ANNOTATION_TYPES[self.annotation_type]}, {known}, {splits}"

    @cached_property
    def labels(self) -> Ints:
        """int64 (N,): the class index of every sample; raises UsageError for multi-label or unlabelled samples."""
        index = {name: i for i, name in enumerate(self.classes)}
        if isinstance(self.samples, ColumnSamples):
            codes = self.samples.codes()
            if codes.min(initial=0) < 0:
                self.samples[int(np.argmin(codes))].label  # noqa: B018 - raises, and names the first without a label
            numbers = [index[target[0]] if len(target) == 1 else -1 for target in self.samples.targets]
            return np.array(numbers, dtype=np.int64)[codes]
        return np.array([index[sample.label] for sample in self.samples], dtype=np.int64)

    @cached_property
    def label_matrix(self) -> Floats:
        """float32 (N, C) of 0 and 1: which classes are true of every sample."""
        index = {name: i for i, name in enumerate(self.classes)}
        matrix = np.zeros((len(self.samples), len(self.classes)), dtype=np.float32)
        for row, sample in enumerate(self.samples):
            for name in sample.target or ():
                matrix[row, index[name]] = 1
        return matrix

    @property
    def truth(self) -> np.ndarray:
        """`label_matrix` for multi-label data, else `labels`."""
        return self.label_matrix if self.multilabel else self.labels

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change when a picture's name, size, label, box, mask or split changes."""
        digest = hashlib.sha256(repr((self.classes, self.multilabel)).encode())
        if isinstance(self.samples, ColumnSamples):
            digest.update(repr(sorted(self.splits.items())).encode() + self.samples.digest())
            return digest.hexdigest()[:16]
        split_of = {position: name for name, positions in self.splits.items() for position in positions}
        for position, sample in enumerate(self.samples):
            image = sample.image
            content = image.tobytes() if isinstance(image, np.ndarray) else str(_size_of(image)).encode()
            facts = (sample.id, sample.target, sorted(sample.groups.items()), split_of.get(position))
            digest.update(repr(facts).encode() + hashlib.sha256(content).digest())
            if sample.annotations is not None:
                digest.update(sample.annotations.digest())
        return digest.hexdigest()[:16]

    def subset(self, positions: Sequence[int] | np.ndarray) -> Dataset:
        """The samples at these positions, in that order, without splits."""
        if isinstance(self.samples, ColumnSamples):
            return replace(self, samples=self.samples.at(np.asarray(positions, np.int64)), splits={})
        return replace(self, samples=tuple(self.samples[int(i)] for i in positions), splits={})

    def shown_by(self, ranges: ValueRanges) -> Dataset:
        """The same pictures, those of more than 8 bits shown by these ranges; itself where there are none."""
        return replace(self, samples=_Shown(self.samples, ranges)) if ranges else self

    def split(self, name: str) -> Dataset:
        """The samples of one published split; raises DataError where it does not exist."""
        if name not in self.splits:
            raise DataError(f"the data has no split '{name}', only {', '.join(self.splits) or 'none'}")
        return self.subset(self.splits[name])


def _with_task(init: Any) -> Any:
    """`Dataset.__init__`, to which `task`, the old spelling of `annotation_type`, may still be given."""

    @wraps(init)
    def made(self: Dataset, *values: Any, task: str | None = None, **fields: Any) -> None:
        if task is not None:
            warn("Dataset(task=...) is now Dataset(annotation_type=...)", DeprecationWarning, stacklevel=2)
            fields["annotation_type"] = _OLD.get(task, task)
        init(self, *values, **fields)

    return made


Dataset.__init__ = _with_task(Dataset.__init__)  # type: ignore[method-assign]


class _Shown(Sequence[Sample]):
    """Samples that know how they are shown."""

    def __init__(self, samples: Sequence[Sample], ranges: ValueRanges) -> None:
        self._samples, self._ranges = samples, ranges

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return replace(self._samples[index], ranges=self._ranges)


def _size_of(path: Path) -> int:
    try:
        return version_of(path)[1]
    except (OSError, DataError):
        return -1
