"""Pictures in segments: every thing in a colour of its own, stuff in that of its class, and a legend below."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from photovision.core.boxes import colour_of
from photovision.core.regions import IGNORE
from photovision.core.types import Image

SHARE, DARK = 0.5, 0.6
"""How much of its colour is laid over a segment; what is left of the light where nobody judges."""
_GOLDEN = 0.618034
_WORDS = 9  # classes that a legend names at most
Colour = tuple[int, int, int]
Entry = tuple[str, tuple[Colour, ...]]
_INK, _GROUND, _GREY = (32, 33, 36), (255, 255, 255), (150, 152, 156)


def draw_segments(
    image: Image,
    labels: np.ndarray,
    numbers: np.ndarray | None,
    classes: Sequence[str],
    *,
    side: int,
    title: str = "",
    background: int | None = None,
) -> Image:
    """A picture with its segments, and what they are.

    Args:
        image: uint8 RGB (H, W, 3).
        labels: integers (H, W), the class of every pixel; 255, where nobody judges, is darkened.
        numbers: integers (H, W), the same for the pixels of one thing, 0 for none; None where things are not apart.
        classes: names.
        side: width of the result in pixels.
        title: of the legend.
        background: the class that gets no colour.

    Returns:
        uint8 RGB (side H / W and the height of the legend, side, 3).
    """
    height = max(1, round(side * image.shape[0] / image.shape[1]))
    page = np.asarray(Pillow.fromarray(np.ascontiguousarray(image)).resize((side, height)), dtype=np.float32)
    seen = _nearest(labels, (height, side))
    apart = None if numbers is None else _nearest(numbers, (height, side))
    colours = np.array([colour_of(number) for number in range(IGNORE + 1)], dtype=np.float32)[seen]
    edges = _edges(seen if apart is None else apart + seen * (apart == 0))
    if apart is not None:
        things = apart > 0
        colours[things] = _thing_colours(seen, apart, len(np.unique(seen[things])))[apart[things]]
    plain = (seen == IGNORE) | (seen == (-1 if background is None else background))
    drawn = np.where(plain[..., None], page, page + SHARE * (colours - page))
    drawn[seen == IGNORE] *= DARK
    drawn[edges & ~plain] = 255
    legend = _legend(_counts(labels, numbers, classes, background), side, title)
    return np.concatenate([drawn.round().astype(np.uint8), legend])


def _nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Pillow.fromarray(np.ascontiguousarray(values, dtype=np.int32))
    return np.asarray(picture.resize((size[1], size[0]), Pillow.Resampling.NEAREST))


def _edges(segments: np.ndarray) -> np.ndarray:
    """bool (H, W): pixels whose neighbour to the right or below is of another segment."""
    edges = np.zeros(segments.shape, dtype=bool)
    edges[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    edges[:-1] |= segments[:-1] != segments[1:]
    return edges


def _thing_colours(labels: np.ndarray, numbers: np.ndarray, object_count: int) -> np.ndarray:
    """float32 (M + 1, 3), the colour of every thing: hues near that of its class, the nearer the more classes."""
    count = int(numbers.max()) + 1
    kinds = np.zeros(count, dtype=np.int64)
    kinds[numbers.ravel()] = labels.ravel()
    return np.array(
        [_thing_colour(kind, number, object_count) for number, kind in enumerate(kinds.tolist())], np.float32
    )


def _thing_colour(label: int, number: int, object_count: int) -> Colour:
    hue = colorsys.rgb_to_hsv(*(value / 255 for value in colour_of(label)))[0]
    turned = (hue + 0.95 / max(object_count, 1) * ((number * _GOLDEN) % 1 - 0.5)) % 1
    red, green, blue = colorsys.hsv_to_rgb(turned, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _counts(
    labels: np.ndarray, numbers: np.ndarray | None, classes: Sequence[str], background: int | None
) -> list[Entry]:
    """What a legend says of every class that occurs, and its colours; things are counted, stuff is measured."""
    shares = np.bincount(labels.ravel(), minlength=IGNORE + 1) / labels.size
    things = {} if numbers is None else _numbered(labels, numbers)
    entries: list[Entry] = []
    for number in np.argsort(-shares[: len(classes)], kind="stable").tolist():
        if not shares[number]:
            continue
        name = "".join(c if c.isprintable() else "?" for c in classes[number])[:30]
        if number in things:
            entries.append((f"{name}: {things[number]:,}", _hues(number, len(things))))
        else:
            colours = () if number == background else (colour_of(number),)
            entries.append((f"{name}: {100 * shares[number]:.0f}%", colours))
    if len(entries) > _WORDS:
        entries = [*entries[: _WORDS - 1], (f"{len(entries) - _WORDS + 1} more classes", ())]
    return [*entries, ("not judged", ())] if shares[IGNORE] else entries


def _hues(label: int, object_count: int) -> tuple[Colour, ...]:
    """Some of the colours that things of a class have."""
    return tuple(_thing_colour(label, number, object_count) for number in range(1, 4))


def _numbered(labels: np.ndarray, numbers: np.ndarray) -> dict[int, int]:
    """Class -> how many things."""
    inside = numbers > 0
    first = np.unique(numbers[inside], return_index=True)[1]
    values, counts = np.unique(labels[inside][first], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _legend(entries: list[Entry], side: int, title: str) -> Image:
    """A strip with the title and a swatch a class, in as many rows as it takes."""
    size = max(11, side // 24)
    letters = ImageFont.load_default(size)
    row, gap = round(1.7 * size), round(0.6 * size)
    places: list[tuple[int, int, str, tuple[Colour, ...] | None]] = []
    x, y = gap, 0
    for text, colours in [*([(title, None)] if title else []), *entries]:
        wide = round(letters.getlength(text)) + (0 if colours is None else size + gap)
        if places and x + wide > side - gap:
            x, y = gap, y + row
        places.append((x, y, text, colours))
        x += wide + 2 * gap
    page = Pillow.new("RGB", (side, y + row + gap // 2), _GROUND)
    pen = ImageDraw.Draw(page)
    for left, top, text, colours in places:
        middle = top + (row + gap // 2) // 2
        if colours is not None:
            _swatch(pen, (left, middle - size // 2), size, colours)
            left += size + gap // 2
        pen.text((left, middle), text, font=letters, fill=_INK, anchor="lm")
    return np.asarray(page, dtype=np.uint8)


def _swatch(pen: ImageDraw.ImageDraw, corner: tuple[int, int], size: int, colours: tuple[Colour, ...]) -> None:
    """A square with stripes of the colours, an empty one for none."""
    x, y = corner
    for number, colour in enumerate(colours):
        left, right = (x + size * end // len(colours) for end in (number, number + 1))
        pen.rectangle((left, y, right - 1, y + size - 1), fill=colour)
    if not colours:
        pen.rectangle((x, y, x + size - 1, y + size - 1), outline=_GREY)
