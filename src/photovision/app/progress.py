"""Progress for people: moving bars with the time left on a terminal, plain lines now and then in a log."""

from __future__ import annotations

import json
import sys
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
from photovision.core.text import printable, unguarded

EVERY = 5.0
"""Seconds between two lines of a log."""
EVENTS_EVERY = 0.5
"""Seconds between two events of one stage for programs."""


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Listener]:
    """A listener that shows progress on `stream` (standard error if None), bars on a terminal, else lines.

    With --quiet it shows nothing.
    """
    stream = stream or sys.stderr
    if verbosity() is Verbosity.QUIET:
        yield silent
    elif stream.isatty():
        with _bars(stream) as listener:
            yield listener
    else:
        yield Lines(stream)


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
        >>> Events(sys.stdout, clock=lambda: 7.0)(Progress("fine-tuned", 5, 20, "loss 0.41", {"loss": 0.41}))
        {"time": 7.0, "stage": "fine-tuned", "done": 5, "total": 20, "line": "loss 0.41", "facts": {"loss": 0.41}}
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        self._stream, self._clock = stream, clock
        self._stage, self._told = "", 0.0

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        due = progress.done >= progress.total or now - self._told >= EVENTS_EVERY
        if progress.stage != self._stage or due or "rung" in progress.facts:
            self._stage, self._told = progress.stage, now
            with explained(Path(getattr(self._stream, "name", "events"))):
                print(json.dumps({"time": now, **vars(progress)}, default=str), file=self._stream, flush=True)


class Lines:
    """A listener for logs: a line when a stage begins, when it ends, and at most every few seconds between.

    Args:
        stream: where the lines go.
        clock: seconds from a fixed moment.

    Example:
        >>> Lines(sys.stdout)(Progress("fine-tuned", 5, 20, "loss 0.41"))
        fine-tuned  5/20  loss 0.41
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._stage, self._began, self._told = "", 0.0, 0.0

    def __call__(self, progress: Progress) -> None:
        if "rung" in progress.facts:  # its stage has ended with a line
            return
        now = self._clock()
        fresh = progress.stage != self._stage
        if fresh:
            self._stage, self._began = progress.stage, now
        if fresh or progress.done >= progress.total or now - self._told >= EVERY:
            self._told = now
            print(self._line(progress, now - self._began), file=self._stream, flush=True)

    def _line(self, progress: Progress, seconds: float) -> str:
        parts = [progress.stage, f"{progress.done:,}/{progress.total:,}"]
        if 0 < progress.done < progress.total and seconds > 1:
            left = seconds / progress.done * (progress.total - progress.done)
            parts.append(f"{duration(left)} left")
        return "  ".join([*parts, progress.line] if progress.line else parts)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(42.4), duration(150), duration(7300)
        ('42 s', '2 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def _bars(stream: TextIO) -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),  # stages and figures may hold names with brackets
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[line]}", markup=False),
    )
    with Bars(*columns, console=Console(file=unguarded(stream))) as bars:
        tasks: dict[str, TaskID] = {}

        def listener(progress: Progress) -> None:
            if "rung" in progress.facts:
                return
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(printable(progress.stage), line="")
            task = tasks[progress.stage]
            bars.update(task, completed=progress.done, total=progress.total, line=printable(progress.line))

        yield listener
