"""The ledger of a folder of versions: what came when, what was promoted or refused, and why."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from photovision.core.database import connected, transaction
from photovision.core.errors import ModelError

LEDGER_FILE = "ledger.sqlite"
Kind = Literal["created", "promoted", "refused", "rolled back"]
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    number INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, version TEXT NOT NULL, previous TEXT NOT NULL,
    data TEXT NOT NULL, tested INTEGER NOT NULL, report TEXT NOT NULL
);
"""
_COLUMNS = "number, time, kind, version, previous, data, tested, report"


@dataclass(frozen=True)
class VersionEvent:
    """One thing that happened to a folder of versions.

    Attributes:
        kind: what.
        version: the one in use afterwards.
        previous: the one in use before; "" for the first.
        data: fingerprint of the new pictures; "" where there were none.
        tested: whether it was tested if the new version is better.
        report: JSON of the report, empty where there is none.
        number: 1 for the first event.
        time: in UTC as ISO 8601.
    """

    kind: Kind
    version: str
    previous: str = ""
    data: str = ""
    tested: bool = False
    report: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    time: str = ""

    def to_json(self) -> dict[str, Any]:
        """For people and programs, with what the report says in short."""
        said = {name: self.report[name] for name in ("reasons", "pictures", "held_out") if name in self.report}
        named = {"number": self.number, "time": self.time, "event": self.kind}
        return {**named, "version": self.version, "previous": self.previous, "data": self.data, **said}


class Ledger:
    """The events of one folder, in a SQLite file.

    Args:
        folder: of versions.
        create: whether the file is made where it is missing.

    Raises:
        ModelError: there is none, or it is damaged.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self._path = folder / LEDGER_FILE
        if not create and not self._path.is_file():
            raise ModelError(
                f"{folder} is no folder of versions: it has no {LEDGER_FILE}; 'photovision update' makes one"
            )
        try:
            self._database = connected(self._path)
            if create and not self._database.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._database.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
            self.events()
        except sqlite3.DatabaseError as error:
            raise ModelError(f"{self._path} is damaged ({error}): copy the folder of versions again") from None

    def add(self, event: VersionEvent, facts: Mapping[str, str] | None = None) -> None:
        """Append an event, with facts that come true together with it."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        values = (
            event.kind,
            event.version,
            event.previous,
            event.data,
            int(event.tested),
            json.dumps(dict(event.report)),
        )
        with transaction(self._database, self._path, "the folder of versions"):
            self._database.execute(
                "INSERT INTO events (time, kind, version, previous, data, tested, report) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (now, *values),
            )
            for name, value in (facts or {}).items():
                self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def events(self) -> list[VersionEvent]:
        """All events, the oldest first."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM events ORDER BY number").fetchall()
        try:
            return [
                VersionEvent(kind, version, previous, data, bool(tested), json.loads(report), number, time)
                for number, time, kind, version, previous, data, tested, report in rows
            ]
        except (ValueError, TypeError) as error:
            raise ModelError(f"{self._path} is damaged ({error}): copy the folder of versions again") from None

    def fact(self, name: str) -> str:
        """A fact; "" where there is none."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    def close(self) -> None:
        """Close the file."""
        self._database.close()
