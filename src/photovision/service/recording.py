"""Recording: a thread that writes batches, and answers that go out in time whatever the storage does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from photovision.engine.wire import Answer
from photovision.service.decoding import Decoders
from photovision.service.http_error import Refusal

if TYPE_CHECKING:
    from photovision.service.batching import BatchItem


class Keep(Protocol):
    """Where answers are kept; see `keeping.Recorder`."""

    def write(self, jobs: Sequence[BatchItem], outcomes: Sequence[Answer[Any]]) -> None:
        """Record a batch, in a thread, before its answers go out; raises Refusal where they may not."""
        ...

    def late(self) -> Refusal | None:
        """A batch was not recorded in time: what becomes of its answers; None lets them out unrecorded."""
        ...


Settle = Callable[[list["BatchItem"], Sequence[Answer[Any] | Refusal]], None]


@dataclass(eq=False, slots=True)
class _Batch:
    """Pictures, the function that makes their answers, and whether these went out."""

    jobs: list[BatchItem]
    made: Callable[[], Sequence[Answer[Any] | Refusal]]
    done: bool = False
    timer: asyncio.TimerHandle | None = field(default=None)


class Recording:
    """Hands batches to a record one after the other; each is settled exactly once.

    A record that stands still, such as a network file system that is gone, keeps no request waiting for longer than
    `patience`, and what waits to be written is bounded.

    Args:
        keep: where answers are kept.
        settle: takes a batch and its answers, in the loop.
        loop: where the requests live.
        patience: seconds after which a batch is treated as not recorded.
        most: pictures that may wait to be written.
    """

    def __init__(
        self, keep: Keep, settle: Settle, loop: asyncio.AbstractEventLoop, *, patience: float, most: int
    ) -> None:
        self._keep, self._settle, self._loop = keep, settle, loop
        self._patience, self._most = patience, most
        self._waiting = 0
        self._thread = Decoders(1, "recording")

    def put(self, jobs: list[BatchItem], made: Callable[[], Sequence[Answer[Any] | Refusal]]) -> None:
        """From any thread: record these answers, then let them out."""
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._begin, _Batch(jobs, made))

    def close(self) -> None:
        """Let the thread end when what waits is written."""
        self._thread.close()

    def _begin(self, batch: _Batch) -> None:
        if self._waiting + len(batch.jobs) > self._most:
            self._late(batch)
            return
        self._waiting += len(batch.jobs)
        batch.timer = self._loop.call_later(self._patience, self._late, batch)
        self._thread.submit(self._write, batch)

    def _write(self, batch: _Batch) -> None:
        said: Sequence[Answer[Any] | Refusal] = ()
        try:
            if not batch.done:
                said = batch.made()
                kept = [(job, one) for job, one in zip(batch.jobs, said, strict=True) if not isinstance(one, Refusal)]
                self._keep.write([job for job, _ in kept], [one for _, one in kept])
        except Refusal as refusal:
            said = [refusal] * len(batch.jobs)
        except Exception as error:  # whatever it is, the requests must hear of it, and their places be given back
            name = type(error).__name__
            said = [Refusal(503, f"the prediction could not be recorded ({name}): try again", "record")]
            said *= len(batch.jobs)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._written, batch, said)

    def _written(self, batch: _Batch, said: Sequence[Answer[Any] | Refusal]) -> None:
        self._waiting -= len(batch.jobs)
        if batch.timer is not None:
            batch.timer.cancel()
        self._answer(batch, said)

    def _late(self, batch: _Batch) -> None:
        if not batch.done:
            refusal = self._keep.late()
            self._answer(batch, batch.made() if refusal is None else [refusal] * len(batch.jobs))

    def _answer(self, batch: _Batch, said: Sequence[Answer[Any] | Refusal]) -> None:
        if not batch.done:
            batch.done = True
            self._settle(batch.jobs, said)
