"""Decoding: a few threads that work off what is put before them, in order; cheaper a piece than a pool with futures."""

from __future__ import annotations

import sys
import threading
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
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

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

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            work, item = task
            try:
                work(item)
            except Exception:  # a fault of ours; what comes next must find a thread
                traceback.print_exc(file=sys.stderr)
