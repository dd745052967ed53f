"""Keeping: predictions go into the record before the answers go out, so that no answered request is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from photovision.engine.wire import Answer, Facts, Wire
from photovision.service.batching import BatchItem
from photovision.service.http_error import Refusal
from photovision.service.logs import Journal
from photovision.service.metrics import Metrics
from photovision.service.settings import Settings

if TYPE_CHECKING:
    from photovision.service.record import Row

RETRY = 2.0
"""Seconds between two attempts to write again after a failure, without which a service that must record, and is asked
nothing since it says "not ready", would never find out that its storage is back."""


class Writer(Protocol):
    """What rows are written to; `photovision.service.record.Record` is one."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write all rows in one transaction, or raise."""
        ...

    def check(self) -> None:
        """Raise where nothing could be written now."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class Recorder:
    """Writes batches of answers, and counts what could not be written.

    Args:
        writer: where rows go.
        required: whether an answer that was not recorded is refused.
        pictures: whether the pictures' files go along.

    Attributes:
        failing: whether the last batch could not be written.
    """

    def __init__(self, writer: Writer, metrics: Metrics, journal: Journal, *, required: bool, pictures: bool) -> None:
        self._writer, self._metrics, self._journal = writer, metrics, journal
        self._required, self._pictures = required, pictures
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.failing = False

    def keep(self, model: str, version: str, jobs: Sequence[BatchItem], facts: Iterable[Facts]) -> None:
        """Write one batch; raises Refusal (503) where that fails and is required."""
        try:
            rows = [self._row(model, version, job, one) for job, one in zip(jobs, facts, strict=True)]
            self._writer.write(rows)
        except Exception as error:  # storage fails in more ways than can be foreseen
            refusal = self._failed(str(error)[:300] or type(error).__name__)
            if refusal is not None:
                raise refusal from None
        else:
            self._works()

    def late(self) -> Refusal | None:
        """A batch was not written in time: the Refusal (503) where that is required."""
        return self._failed("the record takes too long")

    def of(self, model: str, version: str, wire: Wire[Any]) -> Keeping:
        """The same for the answers of one version."""
        return Keeping(self, model, version, wire)

    def _failed(self, why: str) -> Refusal | None:
        self._metrics.record_failures.inc()
        with self._lock:
            first, self.failing = not self.failing, True
        if first:  # said once, counted always
            self._journal.event("record failed", error=why)
            threading.Thread(target=self._retry, name="record", daemon=True).start()
        if not self._required:
            return None
        return Refusal(503, "the prediction could not be recorded, as it must be: try again", "record", retry_after=5)

    def _works(self) -> None:
        with self._lock:
            again, self.failing = self.failing, False
        if again:
            self._journal.event("record works again")

    def _retry(self) -> None:
        while self.failing and not self._closed.wait(RETRY):
            try:
                self._writer.check()
            except Exception:
                continue
            self._works()

    def close(self) -> None:
        """Close the record."""
        self._closed.set()
        self._writer.close()

    def _row(self, model: str, version: str, job: BatchItem, facts: Facts) -> Row:
        from photovision.service.record import Row

        return Row(
            id=job.ticket.id,
            at=datetime.now(UTC),
            model=model,
            version=version,
            seconds=time.monotonic() - job.ticket.began,
            picture=job.source if self._pictures and isinstance(job.source, bytes) else None,
            **vars(facts),
        )


@dataclass(frozen=True)
class Keeping:
    """Where the answers of one version are kept."""

    recorder: Recorder
    model: str
    version: str
    wire: Wire[Any]

    def write(self, jobs: Sequence[BatchItem], answers: Sequence[Answer[Any]]) -> None:
        """Record a batch; raises Refusal (503) where that fails and is required."""
        self.recorder.keep(self.model, self.version, jobs, map(self.wire.facts, answers))

    def late(self) -> Refusal | None:
        """A batch was not recorded in time."""
        return self.recorder.late()


def open_recorder(settings: Settings, metrics: Metrics, journal: Journal) -> Recorder | None:
    """The recorder that the settings ask for, if any; raises PhotovisionError where its database cannot be used."""
    if settings.record is None:
        return None
    from photovision.service.record import Record

    pictures = settings.record_pictures
    record = Record.open(settings.record, pictures=pictures)
    return Recorder(record, metrics, journal, required=settings.record_required, pictures=pictures is not None)
