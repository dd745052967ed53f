"""Intervals cover the truth as often as they claim, and tests agree with scipy's and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from photovision.core.errors import UsageError
from photovision.trust.metrics import statistics as s


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (3, 7), (870, 1000)])
def test_wilson_is_scipys(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert s.wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_never_claims_certainty_and_refuses_nonsense() -> None:
    low, high = s.wilson(20, 20)
    assert low < 0.9
    assert high == 1
    assert s.wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(UsageError):
        s.wilson(3, 2)


@pytest.mark.parametrize(("a_only", "b_only"), [(0, 0), (5, 2), (0, 9), (31, 17), (10, 10)])
def test_mcnemar_is_the_exact_binomial_test(a_only: int, b_only: int) -> None:
    a = np.array([True] * a_only + [False] * b_only + [True] * 40)
    b = np.array([False] * a_only + [True] * b_only + [True] * 40)
    flips = s.mcnemar(a, b)
    expected = binomtest(a_only, a_only + b_only).pvalue if a_only + b_only else 1.0
    assert (flips.only_a, flips.only_b) == (a_only, b_only)
    assert flips.p == pytest.approx(expected)


def _coverage(hits: list[bool]) -> float:
    return float(np.mean(hits))


def test_bootstrap_of_a_mean_covers() -> None:
    rng = np.random.default_rng(1)
    found = [s.bootstrap(np.mean, [rng.exponential(2.0, 80)], n_boot=200, seed=i) for i in range(200)]
    assert 0.88 <= _coverage([e.low <= 2 <= e.high for e in found]) <= 0.99


def test_bootstrap_of_sums_is_the_bootstrap() -> None:
    rng = np.random.default_rng(2)
    true, said = rng.integers(2, size=(2, 300)).astype(float)

    def f1(true: np.ndarray, said: np.ndarray) -> float:
        return float(f1_score(true, said))

    slow = s.bootstrap(f1, [true, said], n_boot=300)
    rows = np.column_stack([true * said, true + said])
    fast = s.bootstrap_sums(rows, {"f1": lambda sums: 2 * sums[:, 0] / sums[:, 1]}, n_boot=3000)["f1"]
    assert fast.value == pytest.approx(slow.value)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.02)


def test_bootstrap_repeats_itself_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 1))
    finish = {"mean": lambda sums: sums[:, 0] / 50}
    whole = s.bootstrap_sums(rows, finish, seed=3)
    monkeypatch.setattr(s, "_CHUNK", 500)
    assert s.bootstrap_sums(rows, finish, seed=3) == whole


def test_auroc_and_average_precision_are_scikit_learns_with_ties() -> None:
    rng = np.random.default_rng(3)
    for decimals in (1, 6):
        scores, truth = rng.random(200).round(decimals), rng.random(200) < 0.3
        assert s.auroc(scores, truth)[0] == pytest.approx(roc_auc_score(truth, scores))
        assert s.average_precision(scores, truth)[0] == pytest.approx(average_precision_score(truth, scores))


@pytest.mark.parametrize("figure", [s.auroc, s.average_precision])
def test_influence_is_the_derivative_by_each_pictures_weight(figure) -> None:  # type: ignore[no-untyped-def]
    reference = roc_auc_score if figure is s.auroc else average_precision_score
    rng = np.random.default_rng(4)
    scores, truth = rng.random(40).round(1), rng.random(40) < 0.4
    value, influence = figure(scores, truth)
    for i in range(40):
        weights = np.ones(40)
        weights[i] += 1e-6
        slope = (reference(truth, scores, sample_weight=weights) - value) / 1e-6
        assert influence[i] == pytest.approx(slope, abs=1e-5)


def test_rank_intervals_cover() -> None:
    rng = np.random.default_rng(5)
    population = rng.random(200_000) < 0.3
    noisy = population + rng.normal(0, 1.2, len(population))
    for figure in (s.auroc, s.average_precision):
        truth = figure(noisy, population)[0]
        hits = []
        for _ in range(200):
            rows = rng.integers(len(population), size=150)
            estimate = s.from_influence(*figure(noisy[rows], population[rows]))
            hits.append(estimate.low <= truth <= estimate.high)
        assert 0.89 <= _coverage(hits) <= 0.995


def test_an_area_of_few_perfectly_ranked_pictures_has_an_interval() -> None:
    truth = np.arange(22) >= 11
    assert s.roc_area(np.arange(22.0), truth) == s.Estimate(1.0, *s.wilson(11, 11))
    assert s.roc_area(np.zeros(22), truth) == s.Estimate(0.5, *s.wilson(5.5, 11))
    hits = []
    for seed in range(200):  # ranked right nearly always: a bound of 1 would miss the truth in every other draw
        rng = np.random.default_rng(seed)
        area = s.roc_area(rng.normal(np.where(truth, 3.0, 0.0)), truth)
        hits.append(area.low <= _AREA_OF_3 <= area.high)
    assert _coverage(hits) >= 0.9


def test_mean_of_proportions_covers_and_is_honest_when_all_is_right() -> None:
    rng = np.random.default_rng(6)
    p, n = np.array([0.95, 0.8, 0.6, 0.99]), np.array([12, 30, 20, 50])
    found = [s.mean_of_proportions(rng.binomial(n, p), n) for _ in range(300)]
    assert 0.9 <= _coverage([e.low <= p.mean() <= e.high for e in found]) <= 0.995
    assert s.mean_of_proportions(n, n).low < 0.98


def test_paired_proportions_cover_and_stay_open_without_flips() -> None:
    rng = np.random.default_rng(7)
    hits = []
    for _ in range(300):
        hard = rng.random(120)
        a, b = hard < 0.8, (hard + rng.normal(0, 0.1, 120)) < 0.8
        b = b | (rng.random(120) < 0.1)
        estimate = s.paired_proportions(a, b)
        hits.append(estimate.low <= _TRUE_GAIN <= estimate.high)
    assert 0.9 <= _coverage(hits) <= 0.99


# b is right where hard + noise < 0.8 or, else, with chance 0.1: P = 0.8 + 0.2 * 0.1 up to the edges of the noise.
_TRUE_GAIN = 0.02
_AREA_OF_3 = 0.98305  # of two normal distributions that lie 3 standard deviations apart


def test_paired_bootstrap_is_much_sharper_than_the_unpaired_difference() -> None:
    rng = np.random.default_rng(8)
    base = rng.exponential(1.0, 300)
    better = base - 0.05 + rng.normal(0, 0.05, 300)
    paired = s.paired_bootstrap(base, better)
    assert paired.high < 0
    assert paired.value == pytest.approx((better - base).mean())


def test_difference_of_independent_proportions() -> None:
    found = s.difference(
        s.proportion(56, 70), s.proportion(48, 80)
    )  # Newcombe 1998, table II, example (a): .0524 .3339
    assert (-found.high, -found.low) == pytest.approx((0.0524, 0.3339), abs=1e-3)


def test_detectable_difference_shrinks_with_n() -> None:
    few, many = (
        s.detectable_difference(s.Flips(5, 5, 1.0), 100),
        s.detectable_difference(s.Flips(500, 500, 1.0), 10_000),
    )
    assert 0 < many < few / 5 < 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: s.bootstrap(np.mean, []),
        lambda: s.bootstrap(np.mean, [np.ones(2), np.ones(3)]),
        lambda: s.bootstrap_sums(np.ones((0, 1)), {}),
        lambda: s.auroc(np.ones(3), np.ones(3, bool)),
        lambda: s.average_precision(np.ones(3), np.zeros(3, bool)),
        lambda: s.proportion(0, 0),
    ],
)
def test_impossible_requests_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()
