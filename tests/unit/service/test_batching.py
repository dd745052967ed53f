"""Batches form by what waits, the queue has an end, and a call that fails fails only its own pictures."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_bundle, colour_picture
from served import file_of
from spotter import scene, spotter_bundle

from photovision.core.errors import UnreadableImage
from photovision.core.types import Image
from photovision.engine.load import load
from photovision.engine.wire import Answer, Wire
from photovision.runtime.bundle import read_bundle
from photovision.service.batching import Batcher, BatchItem
from photovision.service.decoding import Decoders
from photovision.service.http_error import Refusal
from photovision.service.metrics import Metrics
from photovision.service.recording import Keep
from photovision.service.settings import Limits
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.wire import ClassWire
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.wire import BoxWire


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


def batcher(model: Recognizer | Wire[Any], decoders: Decoders, *, queue: int = 64, keep: Keep | None = None,
            max_wait: float = 0.0, timeout: float = 30.0) -> Batcher:  # fmt: skip
    wire = ClassWire(model) if isinstance(model, Recognizer) else model
    limits = Limits(queue=queue, files=min(queue, 64), picture_pixels=10**6, timeout=timeout)
    return Batcher("m", wire, decoders, decoders, asyncio.get_running_loop(), batch_size=8, max_wait=max_wait,
                   limits=limits, metrics=Metrics(), keep=keep)  # fmt: skip


def labels(said: Sequence[object]) -> list[str]:
    return [one.value.label if isinstance(one, Answer) else "unreadable" for one in said]


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


def test_unreadable_pictures_are_let_go_without_a_collection(recognizer: Recognizer) -> None:
    slow(recognizer).leave.set()
    whole = file_of(colour_picture("red", size=300), "PNG")

    async def main() -> None:
        with Decoders(1) as decoders:
            batches = batcher(recognizer, decoders)
            (said,) = await batches.answer("a", [whole[:-2000]])
            kept = weakref.ref(said)
            del said
            await batches.answer("b", pictures("red"))
            assert kept() is None
            batches.close()

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


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


class Kept:
    """A record that keeps labels, and does `fault` at each batch."""

    def __init__(self, fault: Callable[[list[str]], None], refusal: Refusal | None = None) -> None:
        self.labels: list[list[str]] = []
        self.lates = 0
        self._fault, self._refusal = fault, refusal

    def write(self, jobs: Sequence[BatchItem], outcomes: Sequence[Answer[Any]]) -> None:
        assert not any(job.ticket.future.done() for job in jobs)
        self._fault(labels(outcomes))
        self.labels.append(labels(outcomes))

    def late(self) -> Refusal | None:
        self.lates += 1
        return self._refusal


def test_answers_go_out_after_they_were_kept(recognizer: Recognizer) -> None:
    slow(recognizer).leave.set()

    def fault(said: list[str]) -> None:
        if "blue" in said:
            raise Refusal(503, "the prediction could not be recorded", "record")

    async def main() -> None:
        with Decoders(2) as decoders:
            kept = Kept(fault)
            batches = batcher(recognizer, decoders, keep=kept)
            assert labels(await batches.answer("a", pictures("red"))) == ["red"]
            assert kept.labels == [["red"]]
            with pytest.raises(Refusal, match="recorded"):
                await batches.answer("b", pictures("blue"))
            assert labels(await batches.answer("c", pictures("green"))) == ["green"]
            batches.close()

    asyncio.run(main())


def test_a_record_that_fails_in_an_unforeseen_way_gives_places_in_the_queue_back(recognizer: Recognizer) -> None:
    slow(recognizer).leave.set()

    def fault(said: list[str]) -> None:
        if "blue" in said:
            raise PermissionError(13, "not what was expected")

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(recognizer, decoders, keep=Kept(fault), queue=4)
            for _ in range(6):
                with pytest.raises(Refusal, match="recorded"):
                    await batches.answer("b", pictures("blue"))
            assert batches.pending == 0
            assert labels(await batches.answer("c", pictures("green"))) == ["green"]
            batches.close()

    asyncio.run(main())


@pytest.mark.parametrize("required", [False, True])
def test_a_record_that_stands_still_keeps_nobody_waiting(recognizer: Recognizer, required: bool) -> None:
    slow(recognizer).leave.set()
    still = threading.Event()

    def fault(said: list[str]) -> None:
        assert still.wait(10)

    async def main() -> None:
        with Decoders(2) as decoders:
            kept = Kept(fault, Refusal(503, "must be recorded", "record") if required else None)
            batches = batcher(recognizer, decoders, keep=kept, queue=4, timeout=0.2)
            for _ in range(10):  # more than the queue holds
                asked = batches.answer("a", pictures("red"))
                if required:
                    with pytest.raises(Refusal, match="must be recorded"):
                        await asked
                else:
                    assert labels(await asked) == ["red"]
            assert batches.pending == 0
            assert kept.lates == 10
            still.set()
            await asyncio.sleep(0.1)
            assert labels(await batches.answer("b", pictures("blue"))) == ["blue"]
            assert kept.labels == [["red"], ["blue"]]  # what was under way is written late, the rest is not
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


@pytest.fixture
def detecting(tmp_path: Path) -> BoxWire:
    found = Detector(read_bundle(spotter_bundle(tmp_path / "d")))
    found.__dict__["session"] = Slow(found.session)
    return BoxWire(found)


def slow_of(wire: BoxWire) -> Slow:
    session = wire.model.session
    assert isinstance(session, Slow)
    return session


def test_pictures_of_many_sizes_share_a_batch_and_keep_their_sizes(detecting: BoxWire) -> None:
    sizes = [(100, 200), (200, 100), (64, 64), (300, 500)]
    scenes = [scene(size, [("red", (0, 0, size[1] // 2, size[0] // 2))]) for size in sizes]
    slow_of(detecting).leave.set()

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(detecting, decoders, max_wait=5.0)
            asked = [batches.answer(str(i), scenes) for i in range(2)]
            first, second = await asyncio.gather(*asked)
            assert slow_of(detecting).sizes == [8]
            for one, other, size in zip(first, second, sizes, strict=True):
                assert isinstance(one, Answer)
                assert one.size == size
                assert one.value.boxes.max(0)[2:].tolist() == [size[1] / 2, size[0] / 2]
                assert other.to_json(None) == one.to_json(None)  # type: ignore[union-attr]
            batches.close()

    asyncio.run(main())


def test_windows_share_calls_with_whole_pictures(detecting: BoxWire) -> None:
    big = scene((128, 256), [("green", (0, 0, 32, 32))])
    slow_of(detecting).leave.set()

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(detecting, decoders, max_wait=0.2)
            tiles = detecting.way({"tile": (128, 128)})  # three tiles, and the whole picture
            tiled = batches.answer("big", [big], tiles)
            whole = batches.answer("small", [big] * 4)
            (seen,), _ = await asyncio.gather(tiled, whole)
            expected = detecting.model.with_options(tile=(128, 128)).results([big])
            assert seen.to_json(None) == next(iter(expected)).to_json()  # type: ignore[union-attr]
            assert slow_of(detecting).sizes[0] == 8
            assert batches.pending == 0
            batches.close()

    asyncio.run(main())


def test_a_failing_network_fails_the_windows_that_wait(detecting: BoxWire) -> None:
    slow_of(detecting).leave.set()
    slow_of(detecting).fail = True

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(detecting, decoders)
            with pytest.raises(Refusal, match="the network failed"):
                await batches.answer("a", [scene((128, 256), [])], detecting.way({"tile": (128, 128)}))
            assert batches.pending == 0
            batches.close()

    asyncio.run(main())


def test_a_big_picture_that_nobody_waits_for_is_looked_at_no_further(detecting: BoxWire) -> None:
    big = scene((320, 3200), [])  # 26 windows of 128 pixels in a row, three rows

    async def main() -> None:
        with Decoders(1) as decoders:
            batches = batcher(detecting, decoders)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await batches.answer("a", [big], detecting.way({"tile": (128, 128)}))
            slow_of(detecting).leave.set()
            said = await batches.answer("b", [big])
            assert isinstance(said[0], Answer)
            assert sum(slow_of(detecting).sizes) < 40
            assert batches.pending == 0
            batches.close()

    asyncio.run(main())


def test_a_session_of_a_version_that_is_gone_fails_and_does_not_wait(detecting: BoxWire) -> None:
    async def main() -> None:
        with Decoders(1) as decoders:
            batches = batcher(detecting, decoders)
            shared = batches.shared()
            slow_of(detecting).leave.set()
            assert set(await asyncio.to_thread(shared.run, np.zeros((2, 128, 128, 3), np.uint8))) == {"boxes", "scores"}
            batches.close()
            await asyncio.to_thread(batches._thread.join, 5)
            with pytest.raises(Refusal, match="given up"):
                await asyncio.to_thread(shared.run, np.zeros((2, 128, 128, 3), np.uint8))

    asyncio.run(main())


def test_outputs_that_mean_nothing_fail_their_own_pictures(detecting: BoxWire) -> None:
    slow_of(detecting).leave.set()

    async def main() -> None:
        with Decoders(2) as decoders:
            batches = batcher(detecting, decoders)
            inner, slow_of(detecting).inner = slow_of(detecting).inner, _Wrong()
            with pytest.raises(Refusal, match="the network failed"):
                await batches.answer("a", [scene((64, 64), [])])
            slow_of(detecting).inner = inner
            assert isinstance((await batches.answer("b", [scene((64, 64), [])]))[0], Answer)
            assert batches.pending == 0
            batches.close()

    asyncio.run(main())


class _Wrong:
    def run(self, images: Image) -> dict[str, np.ndarray]:
        return {"boxes": np.zeros((len(images), 5, 4), np.float32), "scores": np.zeros((len(images), 4, 2), np.float32)}
