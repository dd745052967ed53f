"""Class mix: do the classes of a place come in other shares, and does correcting for them help?

Where only the shares of the classes differ, and pictures of each class look as they did, the shares can be estimated
from calibrated probabilities without labels (Saerens, Latinne & Decaestecker 2002) and the probabilities corrected.
Where the pictures look different the same arithmetic makes things worse. So the estimate is drawn towards no change,
and is taken only where chance does not explain it, where it explains what the model predicts here (the comparison of
black-box shift estimation: Lipton, Wang & Smola 2018), where held-out pictures so mixed have the embeddings of the
place's, where it is worth more than what it leaves unexplained, and where it gains in simulated places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats, Ints
from photovision.trust.drift import separability
from photovision.trust.metrics.statistics import Vector

LEVEL = 0.05
"""Chance that a change of the mix is found where there is none."""
MIN_GAIN = 0.005
"""Share of pictures that a correction should put right."""
MAX_SEPARABILITY = 0.65
"""AUROC of telling a place's pictures from held-out ones of the same mix, above which they differ in their look."""
_DOUBTS = 1.3  # a change of look misleads the estimate by about as much as it costs; somewhat more is asked
_HARM, _HARMED = 0.005, 0.2
_PLACES, _NULL, _INTERVAL = 40, 199, 100
_ROUNDS, _CLOSE = 100, 1e-4
_LARGEST = 500  # pictures of a simulated place
_RARE, _MIN_COMPARED = 0.02, 20


@dataclass(frozen=True, eq=False)
class HeldOutPlace:
    """Labelled held-out pictures, of which simulated places are made.

    Attributes:
        probs: float (M, C), calibrated.
        truth: int64 (M,), class indices.
        component: int64 (M,): pictures of one number belong together.
        usual: float64 (C,), the mix of classes that the model learned from, all above 0.
        expected: float (M,), the accuracy to expect of each picture, judged as that of new pictures is.
        embedding: float (M, D).
        often: float64 (M,), how often each picture counts within its class; None: once.
        looks: classes int64 (K,) and embeddings float (K, D) of held-out pictures with which those of a place are
            compared, where `embedding` is of another network than theirs; None: `truth` and `embedding`.
    """

    probs: Floats
    truth: Ints
    component: Ints
    usual: Vector
    expected: Floats
    embedding: Floats
    often: Vector | None = None
    looks: tuple[Ints, Floats] | None = None

    def weights(self, shares: Vector, multiplicity: Vector | None = None) -> Vector:
        """float64 (M,), summing to 1: as often should a picture be drawn for a place of these shares."""
        often = np.ones(len(self.truth)) if self.often is None else self.often
        often = often if multiplicity is None else often * multiplicity
        mass = np.bincount(self.truth, often, minlength=len(shares))
        weights = often * (shares / np.maximum(mass, 1e-12))[self.truth]
        return np.asarray(weights / weights.sum())

    def places(self, shares: Vector, n: int, count: int, seed: int) -> Iterator[Ints]:
        """Positions of the pictures of `count` simulated places of n pictures with such shares."""
        rng = np.random.default_rng(seed)
        codes, groups = self._components()
        for _ in range(count):
            often = np.bincount(rng.integers(groups, size=groups), minlength=groups)[codes].astype(np.float64)
            if np.any(often > 0):
                yield rng.choice(len(codes), n, p=self.weights(shares, often))

    def halves(self, shares: Vector, n: int, count: int, seed: int) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of simulated places that share no component: one to learn from, one to judge with."""
        rng = np.random.default_rng(seed)
        codes, groups = self._components()
        for _ in range(count):
            first = (rng.permutation(groups) < groups / 2)[codes]
            if first.any() and not first.all():
                parts = (self.weights(shares, part.astype(np.float64)) for part in (first, ~first))
                one, other = (rng.choice(len(codes), n, p=weights) for weights in parts)
                yield one, other

    def mixed(self, classes: Ints, shares: Vector, seed: int) -> Ints:
        """Positions of as many pictures of such classes, int64 (K,), as there are in such shares, none twice."""
        rng = np.random.default_rng((seed, 2))
        by_class = [rng.permutation(np.flatnonzero(classes == c)) for c in range(len(shares))]
        pairs = list(zip(by_class, shares.tolist(), strict=True))
        total = min((len(rows) / share for rows, share in pairs if share > _RARE), default=0.0)
        return np.sort(np.concatenate([rows[: round(total * share)] for rows, share in pairs]))

    def _components(self) -> tuple[Ints, int]:
        names, codes = np.unique(self.component, return_inverse=True)
        return codes.astype(np.int64), len(names)


@dataclass(frozen=True, eq=False)
class ClassMix:
    """The mix of classes of a place, with all that decides whether it is used.

    Attributes:
        shares: float64 (C,), estimated; `low` and `high` bound their 95% intervals.
        usual: float64 (C,), the mix that the model learned from.
        p: chance of such an estimate in places of the usual mix.
        separability: AUROC of telling the place's pictures from held-out ones of such a mix by their embeddings.
        explains: whether what the model predicts here lies nearer to what it would predict in such a mix.
        gain: share of pictures that the correction is expected to put right, 0 to 1.
        unexplained: accuracy lost here, by the pictures' similarity and confidence, that the mix does not explain.
        trial: float64 (K,), accuracy gained in each simulated place of such a mix.
    """

    shares: Vector
    low: Vector
    high: Vector
    usual: Vector
    p: float
    separability: float
    explains: bool
    gain: float
    unexplained: float
    trial: Vector

    @property
    def log_ratio(self) -> Vector:
        """float64 (C,): what is added to logits that were divided by the temperature."""
        return np.asarray(np.log(self.shares / self.usual))

    @property
    def harmed(self) -> float:
        """Share of simulated places that lose more than half a point."""
        return float((self.trial < -_HARM).mean()) if len(self.trial) else 1.0

    @property
    def against(self) -> str:
        """Why it is not used, as the end of a sentence; "" where it is."""
        if self.p > LEVEL:
            return f"the mix of classes does not differ from the usual one by more than chance (p = {self.p:.2f})"
        if self.gain < MIN_GAIN:
            return f"it would change the prediction of too few pictures (expected gain {100 * self.gain:.1f} points)"
        if not self.explains or self.separability > MAX_SEPARABILITY:
            return (
                "no mix of classes explains these pictures: their embeddings differ from those of held-out pictures of"
                f" the same mix (AUROC {self.separability:.2f})"
            )
        if self.gain < _DOUBTS * self.unexplained:
            return (
                f"the pictures differ in more than their mix: it would gain {100 * self.gain:.1f} points, and"
                f" {100 * self.unexplained:.1f} points of expected accuracy are lost that it does not explain"
            )
        if not len(self.trial) or self.trial.mean() <= 0 or self.harmed > _HARMED:
            return f"it loses in {self.harmed * 100:.0f}% of the simulated places made of held-out pictures"
        return ""


def class_mix(probs: Floats, expected: Floats, embedding: Floats, held_out: HeldOutPlace, *, seed: int = 0) -> ClassMix:
    """Estimate the mix of classes of a place, and try the correction.

    Args:
        probs: float (N, C), of the place's pictures, calibrated, N above 0.
        expected: float (N,), the accuracy to expect of each picture.
        embedding: float (N, D).
        held_out: labelled pictures that the model did not learn from.
        seed: random seed.
    """
    usual, n = held_out.usual, len(probs)
    shares, ratio = estimate_shares(probs, usual)
    few = min(n, _LARGEST)
    chance = [estimate_shares(held_out.probs[rows], usual)[1] for rows in held_out.places(usual, few, _NULL, seed)]
    p = (1 + sum(other >= ratio * few / n for other in chance)) / (1 + len(chance))
    adjusted = corrected(probs, shares, usual)
    gain = float((adjusted.max(1) - adjusted[np.arange(n), probs.argmax(1)]).mean())
    low, high = _interval(probs, usual, shares, seed)
    likely, _ = estimate_shares(probs, usual, 0.0)  # what caution takes off the estimate is no change of look
    weights = held_out.weights(likely)
    return ClassMix(
        shares,
        low,
        high,
        usual,
        p,
        _separability(embedding, likely, held_out, seed),
        _explains(probs, shares, held_out),
        gain,
        _unexplained(expected, held_out.expected, weights),
        _trial(held_out, shares, few, seed),
    )


def estimate_shares(probs: Floats, usual: Vector, caution: float = 0.1) -> tuple[Vector, float]:
    """The shares of the classes by expectation maximisation, drawn towards the usual ones, float64 (C,).

    The prior is worth as many pictures as there are classes, and a share of those given (Dirichlet).

    Args:
        probs: float (N, C), calibrated in a place of the usual mix.
        usual: float64 (C,), that mix, all above 0.
        caution: that share.

    Returns:
        the shares, and twice the logarithm of the likelihood ratio against the usual mix.

    Example:
        >>> likely = np.repeat([[0.9, 0.1], [0.1, 0.9]], [180, 20], axis=0)
        >>> estimate_shares(likely, np.array([0.5, 0.5]))[0].round(1)
        array([0.9, 0.1])
    """
    ratios = np.asarray(probs, np.float64) / usual
    n, worth = len(probs), len(usual) + caution * len(probs)
    shares = usual
    for _ in range(_ROUNDS):
        joint = ratios * shares
        joint /= np.maximum(joint.sum(1, keepdims=True), 1e-300)
        found = (joint.sum(0) + worth * usual) / (n + worth)
        moved, shares = float(np.abs(found - shares).max()), found
        if moved < _CLOSE:
            break
    return shares, 2 * float(np.log(np.maximum(ratios @ shares, 1e-300)).sum())


def corrected(probs: Floats, shares: Vector, usual: Vector) -> Vector:
    """Probabilities float64 (N, C) of a place of other shares.

    Example:
        >>> corrected(np.array([[0.5, 0.5]]), np.array([0.8, 0.2]), np.array([0.5, 0.5]))
        array([[0.8, 0.2]])
    """
    joint = np.asarray(probs, np.float64) * (shares / usual)
    return np.asarray(joint / np.maximum(joint.sum(1, keepdims=True), 1e-300))


def _explains(probs: Floats, shares: Vector, held_out: HeldOutPlace) -> bool:
    """Whether the classes that the model names here are nearer to those that it names in held-out pictures so mixed."""
    classes = len(shares)
    here = np.bincount(probs.argmax(1), minlength=classes) / len(probs)
    named = held_out.probs.argmax(1)

    def distance(mix: Vector) -> float:
        there = np.bincount(named, held_out.weights(mix), minlength=classes)
        return float(((here - there) ** 2 / (there + 1 / len(probs))).sum())

    return distance(shares) < distance(held_out.usual)


def _separability(here: Floats, shares: Vector, held_out: HeldOutPlace, seed: int) -> float:
    """As `ClassMix.separability`; 1 where there are too few such held-out pictures to compare with."""
    classes, embedding = held_out.looks or (held_out.truth, held_out.embedding)
    rows = held_out.mixed(classes, shares, seed)
    if len(rows) < _MIN_COMPARED:
        return 1.0
    middle = embedding.mean(0)
    few = np.random.default_rng((seed, 3)).permutation(len(here))[:_LARGEST]
    return separability(here[few] - middle, embedding[rows] - middle, seed)


def _unexplained(here: Floats, there: Floats, weights: Vector) -> float:
    """Expected accuracy of held-out pictures of the same mix less that of the place, and its standard error."""
    wide = np.asarray(there, np.float64)
    mean = float(weights @ wide)
    variance = float(np.var(here)) / len(here) + float(weights**2 @ (wide - mean) ** 2)
    return max(mean - float(np.mean(here)), 0.0) + float(np.sqrt(variance))


def _trial(held_out: HeldOutPlace, shares: Vector, n: int, seed: int) -> Vector:
    gains = []
    for one, other in held_out.halves(shares, n, _PLACES, seed):
        found, _ = estimate_shares(held_out.probs[one], held_out.usual)
        after = corrected(held_out.probs[other], found, held_out.usual).argmax(1) == held_out.truth[other]
        before = held_out.probs[other].argmax(1) == held_out.truth[other]
        gains.append(float(after.mean() - before.mean()))
    return np.array(gains)


def _interval(probs: Floats, usual: Vector, shares: Vector, seed: int) -> tuple[Vector, Vector]:
    rng = np.random.default_rng((seed, 1))
    n = len(probs)
    found = [estimate_shares(probs[rng.integers(n, size=n)], usual)[0] for _ in range(_INTERVAL)]
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return np.minimum(low, shares), np.maximum(high, shares)
