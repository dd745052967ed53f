"""Decode pool: processes for pictures that cost much time or memory, each of which can be ended without harm.

Usual pictures are decoded in threads, which is quicker. What `estimate_cost` finds costly, or wrongly cheap, can never
hold up the service: a process that takes too long is ended, and the next picture has a new one.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.image_cost import DecodeCost
from photovision.core.preprocess import Preprocess
from photovision.core.result import Size
from photovision.core.subprocesses import python_command, python_environment
from photovision.core.types import Image
from photovision.service.decoding import Decoders
from photovision.service.http_error import Refusal
from photovision.service.limits import Room

START_SECONDS = 30.0
_LOOK = 0.25  # seconds between two looks at whether somebody still waits
_LONGEST = 1 << 16  # bytes of a line
_MOST_PACE = 20.0
_VARIABLES = ("HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONHOME")  # none that may hold a password
_KEPT = 16 << 20  # bytes of the file between two pictures


@dataclass(frozen=True)
class DecodeRequest:
    """What is asked of a process.

    Attributes:
        preprocess: how a picture is decoded, and becomes what a network sees.
        whole: whether the whole picture is asked for, else what the network sees.
        bytes: of memory that decoding is expected to take.
        max_pixels: that the picture may have.
        seconds: that it may take.
    """

    preprocess: Preprocess
    whole: bool
    bytes: int
    max_pixels: int
    seconds: float


class Worker:
    """One process, started at its first picture, and again after it had to be ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._file = _memory_file()
        self._using, self._closed = threading.Lock(), False
        self.restarts = -1

    def decoded(
        self, content: bytes, asked: DecodeRequest, given_up: Callable[[], bool] = lambda: False
    ) -> tuple[Image, Size]:
        """The pixels that are asked for, uint8 RGB (H, W, 3), and the (H, W) of the whole picture.

        Raises:
            UnreadableImage: it cannot be decoded, or not within its time and memory.
            Refusal: it was given up meanwhile (503).
        """
        with self._using:
            return self._decoded(content, asked, given_up)

    def _decoded(self, content: bytes, asked: DecodeRequest, given_up: Callable[[], bool]) -> tuple[Image, Size]:
        process = self._running()
        os.ftruncate(self._file, 0)
        _write(self._file, content)
        task = {
            "bytes": len(content),
            "preprocess": asked.preprocess.to_json(),
            "whole": asked.whole,
            "pixels": asked.max_pixels,
            "memory": asked.bytes + asked.bytes // 2,
            "seconds": asked.seconds,
        }
        answer = self._told(process, task, asked.seconds, given_up)
        if "error" in answer:
            raise UnreadableImage(str(answer["error"])[:500])
        try:
            image = self._image(answer["shape"], asked)
            height, width = (int(side) for side in answer["size"])
        except (KeyError, TypeError, ValueError):  # a decoder that a picture took over may answer anything
            self.end()
            raise UnreadableImage("the picture: cannot be decoded (its decoder failed)") from None
        if image.nbytes > _KEPT:
            os.ftruncate(self._file, 0)
        return image, (height, width)

    def end(self) -> None:
        """End the process; the next picture starts a new one, with a file that the old one cannot reach."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def close(self) -> None:
        """End it for good, also while it decodes."""
        self._closed = True
        self.end()
        with self._using:
            self.end()
            os.close(self._file)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise UnreadableImage("the picture: cannot be decoded (the service ends)")
        if self._process is None or self._process.poll() is not None:
            self.end()
            self.restarts += 1
            self._process = subprocess.Popen(
                python_command("photovision.service.decode_worker", str(os.getpid()), str(self._file)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._file,),
                cwd="/",
                env={**python_environment(_VARIABLES), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        return self._process

    def _told(
        self, process: subprocess.Popen[bytes], task: dict[str, Any], seconds: float, given_up: Callable[[], bool]
    ) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        late = UnreadableImage(f"the picture: takes longer than {seconds:g} s to decode, the limit: send a smaller one")
        try:
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.flush()
            line = _line(process.stdout.fileno(), seconds + START_SECONDS, given_up)
            answer = json.loads(line) if line else None
        except (OSError, ValueError):
            answer = None
        if isinstance(answer, dict):
            return answer
        ended = process.poll() if process.poll() is not None else _wait(process)
        self.end()
        if given_up():
            raise Refusal(503, "given up: try again", "timeout", retry_after=1)
        if ended is None or ended == -signal.SIGALRM:  # its own time limit
            raise late
        raise UnreadableImage("the picture: cannot be decoded (its decoder ended)")

    def _image(self, shape: Any, asked: DecodeRequest) -> Image:
        height, width, channels = (int(side) for side in shape)
        if asked.whole:
            fits = height > 0 and width > 0 and height * width <= asked.max_pixels
        else:
            fits = (height, width) == asked.preprocess.size
        if not fits or channels != 3:
            raise ValueError("shape")
        image = np.empty((height, width, 3), np.uint8)
        view, got = image.data.cast("B"), 0
        while got < len(view):
            count = os.preadv(self._file, [view[got:]], got)
            if not count:
                raise ValueError("too short")
            got += count
        return image


class DecodePool:
    """Processes for costly pictures, and the memory and the time that all of them may take.

    Args:
        count: of processes, each of which is started when it is needed.
        room: bytes that all costly pictures may hold at once.
        seconds: that one picture may take.
        patience: seconds of work that may wait; beyond it pictures are refused (503).
    """

    def __init__(self, count: int, room: Room, *, seconds: float, patience: float) -> None:
        self.room, self._count = room, count
        self._seconds, self._patience = seconds, patience
        self._ahead, self._pace, self._lock = 0.0, 1.0, threading.Lock()  # estimated seconds; seconds for each of them
        self._own = threading.local()
        self._workers: list[Worker] = []
        self.threads = Decoders(count, "costly")

    @property
    def restarts(self) -> int:
        """How often a process had to be started again."""
        return sum(max(0, worker.restarts) for worker in self._workers)

    def check(self, cost: DecodeCost, room: int) -> None:
        """Raise UnreadableImage for a picture that can never be decoded here, since it takes too long or too much."""
        if room > self.room.most:
            raise UnreadableImage(
                f"the picture: needs about {room >> 20:,} MB of memory, more than the {self.room.most >> 20:,} MB"
                " that there are for it: send a smaller one"
            )
        if cost.seconds > self._seconds:
            raise UnreadableImage(
                f"the picture: would take about {math.ceil(cost.seconds)} s to decode, more than the limit of"
                f" {self._seconds:g} s: send a smaller one"
            )

    def submit(self, work: Callable[[Any], object], item: Any, cost: DecodeCost) -> None:
        """Call `work(item)` in a thread that may use `decoded`; raises Refusal (503) where too much waits."""
        with self._lock:
            wait = self._ahead * self._pace / self._count
            if self._ahead and wait > self._patience:
                raise Refusal(
                    503,
                    "more large pictures are waiting than the service takes: try again",
                    "decoding",
                    retry_after=max(1, min(60, math.ceil(wait))),
                )
            self._ahead += cost.seconds

        def working(one: Any) -> None:
            began = time.monotonic()
            try:
                work(one)
            finally:
                ratio = min(_MOST_PACE, (time.monotonic() - began) / max(cost.seconds, 0.001))
                with self._lock:
                    self._ahead = max(0.0, self._ahead - cost.seconds)
                    self._pace += 0.2 * (ratio - self._pace)

        self.threads.submit(working, item)

    def decoded(
        self,
        content: bytes,
        preprocess: Preprocess,
        cost: DecodeCost,
        max_pixels: int,
        given_up: Callable[[], bool] = lambda: False,
        *,
        whole: bool = False,
    ) -> tuple[Image, Size]:
        """As `Worker.decoded`, by the process of this thread."""
        worker: Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = Worker()
            with self._lock:
                self._workers.append(worker)
        return worker.decoded(
            content, DecodeRequest(preprocess, whole, cost.bytes, max_pixels, self._seconds), given_up
        )

    def close(self) -> None:
        """End the threads when they have done what waits, and the processes."""
        self.threads.close()
        for worker in self._workers:
            worker.close()


def _memory_file() -> int:
    """An open file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("picture", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write(file: int, content: bytes) -> None:
    view, sent = memoryview(content), 0
    while sent < len(view):
        sent += os.pwrite(file, view[sent:], sent)


def _line(stream: int, seconds: float, given_up: Callable[[], bool]) -> bytes:
    """A line from a pipe; empty at its end, or where it does not come in time, or nobody waits for it any more."""
    until, found = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not found.endswith(b"\n") and len(found) < _LONGEST:
            if not selector.select(_LOOK):
                if given_up() or time.monotonic() > until:
                    return b""
            elif more := os.read(stream, _LONGEST):
                found += more
            else:
                return b""
    return found


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(0.5)
    except subprocess.TimeoutExpired:
        return None
