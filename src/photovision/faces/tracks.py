"""Tracks: faces of a video that keep their number, the best pictures of each, and where each was when it was missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.core.types import Floats, Image
from photovision.faces.align import aligned
from photovision.faces.cover import Box
from photovision.faces.detect import MAYBE, SURE, Face, FaceDetector
from photovision.faces.quality import COMPARISON, FaceQuality, quality_of
from photovision.faces.recognise import FaceRecogniser, unit
from photovision.video.reader import Frame
from photovision.video.tracker import ObjectTracker

BEST = 3
"""Pictures of a track that are embedded."""
DROPOUT = 5
"""Frames in which a face may be missed without being uncovered."""
_SAME = 0.2  # overlap of one face in two frames
PATIENCE = 12
"""Frames after which a face that comes back counts as another one."""


@dataclass
class FaceTrack:
    """A face that was followed through a video.

    Attributes:
        number: from 1 on.
        seconds: when it was seen first, and last.
        boxes: frame -> box.
        shots: the best pictures of it: how good, the aligned face, and its quality, the best first.
    """

    number: int
    seconds: tuple[float, float]
    boxes: dict[int, Box] = field(default_factory=dict)
    shots: list[tuple[float, Image, FaceQuality]] = field(default_factory=list)

    def see(self, frame: Frame, face: Face) -> None:
        """One more sighting."""
        self.seconds = self.seconds[0], frame.time
        self.boxes[frame.index] = face.box

    def show(self, frame: Frame, face: Face) -> None:
        """A picture of it, which is kept where it is among the best."""
        shown = aligned(frame.image, face.points)
        quality = quality_of(face, shown, frame.image.shape[:2])
        worth = _worth(quality)
        if len(self.shots) < BEST or worth > self.shots[-1][0]:
            self.shots = sorted([*self.shots, (worth, shown, quality)], key=lambda shot: -shot[0])[:BEST]

    def template(self, recogniser: FaceRecogniser) -> Floats:
        """float32 (128,), of unit norm: the mean embedding of its best pictures."""
        return unit(recogniser.vectors(np.stack([shown for _, shown, _ in self.shots])).mean(0))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why even its best picture is too poor to be compared."""
        return tuple(COMPARISON.reasons(self.shots[0][2]))


class FaceFollower:
    """Faces of one frame after the other.

    Args:
        detector: finds them.
        thorough: whether doubtful and small faces count, too, as where they are to be covered.
        shots: whether the best pictures of each are kept, to be compared.

    Attributes:
        tracks: number -> faces that were followed.
        alone: frame -> boxes of faces that belong to no track, or not yet.
        frames: how many were looked at.
    """

    def __init__(self, detector: FaceDetector, *, thorough: bool = False, shots: bool = True) -> None:
        self.tracks: dict[int, FaceTrack] = {}
        self.alone: dict[int, list[Box]] = defaultdict(list)
        self.frames = 0
        self._detector, self._thorough, self._shots = detector, thorough, shots
        self._least = MAYBE if thorough else SURE
        self._tracker = ObjectTracker(high=self._least, low=MAYBE / 2, new=self._least, patience=PATIENCE)

    def see(self, frame: Frame) -> list[tuple[int | None, Face]]:
        """The faces of the next frame, with the number of their track."""
        faces = self._detector.find(frame.image, least=self._least, tiles=self._thorough)
        self.frames = max(self.frames, frame.index + 1)
        boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
        scores = np.array([face.score for face in faces], np.float32)
        found = self._tracker.update(Detections(boxes, np.zeros(len(faces), np.int64), ("face",), scores))
        assert found.track_ids is not None
        numbers = {box.tobytes(): int(number) for box, number in zip(found.boxes, found.track_ids, strict=True)}
        seen = [(numbers.get(box.tobytes()), face) for box, face in zip(boxes, faces, strict=True)]
        for number, face in seen:
            if number is None:
                self.alone[frame.index].append(face.box)
                continue
            if number not in self.tracks:
                self.tracks[number] = FaceTrack(number, (frame.time, frame.time), self._begun(frame.index, face))
            self.tracks[number].see(frame, face)
            if self._shots:
                self.tracks[number].show(frame, face)
        return seen

    def _begun(self, frame: int, face: Face) -> dict[int, Box]:
        """Where a face was in the frame before, in which the tracker had not confirmed it yet."""
        before = self.alone.get(frame - 1, [])
        near = overlap(np.array([face.box], np.float32), np.array(before, np.float32).reshape(-1, 4))[0]
        if not len(near) or near.max() < _SAME:
            return {}
        return {frame - 1: before.pop(int(near.argmax()))}


def filled(boxes: Mapping[int, Box], frames: int) -> Iterator[tuple[int, Box]]:
    """Where a face was in frames in which it was missed: between two sightings, and a little before and after them.

    Args:
        boxes: frame -> box, of one track.
        frames: of the video.

    Example:
        >>> list(filled({6: (0, 0, 4, 4), 8: (2, 0, 6, 4)}, 9))[-1]
        (7, (1.0, 0.0, 5.0, 4.0))
        >>> [frame for frame, _ in filled({6: (0, 0, 4, 4), 8: (2, 0, 6, 4)}, 9)]
        [1, 2, 3, 4, 5, 7]
    """
    order = sorted(boxes)
    yield from _held(order[0], boxes[order[0]], range(-DROPOUT, 0), frames)
    yield from _held(order[-1], boxes[order[-1]], range(1, DROPOUT + 1), frames)
    for before, after in pairwise(order):
        if after - before > PATIENCE + DROPOUT:
            yield from _held(before, boxes[before], range(1, DROPOUT + 1), frames)
            yield from _held(after, boxes[after], range(-DROPOUT, 0), frames)
            continue
        for frame in range(before + 1, after):
            share = (frame - before) / (after - before)
            one, other = np.array(boxes[before]), np.array(boxes[after])
            x1, y1, x2, y2 = ((1 - share) * one + share * other).tolist()
            yield frame, (x1, y1, x2, y2)


def cover_plan(follower: FaceFollower, spared: Iterable[int] = ()) -> dict[int, list[Box]]:
    """Frame -> boxes to be covered, of everybody but the tracks that are spared."""
    plan: dict[int, list[Box]] = defaultdict(list)
    left_out = set(spared)
    for number, track in follower.tracks.items():
        if number not in left_out:
            for frame, box in (*track.boxes.items(), *filled(track.boxes, follower.frames)):
                plan[frame].append(box)
    for frame, boxes in follower.alone.items():
        for box in boxes:
            for near, same in _held(frame, box, range(-DROPOUT, DROPOUT + 1), follower.frames):
                plan[near].append(same)
    return plan


def _held(frame: int, box: Box, steps: range, frames: int) -> Iterator[tuple[int, Box]]:
    for step in steps:
        if 0 <= frame + step < frames:
            yield frame + step, box


def _worth(quality: FaceQuality) -> float:
    """How much a picture of a face promises: large, sharp, seen from the front and whole."""
    sharp = min(1.0, quality.sharpness / 200) * min(1.0, quality.height / 40)
    return sharp * max(0.0, 1 - 2 * abs(quality.turned)) * quality.inside
