"""identify: which of the enrolled people are in a picture, if any; two faces of one picture never get one name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.inputs import Given, as_pixels
from photovision.core.types import Floats
from photovision.faces.quality import COMPARISON
from photovision.faces.recognise import FaceEmbedding
from photovision.faces.register import FaceStore
from photovision.faces.thresholds import FaceThreshold, per_comparison
from photovision.models.face_graphs import DIMENSIONS
from photovision.video.tracker import assign

DEFAULT_FPIR = 0.01
"""Share of strangers who may be given a name of somebody who is enrolled."""
UNKNOWN = "unknown"


class IdentifiedFace(NamedTuple):
    """A face of a picture, and who it is.

    Attributes:
        verdict: "same" (as somebody enrolled), "unsure" or "unknown".
        name: of the person where the verdict is "same", else None.
        candidate: who it could be where the verdict is "unsure".
        score: the best that counts for this face; None where nobody is enrolled.
        box: x1, y1, x2, y2 in pixels of the upright picture.
        reasons: why the verdict is less than certain.
    """

    verdict: str
    name: str | None
    candidate: str | None
    score: float | None
    box: tuple[float, float, float, float]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        shown = {"xyxy": [round(side, 1) for side in self.box], "reasons": list(self.reasons)}
        score = None if self.score is None else round(self.score, 4)
        return {"verdict": self.verdict, "name": self.name, "candidate": self.candidate, "score": score, **shown}


class FaceGallery:
    """The people who are looked for, as they are enrolled at the moment.

    Args:
        store: theirs.
        fmr: false-match rate of one comparison; None takes the one that keeps `fpir`.
        fpir: share of strangers who may get a name; None takes 0.01.

    Attributes:
        threshold: from which score on somebody is known.
        fpir: the share of strangers who may get a name at that threshold.

    Raises:
        UsageError: both rates are given, or one is out of bounds.
    """

    def __init__(self, store: FaceStore, *, fmr: float | None = None, fpir: float | None = None) -> None:
        if fmr is not None and fpir is not None:
            raise UsageError("give --fmr, of one comparison, or --fpir, of all together, not both")
        self.people = store.active()
        count = len(self.people)
        rate = per_comparison(DEFAULT_FPIR if fpir is None else fpir, count) if fmr is None else fmr
        self.threshold: FaceThreshold = store.threshold(rate)
        self.fpir = 1 - (1 - rate) ** count
        self._templates = (
            np.stack([entry.template for entry in self.people]) if count else np.zeros((0, DIMENSIONS), np.float32)
        )

    def names(self, faces: Sequence[FaceEmbedding]) -> list[IdentifiedFace]:
        """Who the faces of one picture are, in their order; nobody is found twice."""
        vectors = [face.vector for face in faces]
        verdicts = self.assigned(np.stack(vectors)) if vectors else []
        found = []
        for face, (verdict, person, score) in zip(faces, verdicts, strict=True):
            poor = tuple(COMPARISON.reasons(face.quality))
            verdict = "unsure" if verdict == "same" and poor else verdict
            name = None if person is None else self.people[person].name
            known, maybe = (name if verdict == wanted else None for wanted in ("same", "unsure"))
            found.append(IdentifiedFace(verdict, known, maybe, score, face.face.box, poor))
        return found

    def assigned(self, vectors: Floats) -> list[tuple[str, int | None, float | None]]:
        """Verdict, number of the person and score of each face of one picture, (N, 128); each person at most once."""
        if not self.people:
            return [(UNKNOWN, None, None)] * len(vectors)
        scores = self.scores(vectors)
        found: list[tuple[str, int | None, float | None]] = [
            (UNKNOWN, None, float(best)) for best in scores.max(axis=1)
        ]
        for row, column in zip(*assign(1 - scores, 1 - self.threshold.unsure), strict=True):
            score = float(scores[row, column])
            found[row] = self.threshold.verdict(score), int(column), score
        return found

    def scores(self, vectors: Floats) -> np.ndarray:
        """float64 (N, P), the cosine of every face, (N, 128), with every person."""
        return np.asarray(vectors @ self._templates.T, np.float64)

    def facts(self) -> dict[str, Any]:
        """Threshold, rates and origin, JSON-ready."""
        known = self.threshold
        rates = {"threshold": known.score, "unsure_from": known.unsure, "fmr": known.fmr, "fpir": round(self.fpir, 6)}
        return {**rates, "enrolled": len(self.people), "origin": known.origin}

    def subjects(self, faces: Sequence[IdentifiedFace]) -> list[dict[str, Any]]:
        """For the log: pseudonyms and scores of those who were found."""
        by_name = {entry.name: entry.pseudonym for entry in self.people}
        return [
            {"subject": by_name[name], "verdict": face.verdict, "score": round(face.score or 0.0, 4)}
            for face in faces
            if (name := face.name or face.candidate) is not None
        ]


class Identification(NamedTuple):
    """Who is in a picture: the faces, the largest first, and the threshold with its origin."""

    file: str
    faces: tuple[IdentifiedFace, ...]
    facts: dict[str, Any]

    def lines(self) -> list[dict[str, Any]]:
        """One JSON-ready object a face, as `photovision faces identify --json` prints them."""
        shared = {name: value for name, value in self.facts.items() if name != "origin"}
        return [{"file": self.file, **face.to_json(), **shared} for face in self.faces]


def identify(
    store: FaceStore, picture: Given, *, fmr: float | None = None, fpir: float | None = None, file: str = ""
) -> Identification:
    """Which of the enrolled people are in a picture, if any; logged, without the picture and with pseudonyms.

    Args:
        store: of the people.
        picture: as `photovision.core.inputs.as_source` takes it.
        fmr: false-match rate of one comparison.
        fpir: instead, the share of strangers who may get a name of anybody; 0.01 where neither is given.
        file: what the picture is called.

    Raises:
        UnreadableImage: it cannot be decoded.
        UsageError: a rate is out of bounds, or both are given.
    """
    gallery = FaceGallery(store, fmr=fmr, fpir=fpir)
    file = file or (str(picture) if isinstance(picture, str | Path) else "")
    faces = store.recogniser.faces(as_pixels(picture))
    found = gallery.names(faces)
    facts = gallery.facts()
    store.note(
        "identify", faces=len(found), found=gallery.subjects(found), threshold=facts["threshold"], fmr=facts["fmr"]
    )
    return Identification(file, tuple(found), facts)
