"""Connection: HTTP by uvicorn, with bounds on what a client may send before its request is there, and on its time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from photovision.service.connections import Connections

HEAD_BYTES = 65_536
"""Bytes of one request's head: its first line and all header fields."""
SURPLUS_PATIENCE = 1.0
"""Seconds that a connection beyond the limit has to ask, before it is closed instead of answered with 503."""
PIPELINE = 16
"""Requests that a connection may send ahead of the answers to the earlier ones."""


class BoundedHead(HttpToolsProtocol):
    """A connection that is closed with 431 when what comes is neither a whole head nor a body within HEAD_BYTES.

    Bytes are counted before the parser takes them, so that nothing is copied beyond the bound. They count from the
    last piece of a body, or the last whole head, so that trailers and extensions of chunks have the same bound.
    """

    _loose = 0
    _refusal = "400 Bad Request"
    _piece = b""

    def data_received(self, data: bytes) -> None:
        """Hand on what has arrived, in pieces that exceed no bound."""
        if len(data) <= HEAD_BYTES - self._loose:
            self._parse(data)
            return
        while data and not self.transport.is_closing():
            room = HEAD_BYTES - self._loose
            if room <= 0:
                self._refuse("431 Request Header Fields Too Large")
                return
            piece, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._parse(piece)

    def _parse(self, piece: bytes) -> None:
        self._loose += len(piece)
        self._piece = piece
        super().data_received(piece)

    def on_headers_complete(self) -> None:
        """A head is there."""
        self._loose = 0
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            return
        if len(self.pipeline) >= PIPELINE:
            self._refusal = "429 Too Many Requests"
            raise ValueError("more requests are sent ahead than are taken")
        super().on_headers_complete()
        self.headers = []  # trailers, which follow the body, say nothing about who asks: they are dropped

    def on_body(self, body: bytes) -> None:
        """A piece of a body is there."""
        self._loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is there; what follows is the next head."""
        self._loose = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """A client offers another protocol, as Java's does with every request: it is answered by this one.

        The parser takes all that follows such a head for the other protocol, so a new one reads it without the offer.
        """
        offer = sys.exception()
        assert offer is not None
        rest = self._piece[offer.args[0] :]
        first = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = (b"%s: %s" % field for field in self.headers if field[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        self._parse(b"\r\n".join((first, *fields, b"", rest)))

    def send_400_response(self, msg: str) -> None:
        """What came is no request, or one of too many."""
        self._refuse(self._refusal)

    def _refuse(self, status: str) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # else it would stand within another answer
            head = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
        self.transport.close()


class Patient(BoundedHead):
    """A connection that is cut off when its client keeps it waiting; bodies have a limit of their own (`uploads`)."""

    patience = 10.0
    connections_of_all: Connections | None = None
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect the head of a request, where there is room for one more connection."""
        super().connection_made(transport)
        self._wait()
        if self.connections_of_all is not None:
            place = self.connections_of_all.enter(self, self.client[0] if self.client else "")
            if place == "surplus":
                self.app, self.patience = _too_many, SURPLUS_PATIENCE
                self._wait()
            elif place == "refused":
                transport.abort()

    def give_way(self) -> None:
        """Close, since another connection needs the place, and no request is under way here."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Once a next request begins, expect the rest of its head."""
        super().data_received(data)
        if self._waiting is None and self.timeout_keep_alive_task is None and self.idle:
            self._wait()

    @property
    def idle(self) -> bool:
        """Whether no request is under way: none has come yet, or only a part of its head."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._unwait()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The answer is written; another request may follow."""
        super().on_response_complete()
        if self.connections_of_all is not None:
            self.connections_of_all.rest(self)

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
        if self.connections_of_all is not None:
            self.connections_of_all.leave(self)
        super().connection_lost(exc)

    def _refuse(self, status: str) -> None:
        super()._refuse(status)
        self._wait()  # closing waits until the client has taken what was written

    def _wait(self) -> None:
        self._unwait()
        self._waiting = self.loop.call_later(self.patience, self.transport.abort)

    def _unwait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def patient(seconds: float, connections: Connections | None = None) -> type[Patient]:
    """Connections of that patience, counted where `connections` is given."""
    return type("Patient", (Patient,), {"patience": seconds, "connections_of_all": connections})


async def _too_many(_scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
    body = b'{"error": "more connections are open than the service takes: try again"}'
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
