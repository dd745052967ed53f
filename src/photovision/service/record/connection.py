"""Connecting to a record's database: URLs, SQLite's settings, and tables of the right revision."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from photovision.core.errors import MissingExtra, RecordError
from photovision.core.installing import how_to_upgrade
from photovision.service.record.tables import HEAD, VERSION_TABLE

_PATIENCE = 30  # seconds that a process waits for another one's transaction
_LOCK = 7_065_221  # any number: who holds it on PostgreSQL may change the tables


def connect(url: str, create: bool) -> sql.Engine:
    """An engine whose database has the tables of this version.

    Args:
        url: of SQLAlchemy's kind, or a path of a SQLite file.
        create: whether a missing SQLite file is made.

    Raises:
        RecordError: it cannot be opened, is no database, or was written by a newer Photovision.
        MissingExtra: the driver is not installed.
    """
    address = _address(url)
    lite = address.get_backend_name() == "sqlite"
    if lite:
        _check_file(address, create)
    try:
        options = {"connect_args": {"timeout": _PATIENCE}} if lite else {"pool_pre_ping": True}
        engine = sql.create_engine(address, **options)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "psycopg", f"a record at {address.drivername}://") from None
    except NoSuchModuleError:
        raise RecordError(f"there is no driver '{address.drivername}': use {_EXAMPLES}") from None
    if lite:
        sql.event.listen(engine, "connect", _set_up)
        sql.event.listen(engine, "begin", _begin)
    try:
        _update(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        where = address.render_as_string(hide_password=True)
        raise RecordError(f"cannot open the record at {where} ({reason(error)}): check the address") from None
    return engine


_EXAMPLES = "sqlite:///record.db or postgresql+psycopg://user@host/name"


def reason(error: SQLAlchemyError) -> str:
    """The database's message, on one line, without the statement that it is about."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _address(url: str) -> sql.URL:
    try:
        address = sql.make_url(url if "://" in url else f"sqlite:///{url}")
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        # The address may hold a password, so that it is not repeated.
        raise RecordError(f"--record is not an address of a database: use {_EXAMPLES}") from None
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise RecordError(f"a record does not lie in '{address.drivername}': use {_EXAMPLES}")
    if address.drivername == "postgresql":
        return address.set(drivername="postgresql+psycopg")  # SQLAlchemy's own default is a driver that we do not bring
    return address


def _check_file(address: sql.URL, create: bool) -> None:
    if not address.database or address.database == ":memory:":
        raise RecordError("a record needs a file, or it would be lost with the process: sqlite:///record.db")
    path = Path(address.database.removeprefix("file:").partition("?")[0])  # SQLite's own addresses begin so
    if not create and not path.is_file():
        raise RecordError(f"there is no record at {path}: give the file that 'photovision serve' writes")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make the folder of {path} ({error.strerror}): choose another place") from None
    _make_private(path)


def _make_private(path: Path) -> None:
    """A new file is its owner's alone, whatever the umask; SQLite gives the files beside it the same permissions."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError:  # it is there, or SQLite will say what is wrong
        return
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _set_up(connection: Any, _record: object) -> None:
    # Python's own handling of transactions is switched off, so that `_begin` decides how each of them starts.
    connection.isolation_level = None
    cursor = connection.cursor()
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: 16 MB between two pauses to tidy up
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    # SQLite itself does not wait here while another process does the same to a new file.
    patience = time.monotonic() + _PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: sql.Connection) -> None:
    # A writer takes its lock at once: one that began by reading could not wait for others.
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _update(engine: sql.Engine) -> None:
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.execution_options(writing=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))
        found = _revision(connection)  # another process may have been first
        if found is not None and found > HEAD:
            raise RecordError(
                f"the record at {engine.url.render_as_string(hide_password=True)} was written by a newer Photovision"
                f" (revision {found}, this one knows up to {HEAD}): {how_to_upgrade()}"
            )
        if found != HEAD:
            from photovision.service.record.migrations import upgrade

            upgrade(connection)


def _revision(connection: sql.Connection) -> str | None:
    if not sql.inspect(connection).has_table(VERSION_TABLE):
        return None
    table = sql.table(VERSION_TABLE, sql.column("version_num"))
    found: str | None = connection.execute(sql.select(table.c.version_num)).scalar()
    return found
