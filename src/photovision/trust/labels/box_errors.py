"""Annotations that are probably wrong or missing, as a detector sees them.

After ObjectLab (Tkachenko, Thyagarajan and Mueller 2023): a box that the model is sure of and that no annotation
explains is an object that was overlooked, got the wrong class, or was drawn badly; an annotation of a class that the
model nearly always finds, and of which it sees nothing at all, may be of nothing. A sure box is wrong at times, too: so
it is stated how many are to be expected by the scores themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.drawing import percent
from photovision.core.regions import Detections
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.types import Floats
from photovision.trust.metrics.detection import Pair
from photovision.trust.metrics.detection_errors import Breakdown
from photovision.trust.metrics.statistics import wilson

SURE = 0.8
"""From this score on a box is compared with the annotations."""
FOUND = 0.9
"""From this share of objects found on, by a box of any score, a class counts as one that is nearly always found."""
MIN_OBJECTS = 20
"""Objects of a class and size below which it is not known how often they are found."""
_AREAS = (32.0**2, 96.0**2)  # COCO's bounds of small and large: small objects are overlooked more often, rightly drawn
LEVEL = 0.05
WORDS = {
    "background": ("overlooked", "a sure box where nothing is annotated"),
    "classification": ("wrong class", "a sure box of another class on the annotation"),
    "localisation": ("badly drawn", "a sure box that the annotation overlaps by .1 to .5 only"),
    "missed": ("nothing there", "no box of any score, though nearly all of its class and size are found"),
}
"""Kind of error -> what the annotation may be, and how one sees it."""


@dataclass(frozen=True)
class Suspect:
    """One annotation, or one that is missing.

    Attributes:
        picture: which pair it is in.
        kind: one of WORDS.
        row: the box in `found`; the object in `truth` where nothing is there.
        suspicion: 0 to 1.
    """

    picture: int
    kind: str
    row: int
    suspicion: float


@dataclass(frozen=True, eq=False)
class Suspects:
    """What contradicts the annotations.

    Attributes:
        found: the most suspicious first.
        sure: boxes of at least SURE that are judged.
        expected: how many of them would be wrong if scores were probabilities.
        objects: annotations in all.
        p: that as many sure boxes, or more, are wrong by chance, if scores are probabilities.
    """

    found: tuple[Suspect, ...]
    sure: int
    expected: float
    objects: int
    p: float


def find_suspects(pairs: Sequence[Pair], broken: Breakdown, classes: int) -> Suspects:
    """Look for annotations that are probably wrong or missing.

    Args:
        pairs: N pictures, with boxes of all scores.
        broken: of `detection_errors.break_down` on these pairs.
        classes: how many there are.
    """
    from scipy.special import pdtrc

    wrong = [one for one in broken.mistakes if one.kind in WORDS and one.kind != "missed" and one.score >= SURE]
    scores: Floats = np.concatenate([_scores(pair) for pair in pairs] or [np.zeros(0, np.float32)])
    sure = scores[scores >= SURE]
    expected = float((1 - sure).sum())
    missed = [one for one in broken.mistakes if one.kind == "missed"]
    count = np.zeros((classes, len(_AREAS) + 1))
    lost = np.zeros_like(count)
    for pair in pairs:
        kept = np.ones(len(pair.truth), bool) if pair.truth.crowd is None else ~pair.truth.crowd
        np.add.at(count, _kinds(pair.truth, kept), 1)
    kind_of = [_kinds(pairs[one.picture].truth, np.array([one.row])) for one in missed]
    for kind in kind_of:
        lost[kind] += 1
    rate = 1 - lost / np.maximum(count, 1)
    nearly_always = (rate >= FOUND) & (count >= MIN_OBJECTS)
    found = [Suspect(one.picture, one.kind, one.row, one.score) for one in wrong]
    found += [
        Suspect(one.picture, one.kind, one.row, float(rate[kind][0]) * SURE)
        for one, kind in zip(missed, kind_of, strict=True)
        if nearly_always[kind][0]
    ]
    found.sort(key=lambda one: -one.suspicion)
    p = float(pdtrc(len(wrong) - 1, expected)) if wrong and expected else float(not wrong)
    return Suspects(tuple(found), len(sure), expected, int(count.sum()), p)


def finding(found: Suspects, names: Sequence[str], pictures: Sequence[tuple[bytes, str]] = ()) -> Finding:
    """The suspects in words, counted by kind, with pictures.

    Args:
        found: of `find_suspects`.
        names: N ids of pictures.
        pictures: JPEG bytes and captions of the most suspicious ones.
    """
    n = found.objects
    if not found.found:
        sentence = f"No annotation of the {n:,} contradicts what the model is sure of ({found.sure:,} sure boxes)."
        return Finding((sentence,), {"suspected_annotations": Metric(0.0, *wilson(0, n), len(names))})
    count = {kind: sum(one.kind == kind for one in found.found) for kind in WORDS}
    wrong = sum(count.values()) - count["missed"]
    sentence = (
        f"{len(found.found):,} annotations, or missing ones, contradict the model (of {n:,} objects): look at them"
        f" before the figures. Of {found.sure:,} boxes that it is sure of {wrong:,} are wrong by the annotations;"
        f" {found.expected:.0f} would be by their scores{_beyond(found)}."
    )
    rows = tuple((*WORDS[kind], number) for kind, number in count.items() if number)
    share = min(1.0, len(found.found) / max(n, 1))
    metric = Metric(share, *wilson(min(len(found.found), n), n), len(names))
    note = "The most suspicious ones with their surroundings: the annotations, and the box in question with its score."
    grid = Figure("Suspicious annotations", pictures=tuple(pictures), note=note)
    suspects = [
        {"id": names[one.picture], "kind": WORDS[one.kind][0], "suspicion": round(one.suspicion, 4)}
        for one in found.found
    ]
    warning = (
        f"More sure boxes contradict the annotations ({percent(wrong / max(found.sure, 1))}) than their scores explain:"
        " some annotations are probably wrong or missing."
    )
    return Finding(
        (sentence,),
        {"suspected_annotations": metric},
        [Table("Suspicious annotations", ("what it may be", "how one sees it", "how many"), rows)],
        [grid] if pictures else [],
        [warning] if found.p < LEVEL else [],
        {"suspicious_annotations": suspects},
    )


def _beyond(found: Suspects) -> str:
    return f" (p = {found.p:.2g})" if found.p < LEVEL else ", so chance may explain it"


def _kinds(truth: Detections, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class and range of sizes of some objects, int (M,) each."""
    boxes = truth.boxes[rows]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return truth.labels[rows], np.digitize(areas, _AREAS)


def _scores(pair: Pair) -> Floats:
    assert pair.found.scores is not None
    return pair.found.scores
