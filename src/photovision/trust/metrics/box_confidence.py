"""How often a box of some score is right: scores turned into probabilities, and how far they are from being that.

Detection ECE (Küppers et al. 2020) asks whether a box of score .8 is on an object of its class in 8 of 10 cases; LaECE
(Oksuz et al. 2023) asks more: that the score be the share that is right times how well these boxes fit. Bins hold
equally many boxes each, and intervals resample whole pictures, since the boxes of one picture are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import UsageError
from photovision.core.report import Finding, Metric, Table
from photovision.core.types import Floats
from photovision.trust.fairness.contrasts import holm
from photovision.trust.metrics.calibrate import Reliability, reliability
from photovision.trust.metrics.detection import Matches, Vector
from photovision.trust.metrics.matching import Matching
from photovision.trust.metrics.statistics import Estimate, bootstrap_sums

MIN_SCORE = 0.05
"""Boxes below this score are not judged: they are very many, and nobody is shown them."""
MIN_BOXES = 30
"""With fewer boxes scores are not judged."""
OFF = 0.05
"""Scores this far from the truth, beyond doubt, are worth a warning."""
_IN_BIN, _MOST_BINS = 15, 10
_ROUNDS = 30
_PRIOR = 8.0  # boxes that speak for leaving scores as they are, so that few ones do not turn them
_EDGE = 1e-4


def fit_logistic(matches: Matches) -> tuple[list[float], list[float]]:
    """Slope and shift of every class that turn the logit of a score into that of being right (Platt 1999).

    A box is right from an overlap of .5 on. Classes with few boxes stay nearer to slope 1 and shift 0.

    Args:
        matches: of pictures that the detector did not learn from, with boxes of all scores.

    Returns:
        Two lists of C numbers; slopes are above 0, so that the order of the boxes of a class stays.
    """
    slopes, shifts = [], []
    for one in matches.by["all"]:
        counts = one.counts[0]
        scores = np.clip(one.scores[counts], _EDGE, 1 - _EDGE)
        slope, shift = _newton(np.log(scores / (1 - scores)), one.right[0][counts].astype(np.float64))
        slopes.append(slope)
        shifts.append(shift)
    return slopes, shifts


def calibrated(scores: np.ndarray, slope: Sequence[float] | Vector, shift: Sequence[float] | Vector) -> Floats:
    """float32 (..., C): the probabilities that scores (..., C) mean.

    Example:
        >>> calibrated(np.float32([[0.5, 0.5]]), [1.0, 2.0], [0.0, 1.0]).round(3).tolist()
        [[0.5, 0.7310000061988831]]
    """
    clipped = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
    logits = np.log(clipped / (1 - clipped)) * np.array(slope) + np.array(shift)
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), dtype=np.float32)


def above_min_score(hits: Matching) -> np.ndarray:
    """bool (D,): the boxes whose scores are judged."""
    return np.asarray(hits.scores >= MIN_SCORE)


def curve(hits: Matching) -> Reliability | None:
    """Stated scores against the share of boxes that are right, in up to 10 bins; None for fewer than MIN_BOXES."""
    kept = above_min_score(hits)
    if kept.sum() < MIN_BOXES:
        return None
    stated, right = hits.scores[kept][:, None], hits.right[kept][:, None]
    return reliability(stated.astype(np.float32), right.astype(np.float32), _bins(int(kept.sum())))


def d_ece(hits: Matching, seed: int = 0) -> Metric | None:
    """Detection ECE: the mean gap between stated score and share of right boxes; None for fewer than MIN_BOXES.

    n is how many pictures there are.
    """
    rows = np.flatnonzero(above_min_score(hits))
    if len(rows) < MIN_BOXES:
        return None
    which = _binned(hits.scores[rows])
    return _error(hits, rows, hits.scores[rows] - hits.right[rows], which, np.zeros(which.max() + 1, int), seed)


def la_ece(hits: Matching, seed: int = 0) -> Metric | None:
    """Localisation-aware ECE: the gap between stated score and (share right x their overlap), mean over the classes."""
    rows = np.flatnonzero(above_min_score(hits))
    if len(rows) < MIN_BOXES:
        return None
    which = np.zeros(len(rows), dtype=int)
    owner: list[int] = []
    for number, label in enumerate(np.unique(hits.found.labels[rows])):
        own = hits.found.labels[rows] == label
        bins = _binned(hits.scores[rows][own])
        which[own] = len(owner) + bins
        owner += [number] * int(bins.max() + 1)
    return _error(hits, rows, hits.scores[rows] - hits.shared[rows], which, np.array(owner), seed)


def d_ece_by_chance(hits: Matching, n_sim: int = 100, seed: int = 0) -> float:
    """The detection ECE that scores which are true probabilities show on average on as many boxes."""
    stated = hits.scores[above_min_score(hits)]
    which, rng = _binned(stated), np.random.default_rng(seed)
    gaps = [stated - (rng.random(len(stated)) < stated) for _ in range(n_sim)]
    return float(np.mean([np.abs(np.bincount(which, gap)).sum() / len(stated) for gap in gaps]))


class Excess(NamedTuple):
    """Mean score minus share of right boxes with its interval over pictures, and how probable that is by chance."""

    gap: Estimate
    p: float


def excess(hits: Matching, rows: np.ndarray, seed: int = 0) -> Excess:
    """How much surer some boxes, bool (D,), are than they are right: above 0 they promise too much.

    The test is a score test over pictures: the sum of their gaps against the root of the sum of their squares.

    Raises:
        UsageError: there is no such box.
    """
    if not rows.any():
        raise UsageError("the excess of no boxes does not exist: give at least one")
    from scipy.special import ndtr

    gap = hits.scores[rows] - hits.right[rows]
    by_picture = np.bincount(hits.found.picture[rows], gap, minlength=hits.pictures)
    count = np.bincount(hits.found.picture[rows], minlength=hits.pictures)
    columns = np.column_stack([by_picture, count])
    finish = {"gap": lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1)}
    spread = float(np.sqrt((by_picture**2).sum()))
    p = float(2 * ndtr(-abs(by_picture.sum()) / spread)) if spread else 1.0
    return Excess(bootstrap_sums(columns, finish, seed=seed)["gap"], p)


def finding(hits: Matching, thresholds: Floats, classes_shown: int = 20, level: float = 0.05) -> Finding:
    """Whether scores may be taken for probabilities: over all boxes, those that are shown, and class by class.

    Args:
        hits: of N pictures.
        thresholds: float32 (C,), from which score on boxes are shown.
        classes_shown: classes with fewer boxes than the others are left out beyond so many.
        level: the probability that any is named although scores are true, at most (Holm 1979).

    Returns:
        A table, and a warning where scores promise too much, or too little, by more than OFF beyond chance; `data`
        under "box_confidence". The figures and the diagram themselves are part of the evaluation.
    """
    shown = above_min_score(hits)
    if shown.sum() < MIN_BOXES:
        return Finding((f"Scores were not judged: that takes {MIN_BOXES} boxes, and there are {int(shown.sum())}.",))
    parts = {"all boxes": shown, "boxes that are shown": shown & hits.shown(thresholds)}
    count = np.bincount(hits.found.labels[shown], minlength=len(hits.classes))
    for label in np.argsort(-count, kind="stable")[:classes_shown]:
        if len(hits.classes) > 1:
            parts[f"class: {hits.classes[label]}"] = shown & (hits.found.labels == label)
    parts = {name: rows for name, rows in parts.items() if rows.sum() >= MIN_BOXES}
    found = {name: excess(hits, rows) for name, rows in parts.items()}
    p = dict(zip(found, holm([one.p for one in found.values()]).tolist(), strict=True))
    off = [name for name, one in found.items() if p[name] < level and abs(one.gap.value) >= OFF]
    rows = tuple(
        (
            name,
            int(parts[name].sum()),
            Metric(float(hits.scores[parts[name]].mean())),
            Metric(float(hits.right[parts[name]].mean())),
            Metric(*one.gap, None, "points"),
            p[name],
        )
        for name, one in found.items()
    )
    note = (
        "Stated less right: above 0 scores promise too much. Intervals resample pictures; p is of a test over pictures,"
        f" corrected for all rows. Boxes from a score of {MIN_SCORE:g} on; right means on an object, overlap at least"
        f" .5."
    )
    table = Table("Scores against truth", ("boxes", "n", "stated", "right", "stated less right", "p"), rows, note)
    return Finding(
        (_verdict(hits, found, off),),
        tables=[table],
        warnings=[_warned(name, found[name]) for name in off[:1]],
        data={
            "box_confidence": {name: {"excess": list(one.gap), "p_corrected": p[name]} for name, one in found.items()}
        },
    )


def _verdict(hits: Matching, found: Mapping[str, Excess], off: Sequence[str]) -> str:
    error = d_ece(hits)
    assert error is not None
    sentence = (
        f"Detection calibration error (D-ECE) is {percent(error.value)}: the mean gap between score and precision"
        f" ({percent(d_ece_by_chance(hits))} would be seen by chance)"
    )
    if not off:
        return f"{sentence}. No scores are over- or under-confident by {100 * OFF:.0f} points or more beyond chance."
    more = f", and of {len(off) - 1} more rows of the table" if len(off) > 1 else ""
    one = found[off[0]].gap
    what = "over" if one.value > 0 else "under"
    return f"{sentence}. The scores of {off[0]} are {what}-confident by {100 * abs(one.value):.1f} points{more}."


def _warned(name: str, one: Excess) -> str:
    low, high = sorted((100 * abs(one.gap.low), 100 * abs(one.gap.high)))
    what = "higher" if one.gap.value > 0 else "lower"
    return (
        f"Scores of {name} are {what} than the share of boxes that is right, by {100 * abs(one.gap.value):.1f} points"
        f" (95% interval {low:.1f} to {high:.1f}): 'photovision calibrate' refits them on your pictures."
    )


def _error(hits: Matching, rows: np.ndarray, gaps: Vector, which: np.ndarray, owner: np.ndarray, seed: int) -> Metric:
    """Mean over classes of the gaps of their bins, each weighed by its boxes.

    Args:
        rows: int (R,), the boxes; gaps float (R,), theirs; which int (R,), the bin of each.
        owner: int (K,), the class of each bin.
    """
    bins, classes = len(owner), int(owner.max()) + 1
    place = hits.found.picture[rows] * bins + which
    cells = hits.pictures * bins
    columns = [np.bincount(place, values, minlength=cells).reshape(-1, bins) for values in (gaps, np.ones(len(rows)))]
    member = np.eye(classes)[owner]

    def mean(sums: Vector) -> Vector:
        off, count = np.abs(sums[:, :bins]) @ member, sums[:, bins:] @ member
        return np.asarray((off / np.maximum(count, 1)).sum(1) / np.maximum((count > 0).sum(1), 1))

    found = bootstrap_sums(np.concatenate(columns, axis=1), {"error": mean}, seed=seed, centred=("error",))["error"]
    return Metric(found.value, min(found.low, found.value), max(found.high, found.value), hits.pictures)


def _bins(boxes: int) -> int:
    return int(np.clip(boxes // _IN_BIN, 1, _MOST_BINS))


def _binned(values: Vector) -> np.ndarray:
    """The bin of every value, int (R,), each bin with equally many; equal values share one."""
    edges = np.quantile(values, np.linspace(0, 1, _bins(len(values)) + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, values, side="left"))


def _newton(logits: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    design, start = np.column_stack([logits, np.ones_like(logits)]), np.array([1.0, 0.0])
    value = start.copy()
    for _ in range(_ROUNDS):
        probs = 1 / (1 + np.exp(-np.clip(design @ value, -30, 30)))
        slope = design.T @ (right - probs) - _PRIOR * (value - start)
        curve = (design * (probs * (1 - probs))[:, None]).T @ design + _PRIOR * np.eye(2)
        step = np.linalg.solve(curve, slope)
        value += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    # Where boxes are right less often the surer they are, so few boxes say nothing.
    return (float(value[0]), float(value[1])) if value[0] > 0.05 else (1.0, 0.0)
