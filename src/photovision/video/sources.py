"""Where frames come from: a video file, a camera or a stream through PyAV, or a folder of pictures.

The formats are named one by one, and a local file may refer to no other file and no address: a playlist that calls
itself a video is refused. PyAV is BSD-3; its wheels carry FFmpeg's libraries.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from photovision.core.errors import DataError, MissingExtra, UnreadableImage
from photovision.core.image import SUFFIXES, decode, to_array
from photovision.core.types import Image
from photovision.core.value_range import ValueRanges

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

MAX_PIXELS = 70_000_000
"""Larger frames are refused before memory is taken; twice those of 8K."""
FOLDER_RATE = 25.0
"""Frames a second that a folder of pictures is taken for."""
PATIENCE = 10.0
"""Seconds without a byte after which a stream counts as broken off."""
_FILES = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,mjpeg,mpjpeg,ivf,mxf,nut,h264,hevc,m4v,dv,"
    "yuv4mpegpipe,rm,wtv,obu,av1"
)
_STREAMS = "rtsp,rtp,sdp,hls,live_flv"
_PROTOCOLS = "http,https,httpproxy,tls,tcp,udp,udplite,rtp,srtp,rtsp,rtmp,rtmps,srt,crypto,data"
_ODD = 100  # errors in a row after which a file is given up

Picture = tuple[float, Callable[[], Image]]
"""Seconds since the first frame, and a function that gives the pixels: those that nobody wants are not converted."""


Turn = tuple[bool, int, int]
"""Whether rows and columns change places, then the steps, 1 or -1, through columns and rows."""
KEEP: Turn = (False, 1, 1)


class VideoSource(Protocol):
    """Something that gives frames.

    Attributes:
        name: as people should read it, without passwords.
        live: whether it goes on whether or not anybody looks.
        rate: frames a second, None where unknown.
        frames: how many there are, None where unknown.
        corrupt: what could not be decoded so far, and what the decoder calls damaged.
    """

    name: str
    live: bool
    rate: float | None
    frames: int | None
    corrupt: int

    def pictures(self) -> Iterator[Picture]:
        """Frames until the end, or until the source breaks off."""
        ...

    def reopen(self) -> None:
        """Begin again; raises DataError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def find_source(source: str | Path | int, ranges: ValueRanges = ()) -> VideoSource:
    """Open what a person names; see `photovision.video.reader.open_video`."""
    text = str(source)
    if re.fullmatch(r"\d{1,3}", text) or text.startswith("/dev/video"):
        return Stream(text, live=True)
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        return Stream(text, live=None)
    path = Path(text)
    if not path.exists():
        raise DataError(
            f"{path} does not exist: give a video file, a folder of frames, a camera (0, /dev/video0) or an address"
            " (rtsp://..., http://...)"
        )
    return Folder(path, ranges) if path.is_dir() else Stream(text, live=False)


class Folder:
    """A folder of pictures as a video, in the order of the numbers in their names.

    Args:
        path: the folder.
        ranges: what is black and what is white in frames of more than 8 bits; () where each file decides.
    """

    live = False
    rate: float | None = FOLDER_RATE

    def __init__(self, path: Path, ranges: ValueRanges = ()) -> None:
        self.name, self.corrupt, self._ranges = str(path), 0, ranges
        try:
            pictures = (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            found = [p for p in pictures if p.is_file()]  # a pipe would be waited on for ever
        except OSError as error:
            raise DataError(f"the folder {path} cannot be read ({error.strerror}): check its permissions") from None
        if not found:
            raise DataError(
                f"the folder {path} holds no pictures: expected frames such as 0001.jpg, or name a video file"
            )
        self._files = sorted(found, key=_natural)
        self.frames: int | None = len(found)

    def pictures(self) -> Iterator[Picture]:
        """See `VideoSource`."""
        for number, file in enumerate(self._files):
            try:
                image = to_array(decode(file, max_pixels=MAX_PIXELS, ranges=self._ranges))
            except UnreadableImage:
                self.corrupt += 1
                continue
            yield number / FOLDER_RATE, lambda image=image: image  # type: ignore[misc]

    def reopen(self) -> None:
        """See `VideoSource`."""

    def close(self) -> None:
        """See `VideoSource`."""


class Stream:
    """A video file, a camera or an address, decoded by FFmpeg.

    Args:
        name: a path, a camera's number or device, or an address.
        live: None finds out: what says how long it is, is not live.
    """

    def __init__(self, name: str, live: bool | None) -> None:
        self._address, self._camera = name, live is True
        self.name = without_secrets(name)
        self.corrupt, self._began = 0, time.monotonic()
        self._local = live is False
        self._container = self._open()
        video = self._container.streams.video[0]
        self.live = not self._container.duration if live is None else live
        rate = video.average_rate or video.guessed_rate
        self.rate = float(rate) if rate and 0.01 < rate < 1000 else None
        self.frames = video.frames or None

    def pictures(self) -> Iterator[Picture]:
        """See `VideoSource`."""
        first, last = None, 0.0
        size, turn = None, KEEP
        for number, frame in enumerate(self._frames()):
            if frame.width * frame.height > MAX_PIXELS:
                raise DataError(
                    f"{self.name} has frames of {frame.width} x {frame.height} pixels, more than the limit of"
                    f" {MAX_PIXELS:,}: scale it down"
                )
            if size != (frame.width, frame.height):
                # Asked seldom: a frame that was asked refers to itself then, and stays until such cycles are sought.
                size, turn = (frame.width, frame.height), _turn(frame)
            self.corrupt += bool(frame.is_corrupt)
            at = number / (self.rate or FOLDER_RATE) if frame.time is None else float(frame.time)
            first = at if first is None else first
            seconds = time.monotonic() - self._began if self.live else at - first
            last = max(last, seconds)  # damaged files have times that go back
            yield last, lambda frame=frame, turn=turn: _upright(frame, turn)  # type: ignore[misc]

    def reopen(self) -> None:
        """See `VideoSource`."""
        self.close()
        self._container = self._open()

    def close(self) -> None:
        """See `VideoSource`."""
        self._container.close()

    def _frames(self) -> Iterator[VideoFrame]:
        """Every frame that can be decoded; live sources end at the first error of the line, files after many."""
        import av

        stream = self._container.streams.video[0]
        odd = 0
        while odd < (1 if self.live else _ODD):
            try:
                for packet in self._container.demux(stream):
                    try:
                        frames = packet.decode()
                    except av.error.InvalidDataError:
                        self.corrupt += 1
                        continue
                    odd = 0
                    yield from frames
                return
            except av.error.ExitError:  # PATIENCE was over: nothing of use came for so long
                self.corrupt += not self.live
                break
            except (av.error.FFmpegError, OSError):  # the container itself is damaged here, or the line is broken
                self.corrupt += not self.live
                odd += 1
        if not self.live:  # frames that the decoder holds back for the sake of those that do not come
            with suppress(av.error.FFmpegError):
                yield from stream.codec_context.decode(None)

    def _open(self) -> InputContainer:
        try:
            import av
        except ImportError:
            raise MissingExtra("av", "reading videos") from None
        try:
            container: InputContainer = av.open(**self._how(), timeout=(PATIENCE, PATIENCE), metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise DataError(f"{self.name} cannot be opened as a video ({_reason(error)}): {self._advice()}") from None
        if not container.streams.video:
            kinds = _kinds(container)
            container.close()
            raise DataError(f"{self.name} has no pictures, only {kinds}: name a video")
        stream = container.streams.video[0]
        stream.codec_context.options = {**stream.codec_context.options, "max_pixels": str(MAX_PIXELS)}
        stream.thread_type = "SLICE" if self._camera else "AUTO"  # threads by frame would delay what is live
        return container

    def _how(self) -> dict[str, Any]:
        if self._camera:
            linux = sys.platform.startswith("linux")
            device = f"/dev/video{self._address}" if linux and self._address.isdigit() else self._address
            return {"file": device, "format": "video4linux2" if linux else "avfoundation"}
        if self._local:
            rules = {"protocol_whitelist": "file", "format_whitelist": _FILES}
            return {"file": f"file:{Path(self._address).absolute()}", "options": rules}
        rules = {"protocol_whitelist": _PROTOCOLS, "format_whitelist": f"{_FILES},{_STREAMS}"}
        if self._address.startswith("rtsp"):
            rules["rtsp_transport"] = "tcp"  # over UDP every lost packet is a damaged frame
        return {"file": self._address, "options": rules}

    def _advice(self) -> str:
        if self._camera:
            return "check that the camera is there, free, and yours to use"
        return "check that it is a whole video" if self._local else "check the address and the network"


def without_secrets(address: str) -> str:
    """An address as people may see it, without names of users, passwords and keys.

    Example:
        >>> without_secrets("rtsp://me:p/w@d@cam/1?user=a&password=b"), without_secrets("http://cam/@home/1")
        ('rtsp://cam/1?user=a&password=***', 'http://cam/@home/1')
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    who, at, place = rest.rpartition("@")
    if at and (":" in who or "/" not in who):  # a password may hold what else ends the name of a host
        rest = place
    return f"{scheme}://" + re.sub(r"(?i)((?:pass|pwd|pw|token|key|secret|auth|sig)[^=&]*=)[^&]*", r"\1***", rest)


def _turn(frame: VideoFrame) -> Turn:
    """What the display matrix says (ISO/IEC 14496-12, 8.3.2)."""
    sides: Any = frame.side_data
    matrix = next((side for side in sides if side.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return KEEP
    a, b, _, c, d = (np.frombuffer(matrix, dtype=np.int32)[:5] / 65536).round().astype(int).tolist()
    if abs(a) == abs(d) == 1 and b == c == 0:
        return False, a, d
    return (True, c, b) if abs(b) == abs(c) == 1 and a == d == 0 else KEEP


def _upright(frame: VideoFrame, turn: Turn) -> Image:
    image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    if turn == KEEP:
        return image
    swapped, across, down = turn
    return np.ascontiguousarray((image.transpose(1, 0, 2) if swapped else image)[::down, ::across])


def _natural(path: Path) -> tuple[list[int | str], str]:
    """frame2 before frame10."""
    parts: list[int | str] = [int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", path.name.lower())]
    return parts, path.name


def _kinds(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams if stream.type})
    return " and ".join(kinds) or "nothing"


def _reason(error: Exception) -> str:
    """FFmpeg's words without its numbers and the path, which the message names already."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:200]
