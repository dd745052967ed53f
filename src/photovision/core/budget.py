"""A budget of memory that threads share: who asks for much waits until there is enough."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class MemoryBudget:
    """Bytes that may be taken at once, by turns in the order of asking; more than all of them may be taken alone.

    Args:
        total: bytes.
        small: bytes below which nobody waits.

    Example:
        >>> with MemoryBudget(100, small=10).taken(1000):
        ...     pass
    """

    def __init__(self, total: int, small: int) -> None:
        self.total, self.small = total, small
        self.free = total
        self._turn = threading.Lock()
        self._returned = threading.Condition()

    @contextlib.contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Hold so many bytes; waits for them."""
        if wanted <= self.small:
            yield
            return
        share = min(wanted, self.total)
        with self._turn, self._returned:  # one at a time waits, so that many small ones never keep out a large one
            self._returned.wait_for(lambda: self.free >= share)
            self.free -= share
        try:
            yield
        finally:
            with self._returned:
                self.free += share
                self._returned.notify_all()
