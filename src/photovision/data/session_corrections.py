"""Session corrections: capture sessions as people know them, in a table beside the pictures.

    file_name,session,time
    a/7.jpg,shelf 3,2026-05-01T09:30:00Z       one session with all pictures of that name
    b/2.jpg,shelf 3,2026-05-01T09:30:00Z
    b/9.jpg,none,2026-05-01T09:30:09Z          taken by itself
    a/7.jpg,,2026-05-01T09:31:00Z              as it is found again, by capture time or a column

The table lies in the folder of the data set (beside the table, for tables) under the name `photovision-sessions.csv`.
Rows are only ever added, and the last one of a picture counts. `read_dataset` puts it into `Dataset.sessions`, which
goes before what `photovision.data.sessions` finds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from photovision.core.text import plain_cell
from photovision.data.journal import TableJournal

NAME = "photovision-sessions.csv"
COLUMNS = ("file_name", "session", "time")
ALONE, AS_FOUND = "none", ""
"""What is written for a picture that was taken by itself, and for one that goes by what is found."""


class SessionCorrections:
    """The table of sessions of one data set, shared safely by threads and processes.

    Args:
        root: folder that the table lies in.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = SessionCorrections(Path(folder))
        ...     table.record({"a.jpg": "shelf 3", "b.jpg": "shelf 3"})
        ...     table.record({"b.jpg": ""})
        ...     table.latest()
        {'a.jpg': 'shelf 3'}
    """

    def __init__(self, root: Path) -> None:
        self.file = root / NAME
        self._journal = TableJournal(self.file, COLUMNS)
        self._latest: dict[str, str] = {}
        self._mark: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def latest(self) -> dict[str, str]:
        """Id of a picture -> its session; raises DataError for a damaged table."""
        with self._lock:
            self._refresh()
            return dict(self._latest)

    def record(self, sessions: Mapping[str, str]) -> None:
        """Add sessions of pictures, id -> name; they are on the disk when this returns.

        Raises:
            UsageError: the table cannot be written.
        """
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._lock, self._journal.adding("to correct capture sessions") as add:
            self._refresh()
            add((name, session, now) for name, session in sessions.items())
            self._keep(sessions)
            self._mark = self._journal.state()

    def _refresh(self) -> None:
        """Read the table again where somebody else changed it."""
        state = self._journal.state()
        if state == self._mark:
            return
        self._latest = {}
        if state is not None:
            for _, row in self._journal.rows():
                self._keep({plain_cell(row["file_name"]): " ".join(plain_cell(row["session"] or "").split())})
        self._mark = state

    def _keep(self, sessions: Mapping[str, str]) -> None:
        for name, session in sessions.items():
            if session == AS_FOUND:
                self._latest.pop(name, None)
            else:
                self._latest[name] = session
