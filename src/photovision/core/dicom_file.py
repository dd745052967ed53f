"""DICOM files, opened with their sizes bounded: the header, and the bytes of one frame.

pydicom is loaded with the first such file; it and its decoders are the extra "medical".
"""

from __future__ import annotations

import importlib
import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from photovision.core.errors import UnreadableImage
from photovision.core.installing import pip_install
from photovision.core.quiet import quiet

DEFLATED = b"1.2.840.10008.1.2.1.99"
MAX_INFLATED = 1 << 26
"""Bytes that a deflated file may become."""
MAX_FRAMES = 20_000
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes whose pixels are not compressed."""
_META = 132
_FRAME_GROUPS = (
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
)

Header = Any
"""A `pydicom.Dataset` without pixels."""


def library(name: str = "pydicom") -> Any:
    """A module of pydicom; raises UnreadableImage where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UnreadableImage(f"is a DICOM file, which needs a library: {pip_install('pydicom')}") from None


def read_header(stream: BinaryIO) -> tuple[Header, BinaryIO]:
    """The header of a DICOM file, and a stream that stands at its pixels; raises UnreadableImage, and as pydicom does.

    A file without preamble, without meta header or deflated is read, too.
    """
    pydicom = library()
    stream = _inflated(stream)
    with quiet:
        return pydicom.dcmread(stream, stop_before_pixels=True, force=True), stream


def _inflated(stream: BinaryIO) -> BinaryIO:
    """The same, of a deflated file inflated within bounds: pydicom would inflate whatever comes."""
    start = stream.tell()
    head = stream.read(_META + 12)
    stream.seek(start)
    if head[128:132] != b"DICM" or head[132:138] != b"\x02\0\0\0UL":
        return stream
    (length,) = struct.unpack_from("<I", head, 140)
    if length > 1 << 16:
        return stream
    meta = stream.read(_META + 12 + length)
    if DEFLATED not in meta:
        stream.seek(start)
        return stream
    plain = meta.replace(DEFLATED, NATIVE[1].encode().ljust(len(DEFLATED), b"\0"))
    engine = zlib.decompressobj(-15)
    content = engine.decompress(stream.read(), MAX_INFLATED)
    if engine.unconsumed_tail:
        raise UnreadableImage(f"is a deflated DICOM file of more than {MAX_INFLATED:,} bytes")
    return io.BytesIO(plain + content)


def frames_of(header: Header) -> int:
    """How many frames a file says that it has; raises UnreadableImage for impossible numbers."""
    found = header.get("NumberOfFrames")
    frames = 1 if found in (None, "") else int(found)
    if not 1 <= frames <= MAX_FRAMES:
        raise UnreadableImage(f"has {frames:,} frames: from 1 to {MAX_FRAMES:,} are read")
    return frames


def extent(header: Header) -> tuple[int, int]:
    """(H, W) of a frame in pixels; raises UnreadableImage for a file without pixels."""
    rows, columns = header.get("Rows"), header.get("Columns")
    if rows is None or columns is None:
        meta = getattr(header, "file_meta", None) or {}
        stated = header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
        kind = getattr(stated, "name", "") or header.get("Modality") or "no image"
        raise UnreadableImage(f"is a DICOM file without pixels ({str(kind)[:80]})")
    return int(rows), int(columns)


def syntax_of(header: Header) -> str:
    """The transfer syntax; without a meta header the one that it was read by."""
    stated = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
    if stated:
        return str(stated)
    implicit, little = header.original_encoding
    return NATIVE[0] if implicit else NATIVE[1] if little else NATIVE[2]


def of_frame(header: Header, frame: int) -> Header:
    """The header of one frame (from 0), with what is stated for it and for all frames at the top, as in old files."""
    pydicom = library()
    flat = pydicom.Dataset()
    flat.update({element.tag: element for element in _raw(header)})
    flat.set_original_encoding(*header.original_encoding, header.original_character_set)
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        items = header.get(name) or []
        own = frame if name.startswith("Per") else 0
        if own < len(items):
            for group in _FRAME_GROUPS:
                for item in (items[own].get(group) or [])[:1]:
                    flat.update(item)
        flat.pop(name, None)
    flat.pop("NumberOfFrames", None)
    flat.file_meta = pydicom.dataset.FileMetaDataset()
    flat.file_meta.TransferSyntaxUID = syntax_of(header)
    return flat


def _raw(header: Header) -> Iterator[Any]:
    return (header.get_item(tag) for tag in list(header.keys()))


def with_pixels(header: Header, stream: BinaryIO, frame: int) -> Header:
    """The header of one frame (from 0) with its pixels as they are stored; raises UnreadableImage where they lack.

    Args:
        header, stream: as `read_header` gives them.
        frame: its number from 0.
    """
    pydicom = library()
    rows, columns = extent(header)
    frames = frames_of(header)
    flat = of_frame(header, frame)
    name, kind = _at_pixels(stream, syntax_of(header) == NATIVE[2])
    if syntax_of(header) not in NATIVE:
        content = pydicom.encaps.get_frame(stream, frame, number_of_frames=frames)
        _check_inside(content, rows, columns)
        flat.PixelData = pydicom.encaps.encapsulate([content])
        return flat
    setattr(flat, name, _native(header, stream, frame, rows * columns))
    flat[name].VR = kind or "OW"
    return flat


def _at_pixels(stream: BinaryIO, big: bool) -> tuple[str, str]:
    """The keyword and the type ("" where it is not stated) of the pixels, whose value the stream is at afterwards."""
    head = stream.read(8).ljust(8, b"\0")
    tag = struct.unpack_from(">HH" if big else "<HH", head)
    names = {(0x7FE0, 8): "FloatPixelData", (0x7FE0, 9): "DoubleFloatPixelData", (0x7FE0, 16): "PixelData"}
    if tag not in names:
        raise UnreadableImage("is a DICOM file without pixels")
    stated = head[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN")  # what the file says of itself may be wrong
    if stated:
        stream.read(4)
    return names[tag], head[4:6].decode() if stated else ""


def _native(header: Header, stream: BinaryIO, frame: int, pixels: int) -> bytes:
    """The pixels of one frame that are not compressed; raises UnreadableImage."""
    bits = pixels * int(header.get("SamplesPerPixel") or 1) * int(header.BitsAllocated)
    if header.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3
    begin, end = bits * frame // 8, -(-bits * (frame + 1) // 8)
    if begin * 8 != bits * frame or (begin % 2 and syntax_of(header) == NATIVE[2]):
        raise UnreadableImage("has frames that begin within a byte or a word: export them as PNG")
    stream.seek(begin, os.SEEK_CUR)
    content = stream.read(end - begin)
    if len(content) < end - begin:
        raise UnreadableImage(f"is cut short: frame {frame + 1} has {len(content):,} of {end - begin:,} bytes")
    if len(content) % 2:  # the byte that pads it, with which it is swapped in a file of big endian words
        content += stream.read(1) or b"\0"
    return content


def _check_inside(content: bytes, rows: int, columns: int) -> None:
    """Raise UnreadableImage where a compressed frame says that it is larger than its header: it would take memory."""
    found = _jpeg_extent(content) if content[:2] == b"\xff\xd8" else _jpeg2000_extent(content)
    if found is not None and found[0] * found[1] > rows * columns:
        raise UnreadableImage(
            f"has a compressed frame of {found[1]} x {found[0]} pixels, but {columns} x {rows} in its header"
        )


def _jpeg_extent(content: bytes) -> tuple[int, int] | None:
    """(H, W) in the frame header of a JPEG or JPEG-LS (ISO 10918-1, annex B; ISO 14495-1, annex C)."""
    at = 2
    while at + 9 <= len(content):
        if content[at] != 0xFF or content[at + 1] == 0xFF:
            at += 1
            continue
        marker = content[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return height, width
        at += 2 if marker <= 1 or 0xD0 <= marker <= 0xD8 else 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


def _jpeg2000_extent(content: bytes) -> tuple[int, int] | None:
    """(H, W) in the main header of a JPEG 2000 codestream (ISO 15444-1, annex A)."""
    start = content.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0 or len(content) < start + 24:
        return None
    right, low, left, top = struct.unpack_from(">IIII", content, start + 8)
    return low - top, right - left
