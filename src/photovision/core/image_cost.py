"""What decoding a picture will cost, from the structure of its file, before memory or time is taken.

Small files can ask for hours or for gigabytes. Every walk here reads headers only, and ends after a bounded number of
steps; what no honest program writes is refused at once. The figures are estimates for one core, not promises.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from photovision.core.dicom import dicom_cost
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image_formats import DICOM, HEIF, NIFTI, format_of, opened
from photovision.core.iso_boxes import codestream, largest_extent
from photovision.core.nifti import nifti_cost
from photovision.core.png import chunks, too_many
from photovision.core.pnm import pnm_header
from photovision.core.tiff import Tags, layout

MAX_SCANS = 100
"""Scans of a JPEG; libjpeg's own tools use the same limit, cameras and web sites write up to 15."""
MAX_SCANNED = 4_000_000_000
"""Scans of a JPEG times its pixels: 16 scans of the largest picture; about 3 seconds."""
MAX_PLAIN = 2_000_000
"""Bytes of a picture written as text (PNM) or run lengths (BMP), whose decoders take a second for 2 MB."""
_MAX_PARTS = 20_000
_MAX_TILES, _MAX_LAYERS = 20_000, 128
_WINDOW = 4096
_SEGMENT = 240e-6
_SEGMENT_HEAD = struct.Struct(">BBH").unpack_from
_PASSED = frozenset((0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))
"""Markers of a JPEG's tables, comments and metadata, which most segments are."""


class DecodeCost(NamedTuple):
    """What decoding one picture will take.

    Attributes:
        format: one of `image_formats.FORMATS`.
        size: (H, W) in pixels as stored, before any orientation.
        bytes: of memory at the peak, beyond the file itself, for the whole upright RGB picture.
        seconds: of one core of a server of 2020, within a factor of about 3.
        fixed: bytes of these that stay, however small a JPEG is decoded.
    """

    format: str
    size: tuple[int, int]
    bytes: int
    seconds: float
    fixed: int = 0

    def bytes_for(self, least: tuple[int, int] | None) -> int:
        """Bytes where (H, W) of the upright picture is enough: JPEGs are decoded at 1/2, 1/4 or 1/8."""
        if least is None or self.format != "JPEG":
            return self.bytes
        factor = max((f for f in (2, 4, 8) if min(self.size) >= f * max(least)), default=1)
        return self.fixed + (self.bytes - self.fixed) // factor**2

    @property
    def pixels(self) -> int:
        """Pixels of the whole picture."""
        return self.size[0] * self.size[1]


def estimate_cost(source: str | Path | bytes) -> DecodeCost:
    """Estimate what `decode` will take for a picture, within milliseconds and without decoding anything.

    A service uses it to refuse what is beyond its budget, and to send what is costly to a process that it can end:

        cost = estimate_cost(content)               # UnreadableImage: answer 400 (or 415) with its text
        if cost.pixels > most or cost.bytes > memory:
            refuse with 413
        elif cost.seconds > 1:
            decode in a worker process with a time limit
        else:
            decode in a thread, as ever

    `decode` makes the same estimate itself and refuses the same structures, so calling it first is never required for
    safety from the kinds that are known; the time limit of a process is for those that are not.

    Raises:
        UnreadableImage: of no known format, or of a structure that no honest program writes.

    Example:
        >>> estimate_cost(b"P5 40 30 255 ").size
        (30, 40)
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    try:
        with opened(source) as stream:
            return cost_of(stream)
    except DataError as error:
        raise UnreadableImage(f"{name}: {str(error).removeprefix(f'{name}: ')}") from None
    except OSError as error:
        raise UnreadableImage(f"{name}: cannot be opened ({error.strerror or error})") from None


def cost_of(stream: BinaryIO) -> DecodeCost:
    """The cost of the picture in a stream, which is at its start before and afterwards; raises UnreadableImage."""
    name = format_of(stream)
    try:
        height, width, per_pixel, seconds = _ESTIMATES[name](stream)
    except (struct.error, LookupError, ValueError, OverflowError):
        raise UnreadableImage(f"cannot be decoded (its {name} header is damaged or cut short)") from None
    finally:
        stream.seek(0)
    if height < 1 or width < 1:
        raise UnreadableImage(f"has {width} x {height} pixels, which makes no picture")
    fixed = max(0.0, per_pixel - 4) if name == "JPEG" else 0  # what the scans of a picture are gathered in
    return DecodeCost(name, (height, width), int(height * width * per_pixel), seconds, int(height * width * fixed))


Estimate = tuple[int, int, float, float]
"""H, W, bytes a pixel at the peak, seconds."""


def _length(stream: BinaryIO) -> int:
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end


def _jpeg(stream: BinaryIO) -> Estimate:
    """ISO 10918-1, annex B: the frame header, then as many scans as there are markers of them."""
    at, begin, window, frame = 2, 0, stream.read(_WINDOW), b""
    for _ in range(_MAX_PARTS):
        if at - begin + 32 > len(window):  # a preview or a profile lies before the frame
            begin = stream.seek(at)
            window = stream.read(_WINDOW)
        head, marker, length = _SEGMENT_HEAD(window, at - begin)
        if head == 0xFF and marker in _PASSED:
            at += 2 + length
        elif head != 0xFF or marker == 0xFF:
            at += 1
        elif marker <= 1 or 0xD0 <= marker <= 0xD8:
            at += 2
        elif marker == 0xDA:
            stream.seek(at)
            return _scans(stream, frame, window[at - begin + 4])
        else:
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                frame = window[at - begin + 1 :][:1] + window[at - begin + 4 :][:6]
            at += 2 + length
    raise too_many("segments")


def _scans(stream: BinaryIO, frame: bytes, components: int) -> Estimate:
    height, width, bands = struct.unpack_from(">HHB", frame, 2)
    pixels, scans = height * width, 1
    several = frame[0] in (0xC2, 0xC6, 0xCA, 0xCE) or components < bands
    if several:
        scans = 0
        while part := stream.read(1 << 20):
            scans += part.count(b"\xff\xda")
        if scans > MAX_SCANS or scans * pixels > MAX_SCANNED:
            raise UnreadableImage(
                f"has {scans} scans, more than a picture of its size may have: save it as a plain JPEG"
            )
    memory = (8 if bands == 4 else 4 if bands == 3 else 5) + (2 * bands if several else 0)
    return height, width, memory, pixels * (10e-9 + bands * 0.4e-9 * (scans if several else 0))


def _png(stream: BinaryIO) -> Estimate:
    stream.seek(16)
    width, height, bits, colour = struct.unpack(">IIBB", stream.read(10))
    for _ in chunks(stream):  # none is read, all are counted
        pass
    memory = {0: 5, 2: 4, 3: 9, 4: 9, 6: 9}[colour] if bits <= 8 else {0: 6, 2: 12, 4: 13, 6: 16}[colour]
    return height, width, memory, height * width * (50e-9 if bits == 16 or colour in (4, 6) else 25e-9)


def _gif(stream: BinaryIO) -> Estimate:
    """GIF89a: the screen and the first frame on it."""
    width, height, flags = struct.unpack("<6xHHB", stream.read(11))
    stream.seek(13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    for _ in range(_MAX_PARTS):
        kind = stream.read(1)
        if kind != b"!":
            break
        stream.seek(1, os.SEEK_CUR)
        _skip_blocks(stream)
    else:
        raise too_many("extensions")
    if kind == b",":
        left, top, wide, high = struct.unpack("<HHHH", stream.read(8))
        width, height = max(width, left + wide), max(height, top + high)
    return height, width, 9, height * width * 15e-9


def _skip_blocks(stream: BinaryIO) -> None:
    for _ in range(_MAX_PARTS):
        size = stream.read(1)
        if size in (b"\0", b""):
            return
        stream.seek(size[0], os.SEEK_CUR)
    raise too_many("blocks")


def _webp(stream: BinaryIO) -> Estimate:
    """RFC 9649: the canvas of an extended file, or the frame of a simple one."""
    head = stream.read(30)
    kind = head[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", head, 21)
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
    return height, width, 18, height * width * 25e-9


def _bmp(stream: BinaryIO) -> Estimate:
    (size,) = struct.unpack_from("<I", head := stream.read(34), 14)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", head, 18)
        packing = 0
    else:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", head, 18)
    if packing in (1, 2) and _length(stream) > MAX_PLAIN:
        raise UnreadableImage(f"is a BMP of run lengths with more than {MAX_PLAIN:,} bytes: save it as PNG")
    return abs(height), width, 5 if bits <= 8 else 8, abs(height) * width * 4e-9 + (1 if packing in (1, 2) else 0)


def _pnm(stream: BinaryIO) -> Estimate:
    head = pnm_header(stream)
    if head.plain and _length(stream) > MAX_PLAIN:
        raise UnreadableImage(
            f"is a picture written as text with more than {MAX_PLAIN:,} bytes: save it as PNG, or as binary PNM"
        )
    height, width = head.size
    memory = 5 if head.bands == 1 else 4
    return (
        height,
        width,
        memory if head.most == 255 else memory + 6,
        height * width * (4e-9 if head.most == 255 else 2e-8),
    )


def _tiff(stream: BinaryIO) -> Estimate:
    found = layout(Tags(stream))
    height, width = found.size
    high, wide = found.segment
    segments = -(-height // high) * -(-width // wide) * (found.bands if found.planar else 1)
    packed = found.wide and found.compression != 1  # each is handed to the decoder by itself
    if segments > (_MAX_PARTS // 2 if packed else 4 * _MAX_PARTS) + height:
        raise too_many("strips or tiles")
    one = min(1.0, high * wide / (height * width)) * found.pixel
    memory = 5 + (3 * one if found.wide else min(found.pixel, 4))
    seconds = height * width * found.pixel * 5e-9
    return height, width, memory, seconds + (segments * _SEGMENT if found.wide else 0)


def _jpeg2000(stream: BinaryIO) -> Estimate:
    """ISO 15444-1, annex A: the main header, then the headers of tile-parts."""
    start = codestream(stream)
    stream.seek(start)
    head = stream.read(42)
    if head[:4] != b"\xff\x4f\xff\x51":
        raise ValueError
    right, low, left, top, wide, high, across, down, bands = struct.unpack_from(">IIIIIIIIH", head, 8)
    width, height = right - left, low - top
    tiles = -(-(right - across) // wide) * -(-(low - down) // high) if wide and high else 0
    if not 0 < tiles <= 1024 + width * height // 1024 or not 0 < bands <= 16:
        raise too_many("tiles or bands")
    if (one := wide * high) > max(1 << 26, 4 * width * height):
        raise UnreadableImage(f"has tiles of {wide} x {high} pixels, far larger than the picture")
    (length,) = struct.unpack_from(">H", head, 4)
    stream.seek(start + 4 + length)
    _check_layers(stream)
    samples = width * height * bands
    return (
        height,
        width,
        4 + 4 * bands + 4 * bands * min(1.0, one / max(1, width * height)),
        samples * 60e-9 + tiles * 5e-5,
    )


def _check_layers(stream: BinaryIO) -> None:
    """Refuse main and tile headers that ask for hundreds of quality layers, each of which is walked for every tile."""
    for _ in range(2 * _MAX_TILES):
        at = stream.tell()
        head = stream.read(4)
        if len(head) < 4:
            return
        marker, length = struct.unpack(">HH", head)
        if marker == 0xFF90:  # a tile-part: its header ends in a marker without length
            (_, size) = struct.unpack(">HI", stream.read(6))
            end = at + size
            stream.seek(at + 2 + length)
            continue
        if marker == 0xFF93:
            if size == 0:
                return
            stream.seek(end)
            continue
        if marker == 0xFF52:
            _, _, layers = struct.unpack(">BBH", stream.read(4))
            if layers > _MAX_LAYERS:
                raise too_many("quality layers")
        if marker < 0xFF00 or marker == 0xFFD9:
            return
        stream.seek(at + 2 + length)
    raise too_many("tile-parts")


def _av1_or_hevc(stream: BinaryIO) -> Estimate:
    height, width = largest_extent(stream)
    return height, width, 12, height * width * 40e-9


_ESTIMATES: dict[str, Callable[[BinaryIO], Estimate]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "PPM": _pnm,
    "TIFF": _tiff,
    "JPEG2000": _jpeg2000,
    "AVIF": _av1_or_hevc,
    HEIF: _av1_or_hevc,
    DICOM: dicom_cost,
    NIFTI: nifti_cost,
}
