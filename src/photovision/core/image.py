"""Decoding: any picture file in, an upright RGB picture out, or UnreadableImage.

This is the only place where Photovision opens pictures, so training, prediction and serving see the same pixels.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.types import Image

# Formats are named, so that a file can never reach a decoder that runs other programs (EPS starts Ghostscript).
# They are imported above, because Pillow would else import all of its 40 at the first picture. The JPEG one also opens
# MPO, which is not registered under a name of its own.
_DECODERS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    PpmImagePlugin.PpmImageFile,
)
FORMATS = tuple(decoder.format for decoder in _DECODERS)
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm")
)
COLOUR = 1 << 24
"""Values of masks from here on are colours."""
_UNJUDGED = 0xE0E0C0
MAX_PIXELS = 250_000_000
"""Pictures with more pixels are refused from their header alone, before memory is taken (decompression bombs)."""
LARGE = 50_000_000
"""Of larger pictures at most two are decoded at once, however many threads there are: each takes gigabytes."""
_few_large = threading.BoundedSemaphore(2)

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_EXIF, _TAKEN, _DIGITISED = 0x8769, 0x9003, 0x9004

Pillow.MAX_IMAGE_PIXELS = None  # the limit above is checked here, once, with our own error


@dataclass(frozen=True)
class Header:
    """What a picture file says about itself before its pixels are decoded.

    Attributes:
        format: Pillow's name, one of FORMATS, or "MPO" (several JPEGs in one file).
        mode: Pillow's pixel mode as stored, such as "RGB", "L", "P", "CMYK" or "I;16".
        size: (H, W) in pixels of the whole upright picture.
        rotated: whether the EXIF orientation turns or mirrors the stored pixels.
        orientation: the EXIF orientation, 1 to 8 (Exif 2.32, tag 0x0112); 1 where there is none.
    """

    format: str
    mode: str
    size: tuple[int, int]
    rotated: bool
    orientation: int = 1


def read_header(content: bytes) -> Header:
    """Read the header from the bytes of a picture file; raises UnreadableImage where it is none of a known format.

    Example:
        >>> buffer = io.BytesIO(); Pillow.new("L", (4, 2)).save(buffer, "PNG"); read_header(buffer.getvalue())
        Header(format='PNG', mode='L', size=(2, 4), rotated=False, orientation=1)
    """
    try:
        with _quiet(), Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            # Asking a PNG without EXIF for its orientation would decode it whole.
            told = picture.format == "TIFF" or not {"exif", "xmp", "Raw profile type exif"}.isdisjoint(picture.info)
            orientation = picture.getexif().get(_ORIENTATION, 1) if told else 1
            # Of a TIFF Pillow gives the size upright already.
            sideways = orientation in _SIDEWAYS and picture.format != "TIFF"
            size = (width, height) if sideways else (height, width)
            turned = orientation in range(2, 9)
            return Header(str(picture.format), picture.mode, size, turned, orientation if turned else 1)
    except Exception as error:  # hostile files make decoders raise anything
        raise UnreadableImage(f"the picture: cannot be decoded ({_reason(error)})") from None


def decode(source: str | Path | bytes, least: tuple[int, int] | None = None, most: int = MAX_PIXELS) -> Pillow.Image:
    """Decode one picture, upright and in RGB.

    Transparent pictures are laid on white; 16-bit ones keep their full range scaled to 8 bits; of animated ones the
    first frame is taken. EXIF orientation (Exif 2.32, tag 0x0112) is applied.

    Args:
        source: path of a file, or the bytes of one.
        least: (H, W) of the upright picture that is enough for the caller; large JPEGs are then decoded at 1/2, 1/4
            or 1/8 in the DCT domain, never below this size, which is several times faster.
        most: pixels that the file may have; more are refused from its header alone.

    Raises:
        UnreadableImage: not a picture of a known format, truncated, damaged, or with more than `most` pixels.

    Example:
        >>> buffer = io.BytesIO(); Pillow.new("L", (4, 2)).save(buffer, "PNG")
        >>> decode(buffer.getvalue()).size
        (4, 2)
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    try:
        with _opened(source) as stream, _quiet(), Pillow.open(stream, formats=FORMATS) as picture:
            large = picture.width * picture.height > LARGE
            with _few_large if large else contextlib.nullcontext():
                return _decode(picture, least, most)
    except DataError as error:
        raise UnreadableImage(f"{name}: {str(error).removeprefix(f'{name}: ')}") from None
    except OSError as error:
        what = f"opened ({error.strerror})" if error.errno else f"decoded ({_reason(error)})"
        raise UnreadableImage(f"{name}: cannot be {what}") from None
    except MemoryError:
        raise UnreadableImage(f"{name}: not enough memory to decode it") from None
    except Exception as error:  # hostile files make decoders raise anything, from struct.error to IndexError
        raise UnreadableImage(f"{name}: cannot be decoded ({_reason(error)})") from None


def decode_values(source: Path, colours: bool = False) -> npt.NDArray[np.int32]:
    """The numbers that a picture file stores, int32 (H, W): palette indices, grey or 16-bit values.

    For masks, whose pixels are classes or objects. Nothing is turned upright. A colour is a number, too: COLOUR +
    65536 R + 256 G + B, but black and what is transparent are 0, and VOC's colour of unjudged pixels is 255. Raises
    UnreadableImage.

    Args:
        source: a PNG, TIFF, BMP or GIF file.
        colours: whether palette indices stand for the colours of their palette.
    """
    try:
        formats = ("PNG", "TIFF", "BMP", "GIF")
        with _opened(source) as stream, _quiet(), Pillow.open(stream, formats=formats) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UnreadableImage(f"{source}: has more pixels than the limit of {MAX_PIXELS:,}")
            if picture.mode in ("RGB", "RGBA") or (colours and picture.mode == "P"):
                return _packed(np.asarray(picture.convert("RGBA")))
            if picture.mode not in ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N"):
                raise UnreadableImage(
                    f"{source}: a mask should store numbers or RGB colours, this one is {picture.mode}"
                )
            return np.asarray(picture).astype(np.int32)
    except DataError as error:
        raise UnreadableImage(str(error)) from None
    except Exception as error:  # hostile files make decoders raise anything
        raise UnreadableImage(f"{source}: cannot be decoded ({_reason(error)})") from None


def _opened(source: str | Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open_regular(source)


def _packed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """The number of every colour of RGBA uint8 (H, W, 4)."""
    red, green, blue, alpha = np.moveaxis(pixels.astype(np.int32), 2, 0)
    values = (red << 16) + (green << 8) + blue
    values = np.where((values == 0) | (alpha == 0), 0, values + COLOUR)
    return np.where(values == COLOUR + _UNJUDGED, 255, values).astype(np.int32)


def captured(source: Path) -> str | None:
    """When the camera took the picture, as it wrote it ("2024:06:01 10:15:00"); None where the file does not tell.

    Exif 2.32, tags 0x9003 (original) and 0x9004 (digitised). Nothing is decoded, and nothing raised for damaged files.
    """
    try:
        with _opened(source) as stream, _quiet(), Pillow.open(stream, formats=FORMATS) as picture:
            # Asking a PNG without EXIF would decode it whole.
            if picture.format != "TIFF" and "exif" not in picture.info:
                return None
            facts = picture.getexif().get_ifd(_EXIF)
            told = facts.get(_TAKEN) or facts.get(_DIGITISED)
            return told if isinstance(told, str) else None
    except Exception:  # hostile files make decoders raise anything
        return None


def to_array(picture: Pillow.Image) -> Image:
    """The picture as uint8 RGB (H, W, 3)."""
    return np.asarray(picture, dtype=np.uint8)


class _Quietness:
    """Counts the threads that want quiet, since Python's warning filters belong to all threads together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
        self.filters = warnings.catch_warnings()


_quietness = _Quietness()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No warnings about damaged EXIF or TIFF tags: what counts is whether the pixels decode."""
    with _quietness.lock:
        if _quietness.threads == 0:
            _quietness.filters = warnings.catch_warnings()
            _quietness.filters.__enter__()
            warnings.simplefilter("ignore")
        _quietness.threads += 1
    try:
        yield
    finally:
        with _quietness.lock:
            _quietness.threads -= 1
            if _quietness.threads == 0:
                _quietness.filters.__exit__(None, None, None)


def _decode(picture: Pillow.Image, least: tuple[int, int] | None, most: int) -> Pillow.Image:
    width, height = picture.size
    if width * height > most:
        raise UnreadableImage(f"has {width} x {height} pixels, more than the limit of {most:,}")
    orientation = picture.getexif().get(_ORIENTATION, 1)
    if least is not None and picture.format == "JPEG":
        rows, columns = least
        picture.draft(None, (rows, columns) if orientation in _SIDEWAYS else (columns, rows))
    picture.load()
    upright = ImageOps.exif_transpose(picture) if orientation in range(2, 9) else picture
    return _to_rgb(upright)


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return Pillow.fromarray(_to_8_bits(np.asarray(picture))).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        white = Pillow.new("RGBA", layered.size, (255, 255, 255, 255))
        return Pillow.alpha_composite(white, layered).convert("RGB")
    return picture.convert("RGB")


def _to_8_bits(values: np.ndarray) -> Image:
    """16-bit and 32-bit integers are read as 0 to 65535, floating point as 0 to 1 (or 0 to 255 where larger)."""
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values)
        values = np.clip(finite * (255 if finite.max() <= 1 else 1), 0, 255)
        return np.asarray(values, dtype=np.uint8)
    return (np.clip(values.astype(np.int64), 0, 65535) >> 8).astype(np.uint8)


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    if not text or "cannot identify image file" in text[0]:
        return "not a picture of a known format" if text else type(error).__name__
    return text[0][:200]
