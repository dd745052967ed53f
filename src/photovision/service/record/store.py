"""Record: rows in a database, SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.errors import MissingExtra, RecordError
from photovision.service.record import pictures as folder_of
from photovision.service.record.row import Row, from_ticks, to_ticks

if TYPE_CHECKING:
    import sqlalchemy as sql

_PAGE = 500
_LONGEST = 1000  # characters of a name or an id


@dataclass(frozen=True)
class Stats:
    """How much a record holds.

    Attributes:
        rows: predictions.
        first, last: times of the oldest and the newest; None in an empty record.
        models: (model, version) -> rows, most rows first.
        pictures: rows whose picture was kept.
    """

    rows: int
    first: datetime | None
    last: datetime | None
    models: dict[tuple[str, str], int]
    pictures: int


class Record:
    """Predictions in a database.

    Several processes and threads may use one database at a time. What `write` has taken survives the end of the
    process; SQLite may lose the last moments before a power cut, and stays whole (WAL, synchronous = NORMAL).

    Example:
        >>> import tempfile
        >>> from datetime import UTC
        >>> with tempfile.TemporaryDirectory() as folder, Record.open(f"sqlite:///{folder}/record.db") as record:
        ...     record.write([Row("1", datetime(2026, 1, 1, tzinfo=UTC), "fruit", "1", "apple", "apple", 0.98)])
        ...     [row.label for row in record.read("fruit")]
        ['apple']
    """

    def __init__(self, engine: sql.Engine, pictures: Path | None) -> None:
        self._engine, self._pictures = engine, pictures
        self._writing = engine.execution_options(writing=True)
        self._lock = threading.Lock()  # threads of one process wait here, not in SQLite's busy loop

    @classmethod
    def open(cls, url: str, *, pictures: Path | None = None, create: bool = True) -> Record:
        """Open a database, and make or update its tables.

        Args:
            url: such as sqlite:///record.db (a path alone means the same) or postgresql+psycopg://user@host/name.
            pictures: folder for pictures; None keeps none.
            create: whether a missing SQLite file is made.

        Raises:
            RecordError: it cannot be opened, is no database, or was written by a newer Photovision.
            MissingExtra: SQLAlchemy or the database's driver is not installed.
        """
        try:
            from photovision.service.record.connection import connect
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "sqlalchemy", "a record of predictions") from None
        return cls(connect(url, create), None if pictures is None else Path(pictures))

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows in one transaction: all of them or none. Safe to call from any thread.

        Raises:
            RecordError: the database or the disk does not take them.
        """
        if not rows:
            return
        from photovision.service.record.tables import prediction

        values = [self._values(row) for row in rows]
        with self._lock, self._telling(), self._writing.begin() as connection:
            connection.execute(prediction.insert(), values)

    def check(self) -> None:
        """Raise RecordError where nothing could be written now."""
        with self._lock, self._telling(), self._writing.begin():
            pass
        if self._pictures is not None:
            folder_of.check(self._pictures)

    def read(
        self,
        model: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        *,
        version: str | None = None,
    ) -> Iterator[Row]:
        """Rows in the order of their times, with a few hundred in memory.

        Args:
            model: only this model's.
            since, until: only from `since` on, and before `until`; with time zones.
            limit: only the newest so many of these.
            version: only of this version.

        Raises:
            RecordError: the database cannot be read.
        """
        with self._telling(), self._engine.connect() as connection:
            streaming = connection.execution_options(yield_per=_PAGE)
            for found in streaming.execute(_query(model, version, since, until, limit)):
                try:
                    row = _row(found)
                except (TypeError, ValueError) as error:
                    raise RecordError(f"row {found.number} of the record is damaged ({error}): delete it") from None
                yield row

    def picture(self, kept: str) -> bytes | None:
        """The picture that a row names as `kept`; None where it is gone or the record has no folder for pictures."""
        return None if self._pictures is None else folder_of.find(self._pictures, kept)

    def stats(self) -> Stats:
        """How much there is; raises RecordError where the database cannot be read."""
        import sqlalchemy as sql

        from photovision.service.record.tables import prediction as p

        count = sql.func.count()
        with self._telling(), self._engine.connect() as connection:
            totals = sql.select(count, sql.func.min(p.c.at), sql.func.max(p.c.at), sql.func.count(p.c.picture))
            rows, first, last, kept = connection.execute(totals).one()
            grouped = sql.select(p.c.model, p.c.version, count).group_by(p.c.model, p.c.version)
            models = {(m, v): n for m, v, n in connection.execute(grouped.order_by(count.desc(), p.c.model))}
        ends = [None if ticks is None else from_ticks(ticks) for ticks in (first, last)]
        return Stats(rows, ends[0], ends[1], models, kept)

    def prune(self, older_than: datetime) -> int:
        """Delete the rows from before that time, and their pictures where no later row has the same.

        Returns:
            how many rows were deleted.

        Raises:
            RecordError: the database does not take it.
        """
        import sqlalchemy as sql

        from photovision.service.record.tables import prediction as p

        old = p.c.at < to_ticks(older_than)
        newer = sql.select(p.c.picture).where(~old, p.c.picture.is_not(None))
        lost = sql.select(p.c.picture).distinct().where(old, p.c.picture.is_not(None), p.c.picture.not_in(newer))
        with self._lock, self._telling(), self._writing.begin() as connection:
            names = list(connection.execute(lost).scalars()) if self._pictures is not None else []
            count = connection.execute(p.delete().where(old)).rowcount
        for name in names:
            assert self._pictures is not None
            folder_of.remove(self._pictures, name)
        return count

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _values(self, row: Row) -> dict[str, Any]:
        keep = row.picture is not None and self._pictures is not None
        return {
            "id": _storable(row.id),
            "at": to_ticks(row.at),
            "model": _storable(row.model),
            "version": _storable(row.version),
            "label": _storable(row.label),
            "best": _storable(row.best),
            "prob": float(row.prob),
            "novelty": None if row.novelty is None or not math.isfinite(row.novelty) else float(row.novelty),
            "known": None if row.known is None else bool(row.known),
            "prediction_set": json.dumps(row.prediction_set),
            "embedding": None if row.embedding is None else np.asarray(row.embedding).astype("<f2").tobytes(),
            "found": None if row.found is None else json.dumps(row.found),
            "seconds": float(row.seconds),
            "picture": folder_of.keep(self._pictures, row.picture) if keep else None,  # type: ignore[arg-type]
        }

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            from photovision.service.record.connection import reason

            where = self._engine.url.render_as_string(hide_password=True)
            raise RecordError(f"the record at {where} cannot be used ({reason(error)})") from None


def _query(
    model: str | None, version: str | None, since: datetime | None, until: datetime | None, limit: int | None
) -> Any:
    import sqlalchemy as sql

    from photovision.service.record.tables import prediction as p

    query = sql.select(p)
    if model is not None:
        query = query.where(p.c.model == model)
    if version is not None:
        query = query.where(p.c.version == version)
    if since is not None:
        query = query.where(p.c.at >= to_ticks(since))
    if until is not None:
        query = query.where(p.c.at < to_ticks(until))
    if limit is None:
        return query.order_by(p.c.at, p.c.number)
    newest = query.order_by(p.c.at.desc(), p.c.number.desc()).limit(limit).subquery()
    return sql.select(newest).order_by(newest.c.at, newest.c.number)


def _storable(text: str) -> str:
    """The text without what a database refuses: ids come from strangers, and one must not spoil others' rows."""
    return text[:_LONGEST].encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("the boxes or areas should be an object")
    return value


def _row(found: Any) -> Row:
    blob = found.embedding
    return Row(
        id=found.id,
        at=from_ticks(found.at),
        model=found.model,
        version=found.version,
        label=found.label,
        best=found.best,
        prob=found.prob,
        novelty=found.novelty,
        known=found.known,
        prediction_set=tuple(json.loads(found.prediction_set)),
        embedding=None if blob is None else np.frombuffer(blob, dtype="<f2").astype(np.float32),
        found=None if found.found is None else _object(found.found),
        seconds=found.seconds,
        kept=found.picture,
    )
