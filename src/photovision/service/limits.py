"""Limits: token buckets for the rate of a caller, and the bytes that all requests may hold together."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from photovision.service.http_error import Refusal

MOST_CALLERS = 10_000


class Rates:
    """A token bucket for each caller: `rate` pictures a second, `burst` at once.

    Args:
        rate: tokens that a bucket gains a second.
        burst: tokens that it holds at most.
        clock: seconds from a fixed moment.

    Example:
        >>> rates = Rates(1.0, 2, clock=lambda: 0.0)
        >>> [rates.take("anna") for _ in range(3)]
        [0.0, 0.0, 1.0]
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take one token; 0 where there was one, else the seconds until there is."""
        tokens, now = self._tokens(caller)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._keep(caller, tokens if wait else tokens - 1, now)
        return wait

    def charge(self, caller: str, tokens: int) -> None:
        """Take tokens afterwards, of a request that proved to hold many pictures; the bucket may owe them."""
        left, now = self._tokens(caller)
        self._keep(caller, left - tokens, now)

    def _tokens(self, caller: str) -> tuple[float, float]:
        now = self._clock()
        tokens, then = self._buckets.pop(caller, (self._burst, now))
        return min(self._burst, tokens + (now - then) * self._rate), now

    def _keep(self, caller: str, tokens: float, now: float) -> None:
        self._buckets[caller] = tokens, now
        if len(self._buckets) > MOST_CALLERS:  # the one that asked longest ago is likely to be full again
            self._buckets.popitem(last=False)


class RequestBudget:
    """Bytes that are held by all requests together.

    Example:
        >>> budget = RequestBudget(10)
        >>> with budget.share() as hold:
        ...     hold(8)
        >>> budget.held
        0
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self._lock = threading.Lock()

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """What one request holds, given back at its end; the callable, of any thread, takes bytes or raises Refusal."""
        mine = 0

        def hold(count: int) -> None:
            nonlocal mine
            with self._lock:
                if self.held + count > self.most:
                    raise Refusal(
                        503,
                        "the service holds as many uploads as it may: try again",
                        "memory",
                        retry_after=1,
                        close=True,
                    )
                self.held += count
                mine += count

        try:
            yield hold
        finally:
            with self._lock:
                self.held -= mine


class Room:
    """Bytes that pictures may hold while they are worked on; who finds too few waits for his turn, in a thread.

    Args:
        most: bytes.

    Example:
        >>> room = Room(10)
        >>> with room.taken(8):
        ...     room.held
        8
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def taken(self, count: int, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold `count` bytes, at most all there are; raises Refusal (503) once `given_up`."""
        count, turn = min(count, self.most), object()
        with self._changed:
            self._waiting.append(turn)
            try:
                while self._waiting[0] is not turn or self.held + count > self.most:
                    if given_up():
                        raise Refusal(503, "given up: try again", "timeout", retry_after=1)
                    self._changed.wait(0.5)
                self.held += count
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.held -= count
                self._changed.notify_all()


def whole_seconds(wait: float) -> int:
    """Seconds as `Retry-After` writes them: rounded up, 1 to 3600."""
    return max(1, min(3600, math.ceil(wait)))
