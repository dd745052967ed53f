"""Data read for a task: most need only what is found there, some read a folder in a way of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from photovision.core.task import task as named_task
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures, as_dataset, read_dataset
from photovision.data.read_options import DEFAULTS, ReadOptions


def read_for(source: str | Path, name: str | None = None, reading: ReadOptions = DEFAULTS) -> Dataset:
    """The data set at a path.

    Args:
        source, reading: as for `photovision.read_dataset`.
        name: of the task that it is read for; its part "read" (path, ReadOptions) reads it, where it has one.

    Raises:
        UsageError: no task of that name; else as of `photovision.read_dataset`.
    """
    row = None if name is None else named_task(name)
    if row is None or not row.has("read"):
        return read_dataset(source, **vars(reading))
    dataset: Dataset = row.part("read")(Path(source), reading)
    return dataset


def data_for(model: Any, data: Dataset | str | Path | Pictures, labels: Labels | None = None) -> Dataset:
    """Labelled images as people give them to a verb, read as for the training of the model's task.

    Args:
        model: an opened model.
        data, labels: as for `data.read.as_dataset`.

    Raises:
        DataError, UsageError: as `data.read.as_dataset`.
    """
    if labels is None and isinstance(data, str | Path):
        return read_for(data, model.bundle.task)
    return as_dataset(data, labels, model.bundle.classes)
