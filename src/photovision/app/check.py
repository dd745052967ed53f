"""check: everything the doctor needs, from a path to a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from photovision.core.report import Report
from photovision.data import doctor
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits


def check(data: str | Path | Dataset, *, seed: int = 0, progress: Callable[[int, int], None] | None = None) -> Report:
    """Tell what a careful person would want to know before training: broken files, copies, leaks, skew, giveaways.

    Args:
        data: a folder, a table, or a Dataset.
        seed: of the split that would be drawn; give the one that the training will use.
        progress: called with (pictures read, pictures to read).

    Returns:
        A report of kind "check"; a sound dataset has no warnings.

    Raises:
        DataError: nothing to check, or fewer than 2 classes with at least 2 readable pictures.

    Example:
        >>> import numpy as np
        >>> from photovision.data.read import dataset_from_arrays
        >>> noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        >>> check(dataset_from_arrays(noise, ["a", "b"] * 20)).data["pictures"]
        40
    """
    dataset = data if isinstance(data, Dataset) else read_dataset(data)
    found = scan(dataset, progress=progress)
    return doctor.check(dataset, found, make_splits(dataset, found, seed=seed))
