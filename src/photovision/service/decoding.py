"""Decoding: a few threads that work off what is put before them, in order; cheaper a piece than a pool with futures."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Decoders:
    """Threads for work that reports its own outcome and raises nothing.

    Args:
        count: of threads.
        name: of each.

    Example:
        >>> found = []
        >>> with Decoders(1) as decoders:
        ...     decoders.submit(found.append, 3)
        >>> found
        [3]
    """

    def __init__(self, count: int, name: str = "decoding") -> None:
        self._waiting: SimpleQueue[tuple[Callable[[Any], object], Any] | None] = SimpleQueue()
        self._began: list[float | None] = [None] * count
        self._moved = time.monotonic()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=name, daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def longest(self) -> float:
        """Seconds that the longest piece of work under way has taken; 0 where there is none."""
        now = time.monotonic()
        return max((now - began for began in self._began if began is not None), default=0.0)

    @property
    def stalled(self) -> float:
        """Seconds for which nothing was begun or done while something waits; 0 where nothing waits."""
        return time.monotonic() - self._moved if self._waiting.qsize() else 0.0

    def submit(self, work: Callable[[Any], object], item: Any) -> None:
        """Call `work(item)` in a thread, after what was submitted before."""
        self._waiting.put((work, item))

    def close(self) -> None:
        """Let the threads end when they have done what waits."""
        for _ in self._threads:
            self._waiting.put(None)

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        while (task := self._waiting.get()) is not None:
            work, item = task
            self._began[number] = self._moved = time.monotonic()
            try:
                work(item)
            except Exception:  # a fault of ours; what comes next must find a thread
                traceback.print_exc(file=sys.stderr)
            del task, work, item
            self._began[number] = None
            self._moved = time.monotonic()
