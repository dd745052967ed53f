"""Canaries: units made to be found, by which a private training shows how much it really gives away.

Each canary has a direction of features of its own, and a norm that only clipping bounds, so that it adds as much to
every sum as any unit may. Half of them take part. What releases show along their directions tells the ratio between
what is hidden and the noise, from below; where that is more than was claimed, the training has a fault. Nasr et al.,
"Tight Auditing of Differentially Private Machine Learning", 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from photovision.core.types import Floats
from photovision.learn.gaussian_mechanism import epsilon_of
from photovision.learn.private_head import CENTRE_SHARE, DescentPlan, fit_private_head

CANARIES = 2000
_NORM = 1e6
_SURE = 3.3  # standard errors: a fault is claimed wrongly once in two thousand audits


@dataclass(frozen=True)
class CanaryTest:
    """What canaries showed.

    Attributes:
        claimed: the epsilon that was promised.
        at_least: the epsilon that the releases prove, with 99.95% confidence; 0 where they prove nothing.
        canaries: how many there were.
    """

    claimed: float
    at_least: float
    canaries: int

    @property
    def fault(self) -> bool:
        """Whether more is given away than was claimed."""
        return self.at_least > self.claimed


def release_canaries(plan: DescentPlan, seed: int, trainer: Callable[..., object] = fit_private_head) -> CanaryTest:
    """Run a training on canaries alone.

    Args:
        plan: what is claimed and done.
        seed: which canaries take part.
        trainer: called as `fit_private_head`.
    """
    took_part = np.random.default_rng(seed).random(CANARIES) < 0.5
    features = (_NORM * np.eye(CANARIES, dtype=np.float32))[took_part]
    total: Floats = np.zeros(CANARIES, np.float32)

    def observe(released: Floats) -> None:
        nonlocal total
        total = np.asarray(
            total + (released[:, 1] - released[:, 0]) / math.sqrt(2), np.float32
        )  # along what an undecided head adds

    # The head stays undecided (rate 0), so that every canary adds the most in every step.
    still = replace(plan, rate=0.0)
    labels = np.zeros(len(features), np.int64)
    trainer(features, labels, np.arange(len(features)), 2, still, radius=1.0, observe=observe)
    inside, outside = total[took_part], total[~took_part]
    spread = float(np.std(outside, ddof=1))
    ratio = float(inside.mean() - outside.mean()) / spread
    error = math.sqrt(1 / len(inside) + 1 / len(outside) + ratio**2 / (2 * len(outside)))
    # The centre of the features is released, too; canaries see the gradients, whose share of the budget is known.
    least = max(0.0, ratio - _SURE * error) / math.sqrt(1 - CENTRE_SHARE)
    return CanaryTest(plan.epsilon, epsilon_of(least, plan.delta), CANARIES)
