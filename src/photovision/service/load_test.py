"""Load: a client that asks a service as fast as it answers, or at a steady rate, and costs next to nothing itself.

Requests are encoded once, connections are kept open, and answers are not read beyond their status.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httptools
import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats

_BOUNDARY = "photovision-loadtest-7f3a9c"


@dataclass(eq=False)
class Measured:
    """What a load test saw.

    Attributes:
        seconds: float32 (N,), from the moment a request was due to its answer, of those answered with status 200.
        at: float32 (N,), when each of them was answered, from the start.
        statuses: how often each status, or "no answer", came.
        duration: seconds of the whole.
    """

    seconds: Floats
    at: Floats
    statuses: dict[str, int]
    duration: float


@dataclass(eq=False)
class Load:
    """One load test.

    Args:
        url: of the route, http or https, such as http://127.0.0.1:8000/predict.
        pictures: contents of picture files, asked in turn.
        concurrency: connections, each with at most one request under way.
        seconds: how long requests are sent, after `warm_up` seconds that do not count.
        rate: requests a second that become due, whether or not earlier ones were answered; None asks again as soon as
            a connection is free.
        headers: of every request, such as a key.
        form: whether pictures are sent as multipart forms; else as they are.
        patience: seconds after which an answer no longer counts.
    """

    url: str
    pictures: Sequence[bytes]
    concurrency: int = 32
    seconds: float = 10.0
    warm_up: float = 1.0
    rate: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    form: bool = True
    patience: float = 30.0

    def __post_init__(self) -> None:
        if not self.pictures:
            raise UsageError("expected at least one picture to ask about")

    def run(self) -> Measured:
        """Measure; raises UsageError where nothing listens at the address."""
        return asyncio.run(_Driver(self).run())


class _Driver:
    """Hands requests to connections and keeps what they report."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.parts = _address(load.url)
        self.requests = [_encoded(load, self.parts, picture) for picture in load.pictures]
        self.free: deque[_Caller] = deque()
        self.due: deque[float] = deque()
        self.callers: set[_Caller] = set()
        self.found: list[tuple[float, float]] = []
        self.statuses: Counter[str] = Counter()
        self.sent = 0
        self.counting = self.ending = False

    async def run(self) -> Measured:
        for _ in range(self.load.concurrency):
            await self.connect()
        watch = asyncio.create_task(self._watch())
        feed = asyncio.create_task(self._feed()) if self.load.rate else None
        await asyncio.sleep(self.load.warm_up)
        self.counting, began = True, time.perf_counter()
        await asyncio.sleep(self.load.seconds)
        self.counting, ended = False, time.perf_counter()
        self.ending = True
        for task in (watch, feed):
            if task is not None:
                task.cancel()
        for caller in tuple(self.callers):
            caller.close()
        table = np.asarray(self.found, np.float64).reshape(-1, 2)
        duration = ended - began
        return Measured(
            table[:, 0].astype(np.float32), (table[:, 1] - began).astype(np.float32), dict(self.statuses), duration
        )

    async def connect(self) -> None:
        secure = self.parts.scheme == "https"
        port = self.parts.port or (443 if secure else 80)
        context = ssl.create_default_context() if secure else None
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _Caller(self), self.parts.hostname or "", port, ssl=context
            )
        except OSError as error:
            raise UsageError(f"nothing answers at {self.load.url} ({error}): start 'photovision serve' first") from None

    def ready(self, caller: _Caller) -> None:
        """A connection is free: it takes the oldest request that is due."""
        if self.ending:
            return
        if self.load.rate is None:
            self.give(caller, time.perf_counter())
        elif self.due:
            self.give(caller, self.due.popleft())
        else:
            self.free.append(caller)

    def give(self, caller: _Caller, due: float) -> None:
        caller.ask(self.requests[self.sent % len(self.requests)], due)
        self.sent += 1

    def answered(self, status: str, due: float) -> None:
        if self.counting:
            now = time.perf_counter()
            self.statuses[status] += 1
            if status == "200":
                self.found.append((now - due, now))

    def lost(self, caller: _Caller) -> None:
        self.callers.discard(caller)
        if not self.ending:
            asyncio.get_running_loop().create_task(self._again())

    async def _again(self) -> None:
        try:
            await self.connect()
        except UsageError:
            self.answered("no answer", 0.0)
            await asyncio.sleep(0.2)
            if not self.ending:
                await self._again()

    async def _feed(self) -> None:
        """Requests become due at a steady rate, however the service fares: waiting counts (no coordinated omission)."""
        assert self.load.rate is not None
        due = time.perf_counter()
        while True:
            due += 1 / self.load.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if self.free:
                self.give(self.free.popleft(), due)
            else:
                self.due.append(due)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            late = time.perf_counter() - self.load.patience
            for caller in [one for one in self.callers if one.asked and one.sent < late]:
                caller.close()
            while self.due and self.due[0] < late:
                self.answered("no answer", self.due.popleft())


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, driver: _Driver) -> None:
        self.driver, self.asked, self.due, self.sent = driver, False, 0.0, 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.parser = transport, httptools.HttpResponseParser(self)
        self.driver.callers.add(self)
        self.driver.ready(self)

    def ask(self, request: bytes, due: float) -> None:
        assert self.transport is not None
        self.asked, self.due, self.sent = True, due, time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_message_complete(self) -> None:
        self.asked = False
        self.driver.answered(str(self.parser.get_status_code()), self.due)
        if self.parser.should_keep_alive():
            self.driver.ready(self)
        else:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.asked:
            self.asked = False
            self.driver.answered("no answer", self.due)
        if self in self.driver.free:
            self.driver.free.remove(self)
        self.driver.lost(self)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def _address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"expected the address of a service, such as http://127.0.0.1:8000/predict, got '{url}'")
    return parts


def _encoded(load: Load, parts: SplitResult, picture: bytes) -> bytes:
    kind, body = "image/jpeg", picture
    if load.form:
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="picture"\r\n\r\n'
        body = head.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    heads = {"Host": parts.netloc, "Content-Type": kind, "Content-Length": str(len(body)), **load.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in heads.items())
    return f"POST {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
