"""Active choice: which unlabelled pictures to label next, so that few labels teach much.

The first batch are the pictures nearest to the centres of k-means, as long as nothing is known of the classes. After
that, k-means is weighted by how unsure the head is (Zhdanov 2019, "Diverse mini-batch active learning"): of every
cluster the picture that is unsure and typical. What counts is the rank of the uncertainty, not its size, which differs
between heads. A part of every batch is drawn at random: only these pictures estimate the accuracy without bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Ints

TWIN = 0.98
"""Cosine of centred features from which on two pictures are near-twins, of which a batch holds one."""
RANDOM_SHARE = 0.1
"""Part of a batch that is drawn at random."""
_SHARPNESS = 2
_BLOCK = 512
_CANDIDATES = 20_000  # pictures among which the centres are sought: more of them change nothing but the time


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures to label next.

    Attributes:
        chosen: int64, rows that teach most, the most uncertain first.
        random: int64, rows that were drawn at random.
    """

    chosen: Ints
    random: Ints


def next_batch(
    features: Floats, uncertainty: Floats | None, count: int, seed: int = 0, random_share: float = RANDOM_SHARE
) -> Batch:
    """Choose pictures to label.

    Args:
        features: float (N, D), centred; near-twins have nearly the same direction.
        uncertainty: float (N,), larger is less certain; None where nothing is known yet.
        count: pictures wanted; all are taken where there are no more.
        seed: random seed.
        random_share: part of the batch that is drawn at random, 0 to 1; at least one picture if above 0.

    Raises:
        UsageError: count below 1, or a share outside of 0 to 1.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
        >>> batch = next_batch(rows, None, 10)
        >>> len(batch.chosen), len(batch.random)
        (9, 1)
    """
    if count < 1:
        raise UsageError(f"the next batch should hold at least 1 picture, got {count}")
    if not 0 <= random_share <= 1:
        raise UsageError(f"the random share should be 0 to 1, got {random_share}")
    rng = np.random.default_rng(seed)
    count = min(count, len(features))
    drawn = min(count, max(1, round(random_share * count))) if random_share else 0
    # Drawn among all pictures, twins too: the slice has to stand for what there is.
    random = rng.permutation(len(features))[:drawn].astype(np.int64)
    rest = np.setdiff1d(np.arange(len(features)), random)
    if len(rest) > _CANDIDATES:
        rest = np.sort(rng.permutation(rest)[:_CANDIDATES])
    rest = _untwinned(_unit(features), rest, random)
    weights = np.ones(len(rest)) if uncertainty is None else _ranks(np.asarray(uncertainty)[rest]) ** _SHARPNESS
    chosen = rest[_spread(features[rest], weights, min(count - drawn, len(rest)), rng)]
    return Batch(chosen.astype(np.int64), random)


def margin_uncertainty(scores: np.ndarray, multilabel: bool) -> Floats:
    """How unsure a head is of each picture, float32 (N,), larger is less certain.

    Args:
        scores: float (N, C), one label a picture: of which the best and the second best are compared; several: about
            0 to 1 each, of which the one nearest to one half counts.
    """
    if multilabel:
        return np.asarray(-np.abs(scores - 0.5).min(1), np.float32)
    if scores.shape[1] < 2:
        return np.zeros(len(scores), np.float32)
    best = np.partition(scores, -2, axis=1)
    return np.asarray(best[:, -2] - best[:, -1], np.float32)


def _ranks(values: Floats) -> np.ndarray:
    """Above 0 to 1 for the largest; equal values have equal ranks."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values) / max(len(values), 1))


def _spread(features: Floats, weights: np.ndarray, count: int, rng: np.random.Generator) -> Ints:
    """Rows int64 (`count`,): of every cluster of a weighted k-means the one of large weight near the centre."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    if count < 1:
        return np.empty(0, np.int64)
    if count >= len(features):
        return np.argsort(-weights, kind="stable").astype(np.int64)
    with threadpool_limits(1, "blas"):
        found = KMeans(count, n_init=1, random_state=int(rng.integers(2**31))).fit(features, sample_weight=weights)
        distances = np.asarray(found.transform(features))
    taken: list[int] = []
    for cluster in range(count):
        members = np.flatnonzero(found.labels_ == cluster)
        if len(members):
            away = distances[members, cluster]
            taken.append(int(members[np.argmax(weights[members] / (away + away.mean() + 1e-9))]))
    others = np.setdiff1d(np.argsort(-weights, kind="stable"), taken, assume_unique=True)
    full = np.array([*taken, *others[: count - len(taken)].tolist()], np.int64)
    return full[np.argsort(-weights[full], kind="stable")]


def near_twins(features: Floats, known: Floats) -> np.ndarray:
    """bool (N,): which pictures are near-twins of known ones, by features float (N, D) and (M, D)."""
    units, others, found = _unit(features), _unit(known), np.zeros(len(features), bool)
    if len(known):
        for start in range(0, len(units), _BLOCK):
            found[start : start + _BLOCK] = (units[start : start + _BLOCK] @ others.T).max(1) >= TWIN
    return found


def _untwinned(units: Floats, rows: Ints, known: Ints) -> Ints:
    """Those of `rows` that are no near-twin of an earlier one, nor of those that are known."""
    rows = rows[~near_twins(units[rows], units[known])]
    twin = np.zeros(len(rows), bool)
    for start in range(0, len(rows), _BLOCK):
        own = units[rows[start : start + _BLOCK]]
        alike = own @ units[rows[: start + _BLOCK]].T >= TWIN
        earlier = np.arange(alike.shape[1]) < start + np.arange(len(own))[:, None]
        twin[start : start + _BLOCK] = (alike & earlier).any(1)
    return rows[~twin]


def _unit(features: Floats) -> Floats:
    rows = np.asarray(features, np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
