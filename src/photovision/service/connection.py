"""Connection: HTTP by uvicorn, with time limits for clients that send a head, or take an answer, too slowly."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Patient(HttpToolsProtocol):
    """A connection that is cut off when its client keeps it waiting; bodies have a limit of their own (`uploads`)."""

    patience = 10.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect the head of a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Once a next request begins, expect the rest of its head."""
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._waiting is None and self.timeout_keep_alive_task is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._unwait()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Expect the client to take what was written."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """It did."""
        super().resume_writing()
        self._unwait()

    def timeout_keep_alive_handler(self) -> None:
        """An idle connection is closed, which waits until the last answer is taken."""
        super().timeout_keep_alive_handler()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is expected."""
        self._unwait()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._unwait()
        self._waiting = self.loop.call_later(self.patience, self.transport.abort)

    def _unwait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def patient(seconds: float) -> type[Patient]:
    """Connections of that patience."""
    return type("Patient", (Patient,), {"patience": seconds})
