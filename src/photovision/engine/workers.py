"""Processes of this machine that work on one work list, and a forecast of when it will be finished."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from photovision.core.errors import PhotovisionError, UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.subprocesses import Lifeline, end_with_parent, python_command
from photovision.engine.work_list import WorkList, open_work, work_on

_PAUSE = 0.2
_FORECAST = 0.01
"""Share of the pictures after which the rest is forecast."""


def work_with(work: WorkList, workers: int, progress: ProgressCallback | None = None) -> None:
    """Finish a work list by so many processes; by this one alone where it is 1.

    They are new processes of Python, never forks. Others on this or any machine may join meanwhile.

    Raises:
        UsageError: every process ended before the work was finished.
    """
    if workers == 1:
        work_on(work, progress)
        return
    lifeline = Lifeline()
    command = python_command("photovision.engine.workers", str(work.folder.absolute()))
    options = {"stdin": lifeline.stdin, "stdout": subprocess.DEVNULL, "env": lifeline.environment()}
    running = [subprocess.Popen(command, **options) for _ in range(workers)]  # type: ignore[call-overload]
    try:
        while True:
            finished = work.finished()
            if progress is not None:
                progress(sum(stop - start for start, stop in (work.units[unit] for unit in finished)), work.rows)
            if len(finished) == len(work.units):
                break
            if all(process.poll() is not None for process in running):
                raise UsageError(
                    f"all {workers} processes ended early: run photovision worker {work.folder} to see why"
                )
            time.sleep(_PAUSE)
        for process in running:  # they see it, too
            process.wait()
    finally:
        lifeline.close()
        for process in running:
            process.wait()


def forecast(say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> ProgressCallback:
    """A callback (done, total) that says once, after 1% of the pictures, how long the rest will take.

    Example:
        >>> times = iter((0.0, 36.0))
        >>> told = forecast(print, lambda: next(times))
        >>> told(0, 1000), told(10, 1000)
        10 of 1,000 pictures in 36 s: about 59 minutes more at this speed
        (None, None)
    """
    begun: list[tuple[float, int]] = []
    told: list[bool] = []

    def callback(done: int, total: int) -> None:
        if told:
            return
        now = clock()
        begun.append((now, done))
        first, before = begun[0]
        if done < total and done - before >= max(1, _FORECAST * total) and now > first:
            told.append(True)
            left = (total - done) * (now - first) / (done - before)
            words = f"{left / 60:,.0f} minutes" if left < 7200 else f"{left / 3600:,.1f} hours"
            words = f"{left:.0f} seconds" if left < 120 else words
            say(f"{done - before:,} of {total:,} pictures in {now - first:.0f} s: about {words} more at this speed")

    return callback


def _main(folder: str) -> int:
    """Run in a process of its own: work until all is finished; an error is one line."""
    end_with_parent()
    try:
        work_on(open_work(Path(folder)))
    except KeyboardInterrupt:
        return 130
    except PhotovisionError as error:
        print(f"photovision: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
