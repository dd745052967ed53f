"""Watcher: one video that is watched in a thread of its own, for as long as somebody looks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.core.errors import PhotovisionError

if TYPE_CHECKING:
    from photovision.video.counting import Event
    from photovision.video.watch import DetectsObjects, Shown, Watch, WatchRequest

SIDE = 960
"""Pixels of the longer side of the pictures that are shown."""
ALONE = 5.0
"""Seconds without anybody who looks after which watching ends."""
MOST_EVENTS = 1000
_SPEED = 2.0  # seconds over which frames a second are taken


class Watcher:
    """A source that is watched.

    Args:
        source: see `photovision.video.reader.open_video`.
        detect: the detector.
        asked: what is counted.
        quick: whether a file is watched as fast as this machine can, and not at its own pace.

    Attributes:
        ended: whether it is over.
        error: why it failed, one line; None where it did not.
    """

    def __init__(
        self, source: str | Path | int, detect: DetectsObjects, asked: WatchRequest, *, quick: bool = False
    ) -> None:
        self._source, self._detect, self._asked, self._quick = source, detect, asked, quick
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._watch: Watch | None = None
        self._jpeg, self._number = b"", 0
        self._told: dict[str, Any] = {}
        self._events: deque[tuple[int, dict[str, Any]]] = deque(maxlen=MOST_EVENTS)
        self._many = 0
        self._times: deque[float] = deque()
        self._looked = time.monotonic()
        self.ended = False
        self.error: str | None = None
        self._thread = threading.Thread(target=self._work, name="watch")
        self._thread.start()

    def picture(self, after: int, patience: float = 1.0) -> tuple[int, bytes] | None:
        """The number and the JPEG of the newest frame, once there is one after the frame `after`; None until then."""
        with self._changed:
            self._looked = time.monotonic()
            self._changed.wait_for(lambda: self._number > after or self.ended, patience)
            return (self._number, self._jpeg) if self._number > after else None

    def told(self, after: int) -> dict[str, Any]:
        """What is known by now, with the events after number `after`, and "last", the number of the latest."""
        with self._changed:
            self._looked = time.monotonic()
            events = [event for number, event in self._events if number > after]
            more = {"events": events, "last": self._many, "ended": self.ended, "error": self.error}
            return {**self._told, "speed": self._speed(), **more}

    def stop(self) -> None:
        """End it, and let go of the source."""
        self._stopped.set()
        if self._watch is not None:
            self._watch.close()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it is over."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._go()
        except PhotovisionError as error:
            self.error = " ".join(str(error).split())
        except Exception as error:  # the page should say that something broke rather than wait for ever
            self.error = f"watching failed ({type(error).__name__}: {error})"
            raise
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify_all()

    def _go(self) -> None:
        from photovision.video.watch import Watch, annotated

        with Watch(self._source, self._detect, self._asked) as self._watch:
            wait = self._pace(self._watch)
            for shown in annotated(self._watch, side=SIDE):
                if self._stopped.is_set() or time.monotonic() - self._looked > ALONE:
                    break
                self._keep(self._watch, shown)
                wait(shown.step.frame.time)
            self._last(self._watch)

    def _pace(self, watching: Watch) -> Callable[[float], object]:
        """A function that waits until the frame after one is due."""
        if self._quick or watching.video.live:
            return lambda seconds: None
        began = [time.monotonic()]

        def wait(seconds: float) -> None:
            late = time.monotonic() - began[0] - seconds
            began[0] += max(0.0, late)  # what took too long is not made up for by going faster later
            self._stopped.wait(max(0.0, -late))

        return wait

    def _keep(self, watching: Watch, shown: Shown) -> None:
        frame = shown.step.frame
        with self._changed:
            self._jpeg, self._number = shown.jpeg, self._number + 1
            self._times.append(time.monotonic())
            self._add(shown.step.events)
            size = list(frame.image.shape[:2])
            now = {"frame": frame.index + 1, "time": frame.time, "total": watching.video.frames, "size": size}
            self._told = {**watching.summary(), **now, "live": watching.video.live, "objects": len(shown.step.found)}
            self._changed.notify_all()

    def _last(self, watching: Watch) -> None:
        """What is still in a zone leaves it now."""
        with self._changed:
            self._add(watching.counting.finish())
            self._told = {**self._told, **watching.summary()}

    def _add(self, events: tuple[Event, ...] | list[Event]) -> None:
        for event in events:
            self._many += 1
            self._events.append((self._many, event.to_json()))

    def _speed(self) -> float | None:
        """Frames a second of late."""
        while self._times and self._times[-1] - self._times[0] > _SPEED:
            self._times.popleft()
        if len(self._times) < 2:
            return None
        return round((len(self._times) - 1) / (self._times[-1] - self._times[0]), 1)
