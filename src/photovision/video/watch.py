"""watch: what moves how in a video: frames, detector, tracker, counts, events, an annotated film.

    with Watch("street.mp4", detector.predict, Asked(lines={"gate": ((0, 0.5), (1, 0.5))})) as watching:
        for step in watching:
            print(step.events)
        print(watching.summary())

Frames are decoded in one thread, the network runs in another, and tracking, counting and drawing go on beside both; a
few frames are held at once, however long the video is.
"""

from __future__ import annotations

import io
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from PIL import Image as Pillow

from photovision.core.parallel import batched
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.types import Image
from photovision.core.value_range import ValueRanges
from photovision.video.counting import Counting, CountingLine, Event, Point, Zone
from photovision.video.event_log import EventLog
from photovision.video.reader import Frame, open_video
from photovision.video.tags import Tagger, Tags
from photovision.video.tracker import ObjectTracker
from photovision.video.watch_drawing import Drawing
from photovision.video.writer import Film

BATCH, AT_ONCE = 4, 16_000_000
"""Frames of a file that the network gets at once, and their pixels; of live sources one, for nobody wants to wait."""


LOW = 0.1
"""Detections below this score are of no use to the tracker."""


class DetectsObjects(Protocol):
    """Any detector of objects, such as `Detector.predict`."""

    def __call__(self, images: Sequence[Image], /) -> Sequence[Detections]:
        """One answer for each of uint8 RGB pictures (H, W, 3), in pixels of the picture."""
        ...


@dataclass(frozen=True)
class WatchRequest:
    """What is counted, and how objects are followed.

    Attributes:
        lines: name -> its two points; zones: name -> its corners; x and y in pixels of the upright frame, or shares of
            its width and height where all of a line or zone are at most 1.
        classes: names of the classes that are followed; () for all.
        high, low: scores from which on a detection begins a track, and goes on with one.
        every: every how many frames are looked at.
        max_seconds: of the video (for live sources: of time) after which watching ends.
        live, ranges: see `photovision.video.reader.open_video`.
    """

    lines: Mapping[str, tuple[Point, Point]] = field(default_factory=dict)
    zones: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    high: float = 0.4
    low: float = LOW
    every: int = 1
    max_seconds: float | None = None
    live: bool | None = None
    ranges: ValueRanges = ()

    def counting(self, size: tuple[int, int]) -> Counting:
        """Lines and zones in frames of `size` (H, W); raises UsageError where one is none."""
        lines = [CountingLine(name, *_pixels(points, size)) for name, points in self.lines.items()]
        return Counting(lines, [Zone(name, _pixels(points, size)) for name, points in self.zones.items()])


@dataclass(frozen=True, eq=False)
class Step:
    """What one frame brought.

    Attributes:
        frame: the frame.
        found: tracked objects, with `track_ids`.
        events: what happened.
        tags: what kind of scene it is, where that was asked for.
    """

    frame: Frame
    found: Detections
    events: tuple[Event, ...]
    tags: Tags = field(default_factory=dict)


class Watch:
    """An open source that is watched; iterate over it once (it is a context manager).

    Args:
        source: see `photovision.video.reader.open_video`.
        detect: the detector.
        asked: what is counted.
        tagger: what tells what kind of scene it is, or None.

    Attributes:
        asked: what is counted.
        video: the open source, with its counts of dropped and corrupt frames.
        counting: lines and zones with their counts so far.
        tracker: with the number of objects so far.
        frames: frames looked at so far.

    Raises:
        DataError, UsageError: see `photovision.video.reader.open_video`; or a line or a zone is none.
    """

    def __init__(
        self,
        source: str | Path | int,
        detect: DetectsObjects,
        asked: WatchRequest | None = None,
        tagger: Tagger | None = None,
    ) -> None:
        asked = asked or WatchRequest()
        self.tracker = ObjectTracker(high=asked.high, low=min(asked.low, asked.high), new=asked.high)
        self.asked, self.frames, self.seconds = asked, 0, 0.0
        self._detect, self._began = detect, time.monotonic()
        self._tagger, self._tagged = tagger, Counter[str]()
        self.video = open_video(source, live=asked.live, every=asked.every, ranges=asked.ranges)
        try:
            frames = iter(self.video)
            first = next(frames)  # tells how large frames are; a source without any has raised by now
            self.counting = asked.counting((first.image.shape[0], first.image.shape[1]))
        except BaseException:
            self.video.close()
            raise
        self._pixels = first.image.shape[0] * first.image.shape[1]
        self._frames = chain([first], frames)

    def __iter__(self) -> Iterator[Step]:
        """One step a frame, in order."""
        for frame, seen in self._looked():
            found = self.tracker.update(_only(seen, self.asked.classes))
            events = self.counting.update(found, frame.time, frame.index)
            tags = {} if self._tagger is None else self._tagger.frame(frame.image)
            self._tagged.update(tags.keys())
            self.frames, self.seconds = self.frames + 1, time.monotonic() - self._began
            yield Step(frame, found, tuple(events), tags)

    def summary(self) -> dict[str, Any]:
        """JSON-ready: frames, speed, tracks, counts by line and zone, share of frames by tag, and what went wrong."""
        video = self.video
        shares = {name: round(count / self.frames, 4) for name, count in self._tagged.most_common()}
        return {
            "source": video.name,
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames / self.seconds, 2) if self.seconds else None,
            "tracks": self.tracker.count,
            **self.counting.summary(),
            **({} if self._tagger is None else {"tags": shares}),
            "corrupt": video.corrupt,
            "dropped": video.dropped,
            "reconnects": video.reconnects,
            "warnings": list(video.warnings),
        }

    @property
    def frames_in_all(self) -> int:
        """How many frames there are up to the end that was asked for; 0 where the source does not say."""
        video, limit = self.video, self.asked.max_seconds
        frames = video.frames or 0
        return frames if limit is None or not video.rate else min(frames, int(limit * video.rate) + 1)

    def close(self) -> None:
        """Let go of the source."""
        self.video.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _looked(self) -> Iterator[tuple[Frame, Detections]]:
        """Frames with what the network says of them; it works on the next ones while these are followed."""
        size = 1 if self.video.live else max(1, min(BATCH, AT_ONCE // self._pixels))
        waiting: deque[tuple[list[Frame], Future[Sequence[Detections]]]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="network") as network:
            for frames in batched(self._wanted(), size):
                waiting.append((frames, network.submit(self._detect, [frame.image for frame in frames])))
                if len(waiting) > 1:
                    yield from _pairs(*waiting.popleft())
            while waiting:
                yield from _pairs(*waiting.popleft())

    def _wanted(self) -> Iterator[Frame]:
        limit = self.asked.max_seconds
        for frame in self._frames:
            if limit is not None and frame.time > limit:
                return
            yield frame


def watch(
    source: str | Path | int,
    detect: DetectsObjects,
    asked: WatchRequest | None = None,
    *,
    tagger: Tagger | None = None,
    events: Path | None = None,
    record: Path | None = None,
    output: Path | None = None,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Watch a source to its end, or until Ctrl-C, which ends it as cleanly.

    Args:
        source, detect, asked, tagger: see `Watch`.
        events: JSON Lines to add events to, see `photovision.video.event_log.EventLog`.
        record: a SQLite file to add events to.
        output: an MP4 to write, with what was seen drawn over it.
        progress: called with (frames read, frames in all) where the source says how many there are.

    Returns:
        `Watch.summary()`, with "interrupted": whether Ctrl-C ended it.
    """
    with Watch(source, detect, asked, tagger) as watching, EventLog(watching.video.name, events, record) as log:
        drawing, interrupted = Drawing(watching.counting), False
        rate = (watching.video.rate or 25.0) / watching.asked.every
        film = None if output is None else Film(output, rate, [str(source)])
        try:
            for step in watching:
                log.add(step.events)
                if film is not None:
                    film.add(drawing.draw(step.frame.image, step.found, step.tags), step.frame.time)
                if progress is not None and step.frame.index < watching.frames_in_all:
                    progress(step.frame.index + 1, watching.frames_in_all)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            if film is not None:
                film.close()
        log.add(watching.counting.finish())
        summary = {**watching.summary(), "interrupted": interrupted}
        log.end(summary)
        return summary


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame as people look at it.

    Attributes:
        jpeg: the frame with what was seen drawn over it, as a JPEG file.
        step: what it brought.
    """

    jpeg: bytes
    step: Step


def annotated(watching: Watch, *, side: int | None = None, quality: int = 80) -> Iterator[Shown]:
    """The frames of an open `Watch`, drawn; its counts so far are in `watching.summary()`.

    Args:
        watching: which the caller closes.
        side: pixels that the longer side of the pictures has at most; None for the frames' own.
        quality: JPEG's, 1 to 95.
    """
    drawing = Drawing(watching.counting)
    for step in watching:
        page = Pillow.fromarray(drawing.draw(step.frame.image, step.found, step.tags))
        if side is not None:
            page.thumbnail((side, side), Pillow.Resampling.BILINEAR, reducing_gap=2.0)
        buffer = io.BytesIO()
        page.save(buffer, "JPEG", quality=quality)
        yield Shown(buffer.getvalue(), step)


def annotated_jpegs(
    source: str | Path | int, detect: DetectsObjects, asked: WatchRequest | None = None, *, quality: int = 80
) -> Iterator[bytes]:
    """Annotated frames as JPEG files, one after the other: parts of a multipart/x-mixed-replace answer (MJPEG).

    Closing the generator lets go of the source. Arguments as for `Watch`; quality is JPEG's, 1 to 95.
    """
    with Watch(source, detect, asked) as watching:
        yield from (shown.jpeg for shown in annotated(watching, quality=quality))


def _pairs(frames: list[Frame], future: Future[Sequence[Detections]]) -> Iterator[tuple[Frame, Detections]]:
    yield from zip(frames, future.result(), strict=True)


def _only(found: Detections, classes: tuple[str, ...]) -> Detections:
    """The objects of some classes."""
    if not classes:
        return found
    rows = np.flatnonzero([name in classes for name in found.names])
    return replace(
        found,
        boxes=found.boxes[rows],
        labels=found.labels[rows],
        scores=None if found.scores is None else found.scores[rows],
        masks=None if found.masks is None else tuple(found.masks[row] for row in rows.tolist()),
        crowd=None if found.crowd is None else found.crowd[rows],
        track_ids=None if found.track_ids is None else found.track_ids[rows],
    )


def _pixels(points: Sequence[Point], size: tuple[int, int]) -> Any:
    if any(abs(value) > 1 for point in points for value in point):
        return tuple(points)
    return tuple((x * size[1], y * size[0]) for x, y in points)
