"""verify: do two pictures show one person?"""

from __future__ import annotations

from typing import Any, NamedTuple

from photovision.core.inputs import Given, as_pixels
from photovision.faces.quality import COMPARISON
from photovision.faces.recognise import FaceEmbedding, FaceRecogniser
from photovision.faces.thresholds import DEFAULT_FMR, FaceThreshold, threshold_for

NO_FACE = "no face"


class Verification(NamedTuple):
    """Whether two pictures show one person.

    Attributes:
        verdict: "same", "different", "unsure" or "no face".
        score: cosine of the two faces, -1 to 1; None without a face.
        threshold: see `FaceThreshold`.
        faces: how many there are in each picture; the largest of each was compared.
        reasons: why the verdict is less than certain, a sentence each.
    """

    verdict: str
    score: float | None
    threshold: FaceThreshold
    faces: tuple[int, int]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What `photovision faces verify --json` prints."""
        return {
            "verdict": self.verdict,
            "score": None if self.score is None else round(self.score, 4),
            "threshold": self.threshold.score,
            "fmr": self.threshold.fmr,
            "unsure_from": self.threshold.unsure,
            "origin": self.threshold.origin,
            "faces": list(self.faces),
            "reasons": list(self.reasons),
        }


def verify(
    first: Given, second: Given, *, fmr: float = DEFAULT_FMR, recogniser: FaceRecogniser | None = None
) -> Verification:
    """Whether two pictures show one person; the largest face of each is compared.

    A photograph of a person is not distinguished from the person: this is no proof that somebody is present.

    Args:
        first, second: pictures, as `photovision.core.inputs.as_source` takes them.
        fmr: share of pairs of different people that may be called the same.
        recogniser: made already; None makes one.

    Raises:
        UnreadableImage: a picture cannot be decoded.
        ModelError: the weights are not on this machine.
        UsageError: the rate is out of bounds.
    """
    threshold = threshold_for(fmr)
    seen = recogniser or FaceRecogniser()
    given = ((first, "picture 1"), (second, "picture 2"))
    found = [seen.faces(as_pixels(picture, name), upright=True) for picture, name in given]
    return compared(found[0], found[1], threshold)


def compared(first: list[FaceEmbedding], second: list[FaceEmbedding], threshold: FaceThreshold) -> Verification:
    """The verdict on the faces of two pictures, the largest first; one that is shown too poorly gives "unsure"."""
    faces, reasons = (len(first), len(second)), []
    for name, found in (("1", first), ("2", second)):
        if not found:
            reasons.append(f"picture {name} has no face")
        elif len(found) > 1:
            reasons.append(f"picture {name} has {len(found)} faces, of which the largest was compared")
    if not first or not second:
        return Verification(NO_FACE, None, threshold, faces, tuple(reasons))
    score = float(first[0].vector @ second[0].vector)
    poor = [f"picture {name}: {why}" for name, found in (("1", first), ("2", second))
            for why in COMPARISON.reasons(found[0].quality)]  # fmt: skip
    verdict = "unsure" if poor else threshold.verdict(score)
    return Verification(verdict, score, threshold, faces, (*reasons, *poor))
