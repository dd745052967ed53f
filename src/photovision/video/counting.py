"""What crosses lines and stays in zones: events and counts from tracked objects.

An object is where the middle of its box is. A box jitters, so an object changes sides only once it is a margin beyond
the line or the zone's border; trembling on it counts nothing, and a crossing counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from photovision.core.errors import UsageError
from photovision.core.regions import Detections

MARGIN = 0.08
"""How far beyond a line an object must be to have crossed it: this share of the root of its box's area."""
FORGOTTEN = 2.0
"""Seconds without being seen after which an object counts as gone."""
Point = tuple[float, float]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CountingLine:
    """A line that is crossed, from `start` to `end`, x and y in pixels; only crossings between the two points count.

    Directions are those of someone who walks from `start` to `end`: objects go to their "left" or to their "right".
    """

    name: str
    start: Point
    end: Point

    def __post_init__(self) -> None:
        _finite(self.name, (self.start, self.end))
        if np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]) < 1:
            raise UsageError(f"the line '{self.name}' should be at least 1 pixel long, got {self.start} to {self.end}")

    def beyond(self, at: Vector) -> Vector:
        """(N,): how far points (N, 2) are to the right of the line, in pixels; negative to its left."""
        along = np.subtract(self.end, self.start)
        away = at - self.start
        # y points down, so that the right-hand side has a positive cross product.
        return np.asarray((along[0] * away[:, 1] - along[1] * away[:, 0]) / np.hypot(*along))

    def between(self, before: Vector, after: Vector) -> bool:
        """Whether the way from `before` to `after` meets the line between its two points."""
        along, step = np.subtract(self.end, self.start), after - before
        cross = along[0] * step[1] - along[1] * step[0]
        if cross == 0:
            return False
        away = before - self.start
        share = (away[0] * step[1] - away[1] * step[0]) / cross
        return bool(0 <= share <= 1)


@dataclass(frozen=True)
class Zone:
    """An area with three corners or more, x and y in pixels; its border may not cross itself."""

    name: str
    corners: tuple[Point, ...]

    def __post_init__(self) -> None:
        _finite(self.name, self.corners)
        x, y = np.array(self.corners, dtype=float).reshape(-1, 2).T
        area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        if len(self.corners) < 3 or area < 1:
            raise UsageError(f"the zone '{self.name}' should have three corners or more around an area")

    def beyond(self, at: Vector) -> Vector:
        """(N,): how deep points (N, 2) are inside, in pixels; negative outside."""
        a = np.array(self.corners, dtype=float)
        b = np.roll(a, -1, axis=0)
        along, away = (b - a)[None], at[:, None] - a[None]
        share = np.clip((away * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
        near = np.sqrt(((away - share[..., None] * along) ** 2).sum(-1)).min(1)
        straddles = (a[None, :, 1] > at[:, None, 1]) != (b[None, :, 1] > at[:, None, 1])
        flat = np.where(along[..., 1] == 0, 1.0, along[..., 1])
        right = at[:, None, 0] < a[None, :, 0] + away[..., 1] / flat * along[..., 0]
        inside = (straddles & right).sum(1) % 2 == 1
        return np.asarray(np.where(inside, near, -near))


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        kind: "cross" (a line), "enter" or "leave" (a zone).
        place: name of the line or zone.
        time: seconds since the first frame.
        frame: its number.
        track: number of the object.
        label: its class.
        direction: "left" or "right" for lines, else "".
        dwell: seconds in the zone when it is left, else None.
        xy: where the middle of its box is, in pixels.
    """

    kind: str
    place: str
    time: float
    frame: int
    track: int
    label: str
    direction: str = ""
    dwell: float | None = None
    xy: Point = (0.0, 0.0)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; direction and dwell only where they mean something."""
        value = {
            "event": self.kind,
            "place": self.place,
            "time": round(self.time, 3),
            "frame": self.frame,
            "track": self.track,
            "label": self.label,
            "xy": [round(value, 1) for value in self.xy],
        }
        if self.direction:
            value["direction"] = self.direction
        if self.dwell is not None:
            value["dwell"] = round(self.dwell, 3)
        return value


@dataclass(eq=False)
class _Seen:
    """What is remembered of one object: when and where it was, and on which side of every place it was last seen
    clearly."""

    time: float
    frame: int
    at: Vector
    label: str
    sides: dict[str, int] = field(default_factory=dict)
    sure: dict[str, Vector] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)


class Counting:
    """Counts at lines and in zones; give it the tracked objects of one frame after the other.

    Attributes:
        crossings: Counter of (line, direction, class).
        entries: Counter of (zone, class).
        dwells: zone -> (number of stays that ended, their seconds in all, the longest).
        peak: zone -> the most objects that were in it at once.

    Example:
        >>> counting = Counting([CountingLine("door", (50, 0), (50, 100))])
        >>> for i, x in enumerate((20, 45, 55, 80)):
        ...     box = np.float32([[x - 10, 40, x + 10, 60]])
        ...     found = Detections(box, np.array([0]), ("person",), track_ids=np.array([1]))
        ...     events = counting.update(found, i / 25, i)
        ...     if events:
        ...         print(events[0].place, events[0].direction, events[0].frame)
        door left 2
    """

    def __init__(self, lines: Sequence[CountingLine] = (), zones: Sequence[Zone] = ()) -> None:
        self._places: tuple[CountingLine | Zone, ...] = (*lines, *zones)
        names = [place.name for place in self._places]
        if len(set(names)) < len(names):
            raise UsageError(f"lines and zones should have names of their own, got {', '.join(names)}")
        self.lines, self.zones = tuple(lines), tuple(zones)
        self.crossings: Counter[tuple[str, str, str]] = Counter()
        self.entries: Counter[tuple[str, str]] = Counter()
        self.dwells = {zone.name: (0, 0.0, 0.0) for zone in zones}
        self.peak = {zone.name: 0 for zone in zones}
        self._known: dict[int, _Seen] = {}

    @property
    def inside(self) -> dict[str, Counter[str]]:
        """Zone -> how many objects of every class are in it now."""
        found: dict[str, Counter[str]] = {zone.name: Counter() for zone in self.zones}
        for one in self._known.values():
            for name in one.since:
                found[name][one.label] += 1
        return found

    def update(self, found: Detections, time: float, frame: int) -> list[Event]:
        """What happens in a frame.

        Args:
            found: objects with `track_ids`; those with -1 are passed over.
            time: seconds since the first frame, never less than before.
            frame: its number.
        """
        events: list[Event] = []
        ids = np.full(len(found), -1) if found.track_ids is None else found.track_ids
        boxes = found.boxes.astype(np.float64)
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        margins = MARGIN * np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1))
        rows = [(row, int(track)) for row, track in enumerate(ids.tolist()) if track >= 0]
        for row, track in rows:
            one = self._known.setdefault(track, _Seen(time, frame, middles[row], ""))
            one.time, one.frame, one.at, one.label = time, frame, middles[row], found.names[row]
        for place in self._places:
            beyond = place.beyond(middles)
            for row, track in rows:
                side = int(np.sign(beyond[row])) if abs(beyond[row]) >= margins[row] else 0
                events += self._moved(place, track, side, first=int(np.sign(beyond[row])))
        events += [event for track in list(self._known) for event in self._gone(track, time)]
        for zone, inside in self.inside.items():
            self.peak[zone] = max(self.peak[zone], inside.total())
        return events

    def finish(self) -> list[Event]:
        """The video has ended: what is still in a zone leaves it."""
        return [event for track in list(self._known) for event in self._gone(track, np.inf)]

    def summary(self) -> dict[str, Any]:
        """JSON-ready counts: {"lines": {name: {"left", "right", "classes"}}, "zones": {name: {"entered", ...}}}."""
        lines = {
            line.name: {
                **{
                    d: sum(n for (name, to, _), n in self.crossings.items() if (name, to) == (line.name, d))
                    for d in WAYS
                },
                "classes": _by_class(self.crossings, line.name),
            }
            for line in self.lines
        }
        inside, zones = self.inside, {}
        for zone in self.zones:
            stays, seconds, longest = self.dwells[zone.name]
            zones[zone.name] = {
                "entered": sum(n for (name, _), n in self.entries.items() if name == zone.name),
                "inside": inside[zone.name].total(),
                "most_at_once": self.peak[zone.name],
                "mean_dwell_s": round(seconds / stays, 3) if stays else None,
                "longest_dwell_s": round(longest, 3) if stays else None,
                "classes": {label: n for (name, label), n in sorted(self.entries.items()) if name == zone.name},
            }
        return {"lines": lines, "zones": zones}

    def _moved(self, place: CountingLine | Zone, track: int, side: int, first: int) -> list[Event]:
        """The events of an object that is now on a side of a place, 0 for within the margin."""
        one, name = self._known[track], place.name
        before = one.sides.get(name, 0)
        if isinstance(place, Zone) and name not in one.sides:
            side = first or -1  # it came into being here, and must count as in or out
        if side == 0 or side == before:
            if side:
                one.sure[name] = one.at
            return []
        was = one.sure.get(name)
        one.sides[name], one.sure[name] = side, one.at
        if isinstance(place, Zone):
            return self._entered(one, track, name) if side > 0 else self._left(one, track, name)
        if before == 0 or was is None or not place.between(was, one.at):
            return []
        direction = WAYS[side > 0]
        self.crossings[name, direction, one.label] += 1
        return [_event("cross", name, track, one, direction=direction)]

    def _entered(self, one: _Seen, track: int, name: str) -> list[Event]:
        one.since[name] = one.time
        self.entries[name, one.label] += 1
        return [_event("enter", name, track, one)]

    def _left(self, one: _Seen, track: int, name: str) -> list[Event]:
        since = one.since.pop(name, None)
        if since is None:
            return []
        stays, seconds, longest = self.dwells[name]
        dwell = one.time - since
        self.dwells[name] = (stays + 1, seconds + dwell, max(longest, dwell))
        return [_event("leave", name, track, one, dwell=dwell)]

    def _gone(self, track: int, now: float) -> list[Event]:
        """Forget an object that was not seen for long; it left its zones when it was last seen."""
        one = self._known[track]
        if now - one.time <= FORGOTTEN:
            return []
        events = [event for zone in list(one.since) for event in self._left(one, track, zone)]
        del self._known[track]
        return events


WAYS = ("left", "right")
"""The directions in which a line is crossed."""


def _event(kind: str, place: str, track: int, one: _Seen, *, direction: str = "", dwell: float | None = None) -> Event:
    xy = (float(one.at[0]), float(one.at[1]))
    return Event(kind, place, one.time, one.frame, track, one.label, direction, dwell, xy)


def _by_class(crossings: Counter[tuple[str, str, str]], line: str) -> dict[str, dict[str, int]]:
    labels = sorted({label for name, _, label in crossings if name == line})
    return {label: {way: crossings[line, way, label] for way in WAYS} for label in labels}


def _finite(name: str, points: Sequence[Point]) -> None:
    if not name or not np.isfinite(np.array(points, dtype=float)).all():
        raise UsageError(f"a line or zone needs a name and finite coordinates in pixels, got '{name}' at {points}")
