"""What referrals are worth: cost, sensitivity, specificity by patient, at other base rates, with a person's help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Ints
from photovision.trust.metrics.statistics import Estimate, Vector, auroc, bootstrap_sums, from_influence, wilson
from photovision.trust.referral.cases import Cases
from photovision.trust.referral.rules import ReferralRule, urgency

BASE_RATES = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Base rates at which predictive values are stated, beside those that are asked for."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Referrals of N cases beside the right ones.

    Attributes:
        rule: by which they were made.
        decided: int64 (N,).
        right: int64 (N,), the right ones.
        cost: float64 (N,), what each decision cost.
        patients: int64 (N,).
        scores: float64 (N,), the probability that the most urgent referral is right.
        margin: float64 (N,), by how much the decision's expected cost is below the next best one's.
    """

    rule: ReferralRule
    decided: Ints
    right: Ints
    cost: Vector
    patients: Ints
    scores: Vector
    margin: Vector

    @classmethod
    def of(cls, rule: ReferralRule, cases: Cases, truth: Ints) -> Outcomes:
        """Outcomes of cases whose true class is int64 (N,), the index of one."""
        decided, expected = rule.decide(cases.probs), np.sort(cases.probs.astype(np.float64) @ rule.costs, axis=1)
        cost, right = rule.costs[truth, decided], rule.best[truth]
        margin = expected[:, 1] - expected[:, 0]
        return cls(rule, decided, right, cost, cases.patients, urgency(rule, cases.probs), margin)

    @property
    def base_rate(self) -> float:
        """Share of cases that need the most urgent referral."""
        return float((self.right == 0).mean())

    def metrics(self, seed: int = 0) -> dict[str, Metric]:
        """Share of right referrals, cost a case, and of the most urgent referral sensitivity, specificity, AUROC."""
        found, n = self._estimates(seed), len(self.right)
        positive = int((self.right == 0).sum())
        counts = {"sensitivity": positive, "specificity": n - positive}
        metrics = {
            name: Metric(*estimate, counts.get(name, n), "" if name == "cost_per_case" else "share")
            for name, estimate in found.items()
        }
        if 0 < positive < n:
            value, influence = auroc(self.scores, self.right == 0)
            patient = np.bincount(np.unique(self.patients, return_inverse=True)[1].ravel(), influence)
            area = from_influence(value, patient, min(positive, n - positive))
            metrics["referral_auroc"] = Metric(*area, n)
        return metrics

    def predictive_values(self, rate: float, seed: int = 0) -> tuple[Metric | None, Metric | None]:
        """Positive and negative predictive value of the most urgent referral where so many cases need it.

        None where no case is called so, or where the cases are all of one kind.
        """
        positive = self.right == 0
        if positive.all() or not positive.any():
            return None, None

        def ppv(sums: Vector) -> Vector:
            hits, alarms = rate * sums[:, 0] / sums[:, 1], (1 - rate) * (1 - sums[:, 2] / sums[:, 3])
            return np.asarray(hits / (hits + alarms))

        def npv(sums: Vector) -> Vector:
            passed, missed = (1 - rate) * sums[:, 2] / sums[:, 3], rate * (1 - sums[:, 0] / sums[:, 1])
            return np.asarray(passed / (passed + missed))

        found = self._resampled(self._counts(), {"ppv": ppv, "npv": npv}, seed)
        n = len(positive)
        one, other = (Metric(*found[name], n) if np.isfinite(found[name].value) else None for name in ("ppv", "npv"))
        return one, other

    def referral_curve(self) -> tuple[list[float], list[float], list[float]]:
        """Shares of cases left to a person, least sure first; then wrong referrals and cost a case of the others."""
        order = np.argsort(self.margin, kind="stable")
        wrong, cost = (self.decided != self.right)[order].astype(np.float64), self.cost[order]
        shares = np.arange(0, 0.96, 0.05)
        first = (shares * len(order)).astype(np.int64)
        return (
            shares.tolist(),
            [float(wrong[start:].mean()) for start in first],
            [float(cost[start:].mean()) for start in first],
        )

    def roc(self) -> tuple[list[float], list[float]]:
        """False alarm rates and sensitivities of all thresholds on the probability of the most urgent referral."""
        order = np.argsort(-self.scores, kind="stable")
        positive = (self.right == 0)[order]
        last = np.append(np.diff(self.scores[order]) != 0, True)
        hits = np.cumsum(positive)[last] / max(1, positive.sum())
        alarms = np.cumsum(~positive)[last] / max(1, (~positive).sum())
        return [0.0, *alarms.tolist()], [0.0, *hits.tolist()]

    def _estimates(self, seed: int) -> dict[str, Estimate]:
        ones = np.ones(len(self.right))
        columns = np.column_stack([self._counts(), self.decided == self.right, self.cost, ones])
        finish: dict[str, Callable[[Vector], Vector]] = {
            "right_referral": lambda sums: sums[:, 4] / sums[:, 6],
            "cost_per_case": lambda sums: sums[:, 5] / sums[:, 6],
        }
        if 0 < (self.right == 0).sum() < len(self.right):
            finish |= {
                "sensitivity": lambda sums: sums[:, 0] / sums[:, 1],
                "specificity": lambda sums: sums[:, 2] / sums[:, 3],
                "balanced_accuracy": lambda sums: (sums[:, 0] / sums[:, 1] + sums[:, 2] / sums[:, 3]) / 2,
            }
        return self._resampled(columns, finish, seed)

    def _counts(self) -> np.ndarray:
        """(N, 4): found, to be found, passed, to be passed."""
        positive, urgent = self.right == 0, self.decided == 0
        return np.column_stack([positive & urgent, positive, ~positive & ~urgent, ~positive]).astype(np.float64)

    def _resampled(
        self, columns: np.ndarray, finish: dict[str, Callable[[Vector], Vector]], seed: int
    ) -> dict[str, Estimate]:
        """Estimates with intervals over patients; Wilson's where nothing differs between these."""
        number = np.unique(self.patients, return_inverse=True)[1].ravel()
        sums = np.stack([np.bincount(number, column) for column in columns.T], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = bootstrap_sums(sums, finish, seed=seed)
        n = len(sums)
        for name, one in found.items():
            if one.low == one.high and 0 <= one.value <= 1 and name != "cost_per_case":
                found[name] = Estimate(one.value, *wilson(one.value * n, n))
        return found
