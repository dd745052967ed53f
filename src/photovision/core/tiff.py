"""TIFF: what its first directory says, bounded before anything is decoded, and samples that Pillow has no mode for.

Adobe's TIFF 6.0 and the BigTIFF extension. Pillow opens pictures of 8 bits; wider ones, of any number of bands, are
put together here from strips and tiles, each of which libtiff decompresses by way of Pillow.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage
from photovision.core.xmp import of_xmp

Numbers = npt.NDArray[Any]
_FORMATS = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q"}
_MOST_TAGS, _MOST_VALUES = 4096, 1 << 22
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ORIENTATION, BANDS = 256, 257, 258, 259, 262, 273, 274, 277
ROWS, STRIP_BYTES, LOW, HIGH, PLANAR, PREDICTOR, TILE_W, TILE_H = 278, 279, 280, 281, 284, 317, 322, 323
TILES, TILE_BYTES, EXTRA, KIND, SMALLEST, LARGEST, XMP, SUBFILES = 324, 325, 338, 339, 340, 341, 700, 330
NO_DATA, DNG_VERSION, REDUCED = 42113, 50706, 254
_SPACIOUS = 1 << 26
"""Bytes that a tile may always have; a larger one must not be several times larger than the picture."""
_BYTE_CODECS = {
    1: "raw",
    5: "LZW",
    8: "deflate",
    32946: "deflate",
    32773: "PackBits",
    34925: "LZMA",
    50000: "Zstandard",
}
_KINDS = {1: "u", 2: "i", 3: "f"}


class Tags:
    """The tags of the first directory of a TIFF file, their values read when asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        stream.seek(0)
        head = stream.read(16)
        self.stream = stream
        self.order = "<" if head[:2] == b"II" else ">"
        self.big = b"+" in head[2:4]
        (offset,) = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", head, 8 if self.big else 4)
        stream.seek(offset)
        (count,) = struct.unpack(f"{self.order}{'Q' if self.big else 'H'}", stream.read(8 if self.big else 2))
        if not 0 < count <= _MOST_TAGS:
            raise UnreadableImage(f"its directory should have 1 to {_MOST_TAGS} tags, got {count}")
        entry = struct.Struct(f"{self.order}HH{'Q8s' if self.big else 'I4s'}")
        content = stream.read(count * entry.size)
        self.entries = {tag: (kind, many, value) for tag, kind, many, value in entry.iter_unpack(content)}

    def __contains__(self, tag: int) -> bool:
        return tag in self.entries

    def values(self, tag: int) -> tuple[float, ...]:
        """The numbers of a tag, in the units of the file; () where it has none of a known type."""
        kind, many, value = self.entries.get(tag, (0, 0, b""))
        code = _FORMATS.get(kind)
        if code is None or many > _MOST_VALUES:
            return ()
        size = many * struct.calcsize(f"={code}")
        if size > len(value):
            (offset,) = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", value)
            self.stream.seek(offset)
            value = self.stream.read(size)
        return struct.unpack(f"{self.order}{many}{code}", value[:size])

    def number(self, tag: int, default: int) -> int:
        """The first whole number of a tag."""
        found = self.values(tag)
        return int(found[0]) if found else default

    def text(self, tag: int) -> bytes:
        """The bytes of a tag."""
        return bytes(v for v in self.values(tag) if isinstance(v, int) and 0 <= v <= 255)


@dataclass(frozen=True)
class TiffLayout:
    """How the samples of a TIFF picture lie in its file.

    Attributes:
        size: (H, W) as stored, before any orientation.
        bands: samples a pixel.
        kind: "u" unsigned, "i" signed, "f" floating point, "" another.
        bits: of each sample; 0 where they differ.
        segment: (H, W) of a strip or tile.
        planar: whether every band lies in segments of its own.
        tiled: whether they are tiles.
        colours: 0 and 1 grey, 2 RGB; others, such as CMYK, are read by Pillow only.
    """

    size: tuple[int, int]
    bands: int
    kind: str
    bits: int
    compression: int
    segment: tuple[int, int]
    planar: bool
    tiled: bool
    colours: int

    @property
    def pixel(self) -> float:
        """Bytes of a pixel of one segment."""
        return (self.bits or 32) * (1 if self.planar else self.bands) / 8

    @property
    def wide(self) -> bool:
        """Whether it is to be read here: more than 8 bits, or bands that Pillow has no mode for, losslessly packed."""
        strange = self.bands == 2 or self.bands > 4
        return bool(
            self.kind
            and self.compression in _BYTE_CODECS
            and self.colours in (0, 1, 2, 32844, 34892)
            and (self.bits in (16, 32, 64) or (strange and self.bits == 8))
            and (self.kind != "f" or self.bits >= 16)
        )


def layout(tags: Tags) -> TiffLayout:
    """The layout; raises UnreadableImage where it makes no sense or its tiles would take far more than the picture."""
    height, width, bands = tags.number(HEIGHT, 0), tags.number(WIDTH, 0), tags.number(BANDS, 1)
    bits, kinds = set(tags.values(BITS) or (1,)), set(tags.values(KIND) or (1,))
    if min(height, width) < 1 or not 0 < bands <= 4096:
        raise UnreadableImage(f"has {width} x {height} pixels of {bands} samples, which makes no picture")
    tiled = TILE_W in tags
    rows = min(tags.number(ROWS, height) or height, height)
    segment = (tags.number(TILE_H, 0), tags.number(TILE_W, 0)) if tiled else (rows, width)
    found = TiffLayout(
        (height, width),
        bands,
        _KINDS.get(int(kinds.pop()), "") if len(kinds) == 1 else "",
        int(bits.pop()) if len(bits) == 1 else 0,
        tags.number(COMPRESSION, 1),
        segment,
        tags.number(PLANAR, 1) == 2,
        tiled,
        tags.number(PHOTOMETRIC, 1),
    )
    whole, one = height * width * found.pixel, segment[0] * segment[1] * found.pixel
    if one <= 0 or one > max(_SPACIOUS, 4 * whole):
        raise UnreadableImage(f"has tiles of {segment[1]} x {segment[0]} pixels, far larger than the picture")
    if DNG_VERSION in tags or (SUBFILES in tags and tags.number(REDUCED, 0) & 1):
        raise UnreadableImage("is a camera's raw file: save it as PNG, TIFF or JPEG")
    return found


def no_data(tags: Tags) -> float | None:
    """The number that marks pixels without data, as GDAL writes it."""
    try:
        return float(tags.text(NO_DATA).strip(b"\0 "))
    except ValueError:
        return None


def declared_range(tags: Tags) -> tuple[float, float] | None:
    """The smallest and the largest value that the file says its samples have; None where it does not."""
    for low, high in ((SMALLEST, LARGEST), (LOW, HIGH)):
        lows, highs = tags.values(low), tags.values(high)
        if highs and all(map(math.isfinite, (*lows, *highs))) and max(highs) > min(lows or (0,)):
            return float(min(lows or (0,))), float(max(highs))
    return None


def orientation(tags: Tags) -> int:
    """The orientation, 1 to 8, by its own tag, else by XMP."""
    found = tags.number(ORIENTATION, 0) or of_xmp(tags.text(XMP))
    return found if 1 <= found <= 8 else 1


def kept(tags: Tags, bands: int) -> int:
    """How many bands are shown: of up to two the first, of more the first three, with opacity where the file has it."""
    if bands < 3:
        return 1
    return 4 if bands == 4 and tags.number(EXTRA, 0) in (1, 2) else 3


def blocks(tags: Tags, found: TiffLayout, shown: int) -> Iterator[tuple[int, int, int | None, Numbers]]:
    """Decode the first `shown` bands strip by strip or tile by tile: top, left, the band (None: all), and values.

    Values are (h, w, bands) of the file's own number type. Raises UnreadableImage where parts are missing or damaged.
    """
    height, width = found.size
    kind = np.dtype(f"{tags.order}{found.kind}{found.bits // 8}")
    offsets = tags.values(TILES if found.tiled else STRIPS)
    counts = tags.values(TILE_BYTES if found.tiled else STRIP_BYTES)
    high, wide = found.segment
    across, down = math.ceil(width / wide), math.ceil(height / high)
    needed = across * down * (shown if found.planar else 1)
    if min(len(offsets), len(counts)) < needed:
        raise UnreadableImage(f"should have {needed} strips or tiles, got {min(len(offsets), len(counts))}")
    for index in range(needed):
        if counts[index] == 0:  # GDAL leaves out what is empty
            continue
        band, place = divmod(index, across * down)
        top, left = place // across * high, place % across * wide
        rows = high if found.tiled else min(high, height - top)
        block = _segment(tags, found, kind, int(offsets[index]), int(counts[index]), rows)
        block = block[: height - top, : width - left]
        yield (top, left, band, block) if found.planar else (top, left, None, block[..., :shown])


def _segment(tags: Tags, found: TiffLayout, kind: np.dtype[Any], offset: int, count: int, rows: int) -> Numbers:
    """One strip or tile: (rows, W, bands) of the file's number type."""
    bands = 1 if found.planar else found.bands
    width = found.segment[1]
    tags.stream.seek(offset)
    packed = tags.stream.read(count)
    shape, line = (rows, width, bands), width * bands * kind.itemsize
    if found.compression == 1:
        content = np.frombuffer(packed, np.uint8, min(len(packed), rows * line))
    else:
        content = _unpacked(packed, found.compression, rows, line)
    if content.size != rows * line:
        raise UnreadableImage("a strip or tile is cut short")
    predictor = tags.number(PREDICTOR, 1) if found.compression != 1 else 1
    if predictor == 3:
        return _float_differences(content.reshape(rows, width * kind.itemsize, bands), kind, shape)
    block = content.view(kind).reshape(shape)
    if predictor == 2:
        whole = block.view(f"{tags.order}u{kind.itemsize}").astype(f"=u{kind.itemsize}")
        return np.cumsum(whole, axis=1, dtype=whole.dtype).view(kind.newbyteorder("="))
    return block


def _unpacked(packed: bytes, compression: int, rows: int, line: int) -> npt.NDArray[np.uint8]:
    """The bytes of a strip, decompressed by libtiff as the one strip of a grey picture, so never more than expected."""
    entries = (
        *((WIDTH, 4, line), (HEIGHT, 4, rows), (BITS, 3, 8), (COMPRESSION, 3, compression), (PHOTOMETRIC, 3, 1)),
        *((STRIPS, 4, 8), (BANDS, 3, 1), (ROWS, 4, rows), (STRIP_BYTES, 4, len(packed))),
    )
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    at = 8 + len(packed) + len(packed) % 2
    head = struct.pack("<2sHI", b"II", 42, at)
    body = packed + b"\0" * (len(packed) % 2) + struct.pack("<H", len(entries)) + directory + b"\0" * 4
    with Pillow.open(io.BytesIO(head + body), formats=("TIFF",)) as picture:
        return np.asarray(picture).reshape(-1)


def _float_differences(content: npt.NDArray[np.uint8], kind: np.dtype[Any], shape: tuple[int, ...]) -> Numbers:
    """Undo predictor 3: bytes of one weight lie together, the most significant first, as differences along a row."""
    rows, width, bands = shape
    whole = np.cumsum(content, axis=1, dtype=np.uint8).reshape(rows, kind.itemsize, width * bands)
    return np.ascontiguousarray(whole.transpose(0, 2, 1)).view(f">f{kind.itemsize}").reshape(shape)
