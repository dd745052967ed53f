"""What privacy costs, found out without paying for it: private trainings on the test pictures, which are not protected.

Half of them teach and half judge, in turn, with the noise that the real number of units would bring. They are fewer,
so the figures tell differences between settings, not the accuracy of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from photovision.core.types import Floats, Ints
from photovision.learn.private_head import DescentPlan, fit_private_head, plan_for

EPSILONS = (0.5, 1.0, 3.0, 8.0)
"""Beside the one that was paid for."""
_LEAST = 60
"""Test pictures."""
_UNBOUND = 1e6  # a clip that clips nothing


def simulate(
    features: Floats, labels: Ints, classes: int, plan: DescentPlan, radius: float, seed: int
) -> Mapping[str, Any]:
    """Accuracy without privacy, with clipping alone, and with noise for several epsilons; {} with too few pictures.

    Args:
        features: float32 (M, D) of test pictures.
        labels: int64 (M,).
        classes: how many.
        plan: of the training.
        radius: as of `fit_private_head`.
        seed: of noise and halves: nothing here is protected.
    """
    if len(labels) < _LEAST:
        return {}
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    halves = np.array_split(order, 2)

    def accuracy(chosen: DescentPlan, noisy: bool) -> float:
        right = 0
        for teach, judge in (halves, halves[::-1]):
            # Sums over fewer pictures with the noise of as many as really learn, both divided by their number.
            share = len(teach) / chosen.units
            own = replace(
                chosen, units=len(teach), noise=share * chosen.noise, centre_noise=share * chosen.centre_noise
            )
            head = fit_private_head(
                features[teach],
                labels[teach],
                np.arange(len(teach)),
                classes,
                own,
                radius=radius,
                noise=rng.standard_normal if noisy else np.zeros,
            )
            right += int((head(features[judge]).argmax(1) == labels[judge]).sum())
        return right / len(labels)

    open_plan = replace(plan, clip=_UNBOUND, rate=plan.rate * plan.clip)
    wanted = sorted({*EPSILONS, plan.epsilon})
    return {
        "n": len(labels),
        "plain": accuracy(open_plan, noisy=False),
        "clipped": accuracy(plan, noisy=False),
        "private": accuracy(plan, noisy=True),
        "by_epsilon": [[one, accuracy(plan_for(one, plan.delta, plan.units), noisy=True)] for one in wanted],
    }
