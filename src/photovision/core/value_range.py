"""Value ranges: what is black and what is white in pictures of more than 8 bits, decided once for a whole data set.

A 16-bit file may hold 10, 12 or 16 bits, a floating-point one 0 to 1 or degrees Celsius: the file does not say, and
guessing from one picture's brightest pixel would show the same thing differently in the next. So every picture of a
data set is measured, `choose` sets one range for each kind of number, and the range goes with the model:

    unsigned    0 to the largest value of 8, 10, 12, 14 or 16 bits that holds the largest value of all pictures; of
                32 bits as signed, where 16 do not suffice
    signed      from the lowest to the highest value: of every picture that which all but 1 pixel in 1,000 keep, of
                all pictures that which all but 2 in 100 keep, so that neither a bad pixel nor a bad picture sets it
    float       the same; 0 to 1 where the data lie within and reach above 0.5

Without a model, a picture is shown by what its file declares (bits of a sample in TIFF, the largest value in PNM, the
smallest and largest sample value in TIFF), else by its type: 16 and 32 bits 0 to 65,535; signed 16 bits -32,768 to
32,767; floating point 0 to 1. Values outside are shown as black or as white, and what is no number as black.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["unsigned", "signed", "float", "window"]
KINDS: tuple[Kind, ...] = ("unsigned", "signed", "float", "window")
BITS = (8, 10, 12, 14, 16)
_BAND = 1 << 20
_SAMPLES = 1 << 18
_BAD_PIXELS, _BAD_PICTURES = 0.1, 2.0


@dataclass(frozen=True)
class ValueRange:
    """The value that is shown as black, and the one that is shown as white, of pictures with one kind of number.

    Attributes:
        kind: "unsigned", "signed" or "float"; "window" of values in Hounsfield units, see `core.windows`.
        low, high: finite, low below high.
    """

    kind: Kind
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not -np.inf < self.low < self.high < np.inf:
            raise ValueError(f"a value range should be a kind of {', '.join(KINDS)} and low below high, got {self}")

    def __str__(self) -> str:
        return f"{self.low:,.10g} to {self.high:,.10g}"


ValueRanges = tuple[ValueRange, ...]
"""At most one of each kind of number; several windows are channels of one picture."""


def windows_in(ranges: ValueRanges) -> ValueRanges:
    """The windows among some ranges."""
    return tuple(one for one in ranges if one.kind == "window")


@dataclass(frozen=True)
class Values:
    """What one picture's values are: their kind, and the lowest and highest that count (see `choose`)."""

    kind: Kind
    low: float
    high: float


def kind_of(numbers: np.dtype[Any]) -> Kind:
    """The kind of a number type."""
    return "float" if numbers.kind == "f" else "signed" if numbers.kind == "i" else "unsigned"


def by_type(numbers: np.dtype[Any]) -> ValueRange:
    """The range of pictures whose file declares nothing, see above."""
    if numbers.kind == "f":
        return ValueRange("float", 0.0, 1.0)
    if numbers.kind == "i" and numbers.itemsize == 2:
        return ValueRange("signed", -32768, 32767)
    return ValueRange(kind_of(numbers), 0, 255 if numbers.itemsize == 1 else 65535)


def choose(measured: Iterable[Values]) -> ValueRanges:
    """One range for every kind of number among the pictures of a data set; () where none has more than 8 bits.

    Example:
        >>> choose([Values("unsigned", 12, 1800), Values("unsigned", 0, 4019)])
        (ValueRange(kind='unsigned', low=0, high=4095),)
    """
    found = list(measured)
    ranges = []
    for kind in KINDS:
        lows = [one.low for one in found if one.kind == kind]
        highs = [one.high for one in found if one.kind == kind]
        if lows and (chosen := _range(kind, lows, highs)) is not None:
            ranges.append(chosen)
    return tuple(ranges)


def _range(kind: Kind, lows: Sequence[float], highs: Sequence[float]) -> ValueRange | None:
    if kind == "unsigned" and (bits := bits_for(max(highs))) is not None:
        return ValueRange(kind, 0, 2**bits - 1)
    low = float(np.percentile(lows, _BAD_PICTURES, method="higher"))
    high = float(np.percentile(highs, 100 - _BAD_PICTURES, method="lower"))
    if not low < high:  # two pictures, each flat
        low, high = min(lows), max(highs)
    if kind == "float" and low >= 0 and 0.5 < high <= 1:
        return ValueRange(kind, 0.0, 1.0)
    if kind == "unsigned":
        low = 0
    return ValueRange(kind, low, high) if low < high else None


def bits_for(highest: float) -> int | None:
    """The smallest usual number of bits that holds a value; None where 16 do not suffice."""
    return next((bits for bits in BITS if highest < 2**bits), None)


def range_for(numbers: np.dtype[Any], declared: ValueRange | None, ranges: ValueRanges) -> ValueRange:
    """The range to show a picture by: of the data set, else as its file declares, else by its type."""
    kind = kind_of(numbers)
    return next((one for one in ranges if one.kind == kind), None) or declared or by_type(numbers)


def to_8_bits(numbers: npt.NDArray[Any], shown: ValueRange) -> npt.NDArray[np.uint8]:
    """Values of any shape as uint8, `shown.low` as 0 and `shown.high` as 255; in bands, so that little is held."""
    if numbers.dtype.kind in "ui" and numbers.dtype.itemsize == 2:
        native = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
        table = _table(native.dtype.kind, shown.low, shown.high)
        return _in_bands(native.view(np.uint16), lambda band: np.take(table, band))
    return _in_bands(numbers, lambda band: _scaled(band, shown.low, shown.high))


def _in_bands(
    numbers: npt.NDArray[Any], convert: Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8]:
    out = np.empty(numbers.shape, np.uint8)
    rows = max(1, _BAND // max(1, int(np.prod(numbers.shape[1:]))))
    for top in range(0, len(numbers), rows):
        out[top : top + rows] = convert(numbers[top : top + rows])
    return out


@lru_cache(maxsize=16)
def _table(kind: str, low: float, high: float) -> npt.NDArray[np.uint8]:
    """What each 16-bit pattern becomes."""
    return _scaled(np.arange(65536, dtype=np.uint16).view(f"{kind}2"), low, high)


def _scaled(numbers: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Integers fall into 256 bins of equal width; floating-point values are scaled to 0 to 255 and cut off."""
    values = numbers.astype(np.float32 if numbers.dtype.itemsize <= 2 else np.float64)
    bins = numbers.dtype.kind != "f" and high - low >= 255
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(values, low, out=values)
        np.multiply(values, 256 / (high - low + 1) if bins else 255 / (high - low), out=values)
        np.nan_to_num(values, copy=False, nan=0, posinf=255, neginf=0)
        np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


class Gauge:
    """Measures one picture block by block, without holding it: its `Values`, of which marked ones do not count."""

    def __init__(self, numbers: np.dtype[Any], pixels: int, no_data: float | None = None) -> None:
        self.kind = kind_of(numbers)
        self.exact = self.kind == "unsigned" and numbers.itemsize <= 2
        self.step = max(1, pixels // _SAMPLES)
        self.no_data = no_data
        self.parts: list[npt.NDArray[Any]] = []

    def add(self, block: npt.NDArray[Any]) -> None:
        """Take a block of any shape into account."""
        flat = block.reshape(-1) if self.exact and self.no_data is None else block.reshape(-1)[:: self.step]
        if self.no_data is not None:
            flat = flat[flat != self.no_data]
        if self.kind == "float":
            flat = flat[np.isfinite(flat)]
        if len(flat):
            self.parts.append(np.array([flat.min(), flat.max()]) if self.exact else flat.copy())

    def values(self) -> Values | None:
        """The lowest and the highest value: of 16 unsigned bits exactly, else of all but 1 pixel in 1,000."""
        if not self.parts:
            return None
        every = np.concatenate(self.parts)
        if self.exact:
            return Values(self.kind, int(every.min()), int(every.max()))
        low, high = np.percentile(every.astype(np.float64), (_BAD_PIXELS, 100 - _BAD_PIXELS))
        if self.kind != "float":
            low, high = np.floor(low), np.ceil(high)
        return Values(self.kind, float(low), float(high))
