"""Uploads: from the body of a request to the bytes of picture files, within the limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from photovision.service.http_error import Refusal
from photovision.service.json_body import PICTURE_KEYS, from_base64
from photovision.service.settings import Limits

_BOUNDARY = re.compile(
    r';\s*boundary=(?:"(?P<quoted>[^"]{1,70})"|(?P<plain>[^\s;"]{1,70}))(?=\s*(?:;|$))', re.IGNORECASE
)
_DISPOSITION = re.compile(rb"\ncontent-disposition:([^\r\n]*)", re.IGNORECASE)
_FIELD = re.compile(rb""";\s*name=(?:"(?P<quoted>[^"]{0,200})"|(?P<plain>[^\s;"]{0,200}))\s*(?:;|$)""", re.IGNORECASE)
_FILE_NAME = re.compile(
    rb""";\s*filename(?:\*=utf-8'[^';]*'(?P<coded>[^\s;]+)|="(?P<quoted>[^"]*)"|=(?P<plain>[^\s;"]*))""", re.IGNORECASE
)
RAW = ("image/", "application/octet-stream", "binary/octet-stream")
_MOST_HEADER, _MOST_PADDING = 4096, 256
_MOST_NAME, _MOST_TEXT = 255, 256
_PORTABLE = (b"P1", b"P2", b"P3")  # PNM in letters is text, too


@dataclass(frozen=True)
class Upload:
    """The content of a picture's file, and the name that it was sent with, None where it had none."""

    content: bytes
    file: str | None = None


@dataclass(frozen=True)
class Form:
    """What a body holds: its pictures, and the texts of the form's other fields by their names."""

    pictures: list[Upload]
    fields: dict[str, str]


def read_form(content_type: str, body: bytes, limits: Limits) -> Form:
    """The pictures of a body: one that is a picture's file itself, or all files of a multipart form.

    In a form every field with a file counts, whatever its name; inputs that a browser sends empty do not. A field
    without a file is a picture, too, where it has the name of one (`file`, `image`, `images[]` ...); it may be base64.

    Raises:
        Refusal: another type (415), a form that is not one or has no file (400), too many files or fields (413).

    Example:
        >>> read_form("image/jpeg", b"...", Limits()).pictures
        [Upload(content=b'...', file=None)]
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = _parts(content_type, body, limits)
    elif not kind or kind.startswith(RAW):
        form = Form([Upload(body)] if body else [], {})
    elif kind == "application/x-www-form-urlencoded":
        raise Refusal(415, "say what the body is, as 'Content-Type: image/jpeg', or send multipart/form-data", "type")
    else:
        raise Refusal(415, "send a picture as image/..., files as multipart/form-data, or base64 as JSON", "type")
    if not form.pictures:
        named = ", ".join(repr(name[:40]) for name in list(form.fields)[:5])
        fields = f" but the fields {named}" if named else ""
        raise Refusal(400, f"expected at least one picture, got none{fields}: send files in the field 'file'", "empty")
    return form


def _parts(content_type: str, body: bytes, limits: Limits) -> Form:
    """The parts of a multipart form (RFC 7578), cut out of the body where its delimiters are found.

    The whole body is in memory already, within its limit, so that a search takes a tenth of the time that a parser for
    streams takes.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise Refusal(400, "a multipart form needs a boundary of 1 to 70 characters in its content type", "form")
    delimiter = b"\r\n--" + (boundary["quoted"] or boundary["plain"]).encode("latin-1")
    form, parts = Form([], {}), 0
    start = len(delimiter) - 2 if body.startswith(delimiter[2:]) else _after(body, delimiter, 0)
    while body[start : start + 2] != b"--":
        line, head = (
            body.find(b"\r\n", start, start + _MOST_PADDING),
            body.find(b"\r\n\r\n", start, start + _MOST_HEADER),
        )
        if line < 0 or head < 0 or body[start:line].strip(b" \t"):
            raise _damaged()
        parts += 1
        if parts > 2 * limits.files + 16:
            raise Refusal(413, "the form has more fields than any request needs: send several requests", "fields")
        following = _after(body, delimiter, head + 4)
        disposition = _DISPOSITION.search(body, line, head)
        if disposition is not None:
            _add(form, disposition[1], body[head + 4 : following - len(delimiter)])
        if len(form.pictures) > limits.files:
            raise Refusal(413, f"a request may hold {limits.files} pictures: send several requests", "files")
        start = following
    return form


def _add(form: Form, disposition: bytes, content: bytes) -> None:
    """Add a part to the form: a file, a picture in a text field, or another text."""
    if b"filename" in disposition:
        file = _file_name(disposition)
        if content or file:  # browsers send inputs without a choice as an empty file without a name
            form.pictures.append(Upload(content, file))
        return
    found = _FIELD.search(disposition)
    name = (found["quoted"] or found["plain"] or b"").decode("utf-8", "replace") if found else ""
    if name.removesuffix("[]").lower() in PICTURE_KEYS:
        if content:
            form.pictures.append(Upload(from_base64(content.decode()) if _is_text(content) else content))
    elif name:
        form.fields[name] = content[:_MOST_TEXT].decode("utf-8", "replace")


def _is_text(content: bytes) -> bool:
    return content.isascii() and content[:1].isalnum() and b"\0" not in content and content[:2] not in _PORTABLE


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
