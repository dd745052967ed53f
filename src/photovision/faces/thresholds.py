"""Thresholds: the score from which on two faces count as one person, asked for by false-match rate, with its origin.

The shipped table was measured on photographs of people who agreed to it: the Face Research Lab London Set (102 adults,
two studio pictures each) and ORL (40 people, ten each). At each rate the larger threshold of the two stands here, so
that it holds in both. It says nothing about other light, other ages, or any single group: `evaluate` measures those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from photovision.core.errors import UsageError
from photovision.trust.metrics.verification import FacePairs, threshold_at

DEFAULT_FMR = 1e-3
"""Share of pairs of different people that may be taken for one person."""
LEAST_FMR, MOST_FMR = 1e-7, 0.1
_UNSURE = 10.0
"""Scores that strangers reach so many times as often as the threshold are neither yes nor no."""
_ENOUGH = 3.0  # pairs of people that a rate needs, as a multiple of 1 / rate: fewer would expect under 3 false matches


class MeasuredThreshold(NamedTuple):
    """One line of the table: false-match rate, score, and the bounds of the score's 95% interval over people."""

    fmr: float
    score: float
    low: float
    high: float


TABLE = (
    MeasuredThreshold(0.1, 0.251, 0.242, 0.260),
    MeasuredThreshold(0.03, 0.304, 0.295, 0.314),
    MeasuredThreshold(0.01, 0.343, 0.330, 0.361),
    MeasuredThreshold(0.003, 0.382, 0.365, 0.406),
    MeasuredThreshold(0.001, 0.415, 0.385, 0.540),
)
"""Largest rate first. Below 0.001 there are too few people; the threshold goes on rising as from 0.01 to 0.001."""
SOURCE = {
    "data": "Face Research Lab London Set (studio, one session) and ORL; the larger threshold of both",
    "people": 102,
    "pairs": 20604,
    "measured": "2026-11-30",
    "interval": "95%, bootstrap over people",
}


@dataclass(frozen=True)
class FaceThreshold:
    """From which score on two faces count as one person.

    Attributes:
        score: from here on "same".
        unsure: from here on, below `score`, neither "same" nor "different".
        fmr: the false-match rate that was asked for.
        origin: where it comes from, JSON-ready.
    """

    score: float
    unsure: float
    fmr: float
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Where it comes from, in a sentence."""
        origin = self.origin
        how = "extrapolated from" if origin["extrapolated"] else "measured on"
        text = f"the threshold {self.score:.3f} is for a false-match rate of {self.fmr:.2g}, {how}"
        text += f" {origin['pairs']:,} pairs of {origin['people']} people (studio photographs, {origin['measured']})"
        own = origin.get("gallery", {})
        return text + (f", and {own['pairs']:,} pairs of the {own['people']} enrolled" if own.get("enough") else "")

    def verdict(self, score: float) -> str:
        """ "same", "unsure" or "different"."""
        return "same" if score >= self.score else "unsure" if score >= self.unsure else "different"


def threshold_for(fmr: float = DEFAULT_FMR, gallery: FacePairs | None = None) -> FaceThreshold:
    """The threshold of a false-match rate.

    Args:
        fmr: share of pairs of different people that may be called the same, 1e-7 to 0.1.
        gallery: pairs of different people that the user has enrolled. Where they are enough for the rate, the larger
            of the shipped threshold and theirs is taken.

    Raises:
        UsageError: the rate is out of bounds.

    Example:
        >>> threshold_for(1e-3).score, threshold_for(1e-3).unsure
        (0.415, 0.343)
    """
    if not LEAST_FMR <= fmr <= MOST_FMR:  # NaN, too
        raise UsageError(f"the false-match rate (--fmr) should be {LEAST_FMR:g} to {MOST_FMR:g}, got {fmr:g}")
    score, low, high = _shipped(fmr)
    origin: dict[str, Any] = {**SOURCE, "score": score, "low": low, "high": high}
    origin["extrapolated"] = fmr < TABLE[-1].fmr
    if gallery is not None:
        people = gallery.people
        enough = gallery.units * fmr >= _ENOUGH
        origin["gallery"] = {"people": people, "pairs": len(gallery), "enough": enough}
        if enough:
            own = threshold_at(gallery, fmr, interval=False).value
            origin["gallery"]["score"] = round(own, 4)
            score = max(score, own)
    unsure = min(score, _shipped(min(MOST_FMR, _UNSURE * fmr))[0])
    return FaceThreshold(round(score, 4), round(unsure, 4), fmr, origin)


def per_comparison(fpir: float, enrolled: int) -> float:
    """The false-match rate of one comparison at which a share `fpir` of strangers gets a name of `enrolled` people.

    Example:
        >>> round(per_comparison(0.01, 51), 6)
        0.000197
    """
    if not 0 < fpir <= MOST_FMR:
        raise UsageError(f"the false-positive rate (--fpir) should be above 0 and at most {MOST_FMR:g}, got {fpir:g}")
    rate = float(1 - (1 - fpir) ** (1 / max(1, enrolled)))
    return min(MOST_FMR, max(LEAST_FMR, rate))


def _shipped(fmr: float) -> tuple[float, float, float]:
    """Score, and the bounds of its interval, between the lines of the table and beyond its end."""
    place = next((row for row in range(1, len(TABLE)) if fmr >= TABLE[row].fmr), 0)
    if not place:  # as steep as in the last decade
        above, below = (line for line in TABLE if line.fmr in (0.01, 0.001))
    else:
        above, below = TABLE[place - 1], TABLE[place]
    share = (math.log10(above.fmr) - math.log10(fmr)) / (math.log10(above.fmr) - math.log10(below.fmr))
    score, low, high = (a + share * (b - a) for a, b in zip(above[1:], below[1:], strict=True))
    return round(score, 4), round(low, 4), round(high, 4)
