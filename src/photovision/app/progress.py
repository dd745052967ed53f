"""Progress for programs: a file of events, beside what people are shown (`photovision.engine.progress`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from photovision.app.verbosity import Verbosity, verbosity
from photovision.core.files import explained
from photovision.core.output import check_lines
from photovision.core.progress import Listener, Progress, silent
from photovision.core.progress import counted as counted
from photovision.engine import progress as people
from photovision.engine.progress import Lines as Lines

EVENTS_EVERY = 0.5
"""Seconds between two events of one stage for programs."""


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Listener]:
    """What `photovision.engine.progress.shown` gives, to whom --quiet says nothing."""
    if verbosity() is Verbosity.QUIET:
        yield silent
        return
    with people.shown(stream) as listener:
        yield listener


@contextmanager
def with_events(listener: Listener, events: Path | None) -> Iterator[Listener]:
    """The listener, and beside it a file of events for programs, where one is named; see `Events`."""
    if events is None:
        yield listener
        return
    with explained(events):
        check_lines(events, ("time", "stage"))
        events.parent.mkdir(parents=True, exist_ok=True)
        file = events.open("w", encoding="utf-8")
    with explained(events), file:
        also = Events(file)

        def both(progress: Progress) -> None:
            listener(progress)
            also(progress)

        yield both


class Events:
    """A listener for programs: JSON Lines with time (seconds since 1970), stage, done, total, line and facts.

    A line when a stage begins, when it ends, when a rung is climbed, and at most twice a second between.

    Args:
        stream: where the lines go; each is flushed.
        clock: seconds since 1970.

    Example:
        >>> import sys
        >>> Events(sys.stdout, clock=lambda: 7.0)(Progress("fine-tuned", 5, 20, "loss 0.41", {"loss": 0.41}))
        {"time": 7.0, "stage": "fine-tuned", "done": 5, "total": 20, "line": "loss 0.41", "facts": {"loss": 0.41}}
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        self._stream, self._clock = stream, clock
        self._stage, self._told = "", 0.0

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        ended = progress.done >= progress.total and "waiting" not in progress.facts
        due = ended or now - self._told >= EVENTS_EVERY
        if progress.stage != self._stage or due or "rung" in progress.facts:
            self._stage, self._told = progress.stage, now
            with explained(Path(getattr(self._stream, "name", "events"))):
                print(json.dumps({"time": now, **vars(progress)}, default=str), file=self._stream, flush=True)
