"""Uploads that went wrong by accident or on purpose: any number of them, the same ones for the same seed."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.pictures import make_picture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
NAMES = (
    "a.jpg",
    "../../../etc/passwd",
    "..\\..\\windows\\system.ini",
    "/etc/shadow",
    "a" * 5000 + ".png",
    "a\u202egpj.exe",
    "nul\x00byte.jpg",
    "line\r\nX-Injected: 1.jpg",
    "<script>alert(1)</script>.png",
    "'; DROP TABLE predictions; --.jpg",
    "$(reboot).jpg",
    "😀" * 60,
    "",
    "CON",
    "%2e%2e%2fetc%2fpasswd",
)
TYPES = ("image/jpeg", "image/png", "text/html", "application/x-sh", "image/svg+xml", "", "a/b; c=" + "d" * 500)


@dataclass(frozen=True)
class Upload:
    """One file as a client would send it: what was done to it, its bytes, its name and its content type."""

    kind: str
    content: bytes
    name: str = "a.jpg"
    type: str = "image/jpeg"


def uploads(count: int, seed: int = 0) -> Iterator[Upload]:
    """`count` uploads, going round all kinds."""
    rng = np.random.default_rng(seed)
    sound = sound_files()
    kinds = list(KINDS.items())
    for number in range(count):
        kind, make = kinds[number % len(kinds)]
        name = NAMES[int(rng.integers(len(NAMES)))] if number % 3 == 0 else "a.jpg"
        yield Upload(kind, make(rng, sound), name, TYPES[int(rng.integers(len(TYPES)))])


def sound_files() -> list[bytes]:
    """One sound picture in every format."""
    found = []
    for number, name in enumerate(FORMATS):
        buffer = io.BytesIO()
        make_picture(number, 48, number).save(buffer, name)
        found.append(buffer.getvalue())
    return found


Made = Callable[[np.random.Generator, list[bytes]], bytes]


def _any(rng: np.random.Generator, sound: list[bytes]) -> bytearray:
    return bytearray(sound[int(rng.integers(len(sound)))])


def _bit_flips(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    content = _any(rng, sound)
    for place in rng.integers(0, len(content), int(rng.integers(1, 40))):
        content[place] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _header_flips(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    content = _any(rng, sound)
    for place in rng.integers(0, 64, int(rng.integers(1, 6))):
        content[place] = int(rng.integers(256))
    return bytes(content)


def _truncated(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    content = _any(rng, sound)
    return bytes(content[: int(rng.integers(0, len(content)))])


def _spliced(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    one, other = _any(rng, sound), _any(rng, sound)
    return bytes(one[: int(rng.integers(len(one)))] + other[int(rng.integers(len(other))) :])


def _repeated(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    content = _any(rng, sound)
    start, end = sorted(int(i) for i in rng.integers(0, len(content), 2))
    return bytes(content[:end] + content[start:end] * int(rng.integers(2, 30)) + content[end:])


def _noise(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    return rng.bytes(int(rng.integers(0, 4000)))


def _png(width: int, height: int, chunks: bytes, pixels: bytes) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunks
        + (_chunk(b"IDAT", pixels) + _chunk(b"IEND", b""))
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


_ZEROS = zlib.compress(b"\0" * 30_000_000, 9)  # 29 kB that unpack to 30 MB


def _bomb(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    side = int(rng.integers(20_000, 2**31 - 1))
    return _png(side, side, b"", _ZEROS)


def _text_bomb(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    kind = (b"zTXt", b"iCCP")[int(rng.integers(2))]
    return _png(4, 4, _chunk(kind, b"a\0\0" + _ZEROS), zlib.compress(b"\0" * 52))


def _more_pixels_than_said(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    return _png(int(rng.integers(1, 8)), int(rng.integers(1, 8)), b"", _ZEROS)


def _huge_jpeg(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    content = bytearray(sound[0])
    place = content.find(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", *(int(i) for i in rng.integers(30_000, 65_535, 2)))
    return bytes(content)


def _huge_gif(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    content = bytearray(sound[3])
    content[6:10] = struct.pack("<HH", *(int(i) for i in rng.integers(30_000, 65_535, 2)))
    return bytes(content)


def _huge_bmp(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    content = bytearray(sound[4])
    content[18:26] = struct.pack("<ii", *(int(i) for i in rng.integers(-(2**31), 2**31 - 1, 2)))
    return bytes(content)


def _huge_tiff(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    tags = [(256, 4, 1, 2**31 - 1), (257, 4, 1, 2**31 - 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, 1, int(rng.integers(2**32))), (278, 4, 1, int(rng.integers(2**32))), (279, 4, 2**31 - 1, 8)]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)


def _tiff_in_a_circle(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    tag = struct.pack("<HHII", 256, 4, 1, 4) + struct.pack("<HHII", 330, 4, 1, 8) + struct.pack("<HHII", 34665, 4, 1, 8)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + tag + struct.pack("<I", 8)


def _huge_ppm(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    return b"P6 %d %d 255\n" % tuple(int(i) for i in rng.integers(10**5, 10**9, 2)) + rng.bytes(50)


def _long_ppm(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    return b"P3 " + b"9" * int(rng.integers(1000, 50_000)) + b" 4 255 1 1 1"


def _exif(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    exif = bytearray(b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 200))
    for _ in range(200):
        exif += struct.pack("<HHII", *(int(i) for i in rng.integers(0, [2**16, 14, 2**32, 2**32])))
    exif[16:28] = struct.pack("<HHII", 0x0112, 3, 1, int(rng.integers(0, 2**16)))
    exif[28:40] = struct.pack("<HHII", 34665, 4, 1, 8)  # an inner directory that is the outer one again
    return sound[0][:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + sound[0][2:]


def _icc(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    parts = b""
    for number in range(1, int(rng.integers(2, 40))):
        body = b"ICC_PROFILE\0" + bytes([number % 256, int(rng.integers(256))]) + rng.bytes(20_000)
        parts += b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
    return sound[0][:2] + parts + sound[0][2:]


def _polyglot(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil.sh", "rm -rf /")
    tails = [buffer.getvalue(), b"<?php system($_GET['c']); ?>", b"<script>alert(1)</script>", b"%PDF-1.7\n"]
    head, tail = bytes(_any(rng, sound)), tails[int(rng.integers(len(tails)))]
    return head + tail if rng.integers(2) else tail + head


def _foreign(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    svg = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    svg += b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"><text>&x;</text></svg>'
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(/etc/passwd) run showpage\n"
    many = [svg, eps, b"", b"\0", b"%PDF-1.7", b"\x7fELF" + bytes(60), b"PK\x03\x04", b'{"a": ' + b"[" * 5000]
    many += [b"GIF89a", b"\xff\xd8\xff", b"RIFF\xff\xff\xff\xffWEBPVP8X", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM"]
    many += [b"\0\0\0\x18ftypheic" + rng.bytes(40), b"\x80\x04\x95" + rng.bytes(40), b"\x1f\x8b" + _ZEROS[:2000]]
    return many[int(rng.integers(len(many)))]


def _odd_modes(rng: np.random.Generator, sound: list[bytes]) -> bytes:
    mode, name = (("1", "PNG"), ("CMYK", "JPEG"), ("LA", "PNG"), ("P", "GIF"), ("I;16", "PNG"), ("F", "TIFF"))[
        int(rng.integers(6))
    ]
    size = tuple(int(i) for i in rng.integers(1, [3, 2000]))
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, name)
    return buffer.getvalue()


KINDS: dict[str, Made] = {
    "bit flips": _bit_flips,
    "header flips": _header_flips,
    "truncated": _truncated,
    "two files spliced": _spliced,
    "a part repeated": _repeated,
    "noise": _noise,
    "PNG bomb": _bomb,
    "text or profile bomb": _text_bomb,
    "more pixels than said": _more_pixels_than_said,
    "huge JPEG": _huge_jpeg,
    "huge GIF": _huge_gif,
    "huge BMP": _huge_bmp,
    "huge TIFF": _huge_tiff,
    "TIFF in a circle": _tiff_in_a_circle,
    "huge PPM": _huge_ppm,
    "long PPM": _long_ppm,
    "EXIF": _exif,
    "ICC profile": _icc,
    "polyglot": _polyglot,
    "foreign": _foreign,
    "odd modes": _odd_modes,
}
