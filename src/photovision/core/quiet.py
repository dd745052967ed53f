"""No warnings about damaged files, in whatever thread: what counts is whether their pixels decode."""

from __future__ import annotations

import threading
import warnings


class Quietness:
    """No warnings about damaged EXIF, TIFF or DICOM tags, for as long as any thread wants quiet.

    It counts the threads that want quiet, since Python's warning filters belong to all threads together. A class, since
    every picture passes here, and a generator costs a microsecond more.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
        self.filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self.lock:
            if self.threads == 0:
                self.filters = warnings.catch_warnings()
                self.filters.__enter__()
                warnings.simplefilter("ignore")
            self.threads += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.threads -= 1
            if self.threads == 0:
                self.filters.__exit__(None, None, None)


quiet = Quietness()
