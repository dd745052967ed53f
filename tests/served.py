"""A service for tests: an application within the test, or a process of its own that a signal can end."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from colours import colour_picture
from PIL import Image
from starlette.testclient import TestClient

from photovision.service.app import create_app
from photovision.service.logs import Journal
from photovision.service.settings import Settings


@contextmanager
def served(settings: Settings, log: io.StringIO | None = None, peer: str = "testclient") -> Iterator[TestClient]:
    """A client of a started application; `client.app.state.service` is its state."""
    app = create_app(settings, Journal(log or io.StringIO()))
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=True, client=(peer, 50000)) as client:
        yield client


def file_of(picture: Image.Image, form: str = "JPEG") -> bytes:
    """A picture as the bytes of a file."""
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


def colour_file(name: str, seed: int = 0) -> bytes:
    """A JPEG of about that colour."""
    return file_of(colour_picture(name, seed))


class Process:
    """`photovision serve` as a process; `address` is where it answers."""

    def __init__(self, *arguments: str, before: str = "") -> None:
        start = f"{before}\nimport runpy; runpy.run_module('photovision', run_name='__main__')"
        run = ["-c", start] if before else ["-m", "photovision"]
        command = [sys.executable, *run, "serve", *arguments, "--port", "0"]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._child.stderr is not None
        said = []
        for line in self._child.stderr:
            said.append(line)
            if "answering at " in line:
                self.address = line.split("answering at ")[1].split(",")[0]
                break
        else:
            raise AssertionError(f"the service ended with {self._child.wait()}: {''.join(said)}")
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rsplit(":", 1)[1])

    def memory(self) -> int:
        """Bytes of memory that it holds."""
        told = Path(f"/proc/{self._child.pid}/status").read_text()
        return int(told.split("VmRSS:")[1].split()[0]) * 1024

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._child.pid, number)

    def wait(self, seconds: float = 15) -> int:
        """Its exit code."""
        code = self._child.wait(seconds)
        self._reader.join(2)
        return code

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        for stream in (self._child.stdout, self._child.stderr):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.lines.append(line)


@contextmanager
def process(arguments: Sequence[str | Path], before: str = "") -> Iterator[Process]:
    """A service as a process, ended at the end of the test; `before` is Python that runs first in it."""
    service = Process(*map(str, arguments), before=before)
    try:
        yield service
    finally:
        service.kill()
