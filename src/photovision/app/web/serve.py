"""Serve: the local page on a port of this machine alone, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from html import escape
from types import FrameType

import uvicorn

from photovision.app.web.server import SECRET, create_app
from photovision.app.web.workspace import State
from photovision.core.errors import UsageError
from photovision.service.connection import BoundedHead

ADDRESS = "127.0.0.1"
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


def new_token() -> str:
    """A secret for one page, as long as it runs."""
    return secrets.token_urlsafe(24)


def address_of(own: socket.socket, token: str) -> str:
    """Where the page is, with its secret."""
    return f"http://{ADDRESS}:{own.getsockname()[1]}/?{SECRET}={token}"


def listen(port: int, exact: bool) -> socket.socket:
    """A socket on this machine's own address, which other machines cannot reach.

    Args:
        port: 0 for any free one.
        exact: whether it has to be this port; else another one is taken where it is in use.

    Raises:
        UsageError: the port is in use or not allowed.
    """
    for wanted in (port,) if exact else (port, 0):
        own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((ADDRESS, wanted))
            own.listen(128)  # visitors may come from now on, and are answered as soon as the server runs
            return own
        except OSError as error:
            own.close()
            reason = error.strerror
    raise UsageError(f"port {port} cannot be used ({reason}): choose another one with --port")


def serve(state: State, own: socket.socket, token: str, browser: bool) -> None:
    """Answer until Ctrl-C, SIGTERM or the terminal's end, and open the page in the browser if asked to."""
    config = uvicorn.Config(
        create_app(state, token),
        http=BoundedHead,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    with contextlib.ExitStack() as ends:
        ends.callback(state.end)
        if browser:
            file = ends.enter_context(_opening(address_of(own, token)))
            threading.Thread(target=webbrowser.open, args=(file,), daemon=True).start()
        _PageServer(config, state).run(sockets=[own])


@contextlib.contextmanager
def _opening(address: str) -> Iterator[str]:
    """A file of this user alone that leads to the page, for all users can read the arguments of a browser's process."""
    handle, name = tempfile.mkstemp(suffix=".html", prefix="photovision-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}">')
    try:
        yield f"file://{name}"
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


class _PageServer(uvicorn.Server):
    """Lets answers that go on and on, of videos that are watched, end before it waits for the last one."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's own, it does not end the process by the signal, which would leave a training behind."""
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C, or the system ends."""
        self._state.ending.set()
        super().handle_exit(sig, frame)
