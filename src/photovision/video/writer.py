"""Writing frames as an MP4 file that is whole whenever the writing ends, and never half of one under its name.

VP9 (BSD-3) in fragments: players and browsers show it, memory does not grow with its length, and a process that dies
leaves a file beside the target that can still be played. H.264 would need x264, which is GPL.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import MissingExtra, UsageError
from photovision.core.files import beside, explained, put, sync
from photovision.core.output import SIGNATURE, check_file
from photovision.core.types import Image

_CODECS = {"libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "qmax": "44"}, "mpeg4": {}}
_BITS = 0.12  # a pixel of a frame: letters and thin lines stay legible
_TICKS = 90_000  # a second, as in MPEG


class Film:
    """An MP4 file in the making: a context manager that puts the file in its place at the end, also after an error.

    Args:
        path: a name that ends in .mp4; an earlier film there is replaced at the end. Nothing is written without a
            frame.
        rate: frames a second, to share out bits; every frame carries its own time.
        inputs: videos that are read, none of which is ever replaced.

    Raises:
        UsageError: another ending, an input or a file that Photovision did not write is there, or the place cannot be
            written.
        MissingExtra: PyAV is not installed.
    """

    def __init__(self, path: Path, rate: float | None = None, inputs: Iterable[str | Path] = ()) -> None:
        if path.suffix.lower() != ".mp4":
            raise UsageError(f"videos are written as MP4: give a name that ends in .mp4, not {path.name}")
        self.path, self.frames, self._inputs = path, 0, tuple(inputs)
        check_file(path, self._inputs)
        self._rate = min(max(rate or 25.0, 1.0), 120.0)
        self._part = beside(path.with_suffix(""), f"{os.getpid()}.part.mp4")
        self._container: Any = None
        self._stream: Any = None
        self._last, self._failed = -1, False
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part.open("wb").close()  # what cannot be written is told before hours of work
            self._part.unlink()

    def add(self, image: Image, seconds: float) -> None:
        """Append a frame.

        Args:
            image: uint8 RGB (H, W, 3); frames of another size than the first are fitted into it with black borders.
            seconds: when it is shown, later than the frame before; else it is shown right after it.
        """
        if self._container is None:
            self._open(image.shape[0], image.shape[1])
        import av

        size = (self._stream.height, self._stream.width)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(_fitted(image, size)), format="rgb24")
        self._last = max(round(seconds * _TICKS), self._last + 1)
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._mux(frame)
        self.frames += 1

    def close(self) -> None:
        """Write what is left and put the file in its place."""
        if self._container is None:
            return
        try:
            if not self._failed:
                self._mux(None)
        finally:
            container, self._container = self._container, None
            with contextlib.suppress(*([OSError] if self._failed else [])):
                container.close()
        if self._failed:
            return
        with explained(self.path):
            check_file(self.path, self._inputs)
            sync(self._part)
            put(self._part, self.path)

    def _mux(self, frame: Any) -> None:
        """Write a frame, or what the codec still holds; nothing after a failure, which the library does not survive."""
        try:
            with explained(self.path):
                self._container.mux(self._stream.encode(frame))
        except UsageError as error:
            self._failed = True
            kept = f"; the film until then is {self._part}" if self.frames else ""
            raise UsageError(f"{error}{kept}") from None

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, height: int, width: int) -> None:
        try:
            import av
        except ImportError:
            raise MissingExtra("av", "writing videos") from None
        codec = next(name for name in _CODECS if name in av.codecs_available)
        with explained(self.path):
            self._container = av.open(
                str(self._part), "w", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
            )
        self._container.metadata["comment"] = SIGNATURE.decode()
        stream = self._container.add_stream(codec, rate=round(self._rate), options={**_CODECS[codec], "g": "50"})
        stream.width, stream.height = max(2, width - width % 2), max(2, height - height % 2)
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, _TICKS)
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.bit_rate = max(200_000, int(_BITS * width * height * self._rate))
        stream.thread_count = 2
        self._stream = stream


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    height, width = image.shape[:2]
    if 0 <= height - size[0] <= 1 and 0 <= width - size[1] <= 1:  # the codec wants even sides
        return image[: size[0], : size[1]]
    scale = min(size[0] / height, size[1] / width)
    inner = (max(1, min(size[1], round(width * scale))), max(1, min(size[0], round(height * scale))))
    page = np.zeros((*size, 3), dtype=np.uint8)
    top, left = (size[0] - inner[1]) // 2, (size[1] - inner[0]) // 2
    page[top : top + inner[1], left : left + inner[0]] = np.asarray(Pillow.fromarray(image).resize(inner))
    return page
