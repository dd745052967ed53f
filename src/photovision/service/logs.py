"""Logs: one JSON object a line, without pictures, file names, addresses or keys."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any, TextIO

MOST_LINES = 10_000
EVERY = 0.1
"""Seconds between two writes."""


class Journal:
    """Writes lines in a thread of its own, so that a reader that stalls does not stall the service.

    Args:
        stream: where lines go; standard output if None.

    Attributes:
        dropped: lines that were lost, since their reader was too slow.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lines: deque[dict[str, Any]] = deque()
        self._ending = threading.Event()
        self.dropped = 0
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin to write, first what was reported before."""
        self._ending.clear()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def event(self, what: str, **facts: Any) -> None:
        """Something that happened to the service."""
        self._put({"event": what, **facts})

    def request(self, **facts: Any) -> None:
        """A request that was answered."""
        self._put(facts)

    def close(self) -> None:
        """Write what waits, within a second."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def _put(self, facts: dict[str, Any]) -> None:
        if len(self._lines) < MOST_LINES:
            self._lines.append({"time": time.time(), **facts})
        else:
            self.dropped += 1

    def _write(self) -> None:
        """Write now and then whatever has come, in one piece: a thread that wakes for every line would cost more."""
        while True:
            ending = self._ending.wait(EVERY)
            text = "".join(_line(self._lines.popleft()) for _ in range(len(self._lines)))
            try:
                if text:
                    self._stream.write(text)
                    self._stream.flush()
            except (OSError, ValueError):  # the reader is gone; the service goes on
                return
            if ending:
                return


def _line(facts: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(facts.pop("time"), UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": at, **facts}) + "\n"
