"""Drift: nothing is found among equal pictures more often than asked, and what was planted is found by its own test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from photovision.core.errors import UsageError
from photovision.runtime.held_out import HeldOut
from photovision.trust import drift as parts
from photovision.trust.drift import Drift, compare, mix_differences, turning_point

LIMIT = 2.0


def some(count: int, seed: int, **planted: float) -> HeldOut:
    """Answers of a model that names three classes; `planted` moves one thing at a time."""
    rng = np.random.default_rng(seed)
    first = 1 / 3 * planted.get("mix", 1.0)
    best = rng.choice(3, count, p=[first, (1 - first) / 2, (1 - first) / 2])
    prob = rng.beta(8 * planted.get("sure", 1.0), 1, count)
    novelty = rng.normal(size=count) + planted.get("novel", 0.0)
    strange = rng.random(count) < planted.get("strange", 0.0)
    novelty[strange] += 6
    embedding = rng.normal(size=(count, 6))
    embedding[:, 0] += planted.get("moved", 0.0)
    return HeldOut(best, prob.astype(np.float32), novelty.astype(np.float32), embedding.astype(np.float32))


def names(found: Drift) -> set[str]:
    return {one.name for one in found.changed}


def test_equal_pictures_are_rarely_said_to_differ() -> None:
    runs = 80
    alarms = sum(
        bool(compare(some(60, 2 * i), some(90, 2 * i + 1), limit=LIMIT, permutations=199, seed=i).changed)
        for i in range(runs)
    )
    assert alarms <= 10  # at a rate of 5%, ten or fewer come in 99.5% of cases


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ({"mix": 1.6}, {"classes"}),
        ({"sure": 0.5}, {"confidence"}),
        ({"novel": 0.6}, {"novelty"}),
        ({"strange": 0.1}, {"unknown"}),
        ({"moved": 0.8}, {"embeddings"}),
    ],
)
def test_what_was_planted_is_found_by_its_own_comparison(planted: dict[str, float], expected: set[str]) -> None:
    found = compare(some(300, 1, **planted), some(400, 2), limit=LIMIT)
    assert expected <= names(found)
    assert not names(found) - expected - {"novelty", "unknown"}
    assert {one.name for one in found.comparisons} == {"classes", "confidence", "novelty", "unknown", "embeddings"}


def test_what_one_side_does_not_know_is_not_compared() -> None:
    plain = HeldOut(some(50, 1).best, some(50, 1).prob)
    found = compare(plain, some(60, 2), limit=LIMIT)
    assert {one.name for one in found.comparisons} == {"classes", "confidence"}
    assert found.separable is None


def test_the_statistics_are_those_of_the_textbooks() -> None:
    a, b = some(80, 3, mix=1.3), some(70, 4)
    found = {one.name: one.statistic for one in compare(a, b, permutations=199).comparisons}
    table = [np.bincount(side.best, minlength=3) for side in (a, b)]
    assert found["classes"] == pytest.approx(chi2_contingency(table, correction=False).statistic, rel=1e-6)
    assert found["confidence"] == pytest.approx(anderson_darling(a.prob, b.prob), rel=1e-5)
    assert a.embedding is not None
    assert b.embedding is not None
    assert found["embeddings"] == pytest.approx(squared_discrepancy(a.embedding, b.embedding), abs=1e-5)


def anderson_darling(a: np.ndarray, b: np.ndarray) -> float:
    """Pettitt's formula (1976) for samples without ties."""
    n, m = len(a), len(b)
    pooled = np.sort(np.concatenate([a, b]))[:-1]
    below = np.searchsorted(np.sort(a), pooled, side="right")
    rank = np.arange(1, n + m)
    return float(((below * (n + m) - n * rank) ** 2 / (rank * (n + m - rank))).sum() / (n * m))


def squared_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """Equation 3 of Gretton et al. 2012, sum by sum."""
    kernel = parts.gaussian(np.concatenate([a, b])).astype(np.float64)
    n, m = len(a), len(b)
    within_a = (kernel[:n, :n].sum() - n) / (n * (n - 1))
    within_b = (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return float(within_a + within_b - 2 * kernel[:n, n:].mean())


def test_a_statistic_does_not_depend_on_how_values_are_ordered_within_ties() -> None:
    best = np.zeros(40, np.int64)
    a = HeldOut(best, np.repeat(np.float32([0.5, 1.0]), 20))
    b = HeldOut(best, np.tile(np.float32([0.5, 1.0]), 20))
    found = {one.name: one for one in compare(a, b).comparisons}
    assert found["confidence"].statistic == pytest.approx(0)
    assert found["confidence"].p == 1
    assert found["classes"].p == 1


def test_stability_index_grows_with_the_change_and_stays_low_by_chance() -> None:
    same = {one.name: one for one in compare(some(300, 5), some(400, 6), limit=LIMIT).stabilities}
    other = {one.name: one for one in compare(some(300, 5, sure=0.4), some(400, 6), limit=LIMIT).stabilities}
    assert set(same) == {"classes", "confidence", "novelty"}
    assert same["confidence"].value < 2 * same["confidence"].chance
    assert other["confidence"].value > 0.2 > other["confidence"].chance
    # At 60 pictures the customary 0.2 is within chance.
    assert compare(some(40, 7), some(60, 8)).stabilities[1].chance > 0.2


def test_separable_is_a_half_for_equal_pictures_and_more_for_others() -> None:
    same, other = (compare(some(200, 9, moved=far), some(300, 10)) for far in (0.0, 1.5))
    assert same.separable is not None
    assert same.separable.low < 0.5 < same.separable.high
    assert other.separable is not None
    assert other.separable.low > 0.65
    assert same.strange is not None
    assert other.strange is not None
    assert abs(same.strange.mean() - 0.5) < 0.1
    assert other.strange.mean() > 0.8


def test_the_most_unlike_pictures_are_the_planted_ones() -> None:
    window, strange = some(200, 11), some(20, 12, moved=4.0)
    assert window.embedding is not None
    assert strange.embedding is not None
    embedding = np.concatenate([window.embedding, strange.embedding])
    mixed = HeldOut(
        np.concatenate([window.best, strange.best]), np.concatenate([window.prob, strange.prob]), None, embedding
    )
    unlike = compare(mixed, some(300, 13)).unlike
    assert (np.argsort(-unlike)[:15] >= 200).mean() > 0.7  # a tenth of all pictures


@pytest.mark.parametrize("first", ["usual", "changed"])
def test_the_change_is_dated(first: str) -> None:
    usual, changed = some(150, 14), some(100, 15, sure=0.4)
    order = (usual, changed) if first == "usual" else (changed, usual)
    window = HeldOut(*(np.concatenate([getattr(side, part) for side in order]) for part in ("best", "prob")))
    found = compare(window, some(400, 16))
    assert names(found) == {"confidence"}
    where, other = (found.since, found.until) if first == "usual" else (found.until, found.since)
    assert where is not None
    assert abs(where - (150 if first == "usual" else 100)) <= 15
    assert other is None


def test_a_change_throughout_has_no_date() -> None:
    found = compare(some(200, 17, sure=0.4), some(300, 18))
    assert names(found) == {"confidence"}
    assert (found.since, found.until) == (None, None)


def test_turning_points_are_rarely_seen_where_there_are_none() -> None:
    series = np.random.default_rng(0).normal(size=(60, 80))
    seen = sum(turning_point(one, 0.05, permutations=99) is not None for one in series)
    assert seen <= 8
    assert turning_point(np.ones(100), 0.05) is None
    assert turning_point(np.r_[np.zeros(10), np.ones(10)], 0.05) is None  # too short to tell


def test_differences_of_classes_come_with_intervals() -> None:
    (here, there, change), (_, _, none) = mix_differences(np.array([0] * 30 + [1] * 10), np.array([0] * 40), 2)[:2]
    assert (here.value, there.value) == (0.75, 1.0)
    assert change.value == pytest.approx(-0.25)
    assert change.high < 0
    assert none.value == pytest.approx(0.25)


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(UsageError, match="at least 30"):
        compare(some(10, 1), some(50, 2))
    with pytest.raises(UsageError, match="above 0 and below 1"):
        compare(some(50, 1), some(50, 2), false_alarms=1.5)
    with pytest.raises(UsageError, match="permutations cannot show"):
        compare(some(50, 1), some(50, 2), false_alarms=0.001)
