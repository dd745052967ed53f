"""Orientation is found wherever a file states it, and the header's size is that of the decoded picture."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image

from photovision.core.image import decode, read_header, to_array
from photovision.core.orientation import upright

PICTURE = make_picture(2, 64).resize((64, 48))
UNDO = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="{}"/></rdf:RDF></x:xmpmeta>'


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def xmp(orientation: int) -> bytes:
    return XMP.format(orientation).encode()


def png_behind(picture: Image.Image, orientation: int) -> bytes:
    content = saved(picture, "PNG")
    return content[:-12] + chunk(b"eXIf", exif(orientation)[6:]) + content[-12:]


def png_xmp(picture: Image.Image, orientation: int, behind: bool) -> bytes:
    content = saved(picture, "PNG")
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(orientation))
    at = len(content) - 12 if behind else 33
    return content[:at] + text + content[at:]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def jp2_exif(picture: Image.Image, orientation: int) -> bytes:
    return saved(picture, "JPEG2000") + box(b"uuid", b"JpgTiffExif->JP2" + exif(orientation)[6:])


def jp2_xmp(picture: Image.Image, orientation: int) -> bytes:
    identity = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
    content = saved(picture, "JPEG2000")
    at = content.index(b"jp2c") - 4
    last = struct.unpack_from(">I", content, at)[0] == 0  # it reaches to the end, so that nothing may follow
    extra = box(b"uuid", identity + xmp(orientation))
    return content[:at] + extra + content[at:] if last else content + extra


CARRIERS: dict[str, Callable[[Image.Image, int], bytes]] = {
    "EXIF in JPEG": lambda p, o: saved(p, "JPEG", quality=97, exif=exif(o)),
    "EXIF in PNG": lambda p, o: saved(p, "PNG", exif=exif(o)),
    "EXIF in WebP": lambda p, o: saved(p, "WEBP", lossless=True, exif=exif(o)),
    "EXIF in AVIF": lambda p, o: saved(p, "AVIF", quality=97, exif=exif(o)),
    "EXIF in TIFF": lambda p, o: saved(p, "TIFF", tiffinfo={274: o}),
    "EXIF in JPEG 2000": jp2_exif,
    "EXIF behind the pixels of PNG": png_behind,
    "XMP in JPEG": lambda p, o: saved(p, "JPEG", quality=97, xmp=xmp(o)),
    "XMP in PNG": lambda p, o: png_xmp(p, o, False),
    "XMP behind the pixels of PNG": lambda p, o: png_xmp(p, o, True),
    "XMP in WebP": lambda p, o: saved(p, "WEBP", lossless=True, xmp=xmp(o)),
    "XMP in TIFF": lambda p, o: saved(p, "TIFF", tiffinfo={700: xmp(o)}),
    "XMP in JPEG 2000": jp2_xmp,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("carrier", CARRIERS)
def test_it_is_undone_and_the_header_agrees(carrier: str, orientation: int) -> None:
    content = CARRIERS[carrier](upright(PICTURE, UNDO[orientation]), orientation)
    image = to_array(decode(content))
    header = read_header(content)
    assert header.size == image.shape[:2] == (48, 64)
    assert header.rotated == (orientation != 1)
    assert np.abs(image.astype(int) - np.asarray(PICTURE)).mean() < 6
