"""What is seen in a frame, drawn over it: tracked objects with their numbers and ways, lines, zones and counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from photovision.core.boxes import colour_of
from photovision.core.regions import Detections
from photovision.core.types import Image
from photovision.video.counting import WAYS, Counting

Letters = ImageFont.ImageFont | ImageFont.FreeTypeFont
TRAIL = 24
"""Frames for which the way of an object is shown."""
_LINE, _ZONE, _INK, _PAPER = (255, 60, 60), (60, 160, 255), (255, 255, 255), (0, 0, 0)


class Drawing:
    """Draws frame after frame and remembers the last steps of every object.

    Args:
        counting: whose lines, zones and counts are shown.
    """

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._trails: dict[int, deque[tuple[float, float]]] = {}
        self._missed: dict[int, int] = {}

    def draw(self, image: Image, found: Detections, tags: Iterable[str] = ()) -> Image:
        """A copy of the frame with what is known of it, and of the scene; uint8 RGB of the same shape."""
        page = Pillow.fromarray(image)  # copies
        pen = ImageDraw.Draw(page)
        least = min(page.size)
        wide = max(1, least // 240)
        letters = ImageFont.load_default(max(9, least // 32))
        self._places(pen, letters, wide)
        self._remember(found)
        ids = [-1] * len(found) if found.track_ids is None else found.track_ids.tolist()
        for row, (x1, y1, x2, y2) in enumerate(found.boxes.tolist()):
            colour = colour_of(ids[row] if ids[row] > 0 else int(found.labels[row]))
            pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=wide)
            trail = self._trails.get(ids[row], ())
            if len(trail) > 1:
                pen.line(list(trail), fill=colour, width=wide)
            name = "".join(c if c.isprintable() else "?" for c in found.names[row])[:30]
            number = f" {ids[row]}" if ids[row] > 0 else ""
            _tag(pen, (x1, y1), f"{name}{number}", letters, colour)
        scene = "".join(c if c.isprintable() else "?" for c in ", ".join(tags))[:60]
        for row, text in enumerate([*([scene] if scene else []), *self._counts()]):
            _tag(pen, (4, 4 + (row + 1) * letters_height(letters)), text, letters, _PAPER)
        return np.asarray(page, dtype=np.uint8)

    def _places(self, pen: ImageDraw.ImageDraw, letters: Letters, wide: int) -> None:
        for zone in self._counting.zones:
            pen.polygon(zone.corners, outline=_ZONE, width=wide)
            _tag(pen, zone.corners[0], zone.name, letters, _ZONE)
        for line in self._counting.lines:
            pen.line([line.start, line.end], fill=_LINE, width=2 * wide)
            _tag(pen, line.start, line.name, letters, _LINE)

    def _counts(self) -> Iterator[str]:
        for line in self._counting.lines:
            ways = dict.fromkeys(WAYS, 0)
            for (name, way, _), number in self._counting.crossings.items():
                ways[way] += number * (name == line.name)
            yield f"{line.name}: " + ", ".join(f"{number} {way}" for way, number in ways.items())
        for name, inside in self._counting.inside.items():
            yield f"{name}: {inside.total()} inside"

    def _remember(self, found: Detections) -> None:
        ids = [] if found.track_ids is None else found.track_ids.tolist()
        for track, (x1, y1, x2, y2) in zip(ids, found.boxes.tolist(), strict=False):
            self._trails.setdefault(track, deque(maxlen=TRAIL)).append(((x1 + x2) / 2, (y1 + y2) / 2))
        for track in list(self._trails):
            self._missed[track] = 0 if track in ids else self._missed.get(track, 0) + 1
            if self._missed[track] > TRAIL:
                del self._trails[track], self._missed[track]


def letters_height(letters: Letters) -> int:
    """How far lines of text are apart, in pixels."""
    return round(1.5 * (letters.getbbox("Ag")[3]))


def _tag(
    pen: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    letters: Letters,
    colour: tuple[int, int, int],
) -> None:
    """Text on a ground of a colour, above the corner where there is room."""
    left, top, right, bottom = letters.getbbox(text)
    x, y = max(0.0, corner[0]), max(0.0, corner[1] - (bottom - top) - 4)
    pen.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=colour)
    bright = colour[0] * 0.3 + colour[1] * 0.59 + colour[2] * 0.11 > 140
    pen.text((x + 2 - left, y + 2 - top), text, font=letters, fill=_PAPER if bright else _INK)
