"""Drift: do pictures in use differ from those that a model was validated on, with a stated rate of false alarms?

Five things are compared: which classes the model names and how many pictures it calls unknown (chi-squared), how sure
it is and how novel the pictures look to it (Anderson & Darling), and where they lie among the embeddings (maximum mean
discrepancy with a Gaussian kernel and the median heuristic: Gretton et al. 2012). Every statistic is compared with the
same random exchanges of pictures between the window and the reference, so that no p-value rests on an approximation,
and the p-values are corrected for their number (Holm 1979). All this holds for pictures that came independently of each
other: a hundred frames of one scene count as one picture, and are to be thinned out before. The rate is one over
references and windows together: against one and the same reference it is a little higher or lower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Ints
from photovision.runtime.held_out import HeldOut
from photovision.trust.fairness.contrasts import holm
from photovision.trust.metrics.statistics import Estimate, Vector, auroc, difference, from_influence, proportion

MIN_PICTURES = 30
"""Pictures below which a window is not compared."""
PERMUTATIONS = 999
_BINS = 10
_SHORTEST = 10


@dataclass(frozen=True)
class DriftComparison:
    """One thing that was compared.

    Attributes:
        name: "classes", "confidence", "novelty", "unknown" or "embeddings".
        statistic: how far window and reference lie apart; chi-squared, Anderson-Darling or unbiased squared MMD.
        chance: the statistic that equal pictures reach in a share `false_alarms` of cases, without correction.
        p: chance of such a statistic among equal pictures.
        adjusted: the same after Holm's correction.
        changed: whether `adjusted` is at most the rate of false alarms asked for.
    """

    name: str
    statistic: float
    chance: float
    p: float
    adjusted: float = 1.0
    changed: bool = False


@dataclass(frozen=True)
class DriftStability:
    """A population stability index, and what equal pictures reach in a share `false_alarms` of cases."""

    name: str
    value: float
    chance: float


@dataclass(frozen=True, eq=False)
class Drift:
    """What a comparison found.

    Attributes:
        comparisons: one for each thing that both sides know.
        stabilities: population stability indices of classes, confidence and novelty, for those used to them.
        false_alarms: chance that equal pictures are found to differ in anything.
        separable: AUROC of telling the window's pictures from the reference's by their embeddings, each judged by what
            the others taught; 0.5 means not at all. None without embeddings.
        unlike: float64 (N,), how much more each picture of the window is like the window's than like the reference's;
            without embeddings its novelty, or how unsure the model is.
        strange: bool (N,), whether a picture of the window is less like the reference's than half of these are, by its
            embedding; true of half of them where nothing has changed. None without embeddings.
        since, until: position in the window at which the change begins or ends; None where it has no such point.
    """

    comparisons: tuple[DriftComparison, ...]
    stabilities: tuple[DriftStability, ...]
    false_alarms: float
    separable: Estimate | None
    unlike: Vector
    strange: np.ndarray | None = None
    since: int | None = None
    until: int | None = None

    @property
    def changed(self) -> tuple[DriftComparison, ...]:
        """Those that changed, the clearest first."""
        return tuple(sorted((c for c in self.comparisons if c.changed), key=lambda c: c.p))


def compare(
    window: HeldOut,
    reference: HeldOut,
    *,
    limit: float | None = None,
    false_alarms: float = 0.05,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Drift:
    """Compare pictures in use with pictures that the model did not learn from.

    Args:
        window: N answers, in the order of time.
        reference: M answers.
        limit: the novelty above which a picture is unknown; None leaves their share out.
        false_alarms: chance that equal pictures are found to differ, over all comparisons together.
        permutations: random exchanges.
        seed: of these.

    Raises:
        UsageError: fewer than 30 pictures on a side, a rate not between 0 and 1, or too few permutations for it.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def some(count, sure):
        ...     return HeldOut(rng.integers(3, size=count), rng.beta(sure, 1, count).astype(np.float32))
        >>> [found.name for found in compare(some(200, 4), some(400, 9)).changed]
        ['confidence']
    """
    _check(window, reference, false_alarms, permutations)
    sides = _shuffled(len(window), len(reference), permutations, seed)
    found: dict[str, Vector] = {}
    shifts: dict[str, Vector] = {}
    best = np.concatenate([window.best, reference.best])
    found["classes"], shifts["classes"] = _mix(best, sides)
    for name, values in _figures(window, reference).items():
        found[name] = _apart(values, sides)
        shifts[name] = _mix(_binned(values), sides)[1]
    scores = _scores(window, reference)
    if limit is not None and "novelty" in scores:
        unknown = [(side.novelty > limit).astype(np.int64) for side in (window, reference) if side.novelty is not None]
        found["unknown"], _ = _mix(np.concatenate(unknown), sides)
        scores["unknown"] = unknown[0].astype(float), unknown[1].astype(float)
    separable, unlike = None, scores["novelty"][0] if "novelty" in scores else -scores["confidence"][0]
    if window.embedding is not None and reference.embedding is not None:
        kernel = gaussian(np.concatenate([window.embedding, reference.embedding]))
        found["embeddings"] = _discrepancy(kernel, sides)
        separable, apart = _separable(kernel, len(window), seed)
        unlike = _unlike(kernel, len(window))
        scores["embeddings"] = apart[: len(window)], apart[len(window) :]
    comparisons = _verdicts(found, false_alarms)
    return Drift(
        comparisons,
        tuple(DriftStability(name, float(v[0]), _quantile(v, false_alarms)) for name, v in shifts.items()),
        false_alarms,
        separable,
        unlike,
        None if separable is None else scores["embeddings"][0] > np.median(scores["embeddings"][1]),
        *_dated([scores[one.name] for one in comparisons if one.changed], false_alarms, seed),
    )


def mix_differences(window: Ints, reference: Ints, classes: int) -> list[tuple[Estimate, Estimate, Estimate]]:
    """For each class its share in the window, in the reference, and the difference (Newcombe 1998).

    Args:
        window, reference: int64 (N,) and (M,), positions of classes.
        classes: how many there are.
    """
    sides = [np.bincount(side, minlength=classes) for side in (window, reference)]
    rows = []
    for here, there in zip(*sides, strict=True):
        a, b = proportion(int(here), len(window)), proportion(int(there), len(reference))
        rows.append((a, b, difference(b, a)))
    return rows


def turning_point(scores: Vector, level: float, seed: int = 0, permutations: int = PERMUTATIONS) -> int | None:
    """Where the mean of a series changes, by the largest standardised sum of deviations (CUSUM: Page 1954).

    Args:
        scores: float64 (N,), in the order of time.
        level: chance that a series without such a point is found to have one.

    Returns:
        the position at which the later part begins; None where the order may well be chance.

    Example:
        >>> turning_point(np.r_[np.zeros(40), np.ones(60)], 0.05)
        40
    """
    n = len(scores)
    if n < 4 * _SHORTEST:
        return None
    rng = np.random.default_rng((seed, 1))
    series = np.concatenate([scores[None], rng.permuted(np.tile(scores, (permutations, 1)), axis=1)])
    counts = np.arange(1, n)
    sums = np.cumsum(series - series.mean(1, keepdims=True), axis=1)[:, :-1]
    size = np.abs(sums) / np.sqrt(counts * (n - counts) / n)
    inner = size[:, _SHORTEST - 1 : n - _SHORTEST]
    peak = inner.max(1)
    if (peak >= peak[0] - 1e-9).mean() > level:
        return None
    return int(inner[0].argmax()) + _SHORTEST


def separability(here: Floats, there: Floats, seed: int = 0) -> float:
    """AUROC of telling embeddings (N, D) from others (M, D), each by what the other half taught; 0.5 means not at all.

    Example:
        >>> here = np.random.default_rng(0).normal(0, 1, (40, 4)).astype(np.float32)
        >>> separability(here, here + 5) > 0.9
        True
    """
    return _separable(gaussian(np.concatenate([here, there])), len(here), seed)[0].value


def gaussian(embeddings: Floats) -> Floats:
    """Gaussian kernel float32 (N, N) of embeddings (N, D), as wide as their median distance."""
    lengths = (embeddings**2).sum(1)
    squares = np.maximum(lengths[:, None] + lengths - 2 * embeddings @ embeddings.T, 0)
    upper = squares[np.triu_indices(len(squares), 1)]
    middle = float(np.median(upper)) or float(upper.mean()) or 1.0
    return np.asarray(np.exp(squares / (-2 * middle)), dtype=np.float32)


def _check(window: HeldOut, reference: HeldOut, false_alarms: float, permutations: int) -> None:
    if not 0 < false_alarms < 1:
        raise UsageError(f"the rate of false alarms should be above 0 and below 1, such as 0.05, got {false_alarms}")
    for name, side in (("window", window), ("reference", reference)):
        if len(side) < MIN_PICTURES:
            raise UsageError(f"the {name} needs at least {MIN_PICTURES} pictures, got {len(side)}: take a longer one")
    if 5 / (permutations + 1) > false_alarms:
        raise UsageError(
            f"{permutations} permutations cannot show a rate of {false_alarms}: raise the rate or their number"
        )


def _shuffled(n: int, m: int, permutations: int, seed: int) -> Floats:
    """float32 (N + M, 1 + permutations): 1 for the window's pictures; the first column is the truth."""
    truth = (np.arange(n + m) < n).astype(np.float32)
    mixed = np.random.default_rng(seed).permuted(np.tile(truth, (permutations, 1)), axis=1)
    return np.ascontiguousarray(np.concatenate([truth[None], mixed]).T)


def _figures(window: HeldOut, reference: HeldOut) -> dict[str, Vector]:
    found = {"confidence": np.concatenate([window.prob, reference.prob]).astype(np.float64)}
    if window.novelty is not None and reference.novelty is not None:
        found["novelty"] = np.concatenate([window.novelty, reference.novelty]).astype(np.float64)
    return found


def _scores(window: HeldOut, reference: HeldOut) -> dict[str, tuple[Vector, Vector]]:
    """What is looked at over time, of both sides: ranks, because a few extreme pictures are no change."""
    n = len(window)
    here, there = (np.bincount(side.best, minlength=1 + _highest(window, reference)) for side in (window, reference))
    expected = (here + there) / (n + len(reference))
    grown = int(((here / n - expected) / np.sqrt(expected + 1e-12)).argmax())
    found = {"classes": ((window.best == grown).astype(float), (reference.best == grown).astype(float))}
    for name, values in _figures(window, reference).items():
        ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable") / len(values)
        found[name] = ranks[:n], ranks[n:]
    return found


def _highest(*sides: HeldOut) -> int:
    return max(int(side.best.max()) for side in sides)


def _mix(groups: Ints, sides: Floats) -> tuple[Vector, Vector]:
    """Chi-squared and the population stability index of the shares of groups, float64 (B,) each."""
    present, codes = np.unique(groups, return_inverse=True)
    members = (codes[:, None] == np.arange(len(present))).astype(np.float32)
    total, n = members.sum(0)[:, None].astype(np.float64), float(sides[:, 0].sum())
    m = len(groups) - n
    inside = (members.T @ sides).astype(np.float64)
    squared = ((inside - total * n / len(groups)) ** 2 / total).sum(0) * len(groups) ** 2 / (n * m)
    # Half a picture is added to each group, so that an empty one does not count without end.
    half = 0.5 * len(present)
    a, b = (inside + 0.5) / (n + half), (total - inside + 0.5) / (m + half)
    return squared, ((a - b) * np.log(a / b)).sum(0)


def _binned(values: Vector) -> Ints:
    edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    return np.searchsorted(edges, values, side="left").astype(np.int64)


def _apart(values: Vector, sides: Floats) -> Vector:
    """The two-sample statistic of Anderson & Darling with ties (Scholz & Stephens 1987), float64 (B,)."""
    order = np.argsort(values, kind="stable")
    ordered, total = values[order], len(values)
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    mass = np.diff(np.r_[-1, last])[:-1, None] / total
    last, n = last[:-1], float(sides[:, 0].sum())
    below = np.cumsum(sides[order], axis=0, dtype=np.float32)[last].astype(np.float64)
    seen = (last + 1.0)[:, None]
    gap = below / n - (seen - below) / (total - n)
    weight = seen / total * (1 - seen / total)
    return np.asarray((mass * gap**2 / weight).sum(0) * n * (total - n) / total)


def _discrepancy(kernel: Floats, sides: Floats) -> Vector:
    """Unbiased squared maximum mean discrepancy, float64 (B,)."""
    n = float(sides[:, 0].sum())
    m = len(kernel) - n
    centred = kernel - kernel.mean()  # changes nothing but the rounding
    diagonal = float(centred[0, 0])
    rows = centred.sum(1, dtype=np.float64)
    inside = np.einsum("ib,ib->b", sides, centred @ sides, dtype=np.float64)
    crossing = rows @ sides - inside
    outside = rows.sum() - 2 * crossing - inside
    return np.asarray(
        (inside - n * diagonal) / (n * (n - 1)) + (outside - m * diagonal) / (m * (m - 1)) - 2 * crossing / (n * m)
    )


def _separable(kernel: Floats, n: int, seed: int) -> tuple[Estimate, Vector]:
    """How well the sides can be separated, and each picture's score, by what the other half of all pictures taught."""
    total = len(kernel)
    half = np.zeros(total, bool)
    rng = np.random.default_rng((seed, 2))
    for start, end in ((0, n), (n, total)):
        half[rng.permutation(np.arange(start, end))[: (end - start) // 2]] = True
    inside = np.arange(total) < n
    scores, areas, influences = np.empty(total), [], []
    for own in (half, ~half):
        here, there = ~own & inside, ~own & ~inside
        scores[own] = kernel[np.ix_(own, here)].mean(1) - kernel[np.ix_(own, there)].mean(1)
        area, influence = auroc(scores[own], inside[own])
        areas.append(area)
        influences.append(influence / 2)
    return from_influence(float(np.mean(areas)), np.concatenate(influences), min(n, total - n)), scores


def _unlike(kernel: Floats, n: int) -> Vector:
    """Log ratio of the density of the window's other pictures to that of the reference's at each picture of it."""
    here = (kernel[:n, :n].sum(1, dtype=np.float64) - 1) / (n - 1)
    there = kernel[:n, n:].mean(1, dtype=np.float64)
    little = 0.02 * float(kernel.mean())  # far from everything a ratio would be one of rounding
    return np.asarray(np.log((here + little) / (there + little)))


def _verdicts(found: Mapping[str, Vector], false_alarms: float) -> tuple[DriftComparison, ...]:
    # Rounding must not make the truth look larger than an exchange that gives the same.
    p = [float((values >= values[0] - 1e-9 * abs(values[0])).mean()) for values in found.values()]
    return tuple(
        DriftComparison(
            name, float(values[0]), _quantile(values, false_alarms), own, adjusted, adjusted <= false_alarms
        )
        for (name, values), own, adjusted in zip(found.items(), p, holm(p).tolist(), strict=True)
    )


def _quantile(values: Vector, false_alarms: float) -> float:
    return float(np.quantile(values[1:], 1 - false_alarms))


def _dated(changed: Sequence[tuple[Vector, Vector]], false_alarms: float, seed: int) -> tuple[int | None, int | None]:
    """Where in the window the change begins, and where it ends: at most one of them.

    Everything that changed is looked at together, each by as much as it differs from the reference.
    """
    if not changed:
        return None, None
    series = np.zeros(len(changed[0][0]))
    for here, there in changed:
        series += (here - there.mean()) * (here.mean() - there.mean()) / max(float(there.var()), 1e-12)
    turn = turning_point(series, false_alarms, seed)
    if turn is None:
        return None, None
    return (turn, None) if series[turn:].mean() >= series[:turn].mean() else (None, turn)
