"""Batches form by what waits, the queue has an end, and a call that fails fails only its own pictures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_bundle, colour_picture

from photovision.core.errors import UnreadableImage
from photovision.core.types import Image
from photovision.service.batching import Batcher, Job, Keep, Outcome
from photovision.service.decoding import Decoders
from photovision.service.metrics import Metrics
from photovision.service.refusal import Refusal
from photovision.tasks.recognizer import Recognizer, load


class Slow:
    """A session that waits for leave, and remembers the sizes of its batches."""

    engine, precision = "test", "f32"

    def __init__(self, inner: Any) -> None:
        self.inner, self.leave, self.sizes = inner, threading.Event(), []  # type: ignore[var-annotated]
        self.entered = threading.Event()
        self.fail = False

    def run(self, images: Image) -> dict[str, np.ndarray]:
        self.entered.set()
        assert self.leave.wait(10)
        self.sizes.append(len(images))
        if self.fail:
            raise RuntimeError("no memory")
        return self.inner.run(images)  # type: ignore[no-any-return]


@pytest.fixture
def recognizer(tmp_path: Path) -> Recognizer:
    found = load(tmp_path) if (tmp_path / "bundle.json").is_file() else load(colour_bundle(tmp_path / "m"))
    found.__dict__["session"] = Slow(found.session)
    return found


def slow(recognizer: Recognizer) -> Slow:
    session = recognizer.session
    assert isinstance(session, Slow)
    return session


def pictures(*names: str) -> list[Image]:
    return [np.asarray(colour_picture(name)) for name in names]


def batcher(recognizer: Recognizer, decoders: Decoders, *, queue: int = 64, keep: Keep | None = None,
            max_wait: float = 0.0) -> Batcher:  # fmt: skip
    return Batcher("m", recognizer, decoders, asyncio.get_running_loop(), batch_size=8, max_wait=max_wait,
                   queue=queue, most_pixels=10**6, metrics=Metrics(), keep=keep)  # fmt: skip


def labels(said: Sequence[object]) -> list[str]:
    return [one.answer.label if isinstance(one, Outcome) else "unreadable" for one in said]


def test_what_waits_is_answered_together_and_in_order(recognizer: Recognizer) -> None:
    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders)
            first = asyncio.create_task(batches.answer("a", pictures("red")))
            await asyncio.to_thread(slow(recognizer).entered.wait, 5)
            names = ["blue", "red", "green"] * 3
            others = [asyncio.create_task(batches.answer(str(i), pictures(name))) for i, name in enumerate(names)]
            await asyncio.sleep(0.2)
            slow(recognizer).leave.set()
            assert labels(await first) == ["red"]
            assert [labels(await one) for one in others] == [[name] for name in names]
            assert slow(recognizer).sizes == [1, 8, 1]
            assert batches.pending == 0
            batches.close()

    asyncio.run(main())


def test_unreadable_pictures_have_their_place(recognizer: Recognizer) -> None:
    slow(recognizer).leave.set()

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders)
            (red, blue), broken = pictures("red", "blue"), b"no picture"
            said = await batches.answer("a", [broken, red, broken, blue])
            assert labels(said) == ["unreadable", "red", "unreadable", "blue"]
            assert isinstance(said[0], UnreadableImage)
            assert labels(await batches.answer("b", [broken])) == ["unreadable"]
            batches.close()

    asyncio.run(main())


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(recognizer: Recognizer) -> None:
    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders, queue=4)
            waiting = asyncio.create_task(batches.answer("a", pictures("red", "red", "blue")))
            await asyncio.sleep(0)
            with pytest.raises(Refusal) as refused:
                await batches.answer("b", pictures("red", "red"))
            assert (refused.value.status, refused.value.reason) == (503, "queue")
            assert refused.value.retry_after == 1
            slow(recognizer).leave.set()
            assert labels(await waiting) == ["red", "red", "blue"]
            assert labels(await batches.answer("c", pictures("green", "red"))) == ["green", "red"]
            batches.close()

    asyncio.run(main())


def test_a_call_that_fails_is_told_and_the_next_one_works(recognizer: Recognizer) -> None:
    slow(recognizer).leave.set()
    slow(recognizer).fail = True

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders)
            with pytest.raises(Refusal) as refused:
                await batches.answer("a", pictures("red"))
            assert (refused.value.status, refused.value.reason) == (503, "network")
            slow(recognizer).fail = False
            assert labels(await batches.answer("b", pictures("red"))) == ["red"]
            assert batches.pending == 0
            batches.close()

    asyncio.run(main())


def test_pictures_of_a_request_that_was_given_up_are_not_decoded(recognizer: Recognizer) -> None:
    async def main() -> None:
        with Decoders(1) as decoders:
            hold = threading.Event()
            decoders.submit(hold.wait, 5)
            batches = batcher(recognizer, decoders)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await batches.answer("a", pictures("red"))
            hold.set()
            slow(recognizer).leave.set()
            assert labels(await batches.answer("b", pictures("blue"))) == ["blue"]
            assert slow(recognizer).sizes == [1]
            assert batches.pending == 0
            batches.close()

    asyncio.run(main())


def test_answers_go_out_after_they_were_kept(recognizer: Recognizer) -> None:
    slow(recognizer).leave.set()
    kept: list[list[str]] = []

    def keep(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        assert not any(job.ticket.future.done() for job in jobs)
        if any(one.answer.label == "blue" for one in outcomes):
            raise Refusal(503, "the prediction could not be recorded", "record")
        kept.append([one.answer.label for one in outcomes])

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders, keep=keep)
            assert labels(await batches.answer("a", pictures("red"))) == ["red"]
            assert kept == [["red"]]
            with pytest.raises(Refusal, match="recorded"):
                await batches.answer("b", pictures("blue"))
            assert labels(await batches.answer("c", pictures("green"))) == ["green"]
            batches.close()

    asyncio.run(main())


def test_pictures_may_wait_for_others(recognizer: Recognizer) -> None:
    slow(recognizer).leave.set()

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders, max_wait=5.0)
            asked = [batches.answer(str(i), pictures("red")) for i in range(8)]
            assert [labels(said) for said in await asyncio.gather(*asked)] == [["red"]] * 8
            assert slow(recognizer).sizes == [8]
            batches.close()

    asyncio.run(main())


def test_a_closed_batcher_ends_its_thread_after_what_it_has_begun(recognizer: Recognizer) -> None:
    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders)
            waiting = asyncio.create_task(batches.answer("a", pictures("red", "blue")))
            await asyncio.sleep(0)
            batches.close()
            slow(recognizer).leave.set()
            assert labels(await waiting) == ["red", "blue"]
            await asyncio.to_thread(batches._thread.join, 5)
            assert not batches._thread.is_alive()

    asyncio.run(main())
