"""Orientation: how the stored pixels have to be turned to stand upright, wherever a file says so."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image as Pillow

from photovision.core import iso_boxes
from photovision.core.png import chunks
from photovision.core.xmp import of_xmp

TAG = 0x0112
SIDEWAYS = (5, 6, 7, 8)
_MAX_BYTES = 1 << 20
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


def upright(picture: Pillow.Image, orientation: int) -> Pillow.Image:
    """A decoded picture turned by an orientation of 1 to 8; the picture itself where it stands upright."""
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def orientation_of(picture: Pillow.Image, stream: BinaryIO) -> int:
    """The orientation (Exif 2.32, tag 0x0112), 1 to 8, of a picture that was opened and not yet decoded.

    EXIF counts before XMP. Damaged metadata say nothing: 1. Of PNG, metadata behind the pixels count as well; of
    JPEG 2000 those in its boxes; HEIC is turned by its own decoder.
    """
    here = stream.tell()
    try:
        return _found(picture, stream)
    except Exception:  # hostile metadata make parsers raise anything
        return 1
    finally:
        stream.seek(here)


def _found(picture: Pillow.Image, stream: BinaryIO) -> int:
    kind, info = picture.format, picture.info
    if kind == "HEIF":
        return 1
    if kind == "JPEG2000":
        exif = iso_boxes.metadata(stream, iso_boxes.EXIF)
        return _of_exif(exif) or of_xmp(iso_boxes.metadata(stream, iso_boxes.XMP)) or 1
    if kind == "PNG":
        if not {"exif", "XML:com.adobe.xmp", "Raw profile type exif"}.isdisjoint(info):
            # PNG's own method would decode the picture to look behind its pixels.
            return _valid(Pillow.Image.getexif(picture).get(TAG))
        return _behind(stream)
    if kind == "TIFF" or "exif" in info or "xmp" in info:
        return _valid(picture.getexif().get(TAG))
    return 1


def _valid(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _of_exif(content: bytes | None) -> int:
    if not content:
        return 0
    exif = Pillow.Exif()
    exif.load(content if content.startswith(b"Exif\0\0") else b"Exif\0\0" + content)
    return int(exif.get(TAG, 0)) if exif.get(TAG) in range(1, 9) else 0


def _behind(stream: BinaryIO) -> int:
    """The orientation in EXIF or XMP that follow the pixels of a PNG."""
    by_xmp = 0
    for kind, begin, length in chunks(stream):
        if kind in (b"eXIf", b"iTXt") and length <= _MAX_BYTES:
            stream.seek(begin)
            content = stream.read(length)
            if kind == b"eXIf" and (by_exif := _of_exif(content)):
                return by_exif
            if content.startswith(b"XML:com.adobe.xmp\0\0"):
                by_xmp = by_xmp or of_xmp(content)
    return by_xmp or 1
