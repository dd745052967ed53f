"""Limits: token buckets for the rate of a caller, and the bytes that all requests may hold together."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from photovision.service.refusal import Refusal

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


class Budget:
    """Bytes that are held by all requests together.

    Example:
        >>> budget = Budget(10)
        >>> with budget.share() as hold:
        ...     hold(8)
        >>> budget.held
        0
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """What one request holds, given back at its end; the callable takes bytes or raises a Refusal (503)."""
        mine = 0

        def hold(count: int) -> None:
            nonlocal mine
            if self.held + count > self.most:
                raise Refusal(
                    503, "the service holds as many uploads as it may: try again", "memory", retry_after=1, close=True
                )
            self.held += count
            mine += count

        try:
            yield hold
        finally:
            self.held -= mine


def whole_seconds(wait: float) -> int:
    """Seconds as `Retry-After` writes them: rounded up, 1 to 3600."""
    return max(1, min(3600, math.ceil(wait)))
