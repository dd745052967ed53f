"""identify in videos: every face is followed, and its best pictures are compared, not each frame's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.faces.identify import UNKNOWN, FaceGallery
from photovision.faces.register import FaceStore
from photovision.faces.tracks import FaceFollower, FaceTrack
from photovision.video.reader import open_video


class TrackedPerson(NamedTuple):
    """A face that was followed through a video, and who it is; fields as of `identify.IdentifiedFace`."""

    track: FaceTrack
    verdict: str
    name: str | None
    candidate: str | None
    score: float | None
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: where it was seen first, when, and in how many frames."""
        start, end = self.track.seconds
        score = None if self.score is None else round(self.score, 4)
        box = next(iter(self.track.boxes.values()))
        return {
            "track": self.track.number, "from": round(start, 3), "to": round(end, 3), "frames": len(self.track.boxes),
            "verdict": self.verdict, "name": self.name, "candidate": self.candidate, "score": score,
            "xyxy": [round(side, 1) for side in box], "reasons": list(self.reasons),
        }  # fmt: skip


class VideoIdentification(NamedTuple):
    """Who is in a video: a person for each face that was followed, the threshold with its origin, and warnings."""

    file: str
    people: tuple[TrackedPerson, ...]
    frames: int
    facts: dict[str, Any]
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[dict[str, Any]]:
        """One JSON-ready object a face that was followed."""
        shared = {name: value for name, value in self.facts.items() if name != "origin"}
        return [{"file": self.file, **person.to_json(), **shared} for person in self.people]


def identify_video(
    store: FaceStore,
    source: str | Path | int,
    *,
    fmr: float | None = None,
    fpir: float | None = None,
    progress: ProgressCallback | None = None,
) -> VideoIdentification:
    """Which of the enrolled people are in a video, a folder of frames, a camera or a stream; logged as `identify` is.

    Args:
        store: of the people.
        source: as `photovision.video.reader.open_video` takes it. A live one ends with Ctrl-C.
        fmr, fpir: as of `identify`.
        progress: called with frames done, and in all (0 where that is unknown).

    Raises:
        DataError: it is no video.
        UsageError: a rate is out of bounds, or both are given.
    """
    gallery = FaceGallery(store, fmr=fmr, fpir=fpir)
    follower = FaceFollower(store.recogniser.detector)
    with open_video(source) as video:
        try:
            for frame in video:
                follower.see(frame)
                if progress is not None:
                    progress(frame.index + 1, video.frames or 0)
        except KeyboardInterrupt:
            if not video.live:
                raise
        name = video.name
    found = named_tracks(follower, gallery, store)
    facts = gallery.facts()
    logged = [{"subject": person.pseudonym} for person in gallery.people if person.name in {one.name for one in found}]
    store.note("identify", faces=len(found), found=logged, threshold=facts["threshold"], fmr=facts["fmr"])
    return VideoIdentification(name, tuple(found), follower.frames, facts, tuple(video.warnings))


def named_tracks(follower: FaceFollower, gallery: FaceGallery, store: FaceStore) -> list[TrackedPerson]:
    """Who the followed faces are, in their order; two that are seen at one time never get one name."""
    tracks = [track for track in follower.tracks.values() if track.shots]
    if not tracks:
        return []
    scores = gallery.scores(np.stack([track.template(store.recogniser) for track in tracks]))
    best = scores.max(axis=1, initial=-1.0)
    given: dict[int, tuple[int, float]] = {}
    unsure = gallery.threshold.unsure
    for row, column in sorted(np.argwhere(scores >= unsure).tolist(), key=lambda place: -scores[place[0], place[1]]):
        frames = tracks[row].boxes.keys()
        rivals = (other for other, (person, _) in given.items() if person == column)
        if row not in given and not any(tracks[other].boxes.keys() & frames for other in rivals):
            given[row] = column, float(scores[row, column])
    found = []
    for row, track in enumerate(tracks):
        person, score = given.get(row, (None, float(best[row]) if gallery.people else None))
        verdict = UNKNOWN if person is None or score is None else gallery.threshold.verdict(score)
        verdict = "unsure" if verdict == "same" and track.reasons else verdict
        name = None if person is None else gallery.people[person].name
        known, maybe = (name if verdict == wanted else None for wanted in ("same", "unsure"))
        found.append(TrackedPerson(track, verdict, known, maybe, score, track.reasons))
    return found
