"""Uploads: from the body of a request to the bytes of picture files, within the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from photovision.service.limits import Budget
from photovision.service.refusal import Refusal
from photovision.service.settings import Limits

RAW = ("image/", "application/octet-stream")
_MOST_HEADER = 4096
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
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise Refusal(400, "a multipart form needs a boundary of 1 to 70 characters in its content type", "form")
    form = _Form(limits.files)
    parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Refusal(400, "the multipart form is damaged: check how it is sent", "form") from None
    return form.found


@dataclass(eq=False)
class _Form:
    """Collects the files of a form, and the field 'file', while it is parsed; other fields are passed over."""

    most: int
    found: list[Upload] = field(default_factory=list)
    _name: bytes = b""
    _value: bytes = b""
    _is_file: bool = False
    _file: str | None = None
    _chunks: list[bytes] = field(default_factory=list)

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._is_file, self._file = False, None
        self._chunks.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > _MOST_HEADER:
            raise Refusal(400, "a header within the multipart form is too long", "form")

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            self._is_file = b"filename" in options or options.get(b"name") == b"file"
            name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._file = name[:_MOST_NAME] or None
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._chunks.append(data[start:end])

    def _end(self) -> None:
        if not self._is_file:
            return
        if len(self.found) == self.most:
            raise Refusal(413, f"a request may hold {self.most} pictures: send several requests", "files")
        self.found.append(Upload(b"".join(self._chunks), self._file))
