"""Slices: kinds of pictures that a model fails on, found without labels of them.

Pictures are clustered by their embeddings, and clusters with many errors are kept, after Domino (Eyuboglu et al. 2022)
and GEORGE (Sohoni et al. 2020). Among many clusters some have many errors by chance, so one half of the pictures
proposes and the other half, which took no part, decides: by Fisher's exact test, corrected for the number of proposals
(Holm 1979). On a model that fails everywhere alike, a slice is named in at most one audit of twenty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.drawing import percent
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Floats, Ints, Sample
from photovision.trust.fairness.contrasts import holm
from photovision.trust.metrics.statistics import proportion

LEVEL = 0.05
EXCESS = 0.1
"""Points of error above the other pictures' from which on a slice is worth telling."""
_CLUSTERS = (6, 12, 24)
_AXES = 32
_PROPOSED = 6
_OVERLAP = 0.5
_LIFT = 1.5
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Slice:
    """A kind of pictures that the model fails on.

    Attributes:
        members: int64 (M,), rows of all pictures of the kind, the most typical first.
        error, elsewhere: share of errors in it and among all others, on the half that decided.
        p: of the difference, corrected.
        traits: what is over-represented in it, such as "weather = rain (80% against 25%)".
    """

    members: Ints
    error: Metric
    elsewhere: Metric
    p: float
    traits: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Slices:
    """What was searched and found.

    Attributes:
        found: slices, worst first.
        n: pictures searched.
        proposed: how many clusters the first half proposed; None where there were too few pictures to search.
    """

    found: tuple[Slice, ...]
    n: int
    proposed: int | None


def find_slices(
    embeddings: Floats,
    right: np.ndarray,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] = (),
    truth: np.ndarray | None = None,
    seed: int = 0,
    min_size: int = 20,
) -> Slices:
    """Search for slices with many errors.

    Args:
        embeddings: float32 (N, D), unit norm.
        right: bool (N,), whether each answer is right.
        groups: attribute -> one value a picture, "" where unknown; used to describe what was found, not to find it.
        classes: C names.
        truth: int64 (N,), or 0/1 (N, C) for multi-label; likewise.
        seed: of the halves and of the clusters.
        min_size: pictures that a slice has in each half at least.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> points = np.eye(4)[rng.integers(4, size=400)] + rng.normal(0, 0.1, (400, 4))
        >>> points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
        >>> bool(find_slices(points, points[:, 2] < 0.5).found)
        True
    """
    n = len(right)
    if n < 4 * min_size or not right.any() or right.all():
        return Slices((), n, None if n < 4 * min_size else 0)
    half = np.random.default_rng(seed).permutation(n) < n // 2
    reduced = _reduced(embeddings, half)
    proposals = _proposals(reduced, right, half, seed, min_size)
    tested = [_tested(which, right, ~half) for which, _ in proposals]
    corrected = holm([p for _, _, p in tested])
    found = []
    for (which, centre), (error, elsewhere, _), p in zip(proposals, tested, corrected, strict=True):
        if p < LEVEL and error.value - elsewhere.value >= EXCESS:
            members = np.flatnonzero(which)
            members = members[np.argsort(((reduced[members] - centre) ** 2).sum(1), kind="stable")]
            traits = _traits(which, groups or {}, classes, truth)
            found.append(Slice(members.astype(np.int64), error, elsewhere, float(p), traits))
    found.sort(key=lambda one: -one.error.value)
    return Slices(tuple(found), n, len(proposals))


def finding(
    slices: Slices, samples: Sequence[Sample], right: np.ndarray, wrong: str = "of the answers are wrong"
) -> Finding:
    """The slices in words, with their most typical pictures.

    Args:
        slices: of `find_slices`.
        samples: the N pictures.
        right: bool (N,), as given to `find_slices`.
        wrong: the text for pictures that are not right, after their share.
    """
    if slices.proposed is None:
        return Finding((f"Failing slices were not searched: {slices.n:,} pictures are too few.",))
    if not slices.found:
        return Finding((f"No kind of picture was found, among {slices.n:,}, that it fails on more than on others.",))
    sentences, rows, figures, data = [], [], [], []
    for number, one in enumerate(slices.found, 1):
        what = "; ".join(one.traits) or "nothing that the data names"
        sentences.append(
            f"Slice {number}: {percent(one.error.value)} {wrong}, against"
            f" {percent(one.elsewhere.value)} elsewhere (p = {one.p:.2g} after correction). Over-represented: {what}."
        )
        rows.append((f"slice {number}", len(one.members), one.error, one.elsewhere, one.p, what))
        figures += _pictures(one, number, samples, right)
        data.append({"members": [samples[int(i)].id for i in one.members], "traits": list(one.traits), "p": one.p})
    note = (
        "Kinds of pictures found by their embeddings on one half of the pictures; errors and p are of the other half."
    )
    columns = ("slice", "pictures", "errors", "errors elsewhere", "p", "over-represented")
    table = Table("Failing slices", columns, tuple(rows), note)
    warning = f"It fails more often on {len(slices.found)} kind(s) of picture; see the failing slices."
    return Finding(tuple(sentences), {}, [table], figures, [warning], {"slices": data})


def _reduced(embeddings: Floats, half: np.ndarray) -> Floats:
    """Principal components, learned on the proposing half."""
    mean = embeddings[half].mean(0)
    _, _, axes = np.linalg.svd((embeddings[half] - mean).astype(np.float64), full_matrices=False)
    return np.asarray((embeddings - mean) @ axes[:_AXES].T, dtype=np.float32)


def _proposals(
    reduced: Floats, right: np.ndarray, half: np.ndarray, seed: int, min_size: int
) -> list[tuple[np.ndarray, Floats]]:
    """Clusters with many errors in the proposing half, as bool (N,) with their centres, that overlap little."""
    from sklearn.cluster import KMeans

    wrong, rated = ~right, []
    for count in _CLUSTERS:
        if count * min_size > half.sum():
            continue
        model = KMeans(count, n_init=4, random_state=seed).fit(reduced[half])
        label = model.predict(reduced)
        for number in range(count):
            which = label == number
            own = which & half
            size = int(own.sum())
            if size < min_size or int((which & ~half).sum()) < min_size:
                continue
            rest = half & ~which
            excess = float(wrong[own].mean() - wrong[rest].mean())
            pooled = float(wrong[half].mean())
            score = excess / np.sqrt(pooled * (1 - pooled) / size)
            if excess >= EXCESS:
                rated.append((score, which, model.cluster_centers_[number]))
    rated.sort(key=lambda one: -one[0])
    kept: list[tuple[np.ndarray, Floats]] = []
    for _, which, centre in rated:
        if all((which & other).sum() < _OVERLAP * min(which.sum(), other.sum()) for other, _ in kept):
            kept.append((which, centre))
    return kept[:_PROPOSED]


def _tested(which: np.ndarray, right: np.ndarray, half: np.ndarray) -> tuple[Metric, Metric, float]:
    """Share of errors within and elsewhere on the deciding half, and the one-sided p of the difference."""
    from scipy.stats import fisher_exact

    inside, outside = right[half & which], right[half & ~which]
    table = [[int((~inside).sum()), int(inside.sum())], [int((~outside).sum()), int(outside.sum())]]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    error, elsewhere = (Metric(*proportion(row[0], sum(row)), sum(row)) for row in table)
    return error, elsewhere, p


def _traits(
    which: np.ndarray, groups: Mapping[str, Sequence[str]], classes: Sequence[str], truth: np.ndarray | None
) -> tuple[str, ...]:
    """Attribute values and classes that are clearly more frequent inside than outside (Fisher's test, Holm)."""
    from scipy.stats import fisher_exact

    columns = {name: np.asarray(values, dtype=object) for name, values in groups.items()}
    if truth is not None and truth.ndim == 1 and len(classes):
        columns["class"] = np.asarray(classes, dtype=object)[truth]
    tried = []
    for name, values in columns.items():
        for value in sorted(set(values.tolist()) - {""}):
            has = values == value
            inside, outside = float(has[which].mean()), float(has[~which].mean())
            counts = [[int(part.sum()), int((~part).sum())] for part in (has[which], has[~which])]
            p = float(fisher_exact(counts, alternative="greater").pvalue)
            tried.append((p, inside, outside, f"{name} = {value}"))
    corrected = holm([p for p, *_ in tried])
    kept = [
        (inside, f"{text} ({percent(inside)} against {percent(outside)})")
        for (_, inside, outside, text), p in zip(tried, corrected, strict=True)
        if p < LEVEL and inside >= _LIFT * outside and inside >= 0.2
    ]
    return tuple(text for _, text in sorted(kept, key=lambda one: -one[0])[:4])


def _pictures(one: Slice, number: int, samples: Sequence[Sample], right: np.ndarray) -> list[Figure]:
    wrong = [int(row) for row in one.members if not right[row]][:_SHOWN]
    shown = wrong or [int(row) for row in one.members[:_SHOWN]]
    captions = [", ".join(samples[row].target or ("?",)) + f"\n{samples[row].id}" for row in shown]
    note = f"Its most typical pictures with wrong answers, {len(shown)} of {len(one.members):,} in the slice."
    grid = picture_grid(f"Failing slice {number}", [samples[row] for row in shown], captions, note)
    return [grid] if grid else []
