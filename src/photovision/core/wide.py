"""Wide pictures: those with more than 8 bits a sample, or with bands that Pillow has no mode for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core import png, tiff
from photovision.core.dicom import DicomPicture, open_dicom
from photovision.core.errors import UnreadableImage
from photovision.core.nifti import NiftiPicture, open_nifti
from photovision.core.orientation import orientation_of
from photovision.core.pnm import pnm_blocks, pnm_header
from photovision.core.value_range import (
    Gauge,
    ValueRange,
    ValueRanges,
    Values,
    by_type,
    kind_of,
    range_for,
    to_8_bits,
)

WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Pillow's modes of more than 8 bits."""
_ROWS = 1 << 20
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_PILLOW = {"uint8": "L", "uint16": "I;16", "int32": "I", "float32": "F"}
_PROFILE = 34675


class Block(NamedTuple):
    """A part of a picture: where it begins, which band it holds (None: all), its values, (h, w, bands)."""

    top: int
    left: int
    band: int | None
    values: npt.NDArray[Any]


@dataclass(frozen=True)
class Wide:
    """A wide picture that was opened and not yet decoded.

    Attributes:
        size: (H, W) as stored.
        bands: that are kept: 1, 3, or 4 with opacity as the last.
        numbers: the number type of the values.
        mode: the number type and the bands in the file, such as "uint16 x 3".
        declared: the range that the file declares.
        orientation: 1 to 8.
        profile: its colour profile (ICC).
        no_data: the value that marks pixels without data.
        inverted: whether low values are bright, as in some X-rays.
        blocks: decodes it, block by block.
        notes: what was left out, in sentences.
    """

    size: tuple[int, int]
    bands: int
    numbers: np.dtype[Any]
    mode: str
    blocks: Callable[[], Iterator[Block]]
    declared: ValueRange | None = None
    orientation: int = 1
    profile: bytes | None = None
    no_data: float | None = None
    premultiplied: bool = False
    inverted: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def deep(self) -> bool:
        """Whether its values have more than 8 bits, so that the range of the data set applies."""
        return self.numbers.itemsize > 1

    def picture(self, ranges: ValueRanges) -> Pillow.Image:
        """Decode to 8 bits by the range of the data set, else of the file: "L", "RGB" or "RGBA", as stored."""
        shown = range_for(self.numbers, self.declared, ranges if self.deep else ())
        whole = np.zeros((*self.size, self.bands), np.uint8)
        for top, left, band, values in self.blocks():
            if self.no_data is not None and self.numbers.kind == "f":
                values = np.where(values == self.no_data, np.nan, values)
            part = whole[top : top + values.shape[0], left : left + values.shape[1]]
            scaled = to_8_bits(values, shown)
            if self.inverted:
                np.subtract(255, scaled, out=scaled, where=np.logical_not(np.isnan(values)))
            if self.bands == 4 and band in (None, 3):
                scaled[..., -1] = to_8_bits(values[..., -1], by_type(self.numbers))
            if band is None:
                part[...] = scaled
            else:
                part[..., band] = scaled[..., 0]
        if self.bands == 1:
            return Pillow.fromarray(whole[..., 0])
        mode = "RGBa" if self.premultiplied else _MODES[self.bands]
        return Pillow.frombuffer(mode, self.size[::-1], whole, "raw", mode, 0, 1)

    def measured(self) -> Values | None:
        """The kind, the lowest and the highest of its values, opacity left out; None where none is a number."""
        gauge = Gauge(self.numbers, self.size[0] * self.size[1], self.no_data)
        for _, _, band, values in self.blocks():
            if band is None:
                gauge.add(values[..., : min(self.bands, 3)])
            elif band < 3:
                gauge.add(values)
        return gauge.values()


WideImage = Wide | DicomPicture | NiftiPicture
"""What `open_wide` opens: all have a size, a mode, notes, a profile and an orientation, are measured and decoded."""


def open_wide(stream: BinaryIO, name: str) -> WideImage | None:
    """Open a picture of a format if it is wide; None where Pillow's own modes of 8 bits hold all of it.

    The stream is at its start afterwards. Raises UnreadableImage, and what parsers raise.
    """
    try:
        return _OPENERS[name](stream) if name in _OPENERS else None
    finally:
        stream.seek(0)


def _mode(numbers: np.dtype[Any], bands: int) -> str:
    return f"{numbers} x {bands}" if bands > 1 else _PILLOW.get(str(numbers), str(numbers))


def _png(stream: BinaryIO) -> Wide | None:
    colour = png.deep(stream)
    if colour is None:
        return None
    with Pillow.open(stream, formats=("PNG",)) as picture:
        orientation, profile = orientation_of(picture, stream), picture.info.get("icc_profile")
        size, clear = (picture.height, picture.width), picture.info.get("transparency")
    bands = {png.GREY: 1, png.GREY_ALPHA: 2, png.RGB: 3, png.RGBA: 4}[colour]

    def blocks() -> Iterator[Block]:
        if colour == png.GREY:
            stream.seek(0)
            for top, left, band, values in _bands_of(Pillow.open(stream, formats=("PNG",))):
                yield Block(top, left, band, values if clear is None else _with_opacity(values, clear))
            return
        for top, left, values in png.deep_blocks(stream, colour):
            if bands == 2:  # grey three times and opacity
                values = values[..., [0, 0, 0, 1]]
            elif clear is not None:
                values = _with_opacity(values, clear)
            yield Block(top, left, None, values)

    kept = bands if bands in (1, 3) and clear is None else 4
    numbers = np.dtype(np.uint16)
    return Wide(size, kept, numbers, _mode(numbers, bands), blocks, None, orientation, profile)


def _with_opacity(values: npt.NDArray[Any], clear: int | tuple[int, ...]) -> npt.NDArray[Any]:
    """Grey or RGB values of 16 bits as RGB with opacity, of which one colour has none."""
    opaque = np.where((values == np.asarray(clear)).all(axis=2, keepdims=True), 0, 65535).astype(values.dtype)
    return np.concatenate([*(3 // values.shape[2] * [values]), opaque], axis=2)


def _tiff(stream: BinaryIO) -> Wide | None:
    tags = tiff.Tags(stream)
    found = tiff.layout(tags)
    if not found.wide:
        plain = _by_pillow(stream, "TIFF", tags.number(tiff.BITS, 8)) if found.bits > 8 else None
        return None if plain is None else replace(plain, inverted=found.colours == 0)
    numbers = np.dtype(f"{found.kind}{found.bits // 8}")
    kept = tiff.kept(tags, found.bands)
    limits = tiff.declared_range(tags)
    profile = tags.text(_PROFILE) or None
    left_out = found.bands - kept
    notes = (f"has {found.bands} bands, of which the first {kept} {'is' if kept == 1 else 'are'} shown",)

    def blocks() -> Iterator[Block]:
        for block in tiff.blocks(tags, found, kept):
            yield Block(*block)

    return Wide(
        found.size,
        kept,
        numbers,
        _mode(numbers, found.bands),
        blocks,
        ValueRange(kind_of(numbers), *limits) if limits else None,
        tiff.orientation(tags),
        profile,
        tiff.no_data(tags),
        kept == 4 and tags.number(tiff.EXTRA, 0) == 1,
        found.colours == 0,
        notes if left_out else (),
    )


def _by_pillow(stream: BinaryIO, name: str, bits: int = 16) -> Wide | None:
    """A picture of one band that Pillow opens in a mode of more than 8 bits."""
    stream.seek(0)
    with Pillow.open(stream, formats=(name,)) as picture:
        mode, size, profile = picture.mode, (picture.height, picture.width), picture.info.get("icc_profile")
        if mode not in WIDE_MODES:
            return None
        orientation = orientation_of(picture, stream)
        if name == "TIFF":  # Pillow gives its size upright, and turns it itself
            orientation = 1
    numbers = np.dtype({"F": np.float32, "I": np.int32}.get(mode, np.uint16))
    declared = ValueRange("unsigned", 0, 2**bits - 1) if numbers == np.uint16 and 8 < bits < 16 else None

    def blocks() -> Iterator[Block]:
        stream.seek(0)
        yield from _bands_of(Pillow.open(stream, formats=(name,)))

    return Wide(size, 1, numbers, mode, blocks, declared, orientation, profile)


def _bands_of(picture: Pillow.Image) -> Iterator[Block]:
    """A picture of one band in bands of rows, so that it is held once."""
    width, height = picture.size
    picture.load()
    rows = max(1, _ROWS // width)
    for top in range(0, height, rows):
        values = np.asarray(picture.crop((0, top, width, min(height, top + rows))))
        yield Block(top, 0, None, values[..., None])


def _pnm(stream: BinaryIO) -> Wide | None:
    head = pnm_header(stream)
    if head.kind == "PF":
        raise UnreadableImage("is a PFM picture in colour: save it as PNG or TIFF")
    if head.kind == "Pf":
        return _by_pillow(stream, "PPM")
    if head.plain or head.most == 255:
        return None
    numbers = np.dtype(np.uint8 if head.most < 256 else np.uint16)

    def blocks() -> Iterator[Block]:
        for top, values in pnm_blocks(stream, head):
            yield Block(top, 0, None, values)

    declared = ValueRange("unsigned", 0, head.most)
    return Wide(head.size, head.bands, numbers, _mode(numbers, head.bands), blocks, declared)


def _jpeg2000(stream: BinaryIO) -> Wide | None:
    return _by_pillow(stream, "JPEG2000")


_OPENERS: dict[str, Callable[[BinaryIO], WideImage | None]] = {
    "PNG": _png,
    "TIFF": _tiff,
    "PPM": _pnm,
    "JPEG2000": _jpeg2000,
    "DICOM": open_dicom,
    "NIfTI": open_nifti,
}
