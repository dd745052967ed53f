"""Capture sessions: pictures that one camera took in one go, as capture times, a column of the data, or people tell.

A random split puts pictures of one session on both sides, and tells how well the session was memorised. Sessions are
found here by time and camera; videos and groups are kept together in any case (`photovision.data.split`), and sessions
that only the pictures themselves give away are their components (`photovision.data.components`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.phrases import count
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.data.scan import UNKNOWN, Scan
from photovision.data.session_corrections import ALONE

GROUP = "group"
"""The attribute whose equal values stay together."""
PATIENT = "patient"
"""The attribute that names patients, who stay together, too."""
BREAK = 30 * 60
"""Seconds without a picture that end a session."""
NO_SESSIONS = "none"
"""What `sessions_by` is called where no sessions are to be looked for."""


@dataclass(frozen=True, eq=False)
class Sessions:
    """Capture sessions of N pictures.

    Attributes:
        number: int64 (N,): equal for pictures of one session, -1 where no session is known.
        by: where they come from, in words: "capture time and camera", "the column 'visit'" or "hand"; else "".
        found: int64 (N,), the same before people corrected it.
    """

    number: Ints
    by: str
    found: Ints

    @property
    def known(self) -> bool:
        """Whether pictures of several sessions are known, or of one that people know."""
        several = len(np.unique(self.number[self.number >= 0])) > 1
        return several or bool(((self.number >= 0) & (self.number != self.found)).any())

    def described(self) -> str:
        """How many there are, in a sentence."""
        rows = self.number[self.number >= 0]
        many = count(len(np.unique(rows)), "capture session")
        return f"{count(len(rows), 'picture')} of {len(self.number):,} belong to {many}, by {self.by}."


def sessions_of(dataset: Dataset, scan: Scan, sessions_by: str | None = None) -> Sessions:
    """The capture sessions of a data set; what people say of a picture goes before what is found.

    Args:
        dataset: N pictures.
        scan: what `scan(dataset)` found.
        sessions_by: a column whose equal values are one session; "none" takes none, not even those of people; None goes
            by capture time, where the data name no groups, for those count instead.

    Raises:
        UsageError: no picture has that column.
    """
    none = np.full(len(dataset), -1)
    if sessions_by == NO_SESSIONS:
        return Sessions(none, "", none)
    if sessions_by is not None:
        return _corrected(by_column(dataset, sessions_by), f"the column '{sessions_by}'", dataset)
    if any(sample.groups.get(GROUP) or sample.groups.get(PATIENT) for sample in dataset.samples):
        return _corrected(none, "", dataset)
    return _corrected(_by_time(scan), "capture time and camera", dataset)


def by_column(dataset: Dataset, sessions_by: str) -> Ints:
    """int64 (N,): equal for equal values; -1 where a picture has none; raises UsageError where all have none."""
    numbers: dict[str, int] = {}
    values = [sample.groups.get(sessions_by, "") for sample in dataset.samples]
    if not any(values):
        known = sorted({name for sample in dataset.samples for name in sample.groups})
        raise UsageError(
            f"no picture has the attribute '{sessions_by}' that capture sessions are to be found by; known:"
            f" {', '.join(known) or 'none'}, or '{NO_SESSIONS}' for no sessions"
        )
    return np.array([numbers.setdefault(value, len(numbers)) if value else -1 for value in values], np.int64)


def _corrected(found: Ints, by: str, dataset: Dataset) -> Sessions:
    """Sessions as people know them, and as they were found where people say nothing."""
    stated = {
        position: dataset.sessions[s.id] for position, s in enumerate(dataset.samples) if s.id in dataset.sessions
    }
    if not stated:
        return Sessions(found, by, found)
    number, first = found.copy(), int(found.max(initial=-1)) + 1
    numbers = {name: first + i for i, name in enumerate(sorted(set(stated.values()) - {ALONE}))}
    for position, name in stated.items():
        number[position] = numbers.get(name, -1)
    how = f"{by}, corrected by hand" if by and (found >= 0).any() else "hand"
    return Sessions(number, how, found)


def _by_time(scan: Scan) -> Ints:
    """int64 (N,): runs of pictures of one camera without a break; -1 where the time is not known."""
    number = np.full(len(scan), -1)
    rows = np.flatnonzero(scan.readable & (scan.taken != UNKNOWN))
    rows = rows[np.lexsort((scan.taken[rows], scan.camera[rows]))]
    taken = scan.taken[rows].astype(np.int64)
    gaps = np.diff(taken, prepend=taken[:1])
    changed = np.append(False, scan.camera[rows][1:] != scan.camera[rows][:-1]) if len(rows) else np.empty(0, bool)
    number[rows] = np.cumsum((gaps > BREAK) | changed)
    return number


def fitting(sessions: Sessions, codes: Ints) -> Ints:
    """The sessions of pictures, as far as each leaves at least half of their class to be learned from.

    Args:
        sessions: of N pictures.
        codes: int64 (N,), the class of every picture; all 0 where pictures have several, -1 if they do not count.

    Returns:
        int64 (N,): equal numbers are of one session; all others have numbers of their own.
    """
    rows = np.flatnonzero((sessions.number >= 0) & (codes >= 0))
    number = sessions.number[rows]
    cells = number * (codes.max(initial=0) + 1) + codes[rows]
    _, cell, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    small = 2 * sizes[cell.ravel()] <= np.bincount(codes[codes >= 0])[codes[rows]]
    found: Ints = np.arange(len(codes)) + sessions.number.max(initial=0) + 1
    found[rows[small]] = number[small]
    return found
