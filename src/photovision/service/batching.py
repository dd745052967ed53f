"""Batching: pictures are decoded in threads, and the network answers whatever is waiting, in a thread of its own.

No picture waits for others unless `max_wait` asks for it: while one batch is answered, the next one gathers. Batches
come in a few sizes only, since an engine prepares itself for every new size; they are never padded.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.image_cost import DecodeCost, estimate_cost
from photovision.core.result import Size
from photovision.core.types import Image
from photovision.engine.wire import Answer, Batched, Source, Tiled, Way, Wire
from photovision.runtime.model import Outputs
from photovision.service.costly import beside, is_costly, opened, room_for
from photovision.service.decode_pool import DecodePool
from photovision.service.decoding import Decoders
from photovision.service.http_error import Refusal
from photovision.service.metrics import Metrics
from photovision.service.recording import Keep, Recording
from photovision.service.settings import Limits
from photovision.service.tile_batching import Shared, TileRequest

SIZES = (1, 2, 3, 4, 6, 12, 24, 48, 96)
"""Sizes of batches: few, and mostly multiples of what two cores take apart at once (six pictures of 224 pixels)."""

PATIENCE = 0.5
"""Share of a request's time limit after which its batch goes out as not recorded."""

Said = Answer[Any] | UnreadableImage


class PendingRequest:
    """One request: its pictures, how they are answered, and the future of their answers.

    Attributes:
        id: name of the request, unique.
        way: from a picture to its answer.
        answers: an answer for each picture, in order; complete when `future` is done.
        began: of the monotonic clock.
    """

    __slots__ = ("answers", "began", "future", "id", "left", "way")

    def __init__(self, name: str, way: Way, count: int, future: asyncio.Future[None]) -> None:
        self.id, self.way = name, way
        self.answers: list[Said | None] = [None] * count
        self.left = count
        self.future = future
        self.began = time.monotonic()


@dataclass(eq=False, slots=True)
class BatchItem:
    """One picture of a ticket: its place there, the file's bytes or an array, and what the network sees of it.

    `size` is the picture's, (H, W), once it is prepared.
    """

    ticket: PendingRequest
    place: int
    source: Source
    image: Image | None = field(default=None)
    size: Size = (0, 0)


class Batcher:
    """Answers the pictures of one loaded model.

    Args:
        name: of the model, for the metrics.
        wire: of the model, whose session is open.
        decoders: threads that decode; shared by all models.
        lookers: threads for pictures that are seen through windows; likewise.
        loop: where the requests live.
        batch_size: pictures a call at most.
        max_wait: seconds that the first picture of a batch may wait for others.
        limits: of pictures, and how many may wait or be under way.
        metrics: where batches are counted.
        pool: processes for pictures that are costly to decode; None decodes all in threads.
        keep: where the answers of every batch are kept before they go out.
    """

    def __init__(
        self,
        name: str,
        wire: Wire[Any],
        decoders: Decoders,
        lookers: Decoders,
        loop: asyncio.AbstractEventLoop,
        *,
        batch_size: int,
        max_wait: float,
        limits: Limits,
        metrics: Metrics,
        pool: DecodePool | None = None,
        keep: Keep | None = None,
    ) -> None:
        self.wire, self.pending, self._limits = wire, 0, limits
        self._decoders, self._lookers, self._loop, self._pool = decoders, lookers, loop, pool
        self._sizes = [size for size in SIZES if size < batch_size] + [batch_size]
        self._max_wait = max_wait
        self._ready: SimpleQueue[BatchItem | TileRequest | None] = SimpleQueue()
        self._batches, self._pictures = metrics.batch.labels(name), metrics.pictures.labels(name)
        self._unreadable = metrics.unreadable.labels(name)
        self._pace = 0.01  # seconds a picture, a running mean
        self._closed = False
        self._began: float | None = None
        patience, most = limits.timeout * PATIENCE, 2 * limits.queue
        self._recording = None if keep is None else Recording(keep, self._settle, loop, patience=patience, most=most)
        self._thread = threading.Thread(target=self._network, name=f"network-{name}", daemon=True)
        self._thread.start()

    def full(self, count: int = 1) -> Refusal | None:
        """Why `count` more pictures cannot be taken, or None."""
        if self.pending + count <= self._limits.queue:
            return None
        wait = max(1, min(60, round(self.pending * self._pace)))
        return Refusal(503, "more pictures are waiting than the service takes: try again", "queue", retry_after=wait)

    async def answer(self, name: str, sources: Sequence[Source], way: Way | None = None) -> list[Said]:
        """Answer the pictures of one request, in order.

        Args:
            name: of the request.
            sources: bytes of picture files, or uint8 RGB arrays (H, W, 3).
            way: how, by the model's wire; None: as it does without options.

        Raises:
            Refusal: the queue is full, the network failed, or the answers could not be recorded but must be.
        """
        refusal = self.full(len(sources))
        if refusal is not None:
            raise refusal
        ticket = PendingRequest(name, way or self.wire.way({}), len(sources), self._loop.create_future())
        threads = self._decoders if isinstance(ticket.way, Batched) else self._lookers
        self.pending += len(sources)
        for place, source in enumerate(sources):
            threads.submit(self._begin, BatchItem(ticket, place, source))
        await ticket.future
        return [answers for answers in ticket.answers if answers is not None]

    def shared(self, given_up: Callable[[], bool] | None = None) -> Shared:
        """A session whose calls share batches with all pictures, for other threads than the loop's.

        Args:
            given_up: whether its answers are no longer wanted; None: it fails when the version is no longer loaded.
        """
        return Shared(self.wire.model.session, self._ready, given_up or (lambda: not self._thread.is_alive()))

    @property
    def calling(self) -> float:
        """Seconds that the call of the network under way has taken; endless where its thread is gone, 0 between."""
        if not (self._thread.is_alive() or self._closed):
            return math.inf
        return 0.0 if (began := self._began) is None else time.monotonic() - began

    def warm_up(self) -> None:
        """Let the engine prepare itself for every size of batch, so that no request waits for it.

        What the graph says is read, too: one that says something else must fail now.
        """
        height, width = self.wire.model.preprocess.size
        blank = np.zeros((self._sizes[-1], height, width, 3), np.uint8)
        # Twice, since a session may prepare itself for large batches only after it has seen some.
        for size in (*reversed(self._sizes), *reversed(self._sizes)):
            outputs = self.wire.model.session.run(blank[:size])
        way = self.wire.way({})
        if isinstance(way, Batched):
            way.decode({name: values[0] for name, values in outputs.items()}, (height, width)).to_json(None)
        else:
            way.predict(blank[0], self._limits, self.wire.model.session).to_json(None)

    def close(self) -> None:
        """Take no new pictures; the thread ends when those under way are answered."""
        self._closed = True
        if not self.pending:
            self._ready.put(None)

    async def opened(self, content: bytes) -> Source:
        """The picture as other threads may take it: decoded already where that is costly; see `costly.opened`."""
        if self._pool is None:
            return content
        return await opened(content, self._pool, self.wire.model.preprocess, self._limits.picture_pixels)

    def _begin(self, job: BatchItem) -> None:
        """In a thread: a picture is prepared or looked at here, or in a process of its own where that is costly."""
        self._tried(job, self._in_thread)

    def _tried(self, job: BatchItem, work: Callable[[BatchItem], None]) -> None:
        try:
            if job.ticket.future.done():  # nobody waits any more: the request ran out of time
                raise Refusal(503, "given up", "timeout")
            work(job)
        except (UnreadableImage, Refusal) as error:
            # What it was raised by leads to the pixels of the picture, and back to this job: a circle that would keep
            # hundreds of megabytes until the next collection.
            error.__traceback__ = error.__context__ = None
            self._tell([job], error)
        except Exception as error:  # such as no memory; the thread goes on
            self._tell([job], Refusal(503, f"the picture could not be prepared ({type(error).__name__})", "decoding"))

    def _in_thread(self, job: BatchItem) -> None:
        way, source, pool = job.ticket.way, job.source, self._pool
        cost = estimate_cost(source) if pool is not None and isinstance(source, bytes) else None
        if pool is not None and cost is not None and is_costly(cost, self._limits.picture_pixels):
            pool.check(cost, room_for(way, cost))
            pool.submit(partial(self._tried, work=partial(self._in_process, pool, cost)), job, cost)
        elif isinstance(way, Batched):
            job.image, job.size = way.prepare(source, self._limits, cost)
            self._ready.put(job)
        else:
            pixels = cost.pixels if cost is not None else source.shape[0] * source.shape[1]  # type: ignore[union-attr]
            self._look(job, way, source, beside(way, pixels))

    def _in_process(self, pool: DecodePool, cost: DecodeCost, job: BatchItem) -> None:
        way, source, most, done = job.ticket.way, job.source, self._limits.picture_pixels, job.ticket.future.done
        assert isinstance(source, bytes)
        with pool.room.taken(room_for(way, cost), done):
            if isinstance(way, Tiled):
                image, _ = pool.decoded(source, self.wire.model.preprocess, cost, most, done, whole=True)
                self._look(job, way, image, 0)
                return
            job.image, job.size = pool.decoded(source, way.preprocess, cost, most, done)
        self._ready.put(job)

    def _look(self, job: BatchItem, way: Tiled, source: Source, room: int) -> None:
        """See a picture through windows to the end; it holds `room` bytes meanwhile."""
        done = job.ticket.future.done
        holding = self._pool.room.taken(room, done) if self._pool is not None and room else contextlib.nullcontext()
        with holding:
            outcome = way.predict(source, self._limits, self.shared(done))
        self._pictures.inc()
        if self._recording is None:
            self._call(self._settle, [job], [outcome])
        else:
            self._recording.put([job], lambda: [outcome])

    def _network(self) -> None:
        while (first := self._ready.get()) is not None:
            inputs: list[BatchItem | TileRequest] = [first]
            try:
                inputs = self._gathered(first)
                self._hand_on(inputs, self._called(inputs))
            except Exception as error:  # engines raise untyped errors; one failed call must not end the thread
                self._fail(inputs, Refusal(503, _failure(error), "network", retry_after=1))
        if self._recording is not None:
            self._recording.close()

    def _called(self, inputs: Sequence[BatchItem | TileRequest]) -> list[Outputs]:
        """The outputs of the network for each input."""
        self._began = began = time.monotonic()
        try:
            outputs = self.wire.model.session.run(np.stack([one.image for one in inputs if one.image is not None]))
        finally:
            self._began = None
        rows = [{name: values[row] for name, values in outputs.items()} for row in range(len(inputs))]
        self._batches.observe(len(inputs))
        self._pace += 0.1 * ((time.monotonic() - began) / len(inputs) - self._pace)
        return rows

    def _gathered(self, first: BatchItem | TileRequest) -> list[BatchItem | TileRequest]:
        until = time.monotonic() + self._max_wait
        while 1 + self._ready.qsize() < self._sizes[-1] and time.monotonic() < until:
            time.sleep(0.0005)
        found = [first]
        for _ in range(self._size(1 + self._ready.qsize()) - 1):
            one = self._ready.get_nowait()  # this thread alone takes from it, so it is there
            if one is None:  # the end, which comes after everything else
                self._ready.put(None)
                break
            found.append(one)
        return found

    def _size(self, waiting: int) -> int:
        """The largest size of batch that does not exceed what waits."""
        return max(size for size in self._sizes if size <= waiting)

    def _hand_on(self, inputs: Sequence[BatchItem | TileRequest], rows: Sequence[Outputs]) -> None:
        """The network has answered: windows take their outputs, pictures are delivered or recorded."""
        jobs, own = [], []
        for one, row in zip(inputs, rows, strict=True):
            if isinstance(one, TileRequest):
                one.take(row)
            else:
                jobs.append(one)
                own.append(row)
        if not jobs:
            return
        self._pictures.inc(len(jobs))
        if self._recording is None:
            self._call(self._deliver, jobs, own)
        else:
            self._recording.put(jobs, lambda: _outcomes(jobs, own))

    def _fail(self, inputs: Sequence[BatchItem | TileRequest], refusal: Refusal) -> None:
        jobs = []
        for one in inputs:
            if isinstance(one, TileRequest):
                one.fail(refusal)
            else:
                jobs.append(one)
        self._tell(jobs, refusal)

    def _deliver(self, jobs: list[BatchItem], rows: list[Outputs]) -> None:
        self._settle(jobs, _outcomes(jobs, rows))

    def _tell(self, jobs: list[BatchItem], answers: UnreadableImage | Refusal) -> None:
        """From any thread: all these pictures have the same answer."""
        if isinstance(answers, UnreadableImage):
            self._unreadable.inc(len(jobs))
        self._call(self._settle, jobs, [answers] * len(jobs))

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *arguments)

    def _settle(self, jobs: list[BatchItem], answers: Sequence[Said | Refusal]) -> None:
        self.pending -= len(jobs)
        for job, one in zip(jobs, answers, strict=True):
            ticket = job.ticket
            if isinstance(one, Refusal):
                if not ticket.future.done():
                    ticket.future.set_exception(one)
                continue
            ticket.answers[job.place] = one
            ticket.left -= 1
            if not ticket.left and not ticket.future.done():
                ticket.future.set_result(None)
        if self._closed and not self.pending:
            self._ready.put(None)


def _outcomes(jobs: Sequence[BatchItem], rows: Sequence[Outputs]) -> list[Answer[Any] | Refusal]:
    return [_outcome(job, row) for job, row in zip(jobs, rows, strict=True)]


def _outcome(job: BatchItem, outputs: Outputs) -> Answer[Any] | Refusal:
    assert isinstance(job.ticket.way, Batched)
    try:
        return job.ticket.way.decode(outputs, job.size)
    except Exception as error:  # numbers that mean nothing; the other pictures of the batch are answered
        return Refusal(503, _failure(error), "network")


def _failure(error: Exception) -> str:
    return f"the network failed ({type(error).__name__}): try again"
