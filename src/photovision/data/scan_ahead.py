"""A scan that runs in a thread, beside what loads libraries or checks choices meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from photovision.core.progress import ProgressCallback
from photovision.data.dataset import Dataset
from photovision.data.scan import Scan, scan

Scanned = Callable[[], Scan]
"""Waits for the end of a scan and gives it; raises what the scan raised."""


class _Stopped(Exception):
    """Nobody needs the scan any more."""


@contextmanager
def scanning(dataset: Dataset, progress: ProgressCallback) -> Iterator[Scanned]:
    """Scan a data set meanwhile; where the work beside it fails, the scan ends, too.

    Args:
        dataset: N pictures.
        progress: called in the thread with (pictures done, N).
    """
    stopped = threading.Event()

    def advanced(done: int, total: int) -> None:
        if stopped.is_set():
            raise _Stopped
        progress(done, total)

    with ThreadPoolExecutor(1, thread_name_prefix="photovision-scan") as pool:
        found = pool.submit(scan, dataset, progress=advanced)
        try:
            yield found.result
        finally:
            stopped.set()
