"""Pictures of DICOM files: rescaled, windowed and inverted by one rule, see `core.windows`.

PS3.3, C.7.6.3 (pixels), C.11.1 (modality), C.11.2 (VOI): slopes of either sign, tables in place of slopes and windows,
8 to 32 bits, signed or not, either byte order, palettes, YBR, padding, and all that pydicom's decoders decompress.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core.dicom_file import (
    NATIVE,
    extent,
    frames_of,
    library,
    of_frame,
    read_header,
    syntax_of,
    with_pixels,
)
from photovision.core.errors import UnreadableImage
from photovision.core.value_range import Gauge, ValueRange, ValueRanges, Values, kind_of, windows_in
from photovision.core.windows import Grey, by_range, by_window, looked_up, to_grey

Way = Callable[[npt.NDArray[Any]], Grey]
_HOUNSFIELD = ("HU", "US", "")  # "unspecified" is what many CT scanners write
_GREY = ("MONOCHROME1", "MONOCHROME2")
_NATIVE_SECONDS, _PACKED_SECONDS = 5e-9, 60e-9
_LOSSLESS_JPEG, _APART = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"), 0.1
"""Transfer syntaxes that only a decoder in C++ for all of DICOM reads: a service does it in a process of its own."""


@dataclass(frozen=True)
class DicomPicture:
    """One frame of a DICOM file that was opened.

    Attributes:
        header: of that frame, with its pixels as they are stored.
        size: (H, W).
        notes: what was left out, in sentences.
        orientation, profile: as of other pictures; frames lie as they are stored, and have no profile.
    """

    header: Any
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    orientation: int = field(default=1, init=False)
    profile: bytes | None = field(default=None, init=False)

    @property
    def mode(self) -> str:
        """The photometric interpretation and the bits that are stored, such as "MONOCHROME2, 12 bits"."""
        return f"{self.photometric}, {int(self.header.get('BitsStored') or self.header.BitsAllocated)} bits"

    @property
    def photometric(self) -> str:
        """How values become colours."""
        return str(self.header.get("PhotometricInterpretation") or "MONOCHROME2")

    @property
    def grey(self) -> bool:
        """Whether it has one value a pixel, which a window shows."""
        return self.photometric in _GREY and int(self.header.get("SamplesPerPixel") or 1) == 1

    @property
    def deep(self) -> bool:
        """Whether the range of the data set says what is black and white, as the file does not."""
        eight_bits = int(self.header.get("BitsStored") or self.header.BitsAllocated) <= 8
        return self.grey and self._voi() is None and not (eight_bits and self._plain)

    def stored(self) -> npt.NDArray[Any]:
        """The values as stored, (H, W) or (H, W, 3); YBR as RGB."""
        try:
            pixels = library("pydicom.pixels").pixel_array(self.header)
        except RuntimeError as error:  # a line from each decoder
            reason = str(error).strip().splitlines()[-1].strip()[:160]
            name = self.header.file_meta.TransferSyntaxUID.name
            raise UnreadableImage(f"is compressed as {name}, which the decoders cannot read ({reason})") from None
        if pixels.shape[:2] != self.size:
            raise UnreadableImage(f"has pixels of the shape {pixels.shape}, but {self.size} in its header")
        return np.asarray(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))

    def picture(self, ranges: ValueRanges) -> Pillow.Image:
        """Decode to 8 bits, "L" or "RGB"; raises UnreadableImage."""
        named = windows_in(ranges)
        if not self.grey:
            if named:
                raise UnreadableImage("is a picture in colour, which a window in Hounsfield units does not show")
            return self._coloured()
        pixels = self.stored()
        ways = [self._named(one) for one in named] or [self._way(ranges)]
        inverted = self.photometric == "MONOCHROME1"
        table = self._every(pixels)
        if table is None:
            shown = to_grey(self.rescaled(pixels), ways, inverted)
        else:
            first = int(table[0])
            shown = np.take(to_grey(self.rescaled(table), ways, inverted), pixels.astype(np.int64) - first, axis=0)
        shown[self._padding(pixels)] = 0
        return Pillow.fromarray(shown[..., 0] if len(ways) == 1 else np.ascontiguousarray(shown))

    def measured(self) -> Values | None:
        """The lowest and the highest value that count, in their unit; None where there are none."""
        pixels = self.stored()
        values = self.rescaled(pixels)[~self._padding(pixels)]
        gauge = Gauge(self._numbers, max(1, values.size))
        gauge.add(values.astype(self._numbers))
        return gauge.values()

    def values(self) -> npt.NDArray[np.float64]:
        """Its values in their unit, (H, W); pixels of padding have the lowest of the others. Raises UnreadableImage."""
        if not self.grey:
            raise UnreadableImage(f"is a picture in colour ({self.photometric}), which has no values in a unit")
        pixels = self.stored()
        values, padding = self.rescaled(pixels), self._padding(pixels)
        if padding.any() and not padding.all():
            values[padding] = values[~padding].min()
        return values

    def rescaled(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Stored values in their unit, such as Hounsfield units (PS3.3, C.11.1)."""
        tables = self.header.get("ModalityLUTSequence")
        if tables:
            return looked_up(pixels, *_table(tables[0])[:2]).astype(np.float64)
        return pixels.astype(np.float64) * self._slope + self._intercept

    @property
    def _slope(self) -> float:
        return float(_number(self.header.get("RescaleSlope"), 1.0))

    @property
    def _intercept(self) -> float:
        return float(_number(self.header.get("RescaleIntercept"), 0.0))

    @property
    def _plain(self) -> bool:
        """Whether stored values are used as they are."""
        return not self.header.get("ModalityLUTSequence") and (self._slope, self._intercept) == (1, 0)

    @cached_property
    def _numbers(self) -> np.dtype[Any]:
        """The kind of number of rescaled values."""
        low, high = self._limits
        whole = bool(self.header.get("ModalityLUTSequence")) or (self._slope % 1 == 0 and self._intercept % 1 == 0)
        if not whole or "PixelData" not in self.header:
            return np.dtype(np.float32)
        if low >= 0:
            return np.dtype(np.uint16 if high < 65536 else np.uint32)
        return np.dtype(np.int32)

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """The lowest and the highest value that the stored bits can have, rescaled."""
        if "PixelData" not in self.header:
            return 0.0, 1.0
        bits = int(self.header.get("BitsStored") or self.header.BitsAllocated)
        signed = int(self.header.get("PixelRepresentation") or 0) == 1
        ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        values = self.rescaled(np.array(ends))
        return float(values.min()), float(values.max())

    def _every(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Every value from the lowest to the highest, where they are fewer than the pixels."""
        if pixels.dtype.kind == "f" or not pixels.size:
            return None
        low, high = int(pixels.min()), int(pixels.max())
        return np.arange(low, high + 1) if high - low < pixels.size else None

    def _padding(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which pixels are outside of what was scanned; these are black (PS3.3, C.7.5.1.1.2)."""
        one, other = self.header.get("PixelPaddingValue"), self.header.get("PixelPaddingRangeLimit")
        if one in (None, ""):
            return np.zeros(pixels.shape[:2], bool)
        ends = sorted((int(one), int(one if other in (None, "") else other)))
        return np.asarray((pixels >= ends[0]) & (pixels <= ends[1]))

    def _named(self, shown: ValueRange) -> Way:
        unit = str(self.header.get("RescaleType") or "")
        if self.header.get("Modality") != "CT" or unit not in _HOUNSFIELD:
            kind = str(self.header.get("Modality") or "no modality")[:16]
            raise UnreadableImage(f"has no Hounsfield units ({kind}), which the window is in: leave it out")
        return partial(by_range, shown=shown)

    def _way(self, ranges: ValueRanges) -> Way:
        """How its values become grey where no window was named."""
        if (own := self._voi()) is not None:
            return own
        kind = kind_of(self._numbers)
        fitting = [one for one in ranges if one.kind == kind] if self.deep else []
        low, high = self._limits
        return partial(by_range, shown=fitting[0] if fitting else ValueRange(kind, low, max(high, low + 1)))

    def _voi(self) -> Way | None:
        """The window or the table in the file, the first where there are several."""
        tables = self.header.get("VOILUTSequence")
        if tables:
            first, table, bits = _table(tables[0])
            return lambda values: looked_up(values, first, table) / (2.0**bits - 1)
        centre, width = (_number(self.header.get(name), None) for name in ("WindowCenter", "WindowWidth"))
        if centre is None or width is None or width <= 0:
            return None
        function = str(self.header.get("VOILUTFunction") or "LINEAR")
        return partial(by_window, centre=centre, width=width, function="LINEAR_EXACT" if width < 1 else function)

    def _coloured(self) -> Pillow.Image:
        pixels = self.stored()
        bits = int(self.header.get("BitsStored") or 8)
        if self.photometric == "PALETTE COLOR":
            pixels = library("pydicom.pixels").apply_color_lut(pixels, self.header)
            bits = 8 * pixels.dtype.itemsize
        if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
            raise UnreadableImage(
                f"has {self.photometric} pixels of the shape {pixels.shape}, which are not understood"
            )
        if bits > 8:
            pixels = np.floor(pixels[..., :3] * (255 / (2.0**bits - 1)) + 0.5).astype(np.uint8)
        return Pillow.fromarray(np.ascontiguousarray(pixels[..., :3].astype(np.uint8)))


def open_dicom(stream: BinaryIO) -> DicomPicture:
    """The middle frame of a DICOM file, opened and not yet decoded; raises UnreadableImage, and what pydicom does."""
    header, at_pixels = read_header(stream)
    frames = frames_of(header)
    frame = frames // 2
    notes = (f"has {frames} frames, of which number {frame + 1} is shown",) if frames > 1 else ()
    return DicomPicture(with_pixels(header, at_pixels, frame), extent(header), notes)


def dicom_capture(stream: BinaryIO) -> tuple[str | None, str]:
    """When a picture was taken, as "2024:06:01 10:15:00" (None where unknown), and by which device ("")."""
    header, _ = read_header(stream)
    names = ("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"), ("StudyDate", "StudyTime")
    given = ((str(header.get(date) or ""), str(header.get(time) or "")) for date, time in names)
    date, time = next((pair for pair in given if len(pair[0]) == 8 and len(pair[1]) >= 6), ("", ""))
    device = " ".join(
        str(header[name].value)
        for name in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber")
        if header.get(name)
    )
    if not date:
        return None, device
    return f"{date[:4]}:{date[4:6]}:{date[6:]} {time[:2]}:{time[2:4]}:{time[4:6]}", device


def dicom_pixel_area(stream: BinaryIO) -> float | None:
    """What a pixel covers in mm2 (PixelSpacing, else ImagerPixelSpacing); None where the file does not say."""
    header, _ = read_header(stream)
    first = of_frame(header, 0)
    rows, columns = (float(part) for part in first.get("PixelSpacing") or first.get("ImagerPixelSpacing") or (0, 0))
    return rows * columns if 0 < rows < np.inf and 0 < columns < np.inf else None


def dicom_cost(stream: BinaryIO) -> tuple[int, int, float, float]:
    """H, W, bytes a pixel and seconds that a frame of a DICOM file will take; raises UnreadableImage."""
    header, _ = read_header(stream)
    height, width = extent(header)
    frames_of(header)
    samples, bits = int(header.get("SamplesPerPixel") or 1), int(header.get("BitsAllocated") or 8)
    if not 1 <= samples <= 4 or bits not in (1, 8, 16, 32, 64):
        raise UnreadableImage(f"has {samples} values a pixel of {bits} bits, which are not understood")
    syntax = syntax_of(header)
    seconds = height * width * samples * (_NATIVE_SECONDS if syntax in NATIVE else _PACKED_SECONDS)
    return (
        height,
        width,
        samples * (2 * max(1, bits // 8) + 16.0),
        max(seconds, _APART) if syntax in _LOSSLESS_JPEG else seconds,
    )


def _number(value: Any, otherwise: Any) -> Any:
    """The first number of a tag, which may be empty or hold several."""
    if value is None or value == "":
        return otherwise
    many = not isinstance(value, str) and hasattr(value, "__len__")
    return otherwise if many and not len(value) else float(value[0] if many else value)


def _table(item: Any) -> tuple[int, npt.NDArray[np.float64], int]:
    """The first value, the entries and the bits of an entry of a table (PS3.3, C.11.1.1 and C.11.2.1.1)."""
    count, first, bits = (int(part) for part in item.LUTDescriptor)
    data = item.LUTData
    count = count or 65536
    if isinstance(data, bytes):
        data = np.frombuffer(data, np.uint8 if len(data) <= count + 1 and bits <= 8 else np.uint16)
    entries = np.atleast_1d(np.asarray(data, np.float64))[:count]
    if not len(entries) or not 1 <= bits <= 16:
        raise UnreadableImage("has a table of values that is empty or damaged")
    return first, entries, bits
