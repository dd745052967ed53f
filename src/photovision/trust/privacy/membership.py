"""Membership inference: which pictures did a head learn from? The likelihood-ratio attack (LiRA) on frozen features.

Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022: heads that learn from random halves of
the pictures show how sure a head is of a picture that it learned from, and of one that it did not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.statistics import wilson

Fit = Callable[[Ints], Floats]
"""From positions to learn from to the logits (N, C) of all N pictures."""
SHADOWS = 24
RATES = 0.01, 0.001
"""False-positive rates at which an attack is judged: few accusations, almost all of them right."""
_SPREAD = 1e-3


@dataclass(frozen=True, eq=False)
class MembershipAttack:
    """What an attacker can tell.

    Attributes:
        scores: float64 (N,): how probably each picture was learned from; higher is surer.
        members: bool (N,): whether it was.
    """

    scores: Floats
    members: np.ndarray

    def at(self, rate: float) -> Metric | None:
        """True-positive rate at a false-positive rate, with its interval; None with too few non-members to tell."""
        others, own = self.scores[~self.members], self.scores[self.members]
        if len(others) * rate < 1 or not len(own):
            return None
        allowed = math.floor(rate * len(others))
        limit = np.sort(others)[::-1][allowed]
        found = int((own > limit).sum())
        low, high = wilson(found, len(own))
        return Metric(found / len(own), low, high, len(own))

    @property
    def auroc(self) -> float:
        """Probability that a member scores above a non-member."""
        from scipy.stats import rankdata

        ranks, count = rankdata(self.scores), int(self.members.sum())
        pairs = count * (len(ranks) - count)
        return float((ranks[self.members].sum() - count * (count + 1) / 2) / pairs)


def margins(logits: Floats, labels: Ints) -> Floats:
    """float64 (N,): log-odds of the true class, which is nearly normal over heads."""
    rows = np.arange(len(labels))
    others = np.asarray(logits, np.float64).copy()
    own = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    top = others.max(1)
    return np.asarray(own - top - np.log(np.exp(others - top[:, None]).sum(1)))


def shadows(fit: Fit, labels: Ints, seed: int, count: int = SHADOWS) -> tuple[Floats, np.ndarray]:
    """Margins (K, N) of heads that each learned from a random half, and bool (K, N) from which."""
    rng, n = np.random.default_rng(seed), len(labels)
    halves = np.zeros((count, n), bool)
    for row in range(0, count, 2):  # pairs of halves: every picture is in as many as out
        halves[row, rng.permutation(n)[: n // 2]] = True
        halves[row + 1] = ~halves[row]
    return np.stack([margins(fit(np.flatnonzero(half)), labels) for half in halves]), halves


def attack(target: Floats, members: np.ndarray, known: Floats, halves: np.ndarray) -> MembershipAttack:
    """Attack one head.

    Args:
        target: float (N,), its margins.
        members: bool (N,), what is true of it.
        known, halves: of `shadows`.
    """
    inside, outside = np.where(halves, known, np.nan), np.where(halves, np.nan, known)
    mean_in, mean_out = np.nanmean(inside, 0), np.nanmean(outside, 0)
    spread = [
        max(float(np.sqrt(np.nanmean((part - mean) ** 2))), _SPREAD)
        for part, mean in ((inside, mean_in), (outside, mean_out))
    ]
    scores = [
        -((target - mean) ** 2) / (2 * s * s) - math.log(s) for mean, s in zip((mean_in, mean_out), spread, strict=True)
    ]
    return MembershipAttack(scores[0] - scores[1], members)


def attack_procedure(fit: Fit, labels: Ints, seed: int, count: int = SHADOWS) -> MembershipAttack:
    """Attack a way of training: each shadow in turn is the target of all others, but for its own twin."""
    known, halves = shadows(fit, labels, seed, count)
    found = []
    for row in range(count):
        others = [one for one in range(count) if one // 2 != row // 2]
        found.append(attack(known[row], halves[row], known[others], halves[others]))
    return MembershipAttack(np.concatenate([one.scores for one in found]), halves.reshape(-1))
