"""Verdicts: what two pictures have to do with each other, checked pixel by pixel where they may be copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from PIL import Image as Pillow

from photovision.core.types import Floats
from photovision.retrieval.registration import NOWHERE, Placement, RegisteredPicture, find, find_tilted, whole_agreement

SAME_FILE, SAME_PICTURE, CROP, TURNED = "same_file", "same_picture", "crop", "turned"
SAME_OBJECT, ALIKE = "same_object", "alike"
VERDICTS = (SAME_FILE, SAME_PICTURE, TURNED, CROP, SAME_OBJECT, ALIKE)
"""From the strongest to the weakest, in which order results come."""
COPIES = (SAME_FILE, SAME_PICTURE, TURNED, CROP)
"""Verdicts on one and the same photograph."""
IN_WORDS = {
    SAME_FILE: "same file",
    SAME_PICTURE: "same picture, saved again",
    TURNED: "mirrored, turned or tilted",
    CROP: "a crop, or cropped from it",
    SAME_OBJECT: "same object",
    ALIKE: "alike",
}

AGREEMENT = 0.65
"""Agreement from which on two pictures are one: on clothing, copies reached 0.65 and more, a movement of 0.8% less."""
SMALL, SMALL_AGREEMENT = 64, 0.87
"""Pixels of the shorter side of the smaller of two whole pictures below which they have to agree more: so small, the
next frame of a burst reached 0.85 (n = 120), and copies 0.88 and more."""
MAX_STRETCH = 1.06
"""Largest ratio of the aspect ratios of two whole pictures that may be one."""
_TURNS = (None, Pillow.Transpose.ROTATE_90, Pillow.Transpose.ROTATE_180, Pillow.Transpose.ROTATE_270)
_MIRROR = Pillow.Transpose.FLIP_LEFT_RIGHT


class Orientation(NamedTuple):
    """Quarter turns, 0 to 3, against the clock, and whether the outcome is mirrored from left to right."""

    turns: int = 0
    mirrored: bool = False


ORIENTATIONS = tuple(Orientation(turns, mirrored) for mirrored in (False, True) for turns in range(4))


@dataclass(frozen=True, eq=False)
class Query:
    """A picture that is searched for.

    Attributes:
        picture: RGB, of a size that suffices.
        vectors: float32 (4, K), in the space of likeness, of the picture after 0 to 3 quarter turns.
        content, pixels: see `PictureFacts`; empty where it is no whole file.
        taken: when the camera took it, as its file says.
    """

    picture: Pillow.Image
    vectors: Floats
    content: bytes = b""
    pixels: bytes = b""
    taken: str | None = None
    _turned: dict[Orientation, RegisteredPicture] = field(default_factory=dict)

    def turned(self, orientation: Orientation) -> RegisteredPicture:
        """The picture in an orientation, made once."""
        if not self._turned:
            self._turned[Orientation()] = RegisteredPicture.of(self.picture)
        if orientation not in self._turned:
            grey = self._turned[Orientation()].grey
            self._turned[orientation] = RegisteredPicture(turned(grey, orientation))
        return self._turned[orientation]


class CheckedPair(NamedTuple):
    """What was found about a query and a picture: a verdict of COPIES, or none, and where the one lies in the other."""

    verdict: str | None
    placement: Placement


NO_COPY = CheckedPair(None, NOWHERE)


def turned(picture: Pillow.Image, orientation: Orientation) -> Pillow.Image:
    """The picture after quarter turns and then, where it is so, mirrored."""
    turn = _TURNS[orientation.turns]
    out = picture if turn is None else picture.transpose(turn)
    return out.transpose(_MIRROR) if orientation.mirrored else out


def check_pair(
    query: Query, other: Pillow.Image, turns: int, taken: str | None = None, *, crops: bool = True
) -> CheckedPair:
    """Whether a picture is a copy of the query, saved again, turned or cropped.

    Args:
        query: that is searched for.
        other: RGB, of a size that suffices.
        turns: quarter turns after which the query is most like it.
        taken: when the camera took it. Copies keep the time or lose it; two times are two pictures.
        crops: whether one may be a part of the other, which takes ten times as long to find out.
    """
    if query.taken and taken and query.taken != taken:
        return NO_COPY
    base = RegisteredPicture.of(other)
    for orientation in ORIENTATIONS:
        one = query.turned(orientation)
        if not _same_shape(one.grey, base.grey):
            continue
        placement = whole_agreement(one, base)
        if placement.agreement >= (SMALL_AGREEMENT if min(*one.grey.size, *base.grey.size) < SMALL else AGREEMENT):
            return CheckedPair(SAME_PICTURE if orientation == Orientation() else TURNED, placement)
    for inner, outer in _nested(query, base, turns) if crops else ():
        placement = find(inner, outer)
        if placement.agreement >= AGREEMENT:
            return CheckedPair(CROP, placement)
    return NO_COPY


def check_tilt(query: Query, other: Pillow.Image, taken: str | None = None) -> str | None:
    """TURNED where a picture is a copy of the query but for a tilt; arguments as of `check_pair`."""
    if query.taken and taken and query.taken != taken:
        return None
    placement = find_tilted(query.turned(Orientation()), RegisteredPicture.of(other))
    return TURNED if placement.agreement >= AGREEMENT else None


def _nested(query: Query, base: RegisteredPicture, turns: int) -> Iterator[tuple[RegisteredPicture, RegisteredPicture]]:
    """Pairs of which the first may be a crop of the second; most crops are not turned, whatever the features say."""
    for quarter in sorted({0, turns}):
        for mirrored in (False, True):
            yield query.turned(Orientation(quarter, mirrored)), base
    yield base, query.turned(Orientation(turns))


def _same_shape(one: Pillow.Image, other: Pillow.Image) -> bool:
    ratio = (one.width * other.height) / max(1, one.height * other.width)
    return 1 / MAX_STRETCH <= ratio <= MAX_STRETCH
