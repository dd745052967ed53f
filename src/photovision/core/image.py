"""Decoding: any picture file in, an upright sRGB picture out, or UnreadableImage.

This is the only place where Photovision opens pictures, so training, prediction and serving see the same pixels. Where
there is a model, `Preprocess.decode` is the way here, because it knows the range of values that the model learned from.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core import iso_boxes
from photovision.core.budget import MemoryBudget
from photovision.core.colour import to_srgb
from photovision.core.dicom import dicom_capture, dicom_pixel_area
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image_cost import DecodeCost, cost_of
from photovision.core.image_formats import DICOM, FORMATS, SUFFIXES, format_of, opened
from photovision.core.orientation import SIDEWAYS, TAG, orientation_of, upright
from photovision.core.quiet import quiet
from photovision.core.system import cores
from photovision.core.types import Image, Sample
from photovision.core.value_range import ValueRanges, Values
from photovision.core.wide import WIDE_MODES, open_wide

__all__ = ["FORMATS", "SUFFIXES"]
COLOUR = 1 << 24
"""Values of masks from here on are colours."""
_UNJUDGED = 0xE0E0C0
MAX_PIXELS = 250_000_000
"""Pictures with more pixels are refused from their header alone, before memory is taken (decompression bombs)."""
_SMALL = 1 << 26
"""Bytes that a picture may take without waiting for others: 16 megapixels in RGB."""
MAX_MEMORY = max(1 << 30, 2 * _SMALL * cores())
"""Bytes that all decoding together may take, however many threads there are; one larger picture is decoded alone."""
_LARGE = 50_000_000
"""Pixels of pictures that are shrunk by whole numbers before they become RGB, where less is enough."""
_BAND = 1 << 20
_EXIF, _TAKEN, _DIGITISED = 0x8769, 0x9003, 0x9004
_MAKE, _MODEL, _SERIAL = 0x010F, 0x0110, 0xA431

Pillow.MAX_IMAGE_PIXELS = None  # the limit above is checked here, once, with our own error


@dataclass(frozen=True)
class Header:
    """What a picture file says about itself before its pixels are decoded.

    Attributes:
        format: one of FORMATS, or "MPO" (several JPEGs in one file).
        mode: Pillow's pixel mode as stored, such as "RGB", "L", "P", "CMYK" or "I;16"; of pictures that Pillow has no
            mode for, the number type and the bands, such as "float32 x 3".
        size: (H, W) in pixels of the whole upright picture.
        rotated: whether the orientation turns or mirrors the stored pixels.
        orientation: 1 to 8 (Exif 2.32, tag 0x0112); 1 where there is none.
        wide: whether its values have more than 8 bits, so that a range decides what is black and what is white.
    """

    format: str
    mode: str
    size: tuple[int, int]
    rotated: bool
    orientation: int = 1
    wide: bool = False


def read_header(content: bytes) -> Header:
    """Read the header from the bytes of a picture file; raises UnreadableImage where it is none of a known format.

    Example:
        >>> import io
        >>> buffer = io.BytesIO(); Pillow.new("L", (4, 2)).save(buffer, "PNG"); read_header(buffer.getvalue())
        Header(format='PNG', mode='L', size=(2, 4), rotated=False, orientation=1, wide=False)
    """
    with _named("the picture"), opened(content) as stream:
        name = cost_of(stream).format
        if (wide := open_wide(stream, name)) is not None:
            orientation, (height, width), mode = wide.orientation, wide.size, wide.mode
            kind, upright_already = name, False
        else:
            with quiet, Pillow.open(stream, formats=(name,)) as picture:
                orientation = orientation_of(picture, stream)
                (width, height), mode, kind = picture.size, picture.mode, str(picture.format)
                # Of a TIFF Pillow gives the size upright already, where its own tag says so.
                upright_already = kind == "TIFF" and picture.tag_v2.get(TAG) in SIDEWAYS  # type: ignore[attr-defined]
        sideways = orientation in SIDEWAYS and not upright_already
        size = (width, height) if sideways else (height, width)
        return Header(kind, mode, size, orientation > 1, orientation, wide is not None and wide.deep)


def decode(
    source: str | Path | bytes,
    least: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    ranges: ValueRanges = (),
    cost: DecodeCost | None = None,
) -> Pillow.Image:
    """Decode one picture, upright and in sRGB.

    Transparent pictures are laid on white; colour profiles are converted to sRGB; of animated ones the first frame is
    taken, of more than four bands the first three. Orientation (Exif 2.32, tag 0x0112, or XMP) is applied. Values of
    more than 8 bits become 8 by `ranges`, or by what the file says of itself: see `core.value_range`.

    Args:
        source: path of a file, or the bytes of one.
        least: (H, W) of the upright picture that is enough for the caller; large JPEGs are then decoded at 1/2, 1/4
            or 1/8 in the DCT domain, never below this size, which is several times faster.
        max_pixels: pixels that the file may have; more are refused from its header alone.
        ranges: what is black and what is white in pictures of more than 8 bits, once for a whole data set.
        cost: the result of `image_cost.estimate_cost`, where that is known already.

    Returns:
        a picture of mode "RGB"; its `info["notes"]` is a tuple of sentences about what could not be obeyed.

    Raises:
        UnreadableImage: not a picture of a known format, truncated, damaged, or with more than `max_pixels` pixels.

    Example:
        >>> import io
        >>> buffer = io.BytesIO(); Pillow.new("L", (4, 2)).save(buffer, "PNG")
        >>> decode(buffer.getvalue()).size
        (4, 2)
    """
    try:  # not _named: this runs for every picture, small ones too
        with opened(source) as stream:
            cost = _affordable(cost or cost_of(stream), max_pixels)
            with _memory.taken(cost.bytes_for(least)) if cost.bytes > _SMALL else _NOTHING, quiet:
                if (wide := open_wide(stream, cost.format)) is not None:
                    picture = upright(wide.picture(ranges), wide.orientation)
                    return _finished(picture, wide.profile, least, wide.notes)
                with Pillow.open(stream, formats=(cost.format,)) as picture:
                    return _decode(picture, stream, cost, least)
    except Exception as error:
        raise _unreadable(error, source) from None


def open_sample(sample: Sample, least: tuple[int, int] | None = None) -> Pillow.Image:
    """The upright RGB picture of a sample where there is no model: pixels as they are, files by the sample's ranges.

    Raises UnreadableImage.
    """
    if isinstance(sample.image, np.ndarray):
        return Pillow.fromarray(sample.image)
    return decode(sample.image, least, ranges=sample.ranges)


def measure(source: str | Path | bytes) -> Values | None:
    """The smallest and the largest value of a picture of more than 8 bits; None for others. Raises UnreadableImage."""
    with _named(source), opened(source) as stream:
        cost = _affordable(cost_of(stream), MAX_PIXELS)
        with _memory.taken(cost.bytes), quiet:
            wide = open_wide(stream, cost.format)
            return wide.measured() if wide is not None and wide.deep else None


def decode_values(source: Path, colours: bool = False) -> npt.NDArray[np.int32]:
    """The numbers that a picture file stores, int32 (H, W): palette indices, grey or 16-bit values.

    For masks, whose pixels are classes or objects. Nothing is turned upright. A colour is a number, too: COLOUR +
    65536 R + 256 G + B, but black and what is transparent are 0, and VOC's colour of unjudged pixels is 255. Raises
    UnreadableImage.

    Args:
        source: a PNG, TIFF, BMP or GIF file.
        colours: whether palette indices stand for the colours of their palette.
    """
    with _named(source), opened(source) as stream:
        cost = _affordable(cost_of(stream), MAX_PIXELS)
        if cost.format not in ("PNG", "TIFF", "BMP", "GIF"):
            raise UnreadableImage(f"a mask should be a PNG, TIFF, BMP or GIF file, this one is {cost.format}")
        with _memory.taken(cost.bytes), quiet, Pillow.open(stream, formats=(cost.format,)) as picture:
            if picture.mode in ("RGB", "RGBA") or (colours and picture.mode == "P"):
                return _packed(np.asarray(picture.convert("RGBA")))
            if picture.mode not in ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N"):
                raise UnreadableImage(f"a mask should store numbers or RGB colours, this one is {picture.mode}")
            return np.asarray(picture).astype(np.int32)


def _packed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """The number of every colour of RGBA uint8 (H, W, 4)."""
    red, green, blue, alpha = np.moveaxis(pixels.astype(np.int32), 2, 0)
    values = (red << 16) + (green << 8) + blue
    values = np.where((values == 0) | (alpha == 0), 0, values + COLOUR)
    return np.where(values == COLOUR + _UNJUDGED, 255, values).astype(np.int32)


class Capture(NamedTuple):
    """How a picture was taken, as its file says.

    Attributes:
        time: as the camera wrote it ("2024:06:01 10:15:00"); None where the file does not say.
        camera: make, model and serial number; "" where none is known.
    """

    time: str | None = None
    camera: str = ""


def captured(source: Path | bytes) -> Capture:
    """When and by which camera a picture was taken.

    Exif 2.32, tags 0x9003 (original) or 0x9004 (digitised), 0x010F, 0x0110 and 0xA431. Nothing is decoded, and nothing
    raised for damaged files.
    """
    try:
        with opened(source) as stream:
            name = format_of(stream)
            if name == DICOM:
                return Capture(*dicom_capture(stream))
            with quiet, Pillow.open(stream, formats=(name,)) as picture:
                # Asking a PNG without EXIF would decode it whole.
                if picture.format != "TIFF" and "exif" not in picture.info:
                    return Capture()
                exif = picture.getexif()
                facts = exif.get_ifd(_EXIF)
                taken = facts.get(_TAKEN) or facts.get(_DIGITISED)
                camera = " ".join(str(part) for part in (exif.get(_MAKE), exif.get(_MODEL), facts.get(_SERIAL)) if part)
                return Capture(taken if isinstance(taken, str) else None, camera)
    except Exception:  # hostile files make decoders raise anything
        return Capture()


def pixel_area(source: object) -> float | None:
    """What a pixel of a picture covers in mm2, where its file states physical spacing, as DICOM does; else None.

    Nothing is decoded, and nothing raised for damaged files.
    """
    if not isinstance(source, str | Path | bytes):
        return None
    try:
        with opened(source) as stream:
            return dicom_pixel_area(stream) if format_of(stream) == DICOM else None
    except Exception:  # hostile files make pydicom raise anything
        return None


def from_pillow(picture: Pillow.Image, name: str = "the picture") -> Image | bytes:
    """The pixels of an opened picture as `decode` gives them, uint8 RGB (H, W, 3); raises UnreadableImage.

    Of more than 8 bits it is the content of a file: what is black and white in it depends on the model.
    """
    if picture.width * picture.height > MAX_PIXELS:
        raise UnreadableImage(f"{name}: has more pixels than the limit of {MAX_PIXELS:,}")
    try:
        with quiet:
            own = picture.copy()  # it is the caller's; a TIFF is turned by being read
            turned = own if picture.format == "TIFF" else upright(own, orientation_of(picture, io.BytesIO()))
            if picture.mode in WIDE_MODES:
                file = io.BytesIO()
                turned.save(file, "TIFF")
                return file.getvalue()
            return to_array(_finished(turned, picture.info.get("icc_profile"), None))
    except MemoryError:
        raise UnreadableImage(f"{name}: not enough memory to decode it") from None
    except Exception as error:  # of a file that was opened, but not yet read
        raise UnreadableImage(f"{name}: cannot be decoded ({_reason(error)})") from None


def to_array(picture: Pillow.Image) -> Image:
    """The picture as uint8 RGB (H, W, 3)."""
    return np.asarray(picture, dtype=np.uint8)


@contextlib.contextmanager
def _named(source: str | Path | bytes) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _unreadable(error, source) from None


def _unreadable(error: Exception, source: str | Path | bytes) -> UnreadableImage:
    """Whatever a decoder raised as one line that begins with the name of the file."""
    name = "the picture" if isinstance(source, bytes) else str(source)
    if isinstance(error, DataError):
        return UnreadableImage(f"{name}: {str(error).removeprefix(f'{name}: ')}")
    if isinstance(error, MemoryError):
        return UnreadableImage(f"{name}: not enough memory to decode it")
    if isinstance(error, OSError) and error.errno:
        return UnreadableImage(f"{name}: cannot be opened ({error.strerror})")
    # Hostile files make decoders raise anything, from struct.error to IndexError.
    return UnreadableImage(f"{name}: cannot be decoded ({_reason(error)})")


_memory = MemoryBudget(MAX_MEMORY, _SMALL)
_NOTHING = contextlib.nullcontext()


def _affordable(cost: DecodeCost, max_pixels: int) -> DecodeCost:
    if cost.pixels > max_pixels:
        height, width = cost.size
        raise UnreadableImage(f"has {width} x {height} pixels, more than the limit of {max_pixels:,}")
    return cost


def _decode(picture: Pillow.Image, stream: BinaryIO, cost: DecodeCost, least: tuple[int, int] | None) -> Pillow.Image:
    """Decode a picture of 8 bits that was opened."""
    if picture.width * picture.height > cost.pixels:
        raise UnreadableImage("cannot be decoded: its header contradicts itself about its size")
    orientation = orientation_of(picture, stream)
    profile = iso_boxes.profile(stream) if picture.format == "JPEG2000" else picture.info.get("icc_profile")
    if least is not None and picture.format == "JPEG":
        rows, columns = least
        picture.draft(None, (rows, columns) if orientation in SIDEWAYS else (columns, rows))
    picture.load()
    # A TIFF is turned by Pillow itself.
    turned = picture if picture.format == "TIFF" else upright(picture, orientation)
    return _finished(turned, profile, least)


def _finished(
    picture: Pillow.Image, profile: bytes | None, least: tuple[int, int] | None, notes: tuple[str, ...] = ()
) -> Pillow.Image:
    """An upright picture of any mode of 8 bits as sRGB."""
    if least is not None and picture.width * picture.height > _LARGE:
        picture = _shrunk(picture, least)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = _on_white(picture)
    elif picture.mode not in ("RGB", "L", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    picture, note = to_srgb(picture, profile if isinstance(profile, bytes) and profile else None)
    picture.info = {"notes": (*notes, note) if note else notes}
    return picture


def _shrunk(picture: Pillow.Image, least: tuple[int, int]) -> Pillow.Image:
    """A large picture made smaller by a whole number, not below `least`, before more copies of it are made."""
    factor = min(picture.height // max(1, least[0]), picture.width // max(1, least[1]))
    if factor < 2 or picture.mode not in ("L", "RGB", "RGBA", "CMYK"):
        return picture
    return picture.reduce(factor)


def _on_white(picture: Pillow.Image) -> Pillow.Image:
    """Lay a transparent picture on white, in bands of rows, so that only it and the outcome are held whole."""
    width, height = picture.size
    whole = Pillow.new("RGB", picture.size)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        band = picture.crop((0, top, width, min(height, top + rows))).convert("RGBA")
        white = Pillow.new("RGBA", band.size, (255, 255, 255, 255))
        whole.paste(Pillow.alpha_composite(white, band).convert("RGB"), (0, top))
    return whole


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    if text and "cannot identify image file" in text[0]:
        return "its header is damaged"
    return text[0][:200] if text else type(error).__name__
