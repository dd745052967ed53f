"""Logs: one JSON object a line, without pictures, file names, addresses or keys."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from datetime import UTC, datetime
from queue import Full, Queue
from typing import Any, TextIO

MOST_LINES = 10_000


class Journal:
    """Writes lines in a thread of its own, so that a reader that stalls does not stall the service.

    Args:
        stream: where lines go; standard output if None.

    Attributes:
        dropped: lines that were lost, since their reader was too slow.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lines: Queue[str | None] = Queue(MOST_LINES)
        self.dropped = 0
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin to write, first what was told before."""
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
        if self._thread is None:
            return
        with contextlib.suppress(Full):
            self._lines.put(None, timeout=1)
            self._thread.join(timeout=1)

    def _put(self, facts: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._lines.put_nowait(json.dumps({"time": now, **facts}))
        except Full:
            self.dropped += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                print(line, file=self._stream, flush=self._lines.empty())
            except (OSError, ValueError):  # the reader is gone; the service goes on
                return
        self._stream.flush()
