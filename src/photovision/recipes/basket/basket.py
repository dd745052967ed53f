"""Checkout-free basket: what was taken from a shelf into a basket, and put back, in a video.

Zones whose name begins with "basket" or "cart" are baskets, all others are shelves. An item that was last in a shelf
and enters a basket was taken, one that goes the other way was returned. Confidence comes from what was seen, not from
a model of its own, and what lies below a limit is left to a person. Nobody is recognised: persons are boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.overlap import overlap
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.thumbnail import jpeg
from photovision.core.types import Floats, Image
from photovision.recipes.basket.appearance import marked
from photovision.recipes.basket.receipt import BASKETS, Receipt, is_basket
from photovision.recipes.basket.tracklets import MEMORY, Trail, Trails
from photovision.video.counting import Event, Point
from photovision.video.event_log import EventLog
from photovision.video.watch import LOW, DetectsObjects, Step, Watch, WatchRequest

PERSON = "person"
SETTLED = 1.0
"""What is in a zone within the first seconds of a video was there before it began."""
_TOUCH = 0.1  # share of an item's box that a person's box covers when they count as near
_FROM_NOWHERE, _GONE, _UNHELD = 0.3, 0.3, 0.7  # what is left of the confidence of such moves
_LOOKS = 10  # frames in which what came from nowhere must be seen, or it would be any flicker of the detector
_CLEAR = 1.0  # seconds without a person before a shelf after which a hidden item must be seen again


@dataclass(frozen=True, eq=False)
class Move:
    """An item that went from one zone to another.

    Attributes:
        number: 1, 2, ... in the order in which they were known.
        time, frame: when it arrived, or for what was not seen again, when it was seen last; seconds.
        began: when it left, None for unknown.
        kind: "taken" (into a basket), "returned" (to a shelf), "moved" (from basket to basket), "gone" (it left a shelf
            and was not seen again).
        label: its class.
        origin, target: names of the zones, "" for unknown.
        confidence: 0 to 1; not a probability that was measured on your videos, but an order: see docs/recipes.
        tracks: numbers of its tracks.
        seen: share of the frames between leaving and arriving in which it was seen, 0 to 1.
        held: whether a person's box touched it on its way.
        doubts: why it is not surer, in words.
        views: JPEG files of its surroundings when it left and when it arrived, or () where nobody asked.
    """

    number: int
    time: float
    frame: int
    began: float | None
    kind: str
    label: str
    origin: str
    target: str
    confidence: float
    tracks: tuple[int, ...]
    seen: float
    held: bool
    doubts: tuple[str, ...] = ()
    views: tuple[bytes, ...] = ()

    @property
    def files(self) -> list[str]:
        """Where its pictures lie in the folder of a report."""
        return [f"evidence/{self.number:05d}-{view}.jpg" for view in range(1, len(self.views) + 1)]

    def to_json(self, review_below: float) -> dict[str, Any]:
        """JSON-ready; `review` says whether a person should decide, `evidence` names pictures."""
        return {
            "event": self.kind,
            "number": self.number,
            "time": round(self.time, 3),
            "frame": self.frame,
            "began": None if self.began is None else round(self.began, 3),
            "class": self.label,
            "from": self.origin or None,
            "to": self.target or None,
            "confidence": round(self.confidence, 4),
            "review": self.confidence < review_below,
            "track_ids": list(self.tracks),
            "broken": len(self.tracks) > 1,
            "seen": round(self.seen, 3),
            "held": self.held,
            "doubts": list(self.doubts),
            "evidence": self.files,
        }


class Moves:
    """Finds moves of items; give it one step of a watched video after the other.

    Args:
        zones: names of the zones that are watched.
        evidence: whether pictures of items are kept.

    Raises:
        UsageError: no zone is a basket, or all are.

    Attributes:
        found: all moves so far.
        initial: (zone, class) -> items that were there when the video began.
        persons: whether a person was ever seen.
    """

    def __init__(self, zones: Sequence[str], evidence: bool = False) -> None:
        if not any(map(is_basket, zones)) or all(map(is_basket, zones)):
            raise UsageError(
                f"expected one zone or more whose name begins with {' or '.join(BASKETS)}, and one or more with other"
                f" names, which are shelves, got {', '.join(zones) or 'none'}: give --zone for both"
            )
        self.found: list[Move] = []
        self.initial: dict[tuple[str, str], int] = {}
        self.persons = False
        self._trails, self._evidence, self._now = Trails(), evidence, 0.0

    def update(self, step: Step) -> list[Move]:
        """What moved in this frame; `step.found` has track numbers."""
        image, at, found = step.frame.image, (step.frame.time, step.frame.index), step.found
        people = found.boxes[[name == PERSON for name in found.names]] if len(found) else found.boxes
        self.persons |= len(people) > 0
        tracks, self._now, before = _items(found), at[0], len(self.found)
        self._trails.only([track for _, track in tracks], at[0])
        for row, track in tracks:
            score = 1.0 if found.scores is None else float(found.scores[row])
            trail = self._trails.see(track, found.names[row], score, found.boxes[row], image, at)
            trail.hidden = _touches(found.boxes[row], people)
            trail.touched = at[0] if trail.hidden else trail.touched
            if self._evidence:
                trail.view = marked(image, found.boxes[row])
            if trail.entered is not None and trail.looks >= _LOOKS:
                self._moved(trail, trail.entered, "")
                trail.entered = None
        for event in step.events:
            self._happened(event)
        for trail in self._trails.lost:
            if _touches(trail.box, people):
                trail.touched, trail.hidden = at[0], trail.hidden or at[0] - trail.time <= MEMORY
            self._perhaps_gone(trail, at[0])
        return self.found[before:]

    def finish(self) -> list[Move]:
        """The video has ended: what left a shelf and was not seen again is gone."""
        before = len(self.found)
        for trail in self._trails.lost:
            self._perhaps_gone(trail, self._now, patience=0.0)
        return self.found[before:]

    def _happened(self, event: Event) -> None:
        trail = self._trails.by_track.get(event.track)
        if trail is None or event.label == PERSON:
            return
        if event.kind == "leave":
            if event.place == trail.place and event.track == trail.tracks[-1]:
                trail.left, trail.leaving = (event.time, event.frame, trail.looks), trail.view
                trail.entered = None
            return
        origin, trail.reported = trail.place, False
        if not origin and trail.began <= SETTLED:
            key = event.place, trail.label
            self.initial[key] = self.initial.get(key, 0) + 1
        elif origin and origin != event.place and (is_basket(event.place) or is_basket(origin)):
            self._moved(trail, event, origin)
        elif not origin and is_basket(event.place):
            trail.entered = event
        trail.place, trail.left, trail.leaving = event.place, None, None

    def _moved(self, trail: Trail, event: Event, origin: str) -> None:
        kind = "moved" if origin and is_basket(origin) and is_basket(event.place) else ""
        kind = kind or ("taken" if is_basket(event.place) else "returned")
        since = trail.left or (trail.time, event.frame, trail.looks)
        frames = max(1, event.frame - since[1])
        seen = min(1.0, max(1, trail.looks - since[2]) / frames)
        confidence, doubts = self._confidence(trail, seen, origin)
        began = (since[0] if trail.left else None) if origin else None
        move = Move(
            len(self.found) + 1,
            event.time,
            event.frame,
            began,
            kind,
            trail.label,
            origin,
            event.place,
            confidence,
            trail.tracks,
            seen,
            trail.held,
            doubts,
            _views(trail),
        )
        self.found.append(move)

    def _confidence(self, trail: Trail, seen: float, origin: str) -> tuple[float, tuple[str, ...]]:
        value, doubts = trail.certainty * (0.5 + 0.5 * seen) * trail.link, []
        if trail.certainty < 0.7:
            frames = f"{trail.looks} frame{'s' * (trail.looks > 1)}"
            doubts.append(f"seen in {frames} with a mean score of {trail.scores / trail.looks:.2f}")
        if seen < 0.6:
            doubts.append(f"hidden in {100 * (1 - seen):.0f}% of its way")
        if trail.link < 1:
            doubts.append(f"its track broke off, and {len(trail.tracks)} were joined")
        if not origin:
            value *= _FROM_NOWHERE
            doubts.append("where it came from was not seen")
        if self.persons and origin and not trail.held:
            value *= _UNHELD
            doubts.append("no person was near it")
        return value, tuple(doubts)

    def _perhaps_gone(self, trail: Trail, now: float, patience: float = MEMORY) -> None:
        """An item that left a shelf, or was hidden there by a person who is away now, and is not seen again."""
        carried = trail.left is not None and trail.left[0] < trail.time  # it was seen outside of its zone
        waited = now - trail.time > patience and now - trail.touched > _CLEAR
        on_shelf = trail.place and not is_basket(trail.place)
        if on_shelf and waited and (carried or trail.hidden) and trail.certainty >= 0.5 and not trail.reported:
            trail.reported = True
            began = trail.left[0] if trail.left else None
            number, certain = len(self.found) + 1, _GONE * trail.certainty
            place, doubts = trail.place, ("it was not seen again",)
            move = Move(
                number,
                trail.time,
                trail.frame,
                began,
                "gone",
                trail.label,
                place,
                "",
                certain,
                trail.tracks,
                0.0,
                trail.held,
                doubts,
                _views(trail)[-1:],
            )
            self.found.append(move)


@dataclass(frozen=True)
class BasketRequest:
    """What is looked for.

    Attributes:
        zones: name -> corners, as in `photovision.video.watch.WatchRequest`.
        classes: names of the classes that are items; () for all but persons.
        high: score from which on an item is followed.
        review_below: moves with less confidence are left to a person.
        evidence: whether pictures of the items are kept.
        max_seconds: of the video after which watching ends.
    """

    zones: Mapping[str, tuple[Point, ...]]
    classes: tuple[str, ...] = ()
    high: float = 0.4
    review_below: float = 0.5
    evidence: bool = False
    max_seconds: float | None = None

    def asked(self) -> WatchRequest:
        """As `Watch` is asked: persons are followed beside the items."""
        classes = (*self.classes, PERSON) if self.classes else ()
        return WatchRequest({}, self.zones, classes, self.high, min(LOW, self.high), max_seconds=self.max_seconds)


@dataclass(frozen=True, eq=False)
class BasketResult:
    """What a video brought.

    Attributes:
        source: its name.
        moves: in the order in which they were known.
        initial: (zone, class) -> items that were there at the start.
        persons: whether a person was seen.
        summary: of `Watch`, with "interrupted".
        frame: the first frame, uint8 RGB (H, W, 3), where evidence was asked for, else None.
    """

    source: str
    moves: tuple[Move, ...]
    initial: Mapping[tuple[str, str], int]
    persons: bool
    summary: Mapping[str, Any] = field(default_factory=dict)
    frame: Image | None = None


def watch_basket(
    source: str | Path | int,
    detect: DetectsObjects,
    wanted: BasketRequest,
    *,
    events: Path | None = None,
    progress: ProgressCallback | None = None,
) -> BasketResult:
    """Watch a video to its end, or until Ctrl-C, and tell what was taken and returned.

    Args:
        source: see `photovision.video.reader.open_video`.
        detect: a detector, such as `Detector.predict`.
        wanted: zones and classes.
        events: JSON Lines to which moves are added as they are known.
        progress: called with (frames read, frames in all) where the source says how many there are.

    Raises:
        DataError, UsageError: see `photovision.video.watch.Watch`; or the zones are not those of a basket.
    """
    moves = Moves(tuple(wanted.zones), wanted.evidence)
    interrupted, first, receipt = False, None, Receipt(filter(is_basket, wanted.zones))
    with Watch(source, detect, wanted.asked()) as watching, EventLog(watching.video.name, events) as log:

        def tell(move: Move) -> None:
            text = move.to_json(wanted.review_below)
            log.write({**text, "content": receipt.add(text)})

        try:
            for step in watching:
                first = step.frame.image if first is None and wanted.evidence else first
                for move in moves.update(step):
                    tell(move)
                if progress is not None and step.frame.index < (watching.video.frames or 0):
                    progress(step.frame.index + 1, watching.video.frames or 0)
        except KeyboardInterrupt:
            interrupted = True
        for move in moves.finish():
            tell(move)
        summary = {**watching.summary(), "interrupted": interrupted}
        log.end({**summary, "moves": len(moves.found), "receipt": receipt.to_json()})
        return BasketResult(watching.video.name, tuple(moves.found), moves.initial, moves.persons, summary, first)


def _items(found: Detections) -> list[tuple[int, int]]:
    """(row, track) of everything that is no person."""
    ids = [-1] * len(found) if found.track_ids is None else found.track_ids.tolist()
    return [(row, track) for row, track in enumerate(ids) if track >= 0 and found.names[row] != PERSON]


def _views(trail: Trail) -> tuple[bytes, ...]:
    return tuple(jpeg(view) for view in (trail.leaving, trail.view) if view is not None)


def _touches(box: Floats, people: Floats) -> bool:
    return len(people) > 0 and bool((overlap(box[None], people, "first") >= _TOUCH).any())
