"""Items that keep their identity while hands hide them: tracks that broke off are gone on with.

A tracker gives a new number to what comes back elsewhere. A trail is one item over all its numbers: a new track goes on
with a lost trail of its class that rested at this very place, or that was lost a moment ago and looks like it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from photovision.core.overlap import overlap
from photovision.core.types import Floats, Image
from photovision.recipes.basket.appearance import Histogram, alike, colours, cut
from photovision.video.counting import Event

MEMORY = 4.0
"""Seconds after which a carried item that was not seen again counts as lost."""
RESTING = 300.0
"""Seconds for which a place is remembered where an item was last seen: a customer may stand before it."""
_SAME_PLACE, _LOOKS_LIKE, _SIZES = 0.3, 0.5, 0.4  # least union of boxes, likeness of colours, and of sides
_INDEPENDENT = 5  # frames next to each other are no independent looks: so many count as one


@dataclass(eq=False)
class Trail:
    """One item.

    Attributes:
        tracks: numbers that the tracker gave it.
        label: its class, that of its last track.
        began, time: seconds when it was first and last seen; frame: number of that last frame.
        box: float32 (4,), where it was last seen.
        looks, scores: frames in which it was seen, and the sum of its scores in them.
        place: the zone that it last entered, "" for none; left: (time, frame, looks) when it left it, None while it is
            in it.
        entered: what was seen when it came to be in a basket from nowhere, until it was seen long enough to tell of it.
        link: how sure its tracks belong together, 0 to 1; 1 for a single one.
        touched: seconds when a person's box last touched it, or the place where it was last seen.
        hidden: whether one did when it was last seen, or soon after.
        view, leaving: its surroundings when it was last seen, and when it left its place; None where nobody asked.
        reported: whether it was reported as gone.
    """

    tracks: tuple[int, ...]
    label: str
    began: float
    time: float
    frame: int
    box: Floats
    look: Histogram
    looks: int = 0
    scores: float = 0.0
    place: str = ""
    left: tuple[float, int, int] | None = None
    entered: Event | None = None
    link: float = 1.0
    touched: float = -np.inf
    hidden: bool = False
    view: Image | None = None
    leaving: Image | None = None
    reported: bool = False

    @property
    def held(self) -> bool:
        """Whether a person touched it since it left its place, or since it was last seen."""
        return self.touched >= (self.time if self.left is None else self.left[0])

    @property
    def certainty(self) -> float:
        """How sure it is that there is such an item, 0 to 1, from the number and scores of its looks.

        Example:
            >>> trail = Trail((1,), "cup", 0, 0, 0, np.zeros(4, np.float32), np.zeros(64), looks=10, scores=5.0)
            >>> trail.certainty
            0.75
        """
        if not self.looks:
            return 0.0
        return float(1 - (1 - min(1.0, self.scores / self.looks)) ** (self.looks / _INDEPENDENT))


@dataclass(eq=False)
class Trails:
    """All items of a video so far; for every frame say which tracks it has (`only`), then where each is (`see`).

    Attributes:
        by_track: number of a track -> its trail.
        lost: trails that are not seen now.
    """

    by_track: dict[int, Trail] = field(default_factory=dict)
    lost: list[Trail] = field(default_factory=list)

    def only(self, seen: Iterable[int], now: float) -> None:
        """Only the tracks of `seen` are seen now; what is long gone is forgotten."""
        seen = set(seen)
        for track, trail in list(self.by_track.items()):
            if track not in seen and track == trail.tracks[-1] and trail not in self.lost:
                self.lost.append(trail)
        old = [trail for trail in self.lost if now - trail.time > RESTING]
        for trail in old:
            self.lost.remove(trail)
            for track in trail.tracks:
                self.by_track.pop(track, None)

    def see(self, track: int, label: str, score: float, box: Floats, image: Image, at: tuple[float, int]) -> Trail:
        """A track is seen at (seconds, frame): its trail, new, its own, or one that it goes on with.

        Args:
            track: the tracker's number.
            label, score: its class, and how sure that is.
            box: float32 (4,) in pixels.
            image: the frame, uint8 RGB (H, W, 3).
            at: when.
        """
        look = colours(cut(image, box))
        trail = self.by_track.get(track)
        if trail is not None and track != trail.tracks[-1]:
            if trail in self.lost:  # the tracker knows it again
                trail.tracks = (*trail.tracks, track)
            else:
                trail = None
        if trail is None:
            trail = self._gone_on_with(track, label, box, look, at[0])
            if trail is None:
                trail = Trail((track,), label, at[0], at[0], at[1], box, look)
            self.by_track[track] = trail
        if trail in self.lost:
            self.lost.remove(trail)
        trail.label, trail.time, trail.frame, trail.box, trail.look = label, at[0], at[1], box, look
        trail.looks += 1
        trail.scores += score
        return trail

    def _gone_on_with(self, track: int, label: str, box: Floats, look: Histogram, now: float) -> Trail | None:
        options = [(quality, trail) for trail in self.lost if (quality := _quality(trail, label, box, look, now)) > 0]
        if not options:
            return None
        quality, trail = max(options, key=lambda option: option[0])
        rivals = sum(other >= 0.5 * quality for other, _ in options)
        # A place that is the same says enough; of several that were carried any may be it.
        if quality < 1:
            trail.link *= quality / rivals
            if trail.left is None:
                trail.left, trail.leaving = (trail.time, trail.frame, trail.looks), trail.view
        trail.tracks = (*trail.tracks, track)
        return trail


def _quality(trail: Trail, label: str, box: Floats, look: Histogram, now: float) -> float:
    """How well a new box goes on with a lost trail, 0 to 1; 1 where it rested at the same place."""
    if trail.label != label:
        return 0.0
    if overlap(trail.box[None], box[None])[0, 0] >= _SAME_PLACE:
        return 1.0
    gap, likeness = now - trail.time, alike(trail.look, look)
    sides = np.maximum(box[2:] - box[:2], 1), np.maximum(trail.box[2:] - trail.box[:2], 1)
    if gap > MEMORY or likeness < _LOOKS_LIKE or (np.minimum(*sides) / np.maximum(*sides)).min() < _SIZES:
        return 0.0
    return float(min(0.99, likeness * (1 - 0.5 * gap / MEMORY)))
