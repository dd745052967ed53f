"""Costly pictures: which ones are decoded by processes instead of threads, and what memory they hold."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future, InvalidStateError

from photovision.core.image_cost import DecodeCost, estimate_cost
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.engine.wire import Batched, Source, Way
from photovision.service.decode_pool import DecodePool
from photovision.service.http_error import Refusal

QUICK_SECONDS, QUICK_BYTES = 0.05, 64 << 20
"""What a picture may cost to be decoded in a thread, by its estimate: 4 megapixels of JPEG, 3 of PNG."""
_SHARE = 8
"""A picture that is kept decoded may take this part of the memory for costly pictures."""


def is_costly(cost: DecodeCost, max_pixels: int) -> bool:
    """Whether a picture is worth a process; one with more pixels than allowed is refused anywhere, from its header."""
    return (cost.seconds > QUICK_SECONDS or cost.bytes > QUICK_BYTES) and cost.pixels <= max_pixels


def room_for(way: Way, cost: DecodeCost) -> int:
    """Bytes that a costly picture takes: to decode it, and for what a way does with the whole of it."""
    if isinstance(way, Batched):
        return cost.bytes_for(way.preprocess.enough)
    return cost.bytes + beside(way, cost.pixels) + 6 * cost.pixels  # two copies on their way from a process


def beside(way: Way, pixels: int) -> int:
    """Bytes beside those of decoding, for what a way does with the pixels."""
    return 0 if isinstance(way, Batched) else pixels * way.bytes_per_pixel


async def opened(content: bytes, pool: DecodePool, preprocess: Preprocess, max_pixels: int) -> Source:
    """The picture as other threads may take it: decoded already where that is costly.

    Raises:
        UnreadableImage: it cannot be decoded.
        Refusal: it is too large to be kept beside others (413), or too many are waiting (503).
    """
    cost = await asyncio.to_thread(estimate_cost, content)
    if not is_costly(cost, max_pixels):
        return content
    if 3 * cost.pixels > pool.room.most // _SHARE:
        raise Refusal(413, "the picture is too large for this: send a smaller one", "pixels")
    pool.check(cost, cost.bytes)
    found: Future[Image] = Future()

    def work(cost: DecodeCost) -> None:
        with contextlib.suppress(InvalidStateError):  # nobody waits any more
            try:
                with pool.room.taken(cost.bytes, found.cancelled):
                    image, _ = pool.decoded(content, preprocess, cost, max_pixels, found.cancelled, whole=True)
                    found.set_result(image)
            except Exception as error:
                found.set_exception(error)

    pool.submit(work, cost, cost)
    return await asyncio.wrap_future(found)
