"""Run: the service on uvicorn, from its start to its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from photovision.core.errors import UsageError
from photovision.core.subprocesses import end_with_parent
from photovision.service.app import create_app
from photovision.service.connection import patient
from photovision.service.connections import SURPLUS, Connections
from photovision.service.settings import Settings
from photovision.service.state import Service

GRACE = 5.0
"""Seconds beyond a request's own time limit that the end waits for those under way."""

RESERVE = 128
"""File descriptors for everything but connections: models, the record, fetched pictures, decoding processes."""


def run(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what is under way.

    After SIGTERM the service says "not ready" and still answers for `settings.drain` seconds, so that a load balancer
    can turn away; then it takes no more connections, answers what has begun, and returns. A second signal ends it.
    Where the local page started it, the end of the page is like Ctrl-C.

    Args:
        settings: every choice.
        ready: called with the address when requests are answered.

    Raises:
        PhotovisionError: a model, the keys or the record cannot be used, or the port is taken.
    """
    end_with_parent()
    app = create_app(settings)
    connections = _connections(app.state.service)
    listening = _listening(settings)
    config = uvicorn.Config(
        app,
        http=patient(settings.limits.read_timeout, connections),
        loop="auto",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.limits.idle_timeout) or 1,
        timeout_graceful_shutdown=int(settings.limits.timeout + GRACE),
        backlog=2048,
    )
    server = _Server(config, app.state.service, ready)
    try:
        server.run([listening])
    except SystemExit:  # uvicorn's way to say that the application did not start
        raise app.state.service.failure or UsageError("the service could not start") from None
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """Drains before it stops."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load everything, then listen, then say so."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is loaded stays, so that no collection has to look at it again
        if self._ready is not None and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's own, it does not end the process by the signal again: an orderly end is success."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self, number: int) -> None:
        if self._service.draining:
            self.should_exit = self.force_exit = True
            return
        self._service.draining = True
        self._service.journal.event("draining")
        wait = self._service.settings.drain if number == signal.SIGTERM else 0.0
        asyncio.get_running_loop().call_later(wait, setattr, self, "should_exit", True)


def _connections(service: Service) -> Connections:
    """As many as the settings say, and as file descriptors allow, of which the service takes all it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems refuse what they say they allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    limits, room = service.limits, soft - RESERVE - SURPLUS
    if soft != resource.RLIM_INFINITY and room < limits.connections:
        if room < 1:
            raise UsageError(f"{soft} open files are too few for a service: raise the limit (ulimit -n) to 1024")
        service.journal.event("fewer connections", connections=room, open_files=soft)
    most = limits.connections if soft == resource.RLIM_INFINITY else min(limits.connections, room)
    refused = service.metrics.rejected.labels("connections").inc
    return Connections(most, limits.connections_per_address, service.callers.shared, refused)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): choose another --port or --host"
        ) from None
    return listening
