"""Progress for people: moving bars with the time left on a terminal or in a notebook, lines now and then in a log."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TextIO, TypeVar

from photovision.core.notebook import Html, display, in_notebook, table
from photovision.core.progress import Listener, Progress, silent, visible
from photovision.core.report import cell_text
from photovision.core.text import aligned, printable, unguarded
from photovision.engine.heartbeat import beating

P = ParamSpec("P")
R = TypeVar("R")
EVERY = 5.0
"""Seconds between two lines of a log."""
WAITING = 10.0
"""Seconds between two lines of a log while nothing else happens."""
_SILENCE = 2.7  # seconds; a verb with a budget has a heartbeat of its own, which is a little quicker


def narrated(verb: Callable[P, R]) -> Callable[P, R]:
    """Decorator of the verbs of Python: with `listener=visible`, their default, they show their progress to people.

    On a terminal and in a notebook these are bars, else lines on standard error. A verb that calls another one hands
    its listener on, so that nothing is shown twice. Of several processes only the first one shows anything.
    """

    @functools.wraps(verb)
    def run(*values: P.args, **named: P.kwargs) -> R:
        with listening(named.get("listener", visible)) as listener:
            changed: Any = {**named, "listener": listener}
            return verb(*values, **changed)

    return run


@contextmanager
def listening(listener: Any) -> Iterator[Listener]:
    """The listener; instead of `visible` one that shows progress to people, see `narrated`."""
    if listener is not visible:
        yield listener
        return
    with shown() as people:
        yield people


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Show a table to people: as HTML in a notebook, else in columns on standard error."""
    if os.environ.get("RANK", "0") != "0":
        return
    if in_notebook():
        display(Html(table(columns, [[cell_text(cell) for cell in row] for row in rows])))
        return
    for line in aligned([[cell_text(cell) for cell in row] for row in (columns, *rows)]):
        print(line, file=sys.stderr)


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Listener]:
    """A listener that shows progress on `stream` (standard error if None), bars on a terminal, else lines.

    Without a stream it shows bars in a notebook, and nothing in other processes than the first. What takes long shows
    that the work goes on.
    """
    with _to_people(stream) as people, beating(people, silence=_SILENCE) as alive:
        yield alive


@contextmanager
def _to_people(stream: TextIO | None) -> Iterator[Listener]:
    if stream is None and os.environ.get("RANK", "0") != "0":
        yield silent
    elif stream is None and in_notebook():
        from photovision.engine.notebook_progress import NotebookBars

        bars = NotebookBars()
        try:
            yield bars
        finally:
            bars.close()
    elif (stream or sys.stderr).isatty():
        with _bars(stream or sys.stderr) as listener:
            yield listener
    else:
        yield Lines(stream or sys.stderr)


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
        now, waiting = self._clock(), "waiting" in progress.facts
        fresh = progress.stage != self._stage
        if fresh:
            self._stage, self._began = progress.stage, now
        ended = 0 < progress.total <= progress.done and not waiting  # 0: how many there are is unknown
        if fresh or ended or now - self._told >= (WAITING if waiting else EVERY):
            self._told = now
            print(self._line(progress, now - self._began), file=self._stream, flush=True)

    def _line(self, progress: Progress, seconds: float) -> str:
        parts = [progress.stage, f"{progress.done:,}" + (f"/{progress.total:,}" if progress.total else "")]
        if "waiting" in progress.facts:
            parts[1:] = ["still at work"]
        elif 0 < progress.done < progress.total and seconds > 1:
            left = seconds / progress.done * (progress.total - progress.done)
            parts.append(f"{duration(left)} left")
        return "  ".join([*parts, *filter(None, (progress.line, passed(progress)))])


def passed(progress: Progress) -> str:
    """How much of the time asked for has passed, for people; "" where no time was asked for.

    Example:
        >>> passed(Progress("export", 0, 3, facts={"seconds": 41.2, "budget": 120}))
        '41 s of 2 min'
    """
    if "budget" not in progress.facts:
        return ""
    return f"{duration(progress.facts['seconds'])} of {duration(progress.facts['budget'])}"


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
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def _bars(stream: TextIO) -> Iterator[Listener]:
    """A bar for every stage; where a time was asked for, one bar for all of it, and a line for what came of a stage."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),  # stages and figures may hold names with brackets
        BarColumn(bar_width=24),
        TextColumn("{task.fields[far]}", markup=False),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[line]}", markup=False),
    )
    with Bars(*columns, console=Console(file=unguarded(stream))) as bars:
        tasks: dict[str, TaskID] = {}

        def listener(progress: Progress) -> None:
            stage, line, far = printable(progress.stage), printable(progress.line), passed(progress)
            if "rung" in progress.facts:
                if far:
                    bars.console.print(f"{stage}  {line}", markup=False, highlight=False)
                return
            key, done, total = progress.stage, float(progress.done), float(progress.total)
            if far:
                line = f"{progress.done:,}/{progress.total:,} {line}" if progress.total > 1 else line
                key, total = "", progress.facts["budget"]
                done = min(progress.facts["seconds"], total)
            far = far or f"{progress.done:,}/{progress.total:,}"
            if key not in tasks:
                tasks[key] = bars.add_task(stage, line="", far=far)
            bars.update(tasks[key], description=stage, completed=done, total=total, line=line, far=far)

        yield listener
