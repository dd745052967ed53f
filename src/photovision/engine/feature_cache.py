"""Frozen features that several trainings of one process share, such as those of the folds of a search."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

import numpy as np

from photovision.core.files import version_of
from photovision.core.types import Sample

Outputs = dict[str, np.ndarray]
MOST_BYTES = 2**30


class FeatureCache:
    """Sessions and their outputs for single pictures, the least recently used of which go first.

    Args:
        most_bytes: that the outputs may take.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._sessions: dict[Hashable, Any] = {}
        self._rows: OrderedDict[Hashable, Outputs] = OrderedDict()
        self._lock = Lock()

    def session(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` makes, made once for every key."""
        with self._lock:
            if key not in self._sessions:
                self._sessions[key] = make()
            return self._sessions[key]

    def get(self, key: Hashable) -> Outputs | None:
        """The outputs for a picture; None where they are not known."""
        with self._lock:
            found = self._rows.get(key)
            if found is not None:
                self._rows.move_to_end(key)
            return found

    def put(self, key: Hashable, outputs: Outputs) -> None:
        """Keep the outputs for a picture."""
        own = {name: np.array(values) for name, values in outputs.items()}
        with self._lock:
            if key in self._rows:
                return
            self._rows[key] = own
            self._bytes += _bytes(own)
            while self._bytes > self._most and self._rows:
                self._bytes -= _bytes(self._rows.popitem(last=False)[1])


def digest_of(sample: Sample) -> int:
    """A number by which the picture of a sample is known again: of its pixels, or of its file's name, size and time."""
    if isinstance(sample.image, np.ndarray):
        content = np.ascontiguousarray(sample.image).tobytes() + repr(sample.image.shape).encode()
    else:
        content = repr(version_of(sample.image)).encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little")


def _bytes(outputs: Outputs) -> int:
    return sum(values.nbytes for values in outputs.values())
