"""CVAT for video: tracks, whose shapes are given at key frames, become objects of every frame, with their numbers.

    data/annotations.xml            <track id="0" label="car"><box frame="0" .../><box frame="25" .../></track>
    data/images/frame_000000.png    its frames by their numbers, which CVAT exports on request

Between two key frames boxes, and outlines of equally many points, move in a straight line; other shapes stay as they
are. From a key frame with outside="1" on, the object cannot be seen until its next one. After its last key frame it
stays until <stop_frame>, as CVAT itself shows it.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from photovision.core.errors import DataError
from photovision.core.image import SUFFIXES
from photovision.core.regions import Detections
from photovision.core.shapes import Polygons, Shape
from photovision.data.annotation_reader import Gathered
from photovision.data.coordinates import Size, number
from photovision.data.dataset import Dataset
from photovision.data.formats import clean
from photovision.data.formats.streaming_parsers import Element, xml_elements

MAX_OBJECTS = 10_000_000
"""Objects that tracks may become: a few lines can stand for one in every frame."""
_FRAME = re.compile(r"(?:frame_?)?(\d{1,9})", re.IGNORECASE)
Place = tuple[list[float] | None, Shape | None]
"""A box x1, y1, x2, y2 or a shape, as drawn."""
ReadPlace = Callable[[Element, Size | None], Place]


class _Key(NamedTuple):
    frame: int
    outside: bool
    place: Place


def read_tracks(
    found: Gathered, file: Path, bases: Sequence[str], classes: dict[str, int], read: Callable[[str], ReadPlace | None]
) -> None:
    """Add the frames of a video with their tracked objects to what was found.

    Args:
        found: takes frames and objects; what cannot be read is reported there.
        file: the XML file.
        bases: folders below the root where frames may be, each "" or ending in "/".
        classes: name -> number; new names are added.
        read: from the name of an element to what reads its box or shape; None for what is neither.

    Raises:
        DataError: the file is no XML, or its tracks stand for more than MOST objects.
    """
    frames: _Frames | None = None
    for place, track in enumerate(xml_elements(file, "track")):
        frames = frames or _Frames(found, bases, _limit(file, "start_frame"), _limit(file, "stop_frame"))
        if not frames.numbers:
            found.problem(
                file.name, "tracks", "the frames of its video are not beside it: export it again with 'Save images'"
            )
            return
        _track(found, frames, f"{file.name}, track {place + 1}", place, track, classes, read)


class _Frames:
    """The pictures that are frames of the video, by their numbers; those without objects show nothing of the classes.

    Attributes:
        numbers: of the frames that are there, rising.
        stop: number of the last frame of the video, None where the file does not tell.
    """

    def __init__(self, found: Gathered, bases: Sequence[str], start: int | None, stop: int | None) -> None:
        names = next((names for base in bases if (names := _pictures(found.root, base))), {})
        self.numbers = sorted(n for n in names if (start or 0) <= n and (stop is None or n <= stop))
        self.stop, self._found, self._missing = stop, found, set[int]()
        self._positions = {n: found.picture(names[n], measured=True) for n in self.numbers}

    def position(self, frame: int) -> int | None:
        """Where the frame stands among the pictures; None where there is none that can be used, which is reported
        once."""
        if frame not in self._positions and frame not in self._missing:
            self._missing.add(frame)
            self._found.problem(f"frame {frame}", "missing", "a track names this frame, but it is not there")
        return self._positions.get(frame)

    def between(self, first: int, last: int) -> Sequence[int]:
        """Numbers of frames from `first` to `last`, without the latter."""
        return self.numbers[bisect_left(self.numbers, first) : bisect_left(self.numbers, last)]

    def after(self, last: int) -> Sequence[int]:
        """Numbers of frames after the last key frame in which its object stays."""
        return self.numbers[bisect_right(self.numbers, last) :] if self.stop is not None else ()


def _pictures(root: Path, base: str) -> dict[int, str]:
    folder = root / base
    found: dict[int, str] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _FRAME.fullmatch(path.stem)
        if match and path.suffix.lower() in SUFFIXES:
            found.setdefault(int(match[1]), base + path.name)
    return found


def _limit(file: Path, name: str) -> int | None:
    element = next(xml_elements(file, name), None)
    value = math.nan if element is None else number(element.text)
    return None if math.isnan(value) or value < 0 else int(value)


def _track(
    found: Gathered,
    frames: _Frames,
    where: str,
    place: int,
    track: Element,
    classes: dict[str, int],
    read: Callable[[str], ReadPlace | None],
) -> None:
    label, track_id = clean(track.get("label", "")), number(track.get("id"))
    if not label:
        found.fault(None, where, "it has no label")
        return
    own = int(track_id) if track_id >= 0 and track_id == int(track_id) else place  # NaN compares with nothing
    keys = _keys(found, frames, where, track, read)
    name = classes.setdefault(label, len(classes))
    for frame, box, shape in _shown(keys, frames):
        position = frames.position(frame)
        if position is None:
            continue
        if len(found.objects) >= MAX_OBJECTS:
            raise DataError(
                f"{where}: the tracks stand for more than {MAX_OBJECTS:,} objects: export a part of the video"
            )
        try:
            found.thing(position, name, box, shape, track=own)
        except DataError as error:
            found.fault(position, f"{where}, frame {frame}", error)


def _keys(
    found: Gathered, frames: _Frames, where: str, track: Element, read: Callable[[str], ReadPlace | None]
) -> list[_Key]:
    """What the track says of frames, in their order; of two for one frame the first counts."""
    keys: dict[int, _Key] = {}
    for place, item in enumerate(track):
        at = f"{where}, <{item.tag}> {place + 1}"
        reader = read(item.tag)
        if reader is None:
            if item.tag != "attribute":
                found.fault(None, at, f"a {item.tag} is neither box nor outline nor mask")
            continue
        frame = number(item.get("frame"))
        try:
            if math.isnan(frame) or frame < 0 or frame != int(frame):
                raise DataError("frame should be a whole number of 0 or more")
            if int(frame) in keys:
                raise DataError(f"frame {frame:.0f} is there twice; the first counts")
            position = frames.position(int(frame))
            size = found.sizes[position] if position is not None else None
            keys[int(frame)] = _Key(int(frame), item.get("outside") == "1", reader(item, size))
        except DataError as error:
            found.fault(None, at, error)
    return [keys[frame] for frame in sorted(keys)]


def _shown(keys: list[_Key], frames: _Frames) -> Iterator[tuple[int, list[float] | None, Shape | None]]:
    """The object in every frame in which it can be seen."""
    for key, following in pairwise(keys):
        if not key.outside:
            yield key.frame, *key.place
            for frame in frames.between(key.frame + 1, following.frame):
                yield frame, *_moved(key, following, frame)
    if keys and not keys[-1].outside:
        yield keys[-1].frame, *keys[-1].place
        for frame in frames.after(keys[-1].frame):
            yield frame, *keys[-1].place


def _moved(one: _Key, other: _Key, frame: int) -> Place:
    (box, shape), (next_box, next_shape) = one.place, other.place
    if other.outside:
        return one.place
    share = (frame - one.frame) / (other.frame - one.frame)
    if box is not None and next_box is not None:
        return [a + share * (b - a) for a, b in zip(box, next_box, strict=True)], None
    if isinstance(shape, Polygons) and isinstance(next_shape, Polygons):
        (start,), (end,) = shape.parts, next_shape.parts
        if len(start) == len(end):
            return None, Polygons(((start + np.float32(share) * (end - start)).astype(np.float32),))
    return one.place


def one_video(dataset: Dataset) -> bool:
    """Whether the pictures can be written as the frames of one video: every object has a track of one class.

    An object without a number would get one, and CVAT's videos have no splits and no tracks of masks.
    """
    labels: dict[int, str] = {}
    videos = {sample.groups.get("video", "") for sample in dataset.samples}
    for sample in dataset.samples:
        regions = sample.annotations
        if not isinstance(regions, Detections):
            return False
        tracks = [] if regions.track_ids is None else regions.track_ids.tolist()
        if len(tracks) != len(regions) or len(set(tracks)) < len(tracks) or min(tracks, default=0) < 0:
            return False
        if any(labels.setdefault(t, name) != name for t, name in zip(tracks, regions.names, strict=True)):
            return False
        if not all(shape is None or isinstance(shape, Polygons) for shape in regions.masks or ()):
            return False
    return bool(labels) and len(videos) == 1 and not dataset.splits


def track_lines(
    found: Sequence[Detections], line: Callable[[Detections, int, str], str], quoted: Callable[[str], str]
) -> Iterator[str]:
    """The <track> elements of a video whose frames have these objects, see `one_video`.

    Args:
        found: the objects of every frame.
        line: from the objects of a frame, a row and attributes such as 'frame="3"' to an element without its label.
        quoted: a text as the value of an attribute.
    """
    seen: dict[int, list[tuple[int, int]]] = {}
    for frame, regions in enumerate(found):
        for row, track in enumerate(regions.track_ids.tolist() if regions.track_ids is not None else ()):
            seen.setdefault(track, []).append((frame, row))
    for track, rows in sorted(seen.items()):
        first, row = rows[0]
        yield f'  <track id="{track}" label={quoted(found[first].names[row])} source="manual">'
        for (frame, row), following in zip(rows, [*(place for place, _ in rows[1:]), len(found)], strict=True):
            yield line(found[frame], row, f'frame="{frame}" keyframe="1" outside="0"')
            if following > frame + 1:
                yield line(found[frame], row, f'frame="{frame + 1}" keyframe="1" outside="1"')
        yield "  </track>"
