"""Formats of picture files: recognised by their content, opened by one named decoder each, others named as what they
are."""

from __future__ import annotations

import importlib
import io
import os
import re
from pathlib import Path
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.installing import pip_install
from photovision.core.nifti import begins_as_nifti

# A file reaches the one decoder that its first bytes name, so never one that runs other programs (EPS starts
# Ghostscript). They are imported here, because Pillow would else import all of its 40 at the first picture. The JPEG
# one also opens MPO, which is not registered under a name of its own.
_DECODERS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    PpmImagePlugin.PpmImageFile,
    AvifImagePlugin.AvifImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
)
HEIF, DICOM, NIFTI = "HEIF", "DICOM", "NIfTI"
FORMATS = (*(decoder.format for decoder in _DECODERS), HEIF, DICOM, NIFTI)
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif", ".jp2", ".j2k", ".jpx", ".jpf", ".heic", ".heif", ".hif"),
        *(".dcm", ".dicom", ".ima", ".nii"),
    )
)
INDEX = "DICOMDIR"
"""The name of a file that lists DICOM files, and is none of them."""
BEGINNING = 512
"""Bytes from which a format is recognised."""
_BEGINNINGS = (
    (rb".{128}DICM", "DICOM"),  # first, for its preamble may be the header of a TIFF
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"RIFF.{4}WEBP", "WEBP"),
    (rb"II[*+]\0(?!.{4}CR\x02)|MM\0[*+]", "TIFF"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]", "BMP"),
    (rb"GIF8[79]a", "GIF"),
    (rb"P[1-6]\s|P[fF]\s", "PPM"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG2000"),
    (rb".{4}ftypavi[fs]|.{4}ftyp(?:mif1|miaf|msf1).{4,48}avi[fs]", "AVIF"),
    (rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1|miaf)", HEIF),
    # Without a preamble, but with a meta header; with neither, in any byte order and with or without types.
    (rb"\x02\0[\0\x02\x03\x10]\0(?:UL|OB|UI)|\x08\0[\x05\x08\x16\x18]\0(?:CS|UI|[\x01-\x80]\0\0\0)", DICOM),
    (rb"\0\x08\0[\x05\x08\x16\x18](?:CS|UI)", DICOM),
)
_OTHERS = (
    (rb"\x93NUMPY", "a NumPy array", "save it as PNG or TIFF, or give arrays in Python"),
    (rb"II[*]\0.{4}CR\x02|.{4}ftypcrx |IIU\0|II(?:RO|RS)|MMOR|FUJIFILMCCD-RAW|\0MRM|FOVb", "a camera's raw file", ""),
    (rb"8BPS", "a Photoshop file", ""),
    (rb"%PDF-", "a PDF document", "export its pictures as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file", "export it as PNG"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", ""),
    (rb"\x76\x2f\x31\x01|#\?RADIANCE|#\?RGBE", "a high dynamic range picture", "save it as TIFF"),
    (rb"\0\0[\x01\x02]\0[^\0]", "an icon", ""),
    (rb"DDS |\xabKTX|icns|gimp xcf|SIMPLE  =", "a picture of a format that is not read", ""),
    (rb"\x89HDF|.{344}ni1\0|CDF[\x01\x02]", "a file of scientific data", "export its planes as PNG or TIFF"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ|.{257}ustar", "an archive", "unpack it"),
    (
        rb".{4}(?:ftyp|moov|mdat|wide)|RIFF.{4}AVI |\x1aE\xdf\xa3|OggS",
        "a video, not a picture",
        "take single frames of it",
    ),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the picture itself", "fetch it with: git lfs pull"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*)?(?:<!--.*)?<svg|.{0,200}<!DOCTYPE svg", "a drawing (SVG)", "export it as PNG"),
    (rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head)", "a web page, not a picture", "download it again"),
)
_COMPILED = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _BEGINNINGS)
_FOREIGN = tuple((re.compile(pattern, re.DOTALL), name, advice) for pattern, name, advice in _OTHERS)
_HEIF_LIBRARIES, _HEIF_PACKAGE = ("pi_heif", "pillow_heif"), "pi-heif"


def sniff(beginning: bytes) -> str | None:
    """The format, one of FORMATS, that the first BEGINNING bytes of a file are of; None where they are of none.

    Example:
        >>> sniff(b"GIF89a"), sniff(b"%PDF-1.7")
        ('GIF', None)
    """
    found = next((name for pattern, name in _COMPILED if pattern.match(beginning)), None)
    return NIFTI if found is None and begins_as_nifti(beginning) else found


def foreign(beginning: bytes) -> str:
    """What a file is that is no picture of a known format, as the rest of a sentence: "is a PDF document: ..."."""
    if not beginning:
        return "is empty (0 bytes)"
    for pattern, name, advice in _FOREIGN:
        if pattern.match(beginning):
            return f"is {name}: {advice or 'save it as PNG, TIFF or JPEG'}"
    return "cannot be decoded (not a picture of a known format)"


def format_of(stream: BinaryIO) -> str:
    """The format of a file, one of FORMATS; the stream is at its start afterwards.

    Raises UnreadableImage where it is none of them, naming what it is, or where the library that reads it is missing.
    """
    beginning = stream.read(BEGINNING)
    stream.seek(0)
    name = sniff(beginning)
    if name is None:
        raise UnreadableImage(foreign(beginning))
    if name == HEIF and not _heif_is_ready():
        raise UnreadableImage(f"is a HEIC picture, which needs a library: {pip_install(_HEIF_PACKAGE)}")
    return name


def is_picture(path: str | Path) -> bool:
    """Whether a file is called like a picture, or has no suffix and begins like one.

    A name of digits behind its last dot has no suffix, either, such as the DICOM-like "1.2.840". Never raises, and
    never waits for a pipe.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in SUFFIXES or os.fspath(path).lower().endswith(".nii.gz"):
        return True
    if os.path.basename(path) == INDEX:
        return False
    if suffix and not suffix[1:].isdigit():
        return False
    try:
        with open_regular(path) as file:
            return sniff(file.read(BEGINNING)) is not None
    except (OSError, DataError):
        return False


def opened(source: str | Path | bytes) -> BinaryIO:
    """The bytes of a picture as a stream; raises DataError for what is not a regular file, and OSError."""
    return io.BytesIO(source) if isinstance(source, bytes) else open_regular(source)


def _heif_is_ready() -> bool:
    """Register the decoder of HEIC where one of its libraries is installed; pi-heif only decodes, and is preferred."""
    if HEIF in Pillow.OPEN:
        return True
    for name in _HEIF_LIBRARIES:
        try:
            library = importlib.import_module(name)
        except ImportError:
            continue
        library.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
        return HEIF in Pillow.OPEN
    return False
