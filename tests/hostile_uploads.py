"""Uploads that cost far more than they weigh; each maker returns the bytes of one file or body, quickly."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

MB = 2**20


@dataclass(frozen=True)
class Hostile:
    """One request: its route, what its body is called, and the body; gzip names a coding of it."""

    route: str
    kind: str
    body: bytes
    coding: str = ""


def png(side: int, colour: int, bits: int = 8, interlaced: bool = False, chunks: int = 0) -> bytes:
    """A blank PNG of side x side pixels; colour 0 grey, 2 RGB, 6 RGBA."""
    bands = {0: 1, 2: 3, 6: 4}[colour]
    passes = [(1, 1)] if not interlaced else [(8, 8), (8, 8), (4, 8), (4, 4), (2, 4), (2, 2), (1, 2)]
    packer, packed = zlib.compressobj(1), []
    for across, down in passes:
        row = bytes(1 + (-(-side // across)) * bands * bits // 8)
        block = row * max(1, min(-(-side // down), 4 * MB // len(row)))
        left = (-(-side // down)) * len(row)
        while left:
            packed.append(packer.compress(block[:left]))
            left -= min(left, len(block))
    packed.append(packer.flush())
    head = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, int(interlaced))
    more = _chunk(b"tEXt", b"a\0b") * chunks
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + more + _chunk(b"IDAT", b"".join(packed)) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    stream = io.BytesIO()
    Image.new("L", (side, side), 90).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * (scans - content.count(b"\xff\xda") + 1) + b"\xff\xd9"


def jpeg_of_segments(size: int) -> bytes:
    """A JPEG with as many empty comments as fit."""
    stream = io.BytesIO()
    Image.new("L", (64, 64), 90).save(stream, "JPEG")
    content = stream.getvalue()
    return content[:2] + b"\xff\xfe\x00\x02" * (size // 4) + content[2:]


def tiff(side: int, tile: int, form: int, bits: int) -> bytes:
    """A blank TIFF of one tile, deflated; form 1 integers, 3 floating point."""
    packer, packed, left, block = zlib.compressobj(1), [], tile * tile * bits // 8, bytes(4 * MB)
    while left:
        packed.append(packer.compress(block[:left]))
        left -= min(left, len(block))
    data = b"".join((*packed, packer.flush()))
    tags = [
        (256, 4, side), (257, 4, side), (258, 3, bits), (259, 3, 8), (262, 3, 1), (277, 3, 1),
        (322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, len(data)), (339, 3, form),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<4sI", b"II*\0", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def saved(side: int, form: str, mode: str = "RGB", **options: object) -> bytes:
    """A blank picture as Pillow writes it."""
    stream = io.BytesIO()
    Image.new(mode, (side, side)).save(stream, form, **options)
    return stream.getvalue()


def plain_ppm(size: int) -> bytes:
    """A picture written as text."""
    side = int((size / 6) ** 0.5)
    return f"P3 {side} {side} 255\n".encode() + b"0 0 0 " * (side * side)


def form(files: list[bytes], fields: int = 0) -> tuple[str, bytes]:
    """A multipart form, and its content type."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    parts = [b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * fields]
    parts += [head + one + b"\r\n" for one in files]
    return "multipart/form-data; boundary=x", b"".join(parts) + b"--x--\r\n"


def tensor(data: object, shape: list[int], name: str = "images", kind: str = "UINT8") -> bytes:
    """A question of the Open Inference Protocol."""
    return json.dumps({"inputs": [{"name": name, "datatype": kind, "shape": shape, "data": data}]}).encode()


def _picture(make: Callable[[], bytes]) -> Callable[[], Hostile]:
    return lambda: Hostile("/predict", "application/octet-stream", make())


def _question(make: Callable[[], bytes]) -> Callable[[], Hostile]:
    return lambda: Hostile("/v2/models/m/infer", "application/json", make())


def _form(make: Callable[[], tuple[str, bytes]]) -> Callable[[], Hostile]:
    return lambda: Hostile("/predict", *make())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


UPLOADS: dict[str, Callable[[], Hostile]] = {
    "PNG, 100 MP, RGBA": _picture(lambda: png(10_000, 6)),
    "PNG, 100 MP, grey": _picture(lambda: png(10_000, 0)),
    "PNG, 60 MP, RGBA": _picture(lambda: png(7_700, 6)),
    "PNG, 30 MP, 16 bits RGBA": _picture(lambda: png(5_500, 6, 16)),
    "PNG, 50 MP, interlaced": _picture(lambda: png(7_000, 2, interlaced=True)),
    "PNG, 3 MP": _picture(lambda: png(1_750, 2)),
    "PNG, 2.6 million chunks": _picture(lambda: png(100, 2, chunks=2_000_000)),
    "JPEG, 81 MP, 100 scans": _picture(lambda: jpeg_of_scans(9_000, 100)),
    "JPEG, 81 MP, 4,000 scans": _picture(lambda: jpeg_of_scans(9_000, 4_000)),
    "JPEG, 100 MP": _picture(lambda: saved(10_000, "JPEG", "L")),
    "JPEG, 7 million segments": _picture(lambda: jpeg_of_segments(30 * MB)),
    "TIFF, one tile of 529 MP": _picture(lambda: tiff(64, 23_008, 1, 8)),
    "TIFF, 81 MP, floating point": _picture(lambda: tiff(9_000, 9_008, 3, 32)),
    "TIFF, 60 MP, 16 bits": _picture(lambda: tiff(7_700, 7_712, 1, 16)),
    "GIF, 36 MP": _picture(lambda: saved(6_000, "GIF", "P")),
    "WebP, 20 MP, lossless": _picture(lambda: saved(4_500, "WEBP", lossless=True, quality=0, method=0)),
    "JPEG 2000, 16 MP": _picture(lambda: saved(4_000, "JPEG2000")),
    "AVIF, 16 MP": _picture(lambda: saved(4_000, "AVIF", speed=10)),
    "PPM as text, 30 MB": _picture(lambda: plain_ppm(30 * MB)),
    "form of 30 PNG of 60 MP": _form(lambda: form([png(7_700, 6)] * 30)),
    "form of 500,000 fields": _form(lambda: form([png(10, 0)], 500_000)),
    "tensor of long texts": _question(lambda: tensor(["a"] * 100_000 + ["b" * 900_000], [1, 200, 200, 3])),
    "tensor of 10 million numbers": _question(lambda: tensor([0] * 10_000_000, [1, 1000, 3333, 3])),
    "tensor of nested lists": _question(lambda: tensor([[[0, 0, 0]] * 1000] * 2900, [1, 2900, 1000, 3])),
    "JSON of 20 PNG of 60 MP": _question(lambda: tensor([_base64(png(7_700, 6))] * 20, [20], "pictures", "BYTES")),
    "deep JSON": _question(lambda: b"[" * (30 * MB)),
    "gzip of 7 GB": lambda: Hostile("/predict", "application/json", _bomb(7_000), "gzip"),
}


def _bomb(megabytes: int) -> bytes:
    """Zeros in gzip, in members that follow each other."""
    return gzip.compress(bytes(MB * min(megabytes, 1000)), 1) * max(1, megabytes // 1000)
