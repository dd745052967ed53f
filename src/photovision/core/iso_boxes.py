"""Boxes of JPEG 2000, AVIF and HEIC files (ISO 14496-12): where the codestream, the extent and the metadata lie."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

_MAX_BOXES = 1000
_HEAD = 1 << 22
_EXTENT = re.compile(rb"ispe\0\0\0\0(.{4})(.{4})", re.DOTALL)
EXIF = b"JpgTiffExif->JP2"
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def boxes(stream: BinaryIO, at: int = 0, whole: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """The kind of every box of a file or of a part of it, and where its content begins and ends; bounded in number."""
    whole = stream.seek(0, os.SEEK_END) if whole is None else whole
    for _ in range(_MAX_BOXES):
        if at >= whole:
            return
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        begin = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            begin += 8
        end = at + size if size else whole
        if end < begin:
            return
        yield kind, begin, min(end, whole)
        at = end


def codestream(stream: BinaryIO) -> int:
    """Where the codestream of a JPEG 2000 file begins; raises ValueError where there is none."""
    stream.seek(0)
    if stream.read(2) == b"\xff\x4f":
        return 0
    for kind, begin, _ in boxes(stream):
        if kind == b"jp2c":
            return begin
    raise ValueError("no codestream")


def largest_extent(stream: BinaryIO) -> tuple[int, int]:
    """(H, W) of the largest item of an AVIF or HEIC file; raises ValueError where none has an extent."""
    for kind, begin, end in boxes(stream):
        if kind == b"meta":
            stream.seek(begin)
            found = _EXTENT.findall(stream.read(min(end - begin, _HEAD)))
            sizes = [(int.from_bytes(high, "big"), int.from_bytes(wide, "big")) for wide, high in found]
            if sizes:
                return max(sizes, key=lambda size: size[0] * size[1])
    raise ValueError("no extent")


def metadata(stream: BinaryIO, identity: bytes, most: int = 1 << 20) -> bytes | None:
    """The content of the "uuid" box of an identity, such as EXIF or XMP of a JPEG 2000 file; None where it has none."""
    for kind, begin, end in boxes(stream):
        if kind == b"uuid" and end - begin <= most:
            stream.seek(begin)
            content = stream.read(end - begin)
            if content.startswith(identity):
                return content[len(identity) :]
    return None


def profile(stream: BinaryIO) -> bytes | None:
    """The colour profile (ICC) of a JPEG 2000 file, which Pillow leaves out; None where it has none."""
    for kind, begin, end in boxes(stream):
        if kind == b"jp2h":
            for inner, start, stop in boxes(stream, begin, end):
                stream.seek(start)
                if inner == b"colr" and stream.read(3)[:1] in (b"\2", b"\3"):
                    return stream.read(min(stop - start - 3, _HEAD + 1))
    return None
