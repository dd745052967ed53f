"""JSON bodies: parsed within bounds, and the pictures that they hold as base64, data URLs or addresses."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from photovision.service.http_error import Refusal
from photovision.service.settings import MB, Limits

MAX_NUMBERS = 4 * MB
"""Bytes of JSON that may consist of numbers; tensors that are larger come in binary form, for a fifth of the work."""
_MAX_LISTS = 500_000
PICTURE_KEYS = ("image", "images", "picture", "pictures", "file", "files")
_WRAPPERS = ("b64", "base64", "image_bytes", "data", "content", "url", *PICTURE_KEYS)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_DATA_URL = re.compile(r"data:[^,]{0,200}?;base64,", re.IGNORECASE)
EXAMPLE = '{"image": "<base64 or data URL>"}, or "images" with a list of them'


class Address(NamedTuple):
    """A picture that lies at a web address."""

    url: str


def parse_json(content: bytes, limits: Limits, hold: Callable[[int], None]) -> Any:
    """The value of a JSON text whose parts are counted before memory is taken for them.

    Args:
        content: the text, in UTF-8.
        limits: of files and bytes.
        hold: counts what parsing takes; a text of n bytes is there up to three times more.

    Raises:
        Refusal: it is not JSON (400), or holds more texts, lists or numbers than a request needs (413).

    Example:
        >>> parse_json(b'{"top": 3}', Limits(), lambda count: None)
        {'top': 3}
    """
    lists = content.count(b"[") + content.count(b"{")
    many = lists + content.count(b",") > 64 * limits.files + 1024
    if content.count(b'"') > 2 * (16 * limits.files + 1024) or lists > _MAX_LISTS:
        raise Refusal(413, "the JSON has more parts than any request needs: send several requests", "parts")
    if len(content) > MAX_NUMBERS and (many or not content.isascii()):
        raise Refusal(413, f"numbers in JSON may have {MAX_NUMBERS:,} bytes: send tensors in the binary form", "bytes")
    hold(3 * len(content))
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON", "json") from None


def from_base64(text: str) -> bytes:
    """The bytes of a data URL or of base64: with line breaks, the alphabet of URLs, with padding or without.

    RFC 4648, sections 4 and 5; RFC 2397. Raises Refusal (400).

    Example:
        >>> from_base64("data:image/png;base64,iVBO\\nRw"), from_base64("_-8=")
        (b'\\x89PNG', b'\\xff\\xef')
    """
    start = _DATA_URL.match(text)
    try:
        plain = text[start.end() if start else 0 :].encode("ascii").translate(_STANDARD, b" \t\r\n").rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise Refusal(400, "a picture in JSON or in a text field should be base64, or a data URL", "base64") from None


def picture(value: Any, depth: int = 0) -> bytes | Address:
    """The picture that a JSON value holds: a text, or an object around one such as {"b64": "..."}.

    A text that begins with http:// or https:// is an address. Raises Refusal (400).
    """
    if isinstance(value, str):
        is_address = value[:8].lower().startswith(("http://", "https://"))
        return Address(value) if is_address else from_base64(value)
    if isinstance(value, Mapping) and len(value) == 1 and depth < 3:
        (key, inner), *_ = value.items()
        if key == "url" and isinstance(inner, str):
            return Address(inner)
        if key in _WRAPPERS:
            return picture(inner, depth + 1)
    raise Refusal(400, f"expected JSON such as {EXAMPLE}", "json")


def pictures_and_fields(document: Any) -> tuple[list[bytes | Address], dict[str, str]]:
    """The pictures of a JSON object, in order, and its other entries as text; raises Refusal (400).

    Example:
        >>> pictures_and_fields({"images": ["AAAA", "AQID"], "top": 2})
        ([b'\\x00\\x00\\x00', b'\\x01\\x02\\x03'], {'top': '2'})
    """
    found: list[bytes | Address] = []
    fields: dict[str, str] = {}
    if not isinstance(document, dict):
        raise Refusal(400, f"expected JSON such as {EXAMPLE}", "json")
    for name, value in document.items():
        if name in PICTURE_KEYS:
            found.extend(map(picture, value) if isinstance(value, list) else [picture(value)])
        elif name == "url":
            found.append(picture({name: value}))
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            fields[name] = str(value)
        else:
            raise Refusal(400, f"{name[:64]!r} is not understood: expected JSON such as {EXAMPLE}", "json")
    return found, fields
