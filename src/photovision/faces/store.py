"""The database of a store of faces: sealed entries, and a log to which rows are only added.

Each row of the log is signed together with the signature of the row before. Beside it lies its head, which signs the
last row together with a digest of all entries, so that a row or an entry that was changed, removed, moved or put back
is noticed. Rows hold no picture and no name, only pseudonyms. An older copy of the whole database is as true as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
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
_KEY = "key"
OWN_VALUES = ("same", "unsure", "different", "unknown", "consent", "contract", "law")
"""Words among the values of the log's details; everything else there is a number or a pseudonym."""


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
        vault: seals and signs what it holds.
        create: whether it may be made.

    Raises:
        ModelError: it is missing, or no such database.
    """

    def __init__(self, path: Path, vault: Vault, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise ModelError(f"{path} is missing: the store is incomplete, copy it again")
        self.path, self._vault = path, vault
        try:
            if create:
                with explained(path):
                    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = connected(path)
            if create:
                self._db.executescript(_TABLES)
            self._db.execute("SELECT count(*) FROM people, facts, log").fetchone()
        except sqlite3.Error as error:
            raise ModelError(f"{path} is no database of faces ({error}): copy the store again") from None
        if create:
            with self.transaction():
                self._set_fact(_KEY, vault.sign(_KEY))
                self._set_head(0, "", _digest({}))

    def close(self) -> None:
        """Close it; a further use is an error."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """See `photovision.core.database.transaction`."""
        return transaction(self._db, self.path, "the store")

    def of_vault(self) -> bool:
        """Whether it was made with the same key."""
        return bool(self._fact(_KEY) == self._vault.sign(_KEY))

    def used(self) -> bool:
        """Whether anything was ever done with it."""
        return bool(self._db.execute("SELECT count(*) FROM log").fetchone()[0])

    def state(self) -> int:
        """Another number after another process changed the database."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    @contextlib.contextmanager
    def _one_state(self) -> Iterator[None]:
        """All that is read inside is of one moment, also while another process writes."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _fact(self, name: str) -> Any:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _set_fact(self, name: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def entries(self) -> dict[str, bytes]:
        """Pseudonym -> sealed entry of everybody; raises ModelError where they are not who was enrolled."""
        with self._one_state():
            rows = self._db.execute("SELECT * FROM people ORDER BY id").fetchall()
            found, (_, _, register) = {str(name): bytes(sealed) for name, sealed in rows}, self._head()
        if register != _digest(found):
            raise ModelError(
                f"entries of {self.path.parent} were removed or put back by somebody: restore the store from a copy"
            )
        return found

    def add(self, pseudonym: str, sealed: bytes, operator: str, details: Mapping[str, Any]) -> None:
        """Add an entry, and log it."""
        with self.transaction():
            known = self.entries()
            self._db.execute("INSERT INTO people VALUES (?, ?)", (pseudonym, sealed))
            self._log("enroll", operator, details, _digest({**known, pseudonym: sealed}))

    def remove(self, pseudonym: str, operator: str) -> bytes:
        """Remove an entry, and log it; its bytes, which are returned, are overwritten in the file."""
        with self.transaction():
            known = self.entries()
            sealed = known.pop(pseudonym)
            self._db.execute("DELETE FROM people WHERE id = ?", (pseudonym,))
            self._log("forget", operator, {"subject": pseudonym}, _digest(known))
        self.scrub()
        return sealed

    def scrub(self) -> None:
        """Rewrite the database, so that nothing that was removed can be found in its file."""
        with explained(self.path):
            self._db.execute("VACUUM")

    def log(self, event: str, operator: str, details: Mapping[str, Any]) -> None:
        """Add a row to the log."""
        with self.transaction():
            self._log(event, operator, details, self._head()[2])

    def _log(self, event: str, operator: str, details: Mapping[str, Any], register: str) -> None:
        n, before, _ = self._head()
        row = LogRow(n + 1, datetime.now(UTC).isoformat(timespec="seconds"), event, operator, dict(details))
        signature = self._signature(before, row)
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", (*row[:4], json.dumps(row.details), signature))
        self._set_head(row.n, signature, register)

    def rows(self) -> list[LogRow]:
        """The log, from its beginning; raises ModelError where it is not what was written."""
        found, before = [], ""
        with self._one_state():
            rows = self._db.execute("SELECT n, at, event, operator, details, signature FROM log ORDER BY n").fetchall()
            self._head()
        for place, (n, at, event, operator, details, signature) in enumerate(rows, 1):
            row = LogRow(n, at, event, operator, json.loads(details))
            if n != place or signature != self._signature(before, row):
                raise ModelError(
                    f"the log of {self.path.parent} was changed at row {place}: it proves nothing any more"
                )
            found.append(row)
            before = str(signature)
        return found

    def words(self) -> str:
        """Everything that the database says by itself, whoever is enrolled."""
        schema = " ".join(str(column) for row in self._db.execute("SELECT * FROM sqlite_master") for column in row)
        events = " ".join(sorted({f"{row.event} {' '.join(_keys(row.details))}" for row in self.rows()}))
        return f"SQLite format 3 {schema} {events} {_HEAD} {_KEY} {' '.join(OWN_VALUES)}"

    def _head(self) -> tuple[int, str, str]:
        """Number and signature of the last row of the log, and the digest of all entries, as they were signed."""
        last = self._db.execute("SELECT n, signature FROM log ORDER BY n DESC LIMIT 1").fetchone() or (0, "")
        n, before = int(last[0]), str(last[1])
        known = self._fact(_HEAD)
        register = str(known[1]) if isinstance(known, list) and len(known) == 3 else ""
        if known != [n, register, self._vault.sign(f"{_HEAD} {n} {before} {register}")]:
            raise ModelError(f"rows at the end of the log of {self.path.parent} were removed or added by somebody")
        return n, before, register

    def _set_head(self, n: int, signature: str, register: str) -> None:
        self._set_fact(_HEAD, [n, register, self._vault.sign(f"{_HEAD} {n} {signature} {register}")])

    def _signature(self, before: str, row: LogRow) -> str:
        return self._vault.sign(f"{before} {json.dumps(row.to_json(), sort_keys=True)}")


def _digest(entries: Mapping[str, bytes]) -> str:
    """Of all entries, whatever their order."""
    found = hashlib.sha256()
    for pseudonym in sorted(entries):
        found.update(pseudonym.encode() + hashlib.sha256(entries[pseudonym]).digest())
    return found.hexdigest()


def _keys(value: Any) -> list[str]:
    """The names of all fields in a JSON-ready value."""
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in _keys(inner))]
    return [key for inner in value for key in _keys(inner)] if isinstance(value, list) else []
