"""Mosaics: views that are put together from parts of four pictures (Bochkovskiy et al. 2020, YOLOv4).

Objects are learned in ever new surroundings. A few hundred pictures are soon known by heart: which of them have objects
that nobody labelled, too. In a mosaic such pictures stand beside others, so that less can be known by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats
from photovision.data.augment.box import BoxAugmenter, Draw

_MIDDLE = 0.35, 0.65  # where the four parts meet, as shares of the view's sides
_SMALLEST = 0.55  # how large objects are in a mosaic, against the whole picture in a view; at most as large


@dataclass(frozen=True)
class Piece:
    """A part of a view, and what it shows.

    Attributes:
        place: (left, top, right, bottom) in pixels of the view.
        position: of the picture.
        draw: what is shown of it.
    """

    place: tuple[int, int, int, int]
    position: int
    draw: Draw

    def preprocess(self, whole: Preprocess) -> Preprocess:
        """What gives this part its size."""
        left, top, right, bottom = self.place
        return replace(whole, size=(bottom - top, right - left))


def pieces(
    view: BoxAugmenter,
    position: int,
    sizes: Sequence[tuple[int, int]],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Piece]:
    """What one view shows: the picture at `position`, alone or beside three others.

    Args:
        view: how pictures are varied.
        position: of the picture that must be seen.
        sizes: (H, W) of all pictures.
        size: (H, W) of the view.
        rng: of this view.

    Example:
        >>> from photovision.data.augment.image import Augment
        >>> made = pieces(BoxAugmenter(Augment(), mosaic=1), 0, [(90, 80)] * 5, (60, 40), np.random.default_rng(0))
        >>> len(made), made[0].position, sum((r - l) * (b - t) for l, t, r, b in (one.place for one in made))
        (4, 0, 2400)
    """
    height, width = size
    if rng.random() >= view.mosaic:
        return [Piece((0, 0, width, height), position, view.draw(sizes[position], rng))]
    across, down = round(width * rng.uniform(*_MIDDLE)), round(height * rng.uniform(*_MIDDLE))
    places = [
        (0, 0, across, down),
        (across, 0, width, down),
        (0, down, across, height),
        (across, down, width, height),
    ]
    others = rng.integers(0, len(sizes), 3).tolist()
    order = rng.permutation(4).tolist()
    found = []
    for place, shown in zip((places[number] for number in order), (position, *others), strict=True):
        share = (place[3] - place[1]) / height, (place[2] - place[0]) / width
        found.append(Piece(place, shown, _part(view, sizes[shown], share, rng)))
    return found


def truth(parts: Sequence[tuple[Piece, Floats]]) -> Floats:
    """The truth of a view, float32 (N, 5), from that of its pieces."""
    moved = []
    for piece, rows in parts:
        left, top = piece.place[:2]
        moved.append(rows + np.array([0, left, top, left, top], dtype=np.float32))
    return np.concatenate(moved)


def _part(view: BoxAugmenter, size: tuple[int, int], share: tuple[float, float], rng: np.random.Generator) -> Draw:
    """A window of a picture for a place that has this share of the view's height and width."""
    zoom = rng.uniform(_SMALLEST, 1.0)
    high, wide = (min(side, side * part / zoom) for side, part in zip(size, share, strict=True))
    top, left = rng.uniform(0, size[0] - high), rng.uniform(0, size[1] - wide)
    return view.turned((left, top, left + wide, top + high), rng)
