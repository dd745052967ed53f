"""Background: work of the page in threads of its own, of which one is at work at a time and can be called off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

from photovision.core.errors import DataError, PhotovisionError, UsageError
from photovision.core.progress import ProgressCallback


class Stopped(Exception):
    """The work was called off."""


@dataclass(eq=False)
class BackgroundJob:
    """One piece of work, in a thread of its own.

    Attributes:
        done, total: how far it is.
        what: what it is doing.
        result: JSON-ready, what was found, once it is done; error: why it failed.
        kept: what later requests about the result need, such as its pictures.
        stop: set to call it off.
    """

    done: int = 0
    total: int = 0
    what: str = "reading"
    result: dict[str, Any] | None = None
    error: str | None = None
    kept: list[Any] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def progress(self, what: str) -> ProgressCallback:
        """A listener that notes how far a piece of work is, and ends it where it was called off."""

        def listen(done: int, total: int) -> None:
            if self.stop.is_set():
                raise Stopped
            self.what, self.done, self.total = what, done, total

        return listen


class BackgroundJobs:
    """Jobs of one view by number; the one at work and the one before it are known.

    Args:
        noun: what a job is, for messages ("comparison").
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._kept: dict[int, BackgroundJob] = {}
        self._count = time.time_ns() // 1_000_000  # no number of an earlier page: browsers keep pictures by it

    def start(self, work: Callable[[BackgroundJob], dict[str, Any]]) -> int:
        """Start one in a thread, and call off those that are still at work; gives its number."""
        for earlier in self._kept.values():
            earlier.stop.set()
        self._count += 1
        job = BackgroundJob()
        self._kept = {number: kept for number, kept in self._kept.items() if number == self._count - 1}
        self._kept[self._count] = job
        threading.Thread(target=self._work, args=(job, work), name=self._noun).start()
        return self._count

    def of(self, number: int) -> BackgroundJob:
        """The job of that number; raises UsageError for one that is not known."""
        if number not in self._kept:
            raise UsageError(f"this {self._noun} is not known any more: start it again")
        return self._kept[number]

    def end(self) -> None:
        """Call all off."""
        for job in self._kept.values():
            job.stop.set()

    def add_routes(self, router: APIRouter) -> None:
        """Add the addresses by which jobs are followed and called off."""

        @router.get("/job")
        def status(number: int) -> dict[str, Any]:
            """How far a job is, and its result once it is there."""
            job = self.of(number)
            if job.error is not None:
                raise DataError(job.error)
            return {"done": job.done, "total": job.total, "what": job.what, "result": job.result}

        @router.post("/stop")
        def stop(number: int) -> dict[str, bool]:
            """Call a job off."""
            self.of(number).stop.set()
            return {"stopped": True}

    def _work(self, job: BackgroundJob, work: Callable[[BackgroundJob], dict[str, Any]]) -> None:
        try:
            job.result = work(job)
        except Stopped:
            job.error = f"this {self._noun} was called off"
        except PhotovisionError as error:
            job.error = str(error)
        except Exception as error:  # the page should say that something broke rather than wait for ever
            job.error = f"the {self._noun} failed ({type(error).__name__}: {error})"
            raise
