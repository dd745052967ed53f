"""Keeping: predictions go into the record before the answers go out, so that no answered request is lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from photovision.core.errors import PhotovisionError
from photovision.service.batching import Job
from photovision.service.kinds.kind import Outcome
from photovision.service.logs import Journal
from photovision.service.metrics import Metrics
from photovision.service.refusal import Refusal
from photovision.service.settings import Settings

if TYPE_CHECKING:
    from photovision.service.record import Row


class Writer(Protocol):
    """What rows are written to; `photovision.service.record.Record` is one."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write all rows in one transaction, or raise PhotovisionError."""
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
        self.failing = False

    def keep(self, model: str, version: str, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        """Write one batch; raises Refusal (503) where that fails and is required."""
        rows = [self._row(model, version, job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
        try:
            self._writer.write(rows)
        except PhotovisionError as error:
            self._metrics.record_failures.inc()
            if not self.failing:  # told once, counted always
                self._journal.event("record failed", model=model, error=str(error)[:300])
            self.failing = True
            if self._required:
                raise Refusal(
                    503, "the prediction could not be recorded, as it must be: try again", "record", retry_after=5
                ) from None
        else:
            if self.failing:
                self._journal.event("record works again", model=model)
            self.failing = False

    def close(self) -> None:
        """Close the record."""
        self._writer.close()

    def _row(self, model: str, version: str, job: Job, outcome: Outcome) -> Row:
        from photovision.service.record import Row

        return Row(
            id=job.ticket.id,
            at=datetime.now(UTC),
            model=model,
            version=version,
            seconds=time.monotonic() - job.ticket.began,
            picture=job.source if self._pictures and isinstance(job.source, bytes) else None,
            **outcome.facts(),
        )


def open_recorder(settings: Settings, metrics: Metrics, journal: Journal) -> Recorder | None:
    """The recorder that the settings ask for, if any; raises PhotovisionError where its database cannot be used."""
    if settings.record is None:
        return None
    from photovision.service.record import Record

    pictures = settings.record_pictures
    record = Record.open(settings.record, pictures=pictures)
    return Recorder(record, metrics, journal, required=settings.record_required, pictures=pictures is not None)
