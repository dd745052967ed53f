"""A linear head that gives away little about anybody: full-batch gradient descent with clipping and noise, in NumPy.

The one training loop is of no use for it: that draws batches, stops where validation says, mixes and averages, and each
of these looks at the data for free. Here every look is one release of a Gaussian mechanism, planned before the first,
and there is no batch whose drawing an accountant would have to trust.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Ints
from photovision.learn.gaussian_mechanism import Noise, ratio_for, system_noise

MOMENTUM = 0.9
CLIP = 0.25
"""Norm of what one unit may add to a gradient, whose features have a norm of about 1."""
CENTRE_SHARE = 0.1
"""Of the squared ratio mu, which adds up over releases: what the centre of the features costs."""
_STEPS = 60, 300
_TRAVEL = 0.15  # learning rate x clip x steps, for each unit and each mu; measured on two public sets
_FASTEST = 50.0  # learning rate x clip


@dataclass(frozen=True)
class DescentPlan:
    """Every choice of one private training, made from numbers that are public: nothing in it depends on the pictures.

    Attributes:
        epsilon, delta: what is kept.
        units: how many pictures, or people, there are; a public number, by which sums are divided.
        steps: releases of the gradient.
        rate: of learning.
        clip: largest norm of what one unit adds to a gradient.
        noise: standard deviation in each number of a released gradient, before it is divided by `units`.
        centre_noise: the same of the sum of features, for features whose norm is clipped to 1.
    """

    epsilon: float
    delta: float
    units: int
    steps: int
    rate: float
    clip: float
    noise: float
    centre_noise: float


def plan_for(epsilon: float, delta: float, units: int) -> DescentPlan:
    """The plan of a training.

    Args:
        epsilon, delta: to keep.
        units: pictures or people to learn from.

    Raises:
        UsageError: epsilon out of range; delta of 1/units and more, which allows to publish one unit's data whole.

    Example:
        >>> plan = plan_for(8.0, 1e-5, 1200)
        >>> plan.steps, round(plan.noise, 2)
        (60, 1.23)
    """
    if units < 1 or delta >= 1 / units:
        raise UsageError(
            f"delta should be below 1 / {units:,}, got {delta:g}: a larger one allows to publish somebody's data whole"
        )
    mu = ratio_for(epsilon, delta)
    travel = _TRAVEL * units * mu
    steps = int(min(max(travel / (_FASTEST * 0.8), _STEPS[0]), _STEPS[1]))
    noise = CLIP * math.sqrt(steps) / (mu * math.sqrt(1 - CENTRE_SHARE))
    centre_noise = 1 / (mu * math.sqrt(CENTRE_SHARE))
    return DescentPlan(epsilon, delta, units, steps, min(travel / steps, _FASTEST) / CLIP, CLIP, noise, centre_noise)


@dataclass(frozen=True, eq=False)
class PrivateHead:
    """What was released: a linear layer on features as the network gives them.

    Attributes:
        weight: float32 (C, D).
        bias: float32 (C,).
    """

    weight: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """Logits float32 (N, C) of features (N, D)."""
        return np.asarray(features @ self.weight.T + self.bias, np.float32)


def fit_private_head(
    features: Floats,
    labels: Ints,
    units: Ints,
    classes: int,
    plan: DescentPlan,
    *,
    radius: float,
    noise: Noise = system_noise,
    observe: Callable[[Floats], None] | None = None,
) -> PrivateHead:
    """Learn a head; with respect to leaving out all of one unit's pictures, it keeps the plan's (epsilon, delta).

    Args:
        features: float (N, D), of a network that is public.
        labels: int64 (N,).
        units: int64 (N,), equal for pictures of one unit (a picture each, or a person's).
        classes: how many, a public number.
        plan: of `plan_for`.
        radius: usual norm of centred features, a public number.
        noise: gives standard normal numbers; other than `system_noise` for simulations only.
        observe: called with what is released, the noisy sum of every gradient (D, C); by audits.
    """
    centre = _centre(features, units, plan, 1.5 * radius, noise)
    shown = ((features - centre) / radius).astype(np.float32)
    truth = np.eye(classes, dtype=np.float32)[labels]
    weight, speed, total = (np.zeros((shown.shape[1], classes), np.float32) for _ in range(3))
    summed = _summing(shown, units)
    for step in range(plan.steps):
        residual = softmax(shown @ weight, axis=1) - truth
        released = summed(residual, plan.clip) + plan.noise * noise(weight.shape)
        if observe is not None:
            observe(released)
        speed = MOMENTUM * speed + (released / plan.units).astype(np.float32)
        weight = weight - plan.rate * speed
        if step >= plan.steps // 2:
            total += weight
    mean = total / (plan.steps - plan.steps // 2) / radius
    return PrivateHead(mean.T.astype(np.float32), (-centre @ mean).astype(np.float32))


def _centre(features: Floats, units: Ints, plan: DescentPlan, most: float, noise: Noise) -> Floats:
    """float64 (D,): the noisy mean over units of the mean of their features, clipped to norm `most`."""
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    clipped = features * np.minimum(1, most / np.maximum(norm, 1e-12))
    own, sizes = np.unique(units, return_inverse=True, return_counts=True)[1:]
    total = (clipped / sizes[own][:, None]).sum(0, dtype=np.float64)
    return np.asarray((total + most * plan.centre_noise * noise(total.shape)) / plan.units)


def _summing(shown: Floats, units: Ints) -> Callable[[Floats, float], Floats]:
    """A function (residuals (N, C), clip) -> the sum over units of what each adds to the gradient, clipped in norm."""
    order = np.argsort(units, kind="stable")
    starts = np.flatnonzero(np.diff(units[order], prepend=units[order][:1] - 1)) if len(order) else order
    if len(starts) == len(units):
        norm = np.linalg.norm(shown, axis=1)

        def of_pictures(residual: Floats, clip: float) -> Floats:
            lengths = np.maximum(np.linalg.norm(residual, axis=1) * norm, 1e-12)
            return np.asarray(shown.T @ (residual * np.minimum(1, clip / lengths)[:, None]))

        return of_pictures
    groups = np.split(order, starts[1:])

    def of_groups(residual: Floats, clip: float) -> Floats:
        total: Floats = np.zeros((shown.shape[1], residual.shape[1]), np.float32)
        for rows in groups:
            own = shown[rows].T @ residual[rows]
            total += own * min(1.0, clip / max(float(np.linalg.norm(own)), 1e-12))
        return total

    return of_groups
