"""SQLite files: everything that is written together comes true together, or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from photovision.core.errors import UsageError
from photovision.core.files import explained

_PATIENCE = 30  # seconds that a process waits for the transaction of another one


def connected(path: Path) -> sqlite3.Connection:
    """A connection that leaves no deleted bytes in the file and trusts no code in a stranger's; see `transaction`."""
    database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA trusted_schema = OFF")
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, path: Path, noun: str) -> Iterator[None]:
    """All that is written inside comes true together, or not at all.

    Args:
        database: of `connected`.
        path: of its file, in the folder of what it belongs to.
        noun: what that is, with its article, such as "the index".

    Raises:
        UsageError: it cannot be written, since the disk is full or another process keeps it.
    """
    with explained(path):
        try:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("COMMIT")
        except BaseException as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise UsageError(f"{noun} {path.parent} cannot be written ({error})") from None
            raise
