"""Frames of a video, a folder, a camera or a stream, decoded in a thread of its own, never more than a few at once.

Files give every frame, however slow the reader is. Live sources give the newest frame: what came while the reader was
busy is dropped and counted. A live source that breaks off is opened again, with growing pauses. What cannot be decoded
is counted and passed over.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from photovision.core.errors import DataError, UsageError
from photovision.core.types import Image
from photovision.core.value_range import ValueRanges
from photovision.video.sources import PATIENCE, VideoSource, find_source

PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before each attempt to open a broken stream again; the last one for all further attempts."""
AHEAD, AHEAD_BYTES = 4, 1 << 28
"""Decoded frames that wait for the reader of a file, at most: their number, and their bytes but for one frame's."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        index: its number among those that were decoded, from 0 on, counting those that were dropped or left out.
        time: seconds since the first frame; of live sources by the clock, since they were opened.
        image: uint8 RGB (H, W, 3), upright; frames of one source may differ in size.
    """

    index: int
    time: float
    image: Image


def open_video(
    source: str | Path | int,
    *,
    live: bool | None = None,
    every: int = 1,
    patience: float = 300.0,
    ranges: ValueRanges = (),
) -> Video:
    """Open a video and begin to decode it.

    Args:
        source: a video file; a folder of pictures, in the order of the numbers in their names; a camera as a number or
            /dev/videoN; or an address (rtsp://, http:// ...). The network is used for addresses only, and a local
            file cannot lead there.
        live: whether only the newest frame counts; None: for cameras, and for addresses that do not say how long they
            are.
        every: every how many frames are given.
        patience: seconds for which a live source is tried again after its last frame.
        ranges: how frames of more than 8 bits in a folder are shown, see `Preprocess.value_ranges`.

    Raises:
        DataError: there is no such thing, it is no video of a known format, or it has no pictures.
        MissingExtra: PyAV is not installed.
    """
    if every < 1:
        raise UsageError(f"every should be 1 or more, got {every}")
    return Video(find_source(source, ranges), live=live, every=every, patience=patience)


class Video:
    """An open source; iterate over it once, and close it (it is a context manager). See `open_video`.

    Attributes:
        name: what was opened, without passwords.
        live: whether only the newest frame counts.
        rate: frames a second as the source says, None where it does not.
        frames: how many frames the source says it has, None where it does not.
        read: frames decoded so far.
        dropped: frames that a live source brought while the reader was busy.
        reconnects: how often a live source was opened again.
        warnings: what should be known at the end, a line each.
    """

    def __init__(self, source: VideoSource, *, live: bool | None, every: int, patience: float) -> None:
        self.name, self.rate, self.frames = source.name, source.rate, source.frames
        self.live = source.live if live is None else live
        self.read = self.dropped = self.reconnects = 0
        self.warnings: list[str] = []
        self._source, self._every, self._patience = source, every, patience
        self._waiting: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._failure: BaseException | None = None
        self._last, self._attempts = time.monotonic(), 0
        self._thread = threading.Thread(target=self._decode, name="decoder", daemon=True)
        self._thread.start()

    @property
    def corrupt(self) -> int:
        """How much could not be decoded so far, with what the decoder calls damaged."""
        return self._source.corrupt

    def __iter__(self) -> Iterator[Frame]:
        """Frames in their order; raises DataError where there is none that can be decoded."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                frame = self._waiting.popleft()
                self._changed.notify_all()
            yield frame
        if self._failure is not None and not self._closed:
            raise self._failure

    def close(self) -> None:
        """Stop decoding and let go of the source."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout=2 * PATIENCE)

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decode(self) -> None:
        try:
            while self._one_pass() and self._again():
                pass
            self._judge()
        except BaseException as error:  # raised again where the frames are read
            self._failure = error
        finally:
            with suppress(Exception):
                self._source.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _one_pass(self) -> bool:
        """Read the source until it ends or breaks off; whether it should be opened again."""
        for seconds, picture in self._source.pictures():
            index, self._last, self._attempts = self.read, time.monotonic(), 0
            self.read += 1
            if index % self._every == 0:
                self._put(Frame(index, seconds, picture()))
            if self._closed:
                return False
        return self._source.live and not self._closed

    def _put(self, frame: Frame) -> None:
        with self._changed:
            if self.live:
                self.dropped += len(self._waiting)
                self._waiting.clear()
            else:
                self._changed.wait_for(lambda: self._closed or self._room(frame))
            if not self._closed:
                self._waiting.append(frame)
                self._changed.notify_all()

    def _room(self, frame: Frame) -> bool:
        held = sum(one.image.nbytes for one in self._waiting)
        return not held or (len(self._waiting) < AHEAD and held + frame.image.nbytes <= AHEAD_BYTES)

    def _again(self) -> bool:
        """Open a live source that broke off; False where it did not come back in time."""
        while time.monotonic() - self._last < self._patience:
            pause = PAUSES[min(self._attempts, len(PAUSES) - 1)]
            self._attempts += 1
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, pause):
                    return False
            with suppress(DataError):
                self._source.reopen()
                self.reconnects += 1
                return True
        self.warnings.append(f"{self.name} broke off and did not come back within {self._patience:g} s")
        return False

    def _judge(self) -> None:
        if self._closed:
            return
        if not self.read:
            raise DataError(f"{self.name} has no frame that can be decoded: check that it is a whole video")
        missing = (self.frames or 0) - self.read
        if missing > max(1, self._source.corrupt) and not self.live:
            self.warnings.append(
                f"{self.name} ends after {self.read:,} of {self.frames:,} frames: it is damaged or cut off"
            )
