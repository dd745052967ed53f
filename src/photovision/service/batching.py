"""Batching: pictures are decoded in threads, and the network answers whatever is waiting, in a thread of its own.

No picture waits for others unless `max_wait` asks for it: while one batch is answered, the next one gathers. Batches
come in a few sizes only, since an engine prepares itself for every new size; they are never padded.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.types import Classes, Image
from photovision.service.decoding import Decoders
from photovision.service.metrics import Metrics
from photovision.service.refusal import Refusal
from photovision.tasks.recognizer import Recognizer

SIZES = (1, 2, 3, 4, 6, 12, 24, 48, 96)
"""Sizes of batches: few, and mostly multiples of what two cores take apart at once (six pictures of 224 pixels)."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a model says of one picture.

    Attributes:
        outputs: the graph's outputs by name, each the row of this picture.
        answer: what they mean.
    """

    outputs: dict[str, np.ndarray]
    answer: Classes


Said = Outcome | UnreadableImage


class Ticket:
    """One request: its pictures, and the future of their answers.

    Attributes:
        id: name of the request, unique.
        said: an answer for each picture, in order; complete when `future` is done.
        began: of the monotonic clock.
    """

    __slots__ = ("began", "future", "id", "left", "said")

    def __init__(self, name: str, count: int, future: asyncio.Future[None]) -> None:
        self.id = name
        self.said: list[Said | None] = [None] * count
        self.left = count
        self.future = future
        self.began = time.monotonic()


@dataclass(eq=False, slots=True)
class Job:
    """One picture of a ticket: its place there, the file's bytes or an array, and what the network sees of it."""

    ticket: Ticket
    place: int
    source: bytes | Image
    image: Image | None = field(default=None)


Keep = Callable[[Sequence[Job], Sequence[Outcome]], None]
"""Records the answers of a batch, in a thread, before they go out; raises Refusal where they may not."""


class Batcher:
    """Answers the pictures of one loaded model.

    Args:
        name: of the model, for the metrics.
        recognizer: the model, its session open.
        decoders: threads that decode; shared by all models.
        loop: where the requests live.
        batch_size: pictures a call at most.
        max_wait: seconds that the first picture of a batch may wait for others.
        queue: pictures waiting or under way at most.
        most_pixels: of one picture.
        metrics: where batches are counted.
        keep: called with every batch before its answers go out.
    """

    def __init__(
        self,
        name: str,
        recognizer: Recognizer,
        decoders: Decoders,
        loop: asyncio.AbstractEventLoop,
        *,
        batch_size: int,
        max_wait: float,
        queue: int,
        most_pixels: int,
        metrics: Metrics,
        keep: Keep | None = None,
    ) -> None:
        self.recognizer, self.pending, self.queue = recognizer, 0, queue
        self._decoders, self._loop, self._keep, self._most_pixels = decoders, loop, keep, most_pixels
        self._sizes = [size for size in SIZES if size < batch_size] + [batch_size]
        self._max_wait = max_wait
        self._ready: SimpleQueue[Job | None] = SimpleQueue()
        self._batches, self._pictures = metrics.batch.labels(name), metrics.pictures.labels(name)
        self._unreadable = metrics.unreadable.labels(name)
        self._pace = 0.01  # seconds a picture, a running mean
        self._closed = False
        self._recording = ThreadPoolExecutor(1, thread_name_prefix="recording") if keep else None
        self._thread = threading.Thread(target=self._network, name=f"network-{name}", daemon=True)
        self._thread.start()

    def full(self, count: int = 1) -> Refusal | None:
        """Why `count` more pictures cannot be taken, or None."""
        if self.pending + count <= self.queue:
            return None
        wait = max(1, min(60, round(self.pending * self._pace)))
        return Refusal(503, "more pictures are waiting than the service takes: try again", "queue", retry_after=wait)

    async def answer(self, name: str, sources: Sequence[bytes | Image]) -> list[Said]:
        """Answer the pictures of one request, in order.

        Args:
            name: of the request.
            sources: bytes of picture files, or uint8 RGB arrays (H, W, 3).

        Raises:
            Refusal: the queue is full, the network failed, or the answers could not be recorded but must be.
        """
        refusal = self.full(len(sources))
        if refusal is not None:
            raise refusal
        ticket = Ticket(name, len(sources), self._loop.create_future())
        self.pending += len(sources)
        for place, source in enumerate(sources):
            self._decoders.submit(self._decode, Job(ticket, place, source))
        await ticket.future
        return [said for said in ticket.said if said is not None]

    def warm_up(self) -> None:
        """Let the engine prepare itself for every size of batch, so that no request waits for it."""
        height, width = self.recognizer.preprocess.size
        blank = np.zeros((self._sizes[-1], height, width, 3), np.uint8)
        # Twice, since a session may prepare itself for large batches only after it has seen some.
        for size in (*reversed(self._sizes), *reversed(self._sizes)):
            self.recognizer.session.run(blank[:size])

    def close(self) -> None:
        """Take no new pictures; the thread ends when those under way are answered."""
        self._closed = True
        if not self.pending:
            self._ready.put(None)

    def _decode(self, job: Job) -> None:
        if job.ticket.future.done():  # nobody waits any more: the request ran out of time
            self._tell([job], Refusal(503, "given up", "timeout"))
            return
        try:
            source, preprocess = job.source, self.recognizer.preprocess
            if isinstance(source, np.ndarray):
                job.image = preprocess.apply(source)
            else:
                job.image = preprocess.load(source, self._most_pixels)
        except UnreadableImage as error:
            self._tell([job], error)
        except Exception as error:  # such as no memory; the thread goes on
            self._tell([job], Refusal(503, f"the picture could not be prepared ({type(error).__name__})", "decoding"))
        else:
            self._ready.put(job)

    def _network(self) -> None:
        while (first := self._ready.get()) is not None:
            jobs = self._gathered(first)
            began = time.monotonic()
            try:
                outputs = self.recognizer.session.run(np.stack([job.image for job in jobs if job.image is not None]))
            except Exception as error:  # engines raise untyped errors; one failed call must not end the thread
                reason = f"the network failed ({type(error).__name__}): try again"
                self._tell(jobs, Refusal(503, reason, "network", retry_after=1))
                continue
            self._batches.observe(len(jobs))
            self._pictures.inc(len(jobs))
            self._pace += 0.1 * ((time.monotonic() - began) / len(jobs) - self._pace)
            if self._recording is None:
                self._call(self._deliver, jobs, outputs)
            else:
                self._recording.submit(self._record, jobs, outputs)
        if self._recording is not None:
            self._recording.shutdown(wait=False)

    def _gathered(self, first: Job) -> list[Job]:
        until = time.monotonic() + self._max_wait
        while 1 + self._ready.qsize() < self._sizes[-1] and time.monotonic() < until:
            time.sleep(0.0005)
        jobs = [first]
        for _ in range(self._size(1 + self._ready.qsize()) - 1):
            job = self._ready.get_nowait()  # this thread alone takes from it, so it is there
            if job is None:  # the end, which comes after everything else
                self._ready.put(None)
                break
            jobs.append(job)
        return jobs

    def _size(self, waiting: int) -> int:
        """The largest size of batch that does not exceed what waits."""
        return max(size for size in self._sizes if size <= waiting)

    def _outcomes(self, outputs: dict[str, np.ndarray], count: int) -> list[Outcome]:
        rows = ({name: values[row] for name, values in outputs.items()} for row in range(count))
        return [Outcome(row, self.recognizer.answer(row)) for row in rows]

    def _record(self, jobs: list[Job], outputs: dict[str, np.ndarray]) -> None:
        assert self._keep is not None
        try:
            outcomes = self._outcomes(outputs, len(jobs))
            self._keep(jobs, outcomes)
        except Refusal as refusal:
            self._tell(jobs, refusal)
        else:
            self._call(self._settle, jobs, outcomes)

    def _deliver(self, jobs: list[Job], outputs: dict[str, np.ndarray]) -> None:
        self._settle(jobs, self._outcomes(outputs, len(jobs)))

    def _tell(self, jobs: list[Job], said: UnreadableImage | Refusal) -> None:
        """From any thread: all these pictures have the same answer."""
        if isinstance(said, UnreadableImage):
            self._unreadable.inc(len(jobs))
        self._call(self._settle, jobs, [said] * len(jobs))

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *arguments)

    def _settle(self, jobs: list[Job], said: Sequence[Said | Refusal]) -> None:
        self.pending -= len(jobs)
        for job, one in zip(jobs, said, strict=True):
            ticket = job.ticket
            if isinstance(one, Refusal):
                if not ticket.future.done():
                    ticket.future.set_exception(one)
                continue
            ticket.said[job.place] = one
            ticket.left -= 1
            if not ticket.left and not ticket.future.done():
                ticket.future.set_result(None)
        if self._closed and not self.pending:
            self._ready.put(None)
