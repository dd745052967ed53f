"""Uploads: from the body of a request to the bytes of picture files, within the limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request

from photovision.service.limits import Budget
from photovision.service.refusal import Refusal
from photovision.service.settings import Limits

_BOUNDARY = re.compile(
    r';\s*boundary=(?:"(?P<quoted>[^"]{1,70})"|(?P<plain>[^\s;"]{1,70}))(?=\s*(?:;|$))', re.IGNORECASE
)
_DISPOSITION = re.compile(rb"\ncontent-disposition:([^\r\n]*)", re.IGNORECASE)
_FIELD = re.compile(rb';\s*name="?file"?\s*(?:;|$)', re.IGNORECASE)
_FILE_NAME = re.compile(
    rb""";\s*filename(?:\*=utf-8'[^';]*'(?P<coded>[^\s;]+)|="(?P<quoted>[^"]*)"|=(?P<plain>[^\s;"]*))""", re.IGNORECASE
)
RAW = ("image/", "application/octet-stream")
_MOST_HEADER, _MOST_PADDING = 4096, 256
_MOST_NAME = 255


@dataclass(frozen=True)
class Upload:
    """The content of a picture's file, and the name that it was sent with, None where it had none."""

    content: bytes
    file: str | None = None


@asynccontextmanager
async def read_body(request: Request, limits: Limits, budget: Budget) -> AsyncIterator[bytes]:
    """The whole body, counted against the budget of all requests for as long as it is used.

    Raises:
        Refusal: it is too large (413), too slow (408), was broken off (400), or all bodies are too large together
            (503).
    """
    with budget.share() as hold:
        told = request.headers.get("content-length", "0")
        if told.isdigit() and int(told) > limits.request_bytes:
            raise _too_large(limits)
        try:
            async with asyncio.timeout(limits.read_timeout):
                body = await _whole(request, limits, hold)
        except TimeoutError:
            raise Refusal(
                408, f"the request did not arrive within {limits.read_timeout:g} s", "slow", close=True
            ) from None
        except ClientDisconnect:
            raise Refusal(400, "the request broke off before its end", "disconnected", close=True) from None
        yield body


async def _whole(request: Request, limits: Limits, hold: Callable[[int], None]) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.request_bytes:
            raise _too_large(limits)
        hold(len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413, f"a request may have {limits.request_bytes:,} bytes: send fewer or smaller pictures", "bytes", close=True
    )


def uploads(content_type: str, body: bytes, limits: Limits) -> list[Upload]:
    """The pictures of a body: one that is a picture's file itself, or all files of a multipart form.

    Raises:
        Refusal: another type (415), a form that is not one or has no file (400), too many files (413).

    Example:
        >>> uploads("image/jpeg", b"...", Limits())
        [Upload(content=b'...', file=None)]
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = _parts(content_type, body, limits)
    elif kind.startswith(RAW):
        found = [Upload(body)]
    else:
        raise Refusal(415, "send a picture as image/..., or files as multipart/form-data", "type")
    if not found or (len(found) == 1 and not found[0].content):
        raise Refusal(400, "expected at least one picture, got none: send files in the field 'file'", "empty")
    return found


def _parts(content_type: str, body: bytes, limits: Limits) -> list[Upload]:
    """The files of a multipart form (RFC 7578), cut out of the body where its delimiters are found.

    The whole body is in memory already, within its limit, so that a search takes a tenth of the time that a parser for
    streams takes.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise Refusal(400, "a multipart form needs a boundary of 1 to 70 characters in its content type", "form")
    delimiter = b"\r\n--" + (boundary["quoted"] or boundary["plain"]).encode("latin-1")
    found: list[Upload] = []
    start = len(delimiter) - 2 if body.startswith(delimiter[2:]) else _after(body, delimiter, 0)
    while body[start : start + 2] != b"--":
        line, head = (
            body.find(b"\r\n", start, start + _MOST_PADDING),
            body.find(b"\r\n\r\n", start, start + _MOST_HEADER),
        )
        if line < 0 or head < 0 or body[start:line].strip(b" \t"):
            raise _damaged()
        following = _after(body, delimiter, head + 4)
        said = _DISPOSITION.search(body, line, head)
        if said is not None and (b"filename" in said[1] or _FIELD.search(said[1])):
            if len(found) == limits.files:
                raise Refusal(413, f"a request may hold {limits.files} pictures: send several requests", "files")
            found.append(Upload(body[head + 4 : following - len(delimiter)], _file_name(said[1])))
        start = following
    return found


def _after(body: bytes, delimiter: bytes, start: int) -> int:
    """The place behind the next delimiter."""
    place = body.find(delimiter, start)
    if place < 0:
        raise _damaged()
    return place + len(delimiter)


def _damaged() -> Refusal:
    return Refusal(400, "the multipart form is damaged: check how it is sent", "form")


def _file_name(disposition: bytes) -> str | None:
    name = _FILE_NAME.search(disposition)
    if name is None:
        return None
    coded = name["coded"]
    text = (
        unquote(coded.decode("ascii", "replace"))
        if coded
        else (name["quoted"] or name["plain"] or b"").decode("utf-8", "replace")
    )
    return text[:_MOST_NAME] or None
