"""Standard input and output as the transport of the Model Context Protocol: one JSON message a line."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any, BinaryIO

from photovision.app.agents.desk import Desk
from photovision.app.agents.protocol import MAX_MESSAGE, Protocol


def serve_stdio(desk: Desk) -> None:
    """Answer until standard input ends; what libraries print meanwhile goes to standard error."""
    sys.stdout.flush()
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        converse(desk, sys.stdin.buffer, channel)
    except BrokenPipeError:  # the client has gone
        pass
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        channel.close()


def converse(desk: Desk, lines: BinaryIO, channel: BinaryIO) -> None:
    """Answer the messages of one client, in order.

    Args:
        desk: what the tools work with.
        lines: messages, one a line; a line that is too long is refused, and not held in memory.
        channel: takes answers.
    """
    protocol, lock = Protocol(desk), threading.Lock()

    def send(message: dict[str, Any]) -> None:
        data = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with lock:
            while data:  # a pipe may take less than everything
                data = data[channel.write(data) :]

    while line := lines.readline(MAX_MESSAGE + 1):
        text = line
        while len(line) > MAX_MESSAGE and not line.endswith(b"\n"):
            line = lines.readline(MAX_MESSAGE + 1)
        if not text.strip():
            continue
        answer = protocol.answer(text, send)
        if answer is not None:
            send(answer)
