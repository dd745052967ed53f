"""Live on the local page: a video of its folder, a camera of this machine or a stream, watched by a detector.

One is watched at a time, and only while somebody looks: the annotated frames go out as MJPEG, counts and events beside
them as server-sent events. Files are those of the page's folder only; addresses are of named schemes only.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from PIL import Image as Pillow
from pydantic import BaseModel, Field

from photovision.app.web.discovery import DEEPEST, MOST_FOLDERS
from photovision.app.web.watcher import SIDE, Watcher
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, UsageError
from photovision.core.page_layers import as_url
from photovision.data.image_paths import VIDEOS
from photovision.runtime.bundle import read_bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from photovision.core.regions import Detections
    from photovision.core.types import Image
    from photovision.video.watch import DetectsObjects, WatchRequest

SCHEMES = ("rtsp", "rtmp", "rtmps", "srt", "http", "https", "udp", "rtp", "tcp")
"""Addresses that may be watched begin with one of these."""
MOST_VIDEOS = 500
EVERY = 0.25
"""Seconds between two tellings of the counts."""
HIGH = 0.4
_PATIENCE = 10.0
_BOUNDARY = "frame"
Point = tuple[float, float]
Share = Field(ge=0, le=1)


class LiveSource(BaseModel):
    """What is watched: "file" with a path below the page's folder, "camera" with its number, or "address"."""

    kind: Literal["file", "camera", "address"]
    value: str = Field(max_length=2000)


class CameraAddress(BaseModel):
    """A line of two points or a zone of three or more; x and y in shares of the frame's width and height, 0 to 1."""

    name: str = Field(min_length=1, max_length=60)
    points: list[tuple[float, float]] = Field(min_length=2, max_length=64)


class LiveRequest(BaseModel):
    """What is watched by which detector, and what is counted."""

    source: LiveSource
    model: str
    lines: list[CameraAddress] = Field([], max_length=32)
    zones: list[CameraAddress] = Field([], max_length=32)
    classes: list[str] = Field([], max_length=1000)
    threshold: float | None = Field(None, ge=0, le=1)
    quick: bool = False


class Watchers:
    """The one watcher of the page: starting another one ends it."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._kept: tuple[int, Watcher] | None = None

    def start(self, source: str | Path | int, detect: DetectsObjects, asked: WatchRequest, quick: bool) -> int:
        """Watch something; gives its number."""
        with self._guard:
            if self._kept is not None:
                self._kept[1].stop()
            self._kept = next(self._numbers), Watcher(source, detect, asked, quick=quick)
            return self._kept[0]

    def of(self, number: int) -> Watcher:
        """The watcher of that number; raises UsageError where another one took its place."""
        kept = self._kept
        if kept is None or kept[0] != number:
            raise UsageError("this is not watched any more: start it again")
        return kept[1]

    def end(self) -> None:
        """Stop what is watched, and wait until it has stopped."""
        if self._kept is not None:
            self._kept[1].stop()
            self._kept[1].wait(_PATIENCE)


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    watchers, one = Watchers(), threading.Lock()
    router = APIRouter(prefix="/api/live")
    state.leaving.append(watchers.end)
    _follow(router, watchers, state.ending)

    @router.get("/sources")
    def sources() -> dict[str, Any]:
        """Videos of the folder by their path, and cameras of this machine."""
        return {"videos": videos(state.folder), "cameras": cameras()}

    @router.post("/look")
    def look(source: LiveSource) -> dict[str, Any]:
        """The first frame, to draw lines and zones on; `{"error": reason}` where there is none: cameras come and go."""
        place = opened(state, source)
        try:
            with one:  # a stream that does not answer takes seconds
                return first_frame(place)
        except DataError as error:
            return {"error": str(error)}

    @router.post("/start")
    def start(wanted: LiveRequest) -> dict[str, int]:
        """Start to watch, and end what was watched before."""
        asked = asked_for(state, wanted)
        return {"number": watchers.start(opened(state, wanted.source), detects(state, wanted), asked, wanted.quick)}

    return router


def _follow(router: APIRouter, watchers: Watchers, ending: threading.Event) -> None:
    """Addresses of what is watched now."""

    @router.get("/stream")
    async def stream(number: int, request: Request) -> StreamingResponse:
        """The annotated frames as MJPEG, until the end or until nobody looks."""
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return StreamingResponse(_parts(watchers.of(number), request, ending), media_type=kind)

    @router.get("/events")
    async def events(number: int, request: Request) -> StreamingResponse:
        """Counts and events as server-sent events; the last one is called "end"."""
        return StreamingResponse(_events(watchers.of(number), request, ending), media_type="text/event-stream")

    @router.post("/stop")
    def stop(number: int) -> dict[str, bool]:
        """End it."""
        watchers.of(number).stop()
        return {"stopped": True}


def opened(state: State, source: LiveSource) -> str | Path | int:
    """What `open_video` opens; raises UsageError or DataError for what the page may not or cannot watch."""
    value = source.value.strip()
    if source.kind == "camera":
        if not re.fullmatch(r"\d{1,2}", value):
            raise UsageError(f"a camera is named by its number, such as 0, got {value!r}")
        return int(value)
    if source.kind == "address":
        scheme, colon, rest = value.partition("://")
        if scheme.lower() not in SCHEMES or not colon or not value.isprintable():
            raise UsageError(f"an address should begin with one of {', '.join(f'{one}://' for one in SCHEMES)}")
        return f"{scheme.lower()}://{rest}"  # in capitals it would be taken for a path
    path = state.inside(value)
    if path.suffix.lower() not in VIDEOS or not path.is_file():
        raise DataError(f"there is no video {value} in the folder of this page (any more): reload the page")
    return path


def asked_for(state: State, wanted: LiveRequest) -> WatchRequest:
    """What is counted; raises UsageError or ModelError where it makes no sense."""
    from photovision.video.watch import LOW, WatchRequest

    _check_names(wanted)
    bundle = read_bundle(_made(state, wanted.model))
    if bundle.row.annotation_type != "boxes":
        raise UsageError(f"{wanted.model} finds no objects in frames: choose a detector")
    if strange := [name for name in wanted.classes if name not in bundle.classes]:
        raise UsageError(f"{strange[0]} is not one of the classes of {wanted.model}: reload the page")
    own = sorted(float(value) for value in (bundle.thresholds if bundle.thresholds is not None else ()))
    high = wanted.threshold if wanted.threshold is not None else own[len(own) // 2] if own else HIGH
    lines = {one.name: (one.points[0], one.points[1]) for one in wanted.lines}
    zones = {one.name: tuple(one.points) for one in wanted.zones}
    return WatchRequest(lines, zones, tuple(wanted.classes), high, min(LOW, high))


def _check_names(wanted: LiveRequest) -> None:
    names = [one.name for one in (*wanted.lines, *wanted.zones)]
    if len(set(names)) < len(names):
        raise UsageError("lines and zones need names of their own: give each another one")
    for one in (*wanted.lines, *wanted.zones):
        if not all(0 <= value <= 1 for point in one.points for value in point):
            raise UsageError(f"{one.name} should lie within the frame")
    if any(len(one.points) != 2 for one in wanted.lines) or any(len(one.points) < 3 for one in wanted.zones):
        raise UsageError("a line has two points, a zone three corners or more")


def _made(state: State, name: str) -> Path:
    state.stamp(name)  # makes a ready detector where that was not done before
    return state.path_of(name)


def detects(state: State, wanted: LiveRequest) -> DetectsObjects:
    """The detector for one batch after the other, so that the page's other views can use it between."""

    def detect(images: Sequence[Image]) -> Sequence[Detections]:
        with state.using(wanted.model) as model:
            return cast("list[Detections]", model.predict(list(images)))

    return detect


def first_frame(source: str | Path | int) -> dict[str, Any]:
    """The first frame as a JPEG address, its size (H, W) in pixels, and what is known of the source."""
    from photovision.video.reader import open_video

    with open_video(source) as video:
        frame = next(iter(video), None)
        if frame is None:
            raise DataError(f"{video.name} gave no frame")
        page = Pillow.fromarray(frame.image)
        size = [page.height, page.width]
        page.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        page.save(buffer, "JPEG", quality=85)
        told = {"rate": video.rate, "frames": video.frames, "live": video.live}
    return {"picture": as_url(buffer.getvalue(), "jpeg"), "size": size, **told}


def videos(top: Path | None) -> list[dict[str, Any]]:
    """Path below the folder and bytes of every video in it, sorted; links and hidden folders are passed over."""
    found: list[dict[str, Any]] = []
    waiting, seen = [(top, 0)] if top is not None else [], 0
    while waiting and seen < MOST_FOLDERS and len(found) < MOST_VIDEOS:
        place, depth = waiting.pop(0)
        seen += 1
        try:
            with os.scandir(place) as entries:
                inner = sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in inner:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
                waiting.append((path, depth + 1))
            elif path.suffix.lower() in VIDEOS and entry.is_file(follow_symlinks=False):
                found.append({"name": path.relative_to(cast("Path", top)).as_posix(), "bytes": entry.stat().st_size})
    return sorted(found[:MOST_VIDEOS], key=lambda one: str(one["name"]))


def cameras() -> list[str]:
    """Numbers of the cameras that Linux shows; elsewhere the first one, which may not be there."""
    devices = Path("/dev")
    found = sorted(int(p.name[5:]) for p in devices.glob("video*") if p.name[5:].isdigit())
    return [str(number) for number in found]


async def _parts(watcher: Watcher, request: Request, ending: threading.Event) -> AsyncIterator[bytes]:
    number = 0
    yield f"--{_BOUNDARY}\r\n".encode()
    while not ending.is_set() and not await request.is_disconnected():
        found = await run_sync(watcher.picture, number)
        if found is not None:
            number, jpeg = found
            # The boundary goes out with the picture: browsers show it once they know where it ends.
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            yield head + jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()
        elif watcher.ended:
            return


async def _events(watcher: Watcher, request: Request, ending: threading.Event) -> AsyncIterator[str]:
    last, ended = 0, False
    while not ended and not ending.is_set() and not await request.is_disconnected():
        told = watcher.told(last)
        last, ended = told["last"], told["ended"]
        yield f"event: {'end' if ended else 'told'}\ndata: {json.dumps(told)}\n\n"
        await anyio.sleep(EVERY)
