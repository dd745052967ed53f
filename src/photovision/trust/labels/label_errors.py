"""Label errors: which labels are probably wrong, from probabilities of a model that never saw the labels it judges.

Confident learning (Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR
2021) counts the pictures that confidently look like another class than their label says. Alone it also counts the
model's own mistakes: on sound labels of a hard task it would accuse hundreds. So a model of the labels decides how many
are wrong: a label is a draw from the probabilities at temperature T, or, with a small chance, a draw from all classes
alike. Both numbers are fitted by likelihood. A model that is merely weak gives true labels small probabilities as often
as it says; random wrong labels get tiny ones more often than that, and only this excess counts.

Wrong labels that follow a rule (one class taken for another again and again) look like two classes that resemble each
other, to this method as to any other that has only the pictures and their labels; the confident joint hints at them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Ints
from photovision.trust.metrics.calibrate import COLDEST, HOTTEST
from photovision.trust.metrics.statistics import Estimate, Vector

MIN_PICTURES = 50
REFERENCE = 0.05
"""The share of wrong labels for which `power` is stated."""
MAX_SURPRISE = 0.9

_FLOOR = 1e-12
_SURE = 5.411894431054342 / 2  # half the 98% point of chi-squared with 1 degree: at the boundary, 1% false alarms
_INSIDE = 3.841458820694124 / 2  # half the 95% point: the bounds of a profile likelihood interval


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What the labels of N pictures of C classes look like to a model.

    Attributes:
        share: share of wrong labels, 0 to 1, with a profile likelihood interval.
        shown: whether the data shows wrong labels at all; by chance it does so in 1 of 100 sound data sets.
        suspects: positions of the pictures whose label is more probably wrong than right, most suspect first; none
            where `shown` is False.
        suspicion: float64 (N,), minus the logarithm of the label's probability (self-confidence): ranks all pictures.
        chance: float64 (N,), probability that the label is wrong, 0 to 1.
        suggested: int64 (N,), the most probable class but the label.
        confidence: float64 (N,), probability that `suggested` is the truth, 0 to 1.
        joint: int64 (C, C), the confident joint: row the label, column the class that a picture confidently looks like.
        power: share of random wrong labels that would be among the suspects if 5% of labels were wrong, 0 to 1.
        temperature: the probabilities were taken at this temperature.
    """

    share: Estimate
    shown: bool
    suspects: Ints
    suspicion: Vector
    chance: Vector
    suggested: Ints
    confidence: Vector
    joint: Ints
    power: float
    temperature: float


def label_errors(probs: np.ndarray, labels: Ints) -> LabelErrors:
    """Find labels that are probably wrong.

    Args:
        probs: float (N, C), N at least 50, rows summing to 1, of models that did not learn from the picture they judge
            nor from a copy of it. float64 keeps small ones apart.
        labels: int64 (N,), 0 to C - 1, as given.

    Raises:
        UsageError: other shapes, fewer pictures or classes, or probabilities that are not finite.

    Example:
        >>> labels = np.arange(600) % 3
        >>> weights = np.exp(np.random.default_rng(0).normal(8 * np.eye(3)[labels], 2))
        >>> labels[:9] = 0
        >>> found = label_errors(weights / weights.sum(1, keepdims=True), labels)
        >>> sorted(found.suspects.tolist())
        [1, 2, 4, 5, 7, 8]
    """
    probs = np.asarray(probs, np.float64)
    _check(probs, labels)
    logs = np.log(np.maximum(probs, _FLOOR))
    rows, classes = np.arange(len(labels)), probs.shape[1]
    temperature, random, low, high, gain = _fitted(logs, labels)
    scaled = _at(logs, temperature)
    own = scaled[rows, labels]
    others = scaled.copy()
    others[rows, labels] = -1
    suggested = others.argmax(1).astype(np.int64)
    drawn = random / classes
    likely = (1 - random) * own + drawn
    chance, suspicion = drawn * (1 - own) / likely, -np.log(np.maximum(own, 1e-300))
    shown = gain > _SURE
    wrong = 1 - 1 / classes  # a random draw is right now and then
    order = np.argsort(-suspicion, kind="stable").astype(np.int64)
    return LabelErrors(
        share=Estimate(random * wrong, low * wrong, high * wrong),
        shown=shown,
        suspects=order[chance[order] > 0.5] if shown else order[:0],
        suspicion=suspicion,
        chance=chance,
        suggested=suggested,
        confidence=drawn * scaled[rows, suggested] / likely,
        joint=confident_joint(scaled, labels),
        power=_power(scaled, REFERENCE / wrong),
        temperature=temperature,
    )


def confident_joint(probs: np.ndarray, labels: Ints) -> Ints:
    """How often pictures of each label confidently look like each class (Northcutt et al. 2021).

    A picture counts for the most probable of the classes whose probability reaches the mean that pictures labelled so
    get; pictures that reach none are left out.

    Args:
        probs: float (N, C), out of sample.
        labels: int64 (N,), as given.

    Returns:
        int64 (C, C): row the label, column the class.
    """
    classes = probs.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = np.bincount(labels, probs[np.arange(len(labels)), labels], minlength=classes)
    usual = np.where(counts > 0, own / np.maximum(counts, 1), np.inf)
    reached = np.where(probs >= usual, probs, -1.0)
    sure = reached.max(1) >= 0
    joint = np.zeros((classes, classes), np.int64)
    np.add.at(joint, (labels[sure], reached.argmax(1)[sure]), 1)
    return joint


def surprise(probs: np.ndarray, labels: Ints) -> float:
    """Mean surprise at the labels in nats, some of which may be random: the lower, the better a model tells them.

    Arguments and errors as for `label_errors`. Unlike the plain log-loss it is not ruled by the wrong labels, so models
    can be chosen by it.
    """
    probs = np.asarray(probs, np.float64)
    _check(probs, labels)
    logs = np.log(np.maximum(probs, _FLOOR))
    return min(_best(_own(logs, labels, t), probs.shape[1])[1] for t in _temperatures()) / len(labels)


def _fitted(logs: np.ndarray, labels: Ints) -> tuple[float, float, float, float, float]:
    """Temperature, share of random labels with its bounds, and by how much it beats no random labels, in nats."""
    classes = logs.shape[1]
    coarse = _temperatures()
    costs = [_best(_own(logs, labels, t), classes)[1] + _prior(t) for t in coarse]
    place = int(np.argmin(costs))
    near = np.geomspace(coarse[max(place - 1, 0)], coarse[min(place + 1, len(coarse) - 1)], 25)
    # The temperature without random labels may be far off; it is needed for the comparison.
    ends = np.unique(np.concatenate([near, coarse]))
    own = np.stack([_own(logs, labels, t) for t in ends])
    priors = np.array([_prior(t) for t in ends])

    def cost(random: float) -> float:
        return float((-np.log((1 - random) * own + random / classes).sum(1) + priors).min())

    found = [_best(row, classes) for row in own]
    best = int(np.argmin([value for _, value in found] + priors))
    random, least = found[best][0], cost(found[best][0])
    low = 0.0 if cost(0.0) - least <= _INSIDE else _crossing(cost, least, 0.0, random)
    high = MAX_SURPRISE if cost(MAX_SURPRISE) - least <= _INSIDE else _crossing(cost, least, MAX_SURPRISE, random)
    return float(ends[best]), random, low, high, cost(0.0) - least


def _temperatures() -> Vector:
    grid: Vector = np.geomspace(COLDEST, HOTTEST, 25)
    return grid


def _prior(temperature: float) -> float:
    return float(np.log(temperature)) ** 2 / 2  # weak, as in `fit_temperature`


def _best(own: Vector, classes: int) -> tuple[float, float]:
    """The most likely share of random labels, for the labels' probabilities `own`, and its cost in nats."""
    from scipy.optimize import brentq

    def slope(random: float) -> float:
        return float(((1 / classes - own) / ((1 - random) * own + random / classes)).sum())

    # The likelihood is concave in the share.
    random = (
        0.0
        if slope(0.0) <= 0
        else MAX_SURPRISE
        if slope(MAX_SURPRISE) >= 0
        else float(brentq(slope, 0.0, MAX_SURPRISE, xtol=1e-6))
    )
    return random, float(-np.log((1 - random) * own + random / classes).sum())


def _crossing(cost: Callable[[float], float], least: float, outside: float, inside: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(lambda share: cost(share) - least - _INSIDE, outside, inside, xtol=1e-5))


def _at(logs: np.ndarray, temperature: float) -> np.ndarray:
    from scipy.special import softmax

    return np.asarray(softmax(logs / temperature, axis=1))


def _own(logs: np.ndarray, labels: Ints, temperature: float) -> Vector:
    """Probabilities of the labels at a temperature, above 0."""
    own: Vector = np.maximum(_at(logs, temperature)[np.arange(len(labels)), labels], 1e-300)
    return own


def _power(scaled: np.ndarray, random: float) -> float:
    """Share of labels, drawn from the classes that a picture is not of, that come out as more probably wrong."""
    classes = scaled.shape[1]
    drawn = random / classes
    limit = drawn / 2 / ((1 - random) / 2 + drawn)  # where the chance of being wrong is a half
    below = scaled < limit
    return float(((below.sum(1) - (scaled * below).sum(1)) / (classes - 1)).mean())


def _check(probs: np.ndarray, labels: np.ndarray) -> None:
    if probs.ndim != 2 or probs.shape[1] < 2 or labels.shape != probs.shape[:1] or len(probs) < MIN_PICTURES:
        raise UsageError(
            f"label errors need probabilities (N, C) and labels (N,) of at least {MIN_PICTURES} pictures and 2 classes,"
            f" got {probs.shape} and {labels.shape}"
        )
    if not np.isfinite(probs).all() or probs.min() < 0:
        raise UsageError("label errors need finite probabilities of 0 or more: leave out unreadable pictures first")
    if labels.min() < 0 or labels.max() >= probs.shape[1]:
        raise UsageError(f"labels should be 0 to {probs.shape[1] - 1}, got {labels.min()} to {labels.max()}")
