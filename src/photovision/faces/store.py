"""The database of a store of faces: sealed entries, and a log to which rows are only added.

Each row of the log is signed together with the signature of the row before, and the last one is kept beside it, so that
a row that was changed, removed or moved is noticed. Rows hold no picture and no name, only pseudonyms.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from photovision.core.database import connected, transaction
from photovision.core.errors import ModelError
from photovision.core.files import explained
from photovision.faces.vault import Vault

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
  n INTEGER PRIMARY KEY, at TEXT NOT NULL, event TEXT NOT NULL, operator TEXT NOT NULL, details TEXT NOT NULL,
  signature TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS log_stays BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
CREATE TRIGGER IF NOT EXISTS log_is BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
"""
_HEAD = "head of the log"


class LogRow(NamedTuple):
    """A use of a store: its number from 1 on, when (UTC), what was done, the operator's pseudonym, and details."""

    n: int
    at: str
    event: str
    operator: str
    details: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return self._asdict()


class FaceDatabase:
    """An open database; used by one thread at a time.

    Args:
        path: its file.
        create: whether it may be made.

    Raises:
        ModelError: it is missing, or no such database.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise ModelError(f"{path} is missing: the store is incomplete, copy it again")
        try:
            self._db = connected(path)
            if create:
                self._db.executescript(_TABLES)
            self._db.execute("SELECT count(*) FROM people, facts, log").fetchone()
        except sqlite3.Error as error:
            raise ModelError(f"{path} is no database of faces ({error}): copy the store again") from None
        self.path = path

    def close(self) -> None:
        """Close it; a further use is an error."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """See `photovision.core.database.transaction`."""
        return transaction(self._db, self.path, "the store")

    def state(self) -> int:
        """Another number after another process changed the database."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def fact(self, name: str) -> Any:
        """A value that `set_fact` kept; None where there is none."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_fact(self, name: str, value: Any) -> None:
        """Keep a JSON-ready value."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def entries(self) -> dict[str, bytes]:
        """Pseudonym -> sealed entry of everybody."""
        return {str(name): bytes(sealed) for name, sealed in self._db.execute("SELECT * FROM people ORDER BY id")}

    def add(self, pseudonym: str, sealed: bytes) -> None:
        """Add an entry."""
        self._db.execute("INSERT INTO people VALUES (?, ?)", (pseudonym, sealed))

    def remove(self, pseudonym: str) -> None:
        """Remove an entry; its bytes are overwritten."""
        self._db.execute("DELETE FROM people WHERE id = ?", (pseudonym,))

    def scrub(self) -> None:
        """Rewrite the database, so that nothing that was removed can be found in its file."""
        with explained(self.path):
            self._db.execute("VACUUM")

    def log(self, vault: Vault, event: str, operator: str, details: Mapping[str, Any]) -> None:
        """Add a row to the log, within a transaction."""
        last = self._db.execute("SELECT n, signature FROM log ORDER BY n DESC LIMIT 1").fetchone() or (0, "")
        row = LogRow(int(last[0]) + 1, datetime.now(UTC).isoformat(timespec="seconds"), event, operator, dict(details))
        signature = _signature(vault, str(last[1]), row)
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", (*row[:4], json.dumps(row.details), signature))
        self.set_fact(_HEAD, [row.n, vault.sign(f"{_HEAD} {row.n} {signature}")])

    def rows(self, vault: Vault) -> list[LogRow]:
        """The log, from its beginning; raises ModelError where it is not what was written."""
        found, before = [], ""
        rows = self._db.execute("SELECT n, at, event, operator, details, signature FROM log ORDER BY n").fetchall()
        for place, (n, at, event, operator, details, signature) in enumerate(rows, 1):
            row = LogRow(n, at, event, operator, json.loads(details))
            if n != place or signature != _signature(vault, before, row):
                raise ModelError(
                    f"the log of {self.path.parent} was changed at row {place}: it proves nothing any more"
                )
            found.append(row)
            before = str(signature)
        if found and self.fact(_HEAD) != [len(found), vault.sign(f"{_HEAD} {len(found)} {before}")]:
            raise ModelError(f"rows at the end of the log of {self.path.parent} were removed or added by somebody")
        return found


def _signature(vault: Vault, before: str, row: LogRow) -> str:
    return vault.sign(f"{before} {json.dumps(row.to_json(), sort_keys=True)}")
