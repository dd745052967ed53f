"""Registration: does one picture lie in another, pixel by pixel, whole or as a crop?

Two pictures of one thing, such as the frames of a burst, are alike all over and equal nowhere; a copy is equal
everywhere it shows the same. So a picture is looked for in the other at many scales by normalised cross-correlation
(Lewis, "Fast normalized cross-correlation", 1995), coarse to fine, and the place that was found is compared block by
block, in fine detail alone: the tenth of the blocks that agree least decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from scipy import fft
from scipy.ndimage import gaussian_filter

from photovision.core.types import Floats

LONGEST, COARSE, CHECKED = 384, 64, 128
"""Pixels of the longer side: of what is kept, of the first search; of the square that is compared."""
PROMISING = 0.6
"""Correlation of the coarse detail from which on a place is looked at closely."""
_SIZES = tuple(COARSE / 1.06**step for step in range(20))
# Pixels of the longer side of templates, down to 20: a crop of a tenth of the picture.
_LEVELS = ((128, tuple(np.linspace(0.94, 1.06, 9)), 5), (256, tuple(np.linspace(0.9875, 1.0125, 5)), 4))
# Pixels of the longer side, how the scale is varied, and how many pixels around the place are searched.
_BLOCK = 16
_FLAT = 2.0  # grey levels of fine detail: a block with less says nothing
_FEW = 6  # blocks that must have detail
_WHOLE = (0.0, 0.0, 1.0, 1.0)
_TILTS = (*range(-18, 0, 3), *range(3, 19, 3))  # degrees that are tried first, then finer steps around the best
_FINER = ((-1.5, -0.75, 0.75, 1.5), (-0.375, 0.375))
_UPRIGHT = 0.65  # of the sides of a tilted picture: the part that is inside it at every angle, and so comparable
_STRAIGHTENED = slice(6, 14)  # sizes of that part: whoever straightens a picture cuts off its corners, too

Window = tuple[float, float, float, float]
Template = tuple[tuple[int, int], npt.NDArray[np.complex64]]


class Placement(NamedTuple):
    """Where a picture lies in another one.

    Attributes:
        window: (left, top, right, bottom) in shares of the other picture, 0 to 1.
        agreement: correlation of fine detail in the tenth of the blocks that agree least, -1 to 1; -1 where too few
            blocks have detail.
    """

    window: Window
    agreement: float


NOWHERE = Placement(_WHOLE, -1.0)


@dataclass(frozen=True, eq=False)
class RegisteredPicture:
    """A picture prepared to be compared with others; what is needed is computed once.

    Attributes:
        grey: of mode "L", at most 384 pixels wide and high.
    """

    grey: Pillow.Image

    @classmethod
    def of(cls, picture: Pillow.Image) -> RegisteredPicture:
        """From a picture of any size and mode."""
        grey = picture.convert("L")
        if max(grey.size) > LONGEST:
            grey.thumbnail((LONGEST, LONGEST), Pillow.Resampling.LANCZOS)
        return cls(grey)

    @cached_property
    def coarse(self) -> Floats:
        """float32 (H, W), detail of a version whose longer side is 64."""
        return _detail(self.resized(COARSE))

    @cached_property
    def square(self) -> Floats:
        """float32 (64, 256): detail of the whole picture, squashed, in blocks."""
        return _blocks(_squared(self.grey, _WHOLE), self.lost(_WHOLE))

    @cached_property
    def templates(self) -> list[Template]:
        """This picture at every scale."""
        return [self.template(longest) for longest in _SIZES]

    def template(self, longest: float) -> Template:
        """(H, W) and the spectrum of a version of that longer side, without mean and of norm 1."""
        small = _detail(self.resized(round(longest)))
        small = small - small.mean()
        small /= max(float(np.linalg.norm(small)), 1e-6)
        return (small.shape[0], small.shape[1]), np.conj(fft.rfft2(small, (COARSE, COARSE)))

    def upright(self, degrees: float) -> RegisteredPicture:
        """Its inner part after it was turned against the clock."""
        width, height = round(_UPRIGHT * self.grey.width), round(_UPRIGHT * self.grey.height)
        left, top = (self.grey.width - width) // 2, (self.grey.height - height) // 2
        turned = self.grey.rotate(degrees, Pillow.Resampling.BICUBIC)
        return RegisteredPicture(turned.crop((left, top, left + width, top + height)))

    def lost(self, window: Window) -> float:
        """How many pixels of the compared square one pixel of a window makes up, 1 or more."""
        left, top, right, bottom = window
        side = min((right - left) * self.grey.width, (bottom - top) * self.grey.height)
        return max(1.0, CHECKED / max(1.0, side))

    def resized(self, longest: int) -> Floats:
        """float32 (H, W), grey levels of a version of that longer side."""
        scale = longest / max(self.grey.size)
        return _array(self.grey, max(1, round(self.grey.width * scale)), max(1, round(self.grey.height * scale)))


def whole_agreement(one: RegisteredPicture, other: RegisteredPicture) -> Placement:
    """How well two whole pictures agree, whatever their sizes."""
    # A smaller copy has lost its finest detail: neither is looked at more sharply than the smaller one is.
    lost = max(one.lost(_WHOLE), other.lost(_WHOLE))
    if lost == 1.0:
        return Placement(_WHOLE, _agreement(one.square, other.square))
    return _compared(one, other, _WHOLE)


def find(query: RegisteredPicture, other: RegisteredPicture) -> Placement:
    """Where the query lies in another picture, whole or as a crop of at least a tenth of it."""
    score, window = _coarsely(query.templates, other)
    if score < PROMISING:
        return NOWHERE
    return _compared(query, other, _refined(query, other, window))


def find_tilted(query: RegisteredPicture, other: RegisteredPicture) -> Placement:
    """Where the inner part of the query lies in another picture, after the query was turned by up to 20 degrees."""
    sizes = _SIZES[_STRAIGHTENED]
    parts = ((tilt, query.upright(tilt)) for tilt in _TILTS)
    score, tilt = max((_coarsely([part.template(size) for size in sizes], other)[0], tilt) for tilt, part in parts)
    if score < PROMISING:
        return NOWHERE
    angle, best = float(tilt), find(query.upright(tilt), other)
    for steps in _FINER:
        found = [(find(query.upright(angle + step), other), angle + step) for step in steps]
        best, angle = max([(best, angle), *found], key=lambda one: one[0].agreement)
    return best


def _coarsely(templates: list[Template], other: RegisteredPicture) -> tuple[float, Window]:
    """The best correlation over scales and places, and where it is."""
    base = other.coarse
    spectrum = fft.rfft2(base, (COARSE, COARSE))
    sums, squares = _integral(base), _integral(base**2)
    best, window = -1.0, _WHOLE
    for (height, width), template in templates:
        rows, columns = base.shape[0] - height + 1, base.shape[1] - width + 1
        if rows < 1 or columns < 1:
            continue
        # Only places where all of the template lies in the picture are looked at, so nothing wraps around.
        products = fft.irfft2(spectrum * template, (COARSE, COARSE))[:rows, :columns]
        area = height * width
        energy = _windowed(squares, height, width) - _windowed(sums, height, width) ** 2 / area
        scores = products / np.sqrt(np.maximum(energy, area))
        place = int(scores.argmax())
        if scores.flat[place] > best:
            best = float(scores.flat[place])
            top, left = divmod(place, columns)
            window = _shares((left, top, width, height), base.shape)
    return best, window


def _refined(query: RegisteredPicture, other: RegisteredPicture, window: Window) -> Window:
    """The window, found more exactly in larger versions."""
    from skimage.feature import match_template

    for longest, factors, margin in _LEVELS:
        base, found = _detail(other.resized(longest)), []
        rows, columns = base.shape
        left, top, right, bottom = window
        for factor in factors:
            width = max(8, round((right - left) * columns * factor))
            height = max(8, round(width * query.grey.height / query.grey.width))
            if width > columns or height > rows:
                continue
            up = min(max(round((top + bottom) / 2 * rows - height / 2) - margin, 0), rows - height)
            across = min(max(round((left + right) / 2 * columns - width / 2) - margin, 0), columns - width)
            part = base[up : up + height + 2 * margin, across : across + width + 2 * margin]
            scores = match_template(part, _detail(_array(query.grey, width, height)))
            y, x = divmod(int(scores.argmax()), scores.shape[1])
            found.append((float(scores[y, x]), _shares((x + across, y + up, width, height), base.shape)))
        window = max(found)[1] if found else window
    return window


def _compared(query: RegisteredPicture, other: RegisteredPicture, window: Window) -> Placement:
    """The detail of the query and of a window of another picture, block by block."""
    lost = max(query.lost(_WHOLE), other.lost(window))
    one, two = _blocks(_squared(query.grey, _WHOLE), lost), _blocks(_squared(other.grey, window), lost)
    return Placement(window, _agreement(one, two))


def _agreement(one: Floats, two: Floats) -> float:
    """From float32 (64, 256) each: the correlation in the tenth of the blocks that agree least; -1 without detail."""
    norms = np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1)
    detailed = np.minimum(*norms) > _FLAT * _BLOCK
    if detailed.sum() < _FEW:
        return -1.0
    return float(np.quantile((one * two).sum(1)[detailed] / (norms[0] * norms[1])[detailed], 0.1))


def _squared(grey: Pillow.Image, window: Window) -> Floats:
    """float32 (128, 128): a window of a picture, squashed."""
    left, top, right, bottom = window
    box = (left * grey.width, top * grey.height, right * grey.width, bottom * grey.height)
    small = grey.resize((CHECKED, CHECKED), Pillow.Resampling.LANCZOS, box)
    return np.asarray(small, np.float32)


def _blocks(values: Floats, lost: float) -> Floats:
    """float32 (64, 256): square blocks of the fine detail of (128, 128), without their means."""
    values = gaussian_filter(values, 0.6 * lost, truncate=3) - gaussian_filter(values, 4.0 * lost, truncate=2)
    side = CHECKED // _BLOCK
    blocks = values.reshape(side, _BLOCK, side, _BLOCK).swapaxes(1, 2).reshape(side * side, -1)
    return np.asarray(blocks - blocks.mean(1, keepdims=True), np.float32)


def _detail(values: Floats) -> Floats:
    """A picture without its coarsest shades, which all photographs have alike."""
    return np.asarray(values - gaussian_filter(values, 4, truncate=2), np.float32)


def _array(grey: Pillow.Image, width: int, height: int) -> Floats:
    return np.asarray(grey.resize((width, height), Pillow.Resampling.LANCZOS), np.float32)


def _shares(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> Window:
    """(left, top, width, height) in pixels of a picture (H, W) as a window."""
    left, top, width, height = box
    rows, columns = shape[:2]
    return left / columns, top / rows, (left + width) / columns, (top + height) / rows


def _integral(values: Floats) -> npt.NDArray[np.float64]:
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    table[1:, 1:] = values.cumsum(0, dtype=np.float64).cumsum(1)
    return table


def _windowed(table: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.float64]:
    """Sums over all windows of a size."""
    sums: npt.NDArray[np.float64] = (
        table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    )
    return sums
