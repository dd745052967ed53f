"""Events of a watched video on disk: JSON Lines for programs that listen, SQLite for questions later."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from photovision.core.errors import RecordError, UsageError
from photovision.core.files import explained
from photovision.core.output import check_lines
from photovision.video.counting import Event

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, source TEXT NOT NULL, began REAL NOT NULL, ended REAL, summary TEXT
);
CREATE TABLE IF NOT EXISTS events (
    run INTEGER NOT NULL REFERENCES runs, event TEXT NOT NULL, place TEXT NOT NULL, time REAL NOT NULL,
    frame INTEGER NOT NULL, track INTEGER NOT NULL, label TEXT NOT NULL, direction TEXT NOT NULL, dwell REAL,
    x REAL NOT NULL, y REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_place ON events (run, place, time);
"""
_COMMIT_EVERY = 1.0  # seconds; what a crash may cost of the SQLite file, while JSON Lines are written at once


class EventLog:
    """Where events go; a context manager. Both files are added to, so that nothing of an earlier run is lost.

    Args:
        source: name of the video.
        lines: JSON Lines, one event a line, each written out at once; a run begins with {"event": "start"} and ends
            with {"event": "end", "summary"}.
        record: a SQLite file with the tables `runs` (began and ended in seconds since 1970) and `events`.

    Raises:
        UsageError: a file cannot be written.
        RecordError: `record` is no SQLite file, or one of something else.
    """

    def __init__(self, source: str, lines: Path | None = None, record: Path | None = None) -> None:
        self._record, self._committed = record, time.monotonic()
        self._lines: TextIO | None = None
        self._base: sqlite3.Connection | None = None
        try:
            self._open(source, lines, record)
        except BaseException:
            with suppress(UsageError, RecordError):
                self.close()
            raise

    def _open(self, source: str, lines: Path | None, record: Path | None) -> None:
        began = time.time()
        if lines is not None:
            with explained(lines):
                check_lines(lines, ("event",))
                lines.parent.mkdir(parents=True, exist_ok=True)
                self._lines = lines.open("a", encoding="utf-8")
        if record is not None:
            with explained(record):
                record.parent.mkdir(parents=True, exist_ok=True)
            with self._told():
                self._base = sqlite3.connect(record, timeout=30)
                self._check_own(self._base)
                self._base.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _TABLES)
                cursor = self._base.execute("INSERT INTO runs (source, began) VALUES (?, ?)", (source, began))
                self._run = cursor.lastrowid
                self._base.commit()
        self.write({"event": "start", "source": source, "at": round(began, 3)})

    def _check_own(self, base: sqlite3.Connection) -> None:
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not {"runs", "events"} <= tables:
            raise RecordError(f"{self._record} is a database of something else: name a new SQLite file")

    def add(self, events: Sequence[Event]) -> None:
        """Write what happened."""
        for event in events:
            self.write(event.to_json())
        if self._base is None:
            return
        rows = [
            (self._run, e.kind, e.place, e.time, e.frame, e.track, e.label, e.direction, e.dwell, *e.xy) for e in events
        ]
        with self._told():
            if rows:
                self._base.executemany(f"INSERT INTO events VALUES ({', '.join('?' * 11)})", rows)
            if time.monotonic() - self._committed > _COMMIT_EVERY:
                self._base.commit()
                self._committed = time.monotonic()

    def end(self, summary: dict[str, Any]) -> None:
        """Write the summary of the run."""
        ended = time.time()
        self.write({"event": "end", "at": round(ended, 3), "summary": summary})
        if self._base is not None:
            with self._told():
                text = json.dumps(summary)
                self._base.execute("UPDATE runs SET ended = ?, summary = ? WHERE run = ?", (ended, text, self._run))
                self._base.commit()

    def close(self) -> None:
        """Let go of both files; events that were added are kept."""
        if self._lines is not None:
            with explained(Path(self._lines.name)):
                self._lines.close()
        if self._base is not None:
            with self._told(), closing(self._base):
                self._base.commit()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, value: dict[str, Any]) -> None:
        """Add a line of one's own to the JSON Lines."""
        if self._lines is not None:
            with explained(Path(self._lines.name)):
                self._lines.write(json.dumps(value) + "\n")
                self._lines.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RecordError(
                f"the events cannot be written into {self._record} ({error}): name a new SQLite file, or one of an"
                " earlier watch"
            ) from None
