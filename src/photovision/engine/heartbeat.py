"""Heartbeat: events of long work come with its time, and the last one is repeated while nothing else happens.

Loading a library or writing a graph takes seconds in which nobody calls a listener. A thread then sends the last event
again, marked as repeated, so that bars, logs, files of events and the page show that the work goes on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from photovision.core.progress import Listener, Progress

SILENCE = 2.0
"""Seconds without an event after which the last one is repeated."""


class Heartbeat:
    """A listener that hands events on with the time; safe to be called by several threads.

    Every event gets the facts "seconds" (passed) and "budget" (seconds asked for), where there is a budget; a repeated
    one "waiting", too.

    Args:
        listener: who is informed.
        budget: seconds for everything; None where no time was asked for.
        started: `clock()` of the beginning.
        clock: seconds from a fixed moment.

    Example:
        >>> heard: list[Progress] = []
        >>> beating = Heartbeat(heard.append, 60, started=0.0, clock=lambda: 7.0)
        >>> beating(Progress("export", 0, 3))
        >>> heard[0].facts
        {'seconds': 7.0, 'budget': 60}
    """

    def __init__(
        self,
        listener: Listener,
        budget: float | None,
        started: float,
        clock: Callable[[], float] = time.monotonic,
        silence: float = SILENCE,
    ) -> None:
        self._listener, self._budget, self._started, self._clock = listener, budget, started, clock
        self._silence = silence
        self._lock = threading.Lock()
        self._last: Progress | None = None
        self._sent = started

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            self._last = progress
            self._send(progress)

    def beat(self) -> None:
        """Repeat the last event, if nothing was heard for a while."""
        with self._lock:
            if self._last is None or self._clock() - self._sent < self._silence:
                return
            one = self._last
            self._send(Progress(one.stage, one.done, one.total, one.line, {"waiting": True}))

    def _send(self, progress: Progress) -> None:
        self._sent = self._clock()
        if self._budget is not None:
            facts = {"seconds": round(self._sent - self._started, 1), "budget": self._budget}
            progress = replace(progress, facts={**progress.facts, **facts})
        self._listener(progress)


@contextlib.contextmanager
def beating(
    listener: Listener, budget: float | None = None, started: float = 0.0, silence: float = SILENCE
) -> Iterator[Heartbeat]:
    """A heartbeat for the time of a piece of work; see `Heartbeat`."""
    heart, ended = Heartbeat(listener, budget, started, silence=silence), threading.Event()

    def run() -> None:
        while not ended.wait(SILENCE / 8):
            # What a listener raises here, the next event of the work itself raises where it can be handled.
            with contextlib.suppress(BaseException):
                heart.beat()

    thread = threading.Thread(target=run, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield heart
    finally:
        ended.set()
        thread.join()
