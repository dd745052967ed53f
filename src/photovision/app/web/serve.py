"""Serve: the local page on a port of this machine alone, until Ctrl-C."""

from __future__ import annotations

import contextlib
import socket
import threading
import webbrowser
from types import FrameType

import uvicorn

from photovision.app.web.server import create_app
from photovision.app.web.state import State
from photovision.core.errors import UsageError

ADDRESS = "127.0.0.1"


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


def serve(state: State, own: socket.socket, browser: bool) -> None:
    """Answer until Ctrl-C, and open the page in the browser if asked to."""
    app = create_app(state)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    if browser:
        address = f"http://{ADDRESS}:{own.getsockname()[1]}"
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how the page is meant to end
            _Server(config, state).run(sockets=[own])
    finally:
        state.end()


class _Server(uvicorn.Server):
    """Lets answers that go on and on, of videos that are watched, end before it waits for the last one."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C, or the system ends."""
        self._state.ending.set()
        super().handle_exit(sig, frame)
