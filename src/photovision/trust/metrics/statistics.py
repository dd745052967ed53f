"""Intervals and paired tests: how far a figure measured on so many pictures can be trusted.

Which interval serves which figure, and why not one bootstrap for all:

- proportions (accuracy, recall, precision): Wilson. Where every picture is right the bootstrap says [1, 1], a lie.
- means of proportions (balanced accuracy): Wilson intervals combined by MOVER, for the same reason.
- sums and their ratios (F1, log-loss, Brier, ECE): percentile bootstrap over pictures, all figures in one pass.
- rank figures (AUROC, average precision): the infinitesimal jackknife, the bootstrap's limit, on the logit scale;
  thousands of times cheaper than sorting every resample again. Where all pictures are ranked right it says [1, 1], too:
  then Wilson with as many pictures as there are of the rarer kind, for so many pairs of pictures are independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from photovision.core.errors import UsageError

Vector = npt.NDArray[np.float64]
Z = 1.959963984540054
"""The 97.5% point of the normal distribution: every interval here is a 95% one unless `level` says otherwise."""

BEYOND_CHANCE = 1.6448536269514722
"""Standard errors by which one of two equals is better than the other, by chance, in 1 of 20 cases."""

_POWER_80 = 0.8416212335729143
_CHUNK = 4_000_000  # resampled counts held at once: 32 MB


class Estimate(NamedTuple):
    """A figure with the bounds of its interval."""

    value: float
    low: float
    high: float


class Flips(NamedTuple):
    """Where two models disagree: pictures that only A or only B has right, and the p-value of McNemar's exact test."""

    only_a: int
    only_b: int
    p: float


def wilson(k: float, n: float, z: float = Z) -> tuple[float, float]:
    """Interval of a proportion, k successes of n (Wilson 1927); (0, 1) where n is 0.

    Both may be parts of a picture, where pictures count less than one each.

    Example:
        >>> [round(bound, 3) for bound in wilson(20, 20)]
        [0.839, 1.0]
    """
    if not 0 <= k <= n:
        raise UsageError(f"a proportion needs 0 <= k <= n, got k = {k} and n = {n}")
    if n == 0:
        return 0.0, 1.0
    p = k / n
    centre = p + z * z / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Rounding must not push a bound past the estimate where k is 0 or n.
    return float(max(0.0, (centre - half) / scale) if k else 0.0), float(
        min(1.0, (centre + half) / scale) if k < n else 1.0
    )


def proportion(k: int, n: int) -> Estimate:
    """k / n with its Wilson interval; raises UsageError where n is 0."""
    if n < 1:
        raise UsageError("a proportion of no pictures does not exist: give at least one")
    return Estimate(k / n, *wilson(k, n))


def mean_of_proportions(k: Sequence[int] | np.ndarray, n: Sequence[int] | np.ndarray) -> Estimate:
    """The plain mean of independent proportions k[i] / n[i], n[i] > 0 (MOVER: Zou & Donner 2008).

    Example:
        >>> mean_of_proportions([10, 8], [10, 10]).value
        0.9
    """
    parts = np.array([proportion(int(a), int(b)) for a, b in zip(k, n, strict=True)])
    value = float(parts[:, 0].mean())
    below = float(np.sqrt(((parts[:, 0] - parts[:, 1]) ** 2).sum())) / len(parts)
    above = float(np.sqrt(((parts[:, 2] - parts[:, 0]) ** 2).sum())) / len(parts)
    return Estimate(value, max(0.0, value - below), min(1.0, value + above))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """b - a from the two intervals alone, as if independent (MOVER; Newcombe 1998).

    For two models on the same pictures it is too wide rather than too narrow; prefer a paired figure where the single
    answers are at hand.
    """
    value = b.value - a.value
    below = np.hypot(b.value - b.low, a.high - a.value)
    above = np.hypot(b.high - b.value, a.value - a.low)
    return Estimate(value, float(value - below), float(value + above))


def standard_error(estimate: Estimate) -> float:
    """The standard error that a 95% interval stands for.

    Example:
        >>> round(standard_error(Estimate(0.5, 0.402, 0.598)), 3)
        0.05
    """
    return (estimate.high - estimate.low) / (2 * Z)


def bootstrap(
    statistic: Callable[..., float],
    arrays: Sequence[np.ndarray],
    *,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Percentile bootstrap of any statistic of arrays that share their first axis (Efron 1979).

    Resamples on which the statistic is not finite are left out. `bootstrap_sums` is much faster where it applies.

    Example:
        >>> value, low, high = bootstrap(np.mean, [np.arange(100.0)])
        >>> value, low < value < high
        (49.5, True)
    """
    n = _length(arrays)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(n, size=n) for _ in range(n_boot))
    values = np.array([statistic(*(array[rows] for array in arrays)) for rows in draws], dtype=np.float64)
    return _percentiles(float(statistic(*arrays)), values, level)


def bootstrap_sums(
    columns: Any,
    finish: Mapping[str, Callable[[Vector], Vector]],
    *,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    centred: Sequence[str] = (),
) -> dict[str, Estimate]:
    """Bootstrap of statistics that are functions of sums over pictures, all in one pass over the same resamples.

    Args:
        columns: what each picture adds to the sums: (N, K), a float array or a scipy.sparse matrix.
        finish: name -> function from the sums of B resamples, float64 (B, K), to the B values of the statistic.
        centred: names of statistics that resampling itself pushes upwards (ECE); their interval is moved back by the
            bootstrap's estimate of that bias, and cut at 0.

    Example:
        >>> rows = np.random.default_rng(0).normal(5, 1, (400, 1))
        >>> found = bootstrap_sums(rows, {"mean": lambda sums: sums[:, 0] / 400})["mean"]
        >>> found.low < 5 < found.high
        True
    """
    n = columns.shape[0]
    if n < 1:
        raise UsageError("a bootstrap of no pictures does not exist: give at least one")
    rng = np.random.default_rng(seed)
    transposed = columns.T.tocsr() if hasattr(columns, "tocsr") else np.asarray(columns, np.float64).T
    found: dict[str, list[Vector]] = {name: [] for name in finish}
    done = 0
    while done < n_boot:
        size = min(n_boot - done, max(1, _CHUNK // n))
        sums = np.ascontiguousarray((transposed @ resampled_counts(rng, size, n).T).T)
        for name, function in finish.items():
            found[name].append(function(sums))
        done += size
    whole = np.asarray(transposed @ np.ones((n, 1))).T
    result = {}
    for name, function in finish.items():
        value, values = float(function(whole)[0]), np.concatenate(found[name])
        estimate = _percentiles(value, values, level)
        if name in centred:
            bias = float(values.mean()) - value
            estimate = Estimate(value, max(0.0, estimate.low - bias), max(0.0, estimate.high - bias))
        result[name] = estimate
    return result


def auroc(scores: np.ndarray, truth: np.ndarray) -> tuple[float, Vector]:
    """Area under the ROC curve with the influence of each picture on it.

    Args:
        scores: (N,), higher means more likely true; ties count half.
        truth: bool (N,), with at least one picture of each kind.

    Returns:
        The area, and its derivative by the weight of each picture, float64 (N,), whose squares sum to DeLong's
        variance (DeLong, DeLong & Clarke-Pearson 1988).

    Example:
        >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0]
        0.75
    """
    truth = truth.astype(bool)
    positive, negative = np.sort(scores[truth]), np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        raise UsageError("AUROC needs at least one true and one false picture")
    placement = np.empty(len(scores))
    placement[truth] = _share_below(negative, scores[truth])
    placement[~truth] = 1 - _share_below(positive, scores[~truth])
    value = float(placement[truth].mean())
    return value, (placement - value) / np.where(truth, len(positive), len(negative))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> tuple[float, Vector]:
    """Average precision with the influence of each picture on it; arguments and returns as for `auroc`.

    Pictures of equal score share one threshold, as in scikit-learn; no interpolation.

    Example:
        >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0], 4)
        0.8333
    """
    truth = truth.astype(bool)
    total = int(truth.sum())
    if not total:
        raise UsageError("average precision needs at least one true picture")
    order = np.argsort(-scores, kind="stable")
    hit, ordered = truth[order].astype(np.float64), scores[order]
    last = np.searchsorted(-ordered, -ordered, side="right") - 1  # the end of each run of equal scores
    first = np.searchsorted(-ordered, -ordered, side="left")
    seen, found = last + 1.0, np.cumsum(hit)[last]
    value = float((hit * found / seen).sum() / total)
    # A picture moves the precision at its own threshold and at every lower one.
    gain = np.cumsum((hit / seen)[::-1])[::-1][first]
    loss = np.cumsum((hit * found / seen**2)[::-1])[::-1][first]
    influence = np.empty(len(scores))
    influence[order] = (hit * (found / seen - value + gain) - loss) / total
    return value, influence


def roc_area(scores: np.ndarray, truth: np.ndarray) -> Estimate:
    """Area under the ROC curve with its interval; arguments as for `auroc`.

    Example:
        >>> area = roc_area(np.arange(22.0), np.arange(22) >= 11)
        >>> area.value, round(area.low, 3), area.high
        (1.0, 0.741, 1.0)
    """
    positive = int(truth.astype(bool).sum())
    return from_influence(*auroc(scores, truth), min(positive, len(truth) - positive))


def from_influence(value: float, influence: np.ndarray, rarer: int = 0) -> Estimate:
    """A share with the interval that the influences give (infinitesimal jackknife; Efron 1982), on the logit scale.

    Args:
        value: the share.
        influence: (N,), of every picture.
        rarer: pictures of the rarer kind, which give the interval where no picture has an influence; 0 for none.
    """
    error = float(np.sqrt((influence**2).sum()))
    if not 0 < value < 1 or error == 0:
        return Estimate(value, *(wilson(value * rarer, rarer) if rarer else (value, value)))
    logit, half = np.log(value / (1 - value)), Z * error / (value * (1 - value))
    low, high = 1 / (1 + np.exp(np.clip([half - logit, -half - logit], -700, 700)))
    return Estimate(value, float(low), float(high))


def mcnemar(a_right: np.ndarray, b_right: np.ndarray) -> Flips:
    """McNemar's exact test (1947) that two models are right equally often, from bool (N,) answers on the same pictures.

    Example:
        >>> flips = mcnemar(np.array([True] * 8 + [False] * 2), np.array([True] * 3 + [False] * 5 + [True] * 2))
        >>> flips.only_a, flips.only_b, round(flips.p, 6)
        (5, 2, 0.453125)
    """
    from scipy.special import bdtr

    _length([a_right, b_right])
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    total = only_a + only_b
    return Flips(only_a, only_b, float(min(1.0, 2 * bdtr(min(only_a, only_b), total, 0.5))) if total else 1.0)


def paired_proportions(a_right: np.ndarray, b_right: np.ndarray) -> Estimate:
    """How much more often B is right than A, bool (N,) on the same pictures (Bonett & Price 2012).

    Unlike a bootstrap it stays honest where few or no pictures flipped.

    Example:
        >>> found = paired_proportions(np.ones(50, bool), np.ones(50, bool))
        >>> found.value, round(found.high, 3)
        (0.0, 0.053)
    """
    flips, n = mcnemar(a_right, b_right), _length([a_right, b_right])
    gain, loss = (flips.only_b + 1) / (n + 2), (flips.only_a + 1) / (n + 2)
    half = Z * np.sqrt((gain + loss - (gain - loss) ** 2) / (n + 2))
    low, high = max(-1.0, float(gain - loss - half)), min(1.0, float(gain - loss + half))
    return Estimate((flips.only_b - flips.only_a) / n, low, high)


def paired_bootstrap(a: np.ndarray, b: np.ndarray, *, n_boot: int = 1000, seed: int = 0) -> Estimate:
    """The mean of b - a, float (N,) on the same pictures, with a bootstrap over pictures."""
    n = _length([a, b])
    rows = (np.asarray(b, np.float64) - np.asarray(a, np.float64))[:, None]
    return bootstrap_sums(rows, {"mean": lambda sums: sums[:, 0] / n}, n_boot=n_boot, seed=seed)["mean"]


def detectable_difference(flips: Flips, n: int) -> float:
    """The difference of two proportions that n pictures show in 4 of 5 cases, at the observed rate of flips, 0 to 1."""
    rate = (flips.only_a + flips.only_b + 2) / (n + 2)  # smoothed: no flip seen does not mean that none can be
    return float(min(1.0, (Z + _POWER_80) * np.sqrt(rate / n)))


def resampled_counts(rng: np.random.Generator, size: int, n: int) -> Vector:
    """How often each of n pictures is drawn in each of `size` resamples: float64 (size, n)."""
    drawn = rng.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _percentiles(value: float, values: Vector, level: float) -> Estimate:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Estimate(value, value, value)
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))


def _share_below(ordered: np.ndarray, scores: np.ndarray) -> Vector:
    """The share of `ordered` that lies below each score, ties counting half: float64."""
    left, right = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    share: Vector = (left + right) / (2 * len(ordered))
    return share


def _length(arrays: Sequence[np.ndarray]) -> int:
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise UsageError(f"expected arrays of one common length above 0, got lengths {sorted(lengths)}")
    return int(lengths.pop())
