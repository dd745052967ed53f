"""As many threads for torch as there are free cores, on a machine that does other work, too.

torch divides every operation equally among its threads and waits for the last one. Where another program holds a core,
all threads wait for the one that shares it, at every operation: two threads on two cores, one of them busy, are slower
than one thread alone, by a half and more.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

_STAT = Path("/proc/stat")
_SHORTEST = 3.0  # seconds over which a load is measured


class FreeThreads:
    """Measures what other programs take, from one call of `adapt` to the next one seconds later.

    It reads the load as Linux gives it; elsewhere it does nothing.
    """

    def __init__(self) -> None:
        self._most = torch.get_num_threads()
        self._first = self._last = _sample()

    def adapt(self) -> None:
        """Give torch as many threads as there were cores without other work since the last call, at least one."""
        now = _sample()
        if now is None or self._last is None or now[0] - self._last[0] < _SHORTEST:
            return
        seconds, busy, own = (after - before for after, before in zip(now, self._last, strict=True))
        self._last = now
        torch.set_num_threads(threads_for((busy - own) / seconds, os.cpu_count() or 1, self._most))

    def others(self) -> float:
        """Cores that other programs took since the beginning, on average; 0 where the load cannot be read."""
        now = _sample()
        if now is None or self._first is None:
            return 0.0
        seconds, busy, own = (after - before for after, before in zip(now, self._first, strict=True))
        return max((busy - own) / max(seconds, 1e-6), 0.0)

    def close(self) -> None:
        """Give torch all its threads again."""
        torch.set_num_threads(self._most)


def threads_for(others: float, cores: int, most: int) -> int:
    """How many threads to take beside other work.

    Args:
        others: processor seconds of other programs in a second.
        cores: of the machine.
        most: threads that may be taken.

    Example:
        >>> [threads_for(others, 2, 2) for others in (0.1, 0.6, 1.0, 1.9)]
        [2, 1, 1, 1]
    """
    return int(min(max(round(cores - others), 1), most))


def _sample() -> tuple[float, float, float] | None:
    """Seconds of the clock, of all programs on all cores, and of this process; None where they cannot be read."""
    try:
        fields = [int(value) for value in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    idle = fields[3] + fields[4]
    return time.monotonic(), (sum(fields) - idle) / os.sysconf("SC_CLK_TCK"), time.process_time()
