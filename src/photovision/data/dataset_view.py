"""Data sets as people look at them: a line, a grid of pictures in a notebook, a data frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.core.regions import Detections
from photovision.core.types import Sample

if TYPE_CHECKING:
    from photovision.data.dataset import Dataset

SHOWN = 12
"""Pictures that a notebook shows unasked."""
_NAMED = 6
_LOOKED_AT = 20_000
"""Samples among which classes are looked for."""


def summary(data: Dataset) -> str:
    """A data set in a line: pictures, classes, format and splits.

    Example:
        >>> from photovision.data.dataset import Dataset
        >>> Dataset((Sample("a", Path("a.png"), ("x",)),), ("x",))
        Dataset(1 picture, 1 class: x; classification, memory, no splits)
    """
    from photovision.core.phrases import count
    from photovision.core.text import printable

    named = ", ".join(printable(name) for name in data.classes[:_NAMED])
    more = ", ..." if len(data.classes) > _NAMED else ""
    problems = f", {count(len(data.problems), 'problem')}" if data.problems else ""
    classes = count(len(data.classes), "class", "classes") + (f": {named}{more}" if named else "")
    return f"{count(len(data), 'picture')}, {classes}; {data.reading}{problems}"


def shown(data: Dataset, count: int) -> str:
    """The same above a grid of pictures, as HTML."""
    from photovision.core.notebook import paragraph
    from photovision.core.sample_html import sample_grid

    return paragraph(summary(data)) + sample_grid(islice(in_turn(data), max(count, 0)))


def in_turn(data: Dataset) -> Iterator[Sample]:
    """The samples, one of every class, then another of every class."""
    of_class: dict[Any, list[int]] = defaultdict(list)
    for position, sample in enumerate(islice(data.samples, _LOOKED_AT)):
        of_class[(sample.target or ("",))[0]].append(position)
    for row in zip_longest(*of_class.values()):
        yield from (data.samples[position] for position in row if position is not None)


def frame(data: Dataset) -> Any:
    """A row for each picture; see `Dataset.to_pandas`."""
    from photovision.core.data_frame import data_frame

    samples = list(data.samples)
    split_of = {position: name for name, positions in data.splits.items() for position in positions}
    columns: dict[str, list[Any]] = {
        "id": [sample.id for sample in samples],
        "file": [str(sample.image) if isinstance(sample.image, Path) else None for sample in samples],
        "split": [split_of.get(position) for position in range(len(samples))],
    }
    if data.multilabel or data.annotation_type in ("boxes", "masks"):
        columns["labels"] = [sample.target for sample in samples]
    else:
        columns["label"] = [sample.target[0] if sample.target else None for sample in samples]
    if data.annotation_type == "boxes":
        columns["objects"] = [
            len(one) if isinstance(one := sample.annotations, Detections) else 0 for sample in samples
        ]
    attributes = dict.fromkeys(name for sample in samples for name in sample.groups)
    of_pictures = {name: [sample.groups.get(name) for sample in samples] for name in attributes}
    return data_frame(columns | {name: values for name, values in of_pictures.items() if name not in columns})
