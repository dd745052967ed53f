"""Body: the bytes of a request, received and unpacked within the limits and the budget of all requests."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from photovision.service.http_error import Refusal
from photovision.service.limits import RequestBudget
from photovision.service.settings import MB, Limits

_PACKED = ("gzip", "x-gzip", "deflate")
_PIECE = MB


@dataclass(frozen=True)
class Body:
    """The whole body of a request.

    Attributes:
        content: its bytes, unpacked where they came compressed.
        hold: counts further bytes that the request takes against the budget, until its end; raises Refusal (503).
    """

    content: bytes
    hold: Callable[[int], None]


@asynccontextmanager
async def read_body(request: Request, limits: Limits, budget: RequestBudget) -> AsyncIterator[Body]:
    """The whole body, counted against the budget of all requests for as long as it is used.

    Raises:
        Refusal: it is too large, packed or unpacked (413), too slow (408), was broken off or is damaged (400), is
            packed in another way than gzip and deflate (415), or all bodies are too large together (503).
    """
    packed = request.headers.get("content-encoding", "").strip().lower()
    if packed not in ("", "identity", *_PACKED):
        raise Refusal(415, "a body may be packed by gzip or deflate: send it so, or as it is", "encoding", close=True)
    with budget.share() as hold:
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length[:20]) > limits.request_bytes:
            raise _too_large(limits)
        try:
            async with asyncio.timeout(limits.read_timeout):
                content = await _whole(request, limits, hold)
        except TimeoutError:
            raise Refusal(
                408, f"the request did not arrive within {limits.read_timeout:g} s", "slow", close=True
            ) from None
        except ClientDisconnect:
            raise Refusal(400, "the request broke off before its end", "disconnected", close=True) from None
        if packed in _PACKED:
            content = await _unpacked(content, limits, hold)
        yield Body(content, hold)


async def _whole(request: Request, limits: Limits, hold: Callable[[int], None]) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.request_bytes:
            raise _too_large(limits)
        hold(len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _unpacked(content: bytes, limits: Limits, hold: Callable[[int], None]) -> bytes:
    """What gzip or zlib packed, piece by piece in a thread, so that neither memory nor other requests suffer."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    pieces, size, rest = [], 0, content
    while not unpacker.eof:
        hold(_PIECE)
        try:
            piece = await asyncio.to_thread(unpacker.decompress, rest, _PIECE)
        except zlib.error:
            raise _damaged() from None
        rest, size = unpacker.unconsumed_tail, size + len(piece)
        if size > limits.request_bytes:
            raise _too_large(limits)
        if not piece and not rest and not unpacker.eof:
            raise _damaged()
        pieces.append(piece)
    if unpacker.unused_data:
        raise _damaged()
    return b"".join(pieces)


def _damaged() -> Refusal:
    return Refusal(
        400, "the body is not what Content-Encoding says: pack it as one whole gzip or zlib stream", "packed"
    )


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413, f"a request may have {limits.request_bytes:,} bytes: send fewer or smaller pictures", "bytes", close=True
    )
