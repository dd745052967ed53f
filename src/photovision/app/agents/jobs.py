"""AgentJobs: work for an agent in a thread; what takes longer than a client waits goes on, and has an id."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from photovision.app.agents.answer import ToolAnswer
from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean

WAIT = 15.0
"""Seconds that a call waits for its work; clients give up after 30 or 60."""
_KEPT = 32
_STEP = 0.2
Report = Callable[[int, int], None]
"""Takes (done, total)."""
Work = Callable[[Report], ToolAnswer]


@dataclass(eq=False)
class AgentJob:
    """One piece of work."""

    id: str
    done: int = 0
    total: int = 0
    answer: ToolAnswer | None = None
    error: Exception | None = None
    finished: threading.Event = field(default_factory=threading.Event)


class AgentJobs:
    """All work of one server, one piece after the other: a second one would only slow the first.

    Args:
        wait: seconds that a call waits for its work.
    """

    def __init__(self, wait: float = WAIT) -> None:
        self._wait = wait
        self._jobs: dict[str, AgentJob] = {}
        self._count = 0
        self._turn, self._lock = threading.Lock(), threading.Lock()

    def run(self, work: Work, report: Report) -> ToolAnswer:
        """The answer of a piece of work, or that it goes on, with its id; raises what the work raises."""
        with self._lock:
            self._count += 1
            job = AgentJob(f"job{self._count}")
            self._jobs[job.id] = job
            for old in [one.id for one in self._jobs.values() if one.finished.is_set()][:-_KEPT]:
                del self._jobs[old]
        threading.Thread(target=self._do, args=(job, work), daemon=True).start()
        return self._waited(job, report)

    def poll(self, number: str, report: Report) -> ToolAnswer:
        """The answer of a job, or how far it is; raises UsageError where there is none of that id."""
        job = self._jobs.get(number)
        if job is None:
            near = did_you_mean(number[:80], self._jobs)
            raise UsageError(f"there is no job '{number[:80]}'{near}: ids of jobs come from answers that took long")
        return self._waited(job, report)

    def _do(self, job: AgentJob, work: Work) -> None:
        def progress(done: int, total: int) -> None:
            job.done, job.total = done, total

        try:
            with self._turn:
                job.answer = work(progress)
        except Exception as error:  # whoever asks for the job is told
            job.error = error
        finally:
            job.finished.set()

    def _waited(self, job: AgentJob, report: Report) -> ToolAnswer:
        until, reported = time.monotonic() + self._wait, -1
        while True:
            ended = job.finished.wait(min(_STEP, max(0.0, until - time.monotonic())))
            if job.done > reported and job.total:
                reported = job.done
                report(job.done, job.total)
            if ended or time.monotonic() >= until:
                break
        if job.error is not None:
            raise job.error
        if job.answer is not None:
            return job.answer
        state = {"job": job.id, "state": "running", "done": job.done, "total": job.total}
        return ToolAnswer({**state, "next": f"call job with id {job.id}"})
