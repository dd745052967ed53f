"""Corrections: labels that people changed, in a table beside the pictures, which themselves stay as they are.

    file_name,was,decision,label,time
    cats/7.jpg,cats,label,dogs,2026-05-01T09:30:00Z       its label is "dogs", not "cats"
    cats/8.jpg,cats,leave out,,2026-05-01T09:30:04Z       it is of no class, and nobody learns or judges with it
    dogs/2.jpg,dogs,right,,2026-05-01T09:30:09Z           looked at, and its label is right
    cats/7.jpg,cats,undone,,2026-05-01T09:31:00Z          the decision before it does not count any more

The table lies in the folder of the data set (beside the table, for tables) under the name `photovision-labels.csv`.
Rows are only ever added, and the last one of a picture counts, so that it is also the history. A row counts only while
the data still give the label under `was`; several labels of one picture are joined by "|". `read_dataset` applies it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from photovision.core.errors import DataError, UsageError
from photovision.core.text import plain_cell
from photovision.core.types import Sample
from photovision.data.dataset import Correction, Dataset, Problem
from photovision.data.journal import Row, TableJournal

NAME = "photovision-labels.csv"
COLUMNS = ("file_name", "was", "decision", "label", "time")
LABEL, LEAVE_OUT, RIGHT, UNDONE = DECISIONS = ("label", "leave out", "right", "undone")
_SEPARATOR = "|"


class Corrections:
    """The table of corrections of one data set, shared safely by threads and processes.

    Args:
        root: folder that the table lies in; it is made with the first correction.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = Corrections(Path(folder))
        ...     table.record(Correction("a.jpg", ("cat",), "label", ("dog",)), None)
        ...     table.latest()["a.jpg"].label
        True
        ('dog',)
    """

    def __init__(self, root: Path) -> None:
        self.file = root / NAME
        self._journal = TableJournal(self.file, COLUMNS)
        self._latest: dict[str, Correction] = {}
        self._mark: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def latest(self) -> dict[str, Correction]:
        """Id of a picture -> the decision that counts, undone ones left out; raises DataError for a damaged table."""
        with self._lock:
            self._refresh()
            return dict(self._latest)

    def record(self, change: Correction, instead_of: Correction | None) -> bool:
        """Add a decision; it is on the disk when this returns True.

        Args:
            change: the decision; its time is set here.
            instead_of: the decision that the person saw, or None.

        Returns:
            False, with nothing written, where another decision stands by now: somebody else was quicker.

        Raises:
            UsageError: a label cannot be kept, or the table cannot be written.
        """
        _check(change)
        change = replace(change, time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        with self._lock, self._journal.adding("to correct labels") as add:
            self._refresh()
            stands = self._latest.get(change.id)
            if stands is not None and stands.was != change.was:  # it does not fit the data any more
                stands = None
            if _decision(stands) != _decision(instead_of):
                return False
            joined = (_SEPARATOR.join(change.was), change.decision, _SEPARATOR.join(change.label))
            add([(change.id, *joined, change.time)])
            self._keep(change)
            self._mark = self._journal.state()
        return True

    def _refresh(self) -> None:
        """Read the table again where somebody else changed it."""
        state = self._journal.state()
        if state == self._mark:
            return
        self._latest = {}
        if state is not None:
            for where, row in self._journal.rows():
                self._keep(_correction(where, row))
        self._mark = state

    def _keep(self, change: Correction) -> None:
        if change.decision == UNDONE:
            self._latest.pop(change.id, None)
        else:
            self._latest[change.id] = change


def corrected(dataset: Dataset, corrections: Corrections) -> Dataset:
    """The dataset as people corrected it: other labels, and without the pictures that were left out.

    Corrections that do not fit the data (any more) are not applied, but are among `Dataset.corrections`, too.
    """
    latest = corrections.latest()
    if not latest:
        return dataset
    known = set(dataset.classes)
    applied: dict[str, Correction] = {}
    kept, targets, problems = [], {}, []
    for position, sample in enumerate(dataset.samples):
        change = latest.get(sample.id)
        if change is None or change.was != (sample.target or ()) or not known.issuperset(change.label):
            kept.append(position)
            continue
        applied[sample.id] = replace(change, applied=True)
        if change.decision == LEAVE_OUT:
            problems.append(Problem(sample.id, "by hand", f"left out by {NAME}"))
            continue
        if change.decision == LABEL:
            targets[len(kept)] = change.label
        kept.append(position)
    moved = {position: row for row, position in enumerate(kept)}
    return replace(
        dataset,
        samples=_Corrected(dataset.samples, kept, targets),
        splits={name: tuple(moved[p] for p in rows if p in moved) for name, rows in dataset.splits.items()},
        problems=(*dataset.problems, *problems),
        corrections=tuple(applied.get(name, change) for name, change in latest.items()),
    )


class _Corrected(Sequence[Sample]):
    """Some of the samples, with other targets where they were corrected."""

    def __init__(self, samples: Sequence[Sample], kept: Sequence[int], targets: Mapping[int, tuple[str, ...]]) -> None:
        self._samples, self._kept, self._targets = samples, kept, targets

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        row = range(len(self))[index]
        sample = self._samples[self._kept[row]]
        return replace(sample, target=self._targets[row]) if row in self._targets else sample


def _check(change: Correction) -> None:
    if change.decision not in DECISIONS:
        raise UsageError(f"a decision should be one of {', '.join(DECISIONS)}, got '{change.decision}'")
    for name in (*change.was, *change.label):
        if _SEPARATOR in name:
            raise UsageError(f"the class name '{name}' holds a '{_SEPARATOR}', so it cannot be corrected: rename it")


def _decision(change: Correction | None) -> tuple[str, tuple[str, ...]] | None:
    return None if change is None else (change.decision, change.label)


def _correction(where: str, row: Row) -> Correction:
    decision = (row["decision"] or "").strip()
    if decision not in DECISIONS or None in row:
        raise DataError(f"{where}: a decision should be one of {', '.join(DECISIONS)}: correct that line")
    name, time = plain_cell(row["file_name"]), (row["time"] or "").strip()
    return Correction(name, _names(row["was"]), decision, _names(row["label"]), time)


def _names(cell: str | None) -> tuple[str, ...]:
    return tuple(plain_cell(cell).split(_SEPARATOR)) if cell else ()
