"""Serving from the local page: the real service, `photovision serve`, as a process that ends with the page.

It ends, too, where the page is killed and can end nothing: see `core.subprocesses.Lifeline`.

It listens on this machine only, as the page does; who wants to reach it from elsewhere starts it in a terminal, with
keys.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from photovision.app.web.recognise import Content
from photovision.app.web.workspace import State
from photovision.core.errors import UsageError
from photovision.core.subprocesses import Lifeline, python_command
from photovision.service.settings import path_safe_name

HOST, PORT = "127.0.0.1", 8000
PATIENCE = 10.0
"""Seconds that a service may take to end by itself."""
ANSWER_TIME = 60.0
"""Seconds that an answer to a picture of the page may take."""
_LONGEST = 1 << 20
_READY = "answering at "  # what the command says once it answers


class ServiceStart(BaseModel, extra="forbid"):
    """Which model, on which port of this machine; 0 for any free one."""

    model: str
    port: int = Field(PORT, ge=0, le=65535)


class LocalService:
    """The one service of the page.

    Args:
        state: the page, with whose end it ends.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: Path | None = None
        self._model: str | None = None
        self._wanted = False
        self._lifeline: Lifeline | None = None
        state.leaving.append(self.end)

    def start(self, model: str, port: int) -> None:
        """Start it; raises UsageError while one runs, ModelError where there is no such model."""
        self._state.stamp(model)  # makes a ready detector where that was not done before
        path = self._state.path_of(model)
        with self._guard:
            if self._running():
                raise UsageError(f"{self._model} is served already: stop it first")
            if self._messages is None:
                self._messages = Path(tempfile.mkdtemp(prefix="photovision-serve-")) / "messages.txt"
            self._lifeline = self._lifeline or Lifeline()
            with self._messages.open("wb") as messages:
                self._process = subprocess.Popen(
                    python_command(
                        "photovision",
                        "serve",
                        f"{path_safe_name(path.name)}={path}",
                        "--host",
                        HOST,
                        "--port",
                        str(port),
                    ),
                    stdin=self._lifeline.stdin,
                    stdout=subprocess.DEVNULL,
                    stderr=messages,
                    env=self._lifeline.environment(),
                    cwd=self._messages.parent,
                    start_new_session=True,  # a group of its own, which is ended as a whole
                )
            self._model, self._wanted = model, True

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        with self._guard:
            self._wanted = False
            process = self._process
            if process is None or process.poll() is not None:
                return
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGINT)  # at once: nobody balances load here
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def end(self) -> None:
        """The page ends."""
        self.stop()
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        if self._messages is not None:
            shutil.rmtree(self._messages.parent, ignore_errors=True)

    def status(self) -> dict[str, Any]:
        """For the page: "state" is "off", "starting", "running" or "failed"; the address, or why it failed."""
        lines = self._lines()
        address = next((line.split(_READY)[1].split(",")[0] for line in lines if _READY in line), None)
        if not self._running():
            failed = self._wanted and self._process is not None
            error = (lines or ["it ended without a word"])[-1].removeprefix("photovision: ") if failed else None
            return {"state": "failed" if failed else "off", "model": self._model, "address": None, "error": error}
        state = "starting" if address is None else "running"
        return {"state": state, "model": self._model, "address": address, "error": None}

    def ask(self, picture: bytes) -> dict[str, Any]:
        """What the service answers to a picture: its "answer" as it came, and how many "milliseconds" it took.

        Raises:
            UsageError: nothing is served, or it gives no answer.
        """
        address = self.status()["address"]
        if address is None:
            raise UsageError("no model answers: press Serve first")
        kind = {"content-type": "application/octet-stream"}
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"{address}/predict", picture, kind), timeout=ANSWER_TIME
            ) as response:
                text = response.read(_LONGEST)
        except urllib.error.HTTPError as refused:  # what the service says of the picture is its answer, too
            text = refused.read(_LONGEST)
        except OSError as error:
            raise UsageError(f"the service gave no answer ({error}): stop it, and start it again") from None
        milliseconds = 1000 * (time.perf_counter() - began)
        try:
            return {"answer": json.loads(text), "milliseconds": round(milliseconds, 1)}
        except ValueError:
            raise UsageError(f"the answer is longer than {_LONGEST >> 20} MB: ask the service itself") from None

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _lines(self) -> list[str]:
        try:
            return [] if self._messages is None else self._messages.read_text(errors="replace").splitlines()
        except OSError:
            return []


def routes(state: State) -> APIRouter:
    """Addresses of the service's switch."""
    router = APIRouter(prefix="/api/serving")
    service = LocalService(state)

    @router.get("/status")
    def status() -> dict[str, Any]:
        """Whether something is served, and where."""
        return service.status()

    @router.post("/start")
    def start(wish: ServiceStart) -> dict[str, Any]:
        """Serve a model."""
        service.start(wish.model, wish.port)
        return service.status()

    @router.post("/stop")
    def stop() -> dict[str, Any]:
        """Stop serving."""
        service.stop()
        return service.status()

    @router.post("/ask")
    def ask(picture: Content) -> dict[str, Any]:
        """Send a picture to what is served, as any other program would."""
        return service.ask(picture)

    return router
