"""Disparity: every group of enough pictures compared with all others, all tests corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from photovision.core.types import Floats
from photovision.trust.fairness.contrasts import Contrast, contrast, holm, shift
from photovision.trust.fairness.groups import Attribute, Group, make_groups
from photovision.trust.metrics.calibrate import confidences
from photovision.trust.metrics.statistics import Estimate, Z, difference, wilson


@dataclass(frozen=True, eq=False)
class GroupPredictions:
    """The answers that are judged, N pictures and C classes.

    Attributes:
        classes: names.
        probs: float32 (N, C), finite.
        truth: int64 (N,), or 0/1 (N, C) for multi-label.
        right: bool (N,), whether all predictions for a picture are right.
        predicted: bool (N, C), the predictions.
        sets: bool (N, C), its conformal prediction set, or None.
    """

    classes: tuple[str, ...]
    probs: Floats
    truth: np.ndarray
    right: np.ndarray
    predicted: np.ndarray
    sets: np.ndarray | None

    @property
    def multilabel(self) -> bool:
        """Whether several classes may be true at once."""
        return self.truth.ndim == 2

    @property
    def true(self) -> np.ndarray:
        """bool (N, C)."""
        if self.multilabel:
            return np.asarray(self.truth > 0)
        return np.asarray(np.arange(len(self.classes)) == self.truth[:, None])

    @property
    def covered(self) -> np.ndarray | None:
        """bool (N,), whether the prediction set holds all that is true."""
        return None if self.sets is None else np.asarray((self.sets >= self.true).all(1))

    @property
    def gaps(self) -> np.ndarray:
        """Stated confidence minus truth, float64 (N,); for multi-label its mean over the labels."""
        stated, came_true = confidences(self.probs, self.truth)
        return np.asarray((stated - came_true).mean(1))

    @property
    def stated_of(self) -> tuple[int, ...]:
        """Classes whose misses and false alarms are judged one by one: all labels, or the second of two classes."""
        if self.multilabel:
            return tuple(range(len(self.classes)))
        return (1,) if len(self.classes) == 2 else ()

    def strata(self, least: int) -> np.ndarray:
        """What is held equal, int (N,): the true class; for multi-label the labels, or their number where rare."""
        if not self.multilabel:
            return self.truth
        _, which, counts = np.unique(self.true, axis=0, return_inverse=True, return_counts=True)
        which = which.ravel()
        return np.asarray(np.where(counts[which] >= least, which, len(counts) + self.true.sum(1)))


class GroupComparison(NamedTuple):
    """One comparison of one group with all others.

    Attributes:
        group: who.
        kind: "accuracy", "confidence", "coverage", "missed" or "false alarms"; of boxes and masks the name of a share.
        subject: the class of misses and false alarms, else "".
        here, there: the figure in the group and among the others.
        gap: here minus there; for accuracy and coverage within classes.
        n: pictures of the group behind it.
        p: as found; `corrected`, for the number of tests.
        contrast: of accuracy and coverage, else None.
    """

    group: Group
    kind: str
    subject: str
    here: Estimate
    there: Estimate
    gap: Estimate
    n: int
    p: float
    contrast: Contrast | None = None
    corrected: float = 1.0

    @property
    def worse(self) -> bool:
        """Whether the group fares worse than the others, be it by chance; confidence, if farther from the truth."""
        if self.kind == "confidence":
            return abs(self.here.value) > abs(self.there.value)
        return self.gap.value > 0 if self.kind in ("missed", "false alarms") else self.gap.value < 0

    @property
    def sides(self) -> bytes:
        """The same for a group and for its rest: their test is one and the same."""
        inside, outside = self.group.member, self.group.known & ~self.group.member
        return b"".join(sorted(np.packbits(side).tobytes() for side in (inside, outside)))


def compare_groups(
    predictions: GroupPredictions, attributes: Sequence[Attribute], min_group: int
) -> tuple[list[GroupComparison], list[Group]]:
    """All tests with their corrected p, and the groups that are too small, or have too few others, to be judged.

    Of two groups that are each other's rest, each is listed, but their test counts once.
    """
    all_pictures = make_groups(attributes)
    large = [g for g in all_pictures if g.n >= min_group and g.known.sum() - g.n >= min_group]
    strata = predictions.strata(min_group)
    covered, gaps = predictions.covered, predictions.gaps
    tests: list[GroupComparison] = []
    for group in large:
        tests.append(_share("accuracy", predictions.right, group, strata))
        tests.append(_confidence(predictions, gaps, group, strata))
        if covered is not None:
            tests.append(_share("coverage", covered, group, strata))
        tests += _rates(predictions, group, min_group)
    chosen = set(map(id, large))
    return corrected(tests), [group for group in all_pictures if id(group) not in chosen]


def corrected(tests: list[GroupComparison]) -> list[GroupComparison]:
    """Half of the level goes to single attributes and half to intersections, which are many and have few pictures."""
    keys = [(test.kind, test.subject, test.sides) for test in tests]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    families = [[key for key, i in first.items() if (len(tests[i].group.parts) > 1) == many] for many in (False, True)]
    used = [family for family in families if family]
    p_of = {
        key: min(1.0, len(used) * float(p))
        for family in used
        for key, p in zip(family, holm([tests[first[key]].p for key in family]), strict=True)
    }
    return [test._replace(corrected=p_of[key]) for test, key in zip(tests, keys, strict=True)]


def _share(kind: str, flags: np.ndarray, group: Group, strata: np.ndarray) -> GroupComparison:
    known = group.known
    found = contrast(flags[known], group.member[known], strata[known])
    return GroupComparison(group, kind, "", found.share, found.other, found.adjusted, group.n, found.p, found)


def _confidence(predictions: GroupPredictions, gaps: np.ndarray, group: Group, strata: np.ndarray) -> GroupComparison:
    known = group.known
    here, there = (_mean_gap(predictions, gaps, part) for part in (group.member, known & ~group.member))
    p = shift(gaps[known], group.member[known], strata[known])
    return GroupComparison(group, "confidence", "", here, there, difference(there, here), group.n, p)


def _mean_gap(predictions: GroupPredictions, gaps: np.ndarray, part: np.ndarray) -> Estimate:
    """Mean of stated confidence minus truth. Where every answer is right, its own spread would promise too much, so the
    interval of one label's answers is that of the share that came true (Wilson)."""
    n, value = int(part.sum()), float(gaps[part].mean())
    if predictions.multilabel:
        half = Z * float(gaps[part].std(ddof=1)) / np.sqrt(n)
        return Estimate(value, value - half, value + half)
    k = int(predictions.right[part].sum())
    low, high = wilson(k, n)
    return Estimate(value, value + k / n - high, value + k / n - low)


def _rates(predictions: GroupPredictions, group: Group, min_group: int) -> list[GroupComparison]:
    """Misses and false alarms of single classes, where group and others have enough pictures that could be either."""
    tests = []
    true = predictions.true
    for c in predictions.stated_of:
        for kind, rows, flags in (
            ("missed", true[:, c], ~predictions.predicted[:, c]),
            ("false alarms", ~true[:, c], predictions.predicted[:, c]),
        ):
            inside, outside = group.member & rows, group.known & ~group.member & rows
            if min(inside.sum(), outside.sum()) < min_group:
                continue
            both = inside | outside
            found = contrast(flags[both], inside[both], np.zeros(int(both.sum()), int))
            name = predictions.classes[c]
            tests.append(
                GroupComparison(group, kind, name, found.share, found.other, found.raw, int(inside.sum()), found.p)
            )
    return tests
