"""Faces of a service: one store of people, asked by one thread; loaded only where a store is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from photovision.core.errors import PhotovisionError, UnreadableImage
from photovision.faces.register import FaceStore
from photovision.service.http_error import Refusal
from photovision.service.routes_common import reason

T = TypeVar("T")


class ServedFaces:
    """A store of people behind a service.

    Args:
        path: of the store; its key is where $PHOTOVISION_FACES_KEY or the user's settings have it.
        queue: calls that may wait or be under way.

    Attributes:
        store: used in the thread of `run` only.

    Raises:
        ModelError: there is no store, or no key to it, or the weights are not on this machine.
    """

    def __init__(self, path: Path, queue: int) -> None:
        self.store = FaceStore(path)
        self.store.entries()  # a key that does not fit is noticed at the start
        self._queue, self._waiting = queue, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="faces")

    async def run(self, work: Callable[[FaceStore], T]) -> T:
        """The result of `work`; raises Refusal where too much waits, or the work makes no sense."""
        if self._waiting >= self._queue:
            raise Refusal(503, "more faces are waiting than the service takes: try again", "queue", retry_after=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self.store)
        except UnreadableImage as error:
            raise Refusal(422, reason(error), "unreadable") from None
        except PhotovisionError as error:
            raise Refusal(409, str(error)[:500], "faces") from None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let go of the store."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self.store.close()
