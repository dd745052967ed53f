"""Signals: the first one ends a command in order, the second one at once; neither with a traceback."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}
if hasattr(signal, "SIGHUP"):
    NAMES[signal.SIGHUP] = "ended by SIGHUP"


class Ended(BaseException):
    """The system wants the command to end: SIGTERM, or SIGHUP of a terminal that is gone."""


class Signals:
    """What came while a command ran.

    Args:
        resumes: what a person should know who interrupted it.
    """

    def __init__(self, resumes: str = "") -> None:
        self.first: signal.Signals | None = None
        self._resumes = resumes

    @property
    def code(self) -> int:
        """The exit code by convention: 128 and the number of the signal."""
        return 128 + (self.first or signal.SIGINT)

    @property
    def line(self) -> str:
        """The line about it."""
        return f"photovision: {NAMES[self.first or signal.SIGINT]}{self._resumes}"

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal, in the main thread."""
        if self.first is not None:
            # The command is ending already, perhaps in the middle of tidying up: what is half done is found next time.
            with contextlib.suppress(OSError):
                os.write(2, f"{self.line}\n".encode())
            os._exit(self.code)
        self.first = signal.Signals(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Ended


@contextlib.contextmanager
def handled(resumes: str = "") -> Iterator[Signals]:
    """Handle the signals that end a command; those that are ignored, as under nohup, stay ignored."""
    signals = Signals(resumes)
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in NAMES}
        before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, signals)
        yield signals
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def leave(code: int) -> NoReturn:
    """End the process without waiting for threads that still have work; what was registered for its end is done."""
    for number in NAMES:
        signal.signal(number, lambda number, frame: os._exit(code))
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
