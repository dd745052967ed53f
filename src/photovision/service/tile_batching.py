"""Windows: a picture that is seen through many of them shares the calls of the network with all other pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np

from photovision.core.types import Image
from photovision.runtime.session import Session
from photovision.service.http_error import Refusal

_PATIENCE = 0.5  # seconds between two looks at whether the answer is still wanted


class TileRequest:
    """One input of a call that waits for its outputs.

    Attributes:
        image: what the network sees.
    """

    __slots__ = ("_call", "_place", "image")

    def __init__(self, call: _Call, place: int, image: Image) -> None:
        self._call, self._place, self.image = call, place, image

    def take(self, outputs: dict[str, np.ndarray]) -> None:
        """The network has answered; from its thread."""
        self._call.rows[self._place] = outputs
        self._call.left -= 1
        if not self._call.left:
            self._call.done.set()

    def fail(self, refusal: Refusal) -> None:
        """The network has failed; from its thread."""
        self._call.refusal = refusal
        self._call.done.set()


class Shared:
    """A `Session` for one picture, in a thread of its own, whose calls go through the queue that all pictures share.

    Since a call waits for its outputs, a picture holds no more windows at a time than it asks for at once.

    Args:
        session: the one behind the queue.
        queue: what the network's thread takes from.
        given_up: whether nobody waits for the picture any more, or nothing answers any more.
    """

    def __init__(self, session: Session, queue: SimpleQueue[Any], given_up: Callable[[], bool]) -> None:
        self.engine, self.precision = session.engine, session.precision
        self._queue, self._given_up = queue, given_up

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """As `Session.run`; raises Refusal where the network failed, or where nobody waits."""
        self._check()
        call = _Call(len(images))
        for place, image in enumerate(images):
            self._queue.put(TileRequest(call, place, image))
        while not call.done.wait(_PATIENCE):
            self._check()
        if call.refusal is not None:
            raise call.refusal
        return {name: np.stack([row[name] for row in call.rows]) for name in call.rows[0]}

    def _check(self) -> None:
        if self._given_up():
            raise Refusal(503, "given up: try again", "timeout", retry_after=1)


class _Call:
    def __init__(self, count: int) -> None:
        self.rows: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
        self.left = count
        self.done = threading.Event()
        self.refusal: Refusal | None = None
