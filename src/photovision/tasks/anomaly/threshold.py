"""Threshold: from the scores of held-out good pictures to p-values, a promised rate of false alarms, and verdicts.

Conformal p-values (Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005): of n good pictures and
a new one, each is as likely as any other to have the highest score. Over all draws of the n pictures, a good picture
is called anomalous with at most the promised probability. For these n pictures the rate is another one each time: it
follows a Beta law (Vovk, "Conditional validity of inductive conformal predictors", 2012), whose 95% interval is given
beside the promise. Groups keep the promise each for itself (Mondrian). Pictures that show the same thing, such as four
of one leaf, count as one where it is asked how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Ints
from photovision.trust.metrics.statistics import Estimate, Vector

Verdict = Literal["good", "anomalous", "unsure"]
EVERYTHING = ""
"""The name of the group of all pictures, where they are not distinguished."""

_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class GoodScores:
    """Scores of good pictures that took no part in the bank that scored them.

    Attributes:
        groups: name of a group -> float64 (n,), ascending; {"": all} where there is one group only.
        independent: name of a group -> how many of its pictures show something of their own, 1 to n.
    """

    groups: Mapping[str, Vector]
    independent: Mapping[str, int]

    @classmethod
    def of(cls, scores: Vector, groups: Sequence[str] | None = None, same: Ints | None = None) -> GoodScores:
        """Sort the scores of good pictures by their groups.

        Args:
            scores: float64 (N,).
            groups: N names of cameras, parts, shifts ...; None for one group.
            same: int64 (N,), equal for pictures that show the same thing; None where none do.

        Raises:
            UsageError: no score, or one that is not finite.
        """
        if not len(scores) or not np.isfinite(scores).all():
            raise UsageError(f"a threshold needs finite scores of good pictures, got {len(scores)} scores")
        names = np.array(groups if groups is not None else [EVERYTHING] * len(scores))
        shown = np.arange(len(scores)) if same is None else same
        sorted_scores = {str(name): np.sort(scores[names == name].astype(np.float64)) for name in np.unique(names)}
        return cls(sorted_scores, {name: len(np.unique(shown[names == name])) for name in sorted_scores})

    def p_values(self, scores: Vector, group: str | None = None) -> Vector:
        """Share of good pictures with such a score or a higher one, counting the new picture: float64 (N,).

        Args:
            scores: (N,) of new pictures.
            group: that they belong to; None or an unknown one takes the largest p-value of all groups, with which each
                group keeps its promise.
        """
        chosen = [self.groups[group]] if group is not None and group in self.groups else list(self.groups.values())
        found = [(1 + len(good) - np.searchsorted(good, scores, side="left")) / (len(good) + 1) for good in chosen]
        highest: Vector = np.max(found, axis=0)
        return highest


@dataclass(frozen=True)
class Promise:
    """What a threshold promises for one group.

    Attributes:
        group: its name, "" for all pictures.
        n: held-out good pictures behind it; those that show the same thing count as one.
        false_alarms: the promised rate, 0 to 1.
        threshold: pictures with this score or a higher one are anomalous.
        expected: rate of false alarms expected over all draws of n good pictures, with its 95% interval for these.
        unsure: pictures with this score or a higher one, below the threshold, are unsure.
    """

    group: str
    n: int
    false_alarms: float
    threshold: float
    expected: Estimate
    unsure: float

    def verdict(self, score: float) -> Verdict:
        """What a picture of this group is called."""
        if score >= self.threshold:
            return "anomalous"
        return "unsure" if score >= self.unsure else "good"


def promise(good: GoodScores, false_alarms: float) -> dict[str, Promise]:
    """The threshold of each group that keeps a rate of false alarms.

    Pictures are unsure where the good pictures are too few to say whether more than the promised share of them reach
    such a score: where the lower 95% bound (Clopper and Pearson 1934) of that share is not above the promise.

    Args:
        good: scores of held-out good pictures.
        false_alarms: the promised rate, above 0 and below 1.

    Raises:
        UsageError: the rate makes no sense, or a group has too few good pictures to carry it.
    """
    if not isinstance(false_alarms, int | float) or not 0 < false_alarms < 1:
        raise UsageError(f"the rate of false alarms should be above 0 and below 1, got {false_alarms!r}")
    return {name: _promise(name, scores, good.independent[name], false_alarms) for name, scores in good.groups.items()}


def least_pictures(false_alarms: float) -> int:
    """How many held-out good pictures a promised rate needs at least.

    Example:
        >>> least_pictures(0.05), least_pictures(0.01)
        (19, 99)
    """
    return math.ceil(1 / false_alarms - 1e-9) - 1


def _promise(group: str, scores: Vector, n: int, false_alarms: float) -> Promise:
    if false_alarms * (n + 1) < 1 - 1e-9:
        of = f" of the group '{group}'" if group else ""
        raise UsageError(
            f"{n} good pictures{of} cannot promise {false_alarms:g} false alarms: that needs at least"
            f" {least_pictures(false_alarms)}; give more good pictures, or allow {1 / (n + 1):.2g} false alarms"
        )
    allowed = math.floor(false_alarms * (len(scores) + 1) + 1e-9)  # ranks, counting the new picture's own
    # p <= false_alarms exactly for scores above the allowed-th highest one.
    threshold = float(np.nextafter(scores[-allowed], np.inf))
    reached = np.arange(1, len(scores) + 1)
    carried = reached[_lower_bounds(reached * n / len(scores), n) > false_alarms]
    unsure = float(np.nextafter(scores[-carried[0]], np.inf)) if len(carried) else -np.inf
    expected = _expected(allowed / (len(scores) + 1), n)
    return Promise(group, n, false_alarms, threshold, expected, min(unsure, threshold))


def _lower_bounds(reached: Vector, n: int) -> Vector:
    """One-sided 95% lower bounds of the share behind `reached` of n."""
    from scipy.special import betaincinv

    bounds: Vector = betaincinv(reached, n - reached + 1, 1 - _CONFIDENCE)
    return bounds


def _expected(rate: float, n: int) -> Estimate:
    """The law of the rate of false alarms for n given pictures: Beta with the mean `rate` and n + 1 in all."""
    from scipy.special import betaincinv

    first, second, tail = rate * (n + 1), (1 - rate) * (n + 1), (1 - _CONFIDENCE) / 2
    low, high = (float(betaincinv(first, second, level)) for level in (tail, 1 - tail))
    return Estimate(rate, low, high)
