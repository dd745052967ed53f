"""Referral rules: from the probabilities of a case to what should be done with it.

By a cost matrix the referral of the least expected cost is chosen (Elkan, "The foundations of cost-sensitive learning",
IJCAI 2001); by an operating point, whether the probability of what should be found reaches a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.statistics import Vector

REFER, OBSERVE = "refer", "observe"


class ReferralRule(Protocol):
    """What is done with a case, by its probabilities."""

    @property
    def referrals(self) -> tuple[str, ...]:
        """Names of the A referrals, most urgent first."""
        ...

    @property
    def best(self) -> Ints:
        """int64 (C,): the right referral of each class."""
        ...

    @property
    def costs(self) -> Vector:
        """float64 (C, A): what each referral costs where a class is true."""
        ...

    def decide(self, probs: Floats) -> Ints:
        """int64 (N,): the referrals of cases with probabilities float32 (N, C)."""
        ...


def urgency(rule: ReferralRule, probs: Floats) -> Vector:
    """float64 (N,): the probability that the most urgent referral is right."""
    return np.asarray(probs[:, rule.best == 0].sum(1), np.float64)


@dataclass(frozen=True, eq=False)
class CostMatrix:
    """Referrals by their expected cost.

    Attributes:
        referrals: A names, most urgent first.
        costs: float64 (C, A), 0 or more, in any unit.

    Raises:
        DataError: fewer than two referrals, costs that are not finite or negative, or no class for the first referral.

    Example:
        >>> rule = CostMatrix(("urgent", "routine"), np.array([[0.0, 10.0], [1.0, 0.0]]))
        >>> rule.decide(np.array([[0.2, 0.8], [0.05, 0.95]], np.float32)).tolist()
        [0, 1]
    """

    referrals: tuple[str, ...]
    costs: Vector

    def __post_init__(self) -> None:
        if len(self.referrals) < 2 or len(set(self.referrals)) != len(self.referrals):
            raise DataError(f"a cost matrix needs at least two referrals of different names, got {self.referrals}")
        if self.costs.ndim != 2 or self.costs.shape[1] != len(self.referrals):
            raise DataError(f"a cost matrix needs a cost for each class and referral, got {self.costs.shape}")
        if not np.isfinite(self.costs).all() or (self.costs < 0).any():
            raise DataError("costs should be numbers of 0 or more")
        if not (self.best == 0).any() or (self.best == 0).all():
            raise DataError(
                f"'{self.referrals[0]}', the most urgent referral, should cost least for some classes and not for all:"
                " put the most urgent one first, and check the costs"
            )

    @property
    def best(self) -> Ints:
        """int64 (C,): the referral of each class that costs least, of equal ones the most urgent."""
        return np.asarray(self.costs.argmin(1), np.int64)

    def decide(self, probs: Floats) -> Ints:
        """See `ReferralRule`."""
        return np.asarray((probs.astype(np.float64) @ self.costs).argmin(1), np.int64)


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Refer or observe, by the probability of what should be found.

    Attributes:
        positive: bool (C,), the classes that should be referred.
        threshold: from which probability of these on a case is referred.
    """

    positive: np.ndarray
    threshold: float

    @property
    def referrals(self) -> tuple[str, ...]:
        """See `ReferralRule`."""
        return REFER, OBSERVE

    @property
    def best(self) -> Ints:
        """See `ReferralRule`."""
        return np.where(self.positive, 0, 1).astype(np.int64)

    @property
    def costs(self) -> Vector:
        """See `ReferralRule`; 1 for each wrong referral."""
        return np.stack([~self.positive, self.positive], axis=1).astype(np.float64)

    def decide(self, probs: Floats) -> Ints:
        """See `ReferralRule`."""
        return np.where(urgency(self, probs) >= self.threshold, 0, 1).astype(np.int64)

    @classmethod
    def chosen(cls, positive: np.ndarray, probs: Floats, truth: Ints, sensitivity: float | None) -> OperatingPoint:
        """The point chosen on M validation images.

        Args:
            positive: bool (C,).
            probs: float32 (M, C).
            truth: int64 (M,).
            sensitivity: what it should reach there: the highest threshold that does is taken; None takes the point of
                the highest balanced accuracy (Youden 1950).

        Raises:
            DataError: there are no positive or no negative validation images.

        Example:
            >>> probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]], np.float32)
            >>> truth = np.array([0, 0, 1, 1])
            >>> round(OperatingPoint.chosen(np.array([True, False]), probs, truth, 1.0).threshold, 2)
            0.45
        """
        true, scores = positive[truth], probs[:, positive].sum(1).astype(np.float64)
        if true.all() or not true.any():
            raise DataError(
                "the validation pictures of the model have none that should be found, or nothing else: no operating"
                " point can be chosen on them; give --costs"
            )
        order = np.argsort(-scores, kind="stable")
        ordered, hits = scores[order], np.cumsum(true[order]) / true.sum()
        alarms = np.cumsum(~true[order]) / (~true).sum()
        last = np.append(ordered[1:] != ordered[:-1], True)  # a cut between equal scores does not exist
        rows = np.flatnonzero(last)
        if sensitivity is None:
            row = int(rows[(hits - alarms)[rows].argmax()])
        else:
            row = int(rows[(hits[rows] >= sensitivity - 1e-9).argmax()])
        below = ordered[row + 1] if row + 1 < len(ordered) else 0.0
        return cls(positive, float((ordered[row] + below) / 2))


def positive_classes(names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """bool (C,): the classes of these names; raises UsageError where one is not known, or all are named."""
    unknown = [name for name in names if name not in classes]
    if unknown or not names or set(names) == set(classes):
        listed = ", ".join(classes)
        got = ", ".join(unknown or names) or "nothing"
        raise UsageError(f"--positive should name some of the model's classes ({listed}), not all; got {got}")
    return np.isin(np.array(classes), list(names))
