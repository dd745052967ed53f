"""Contrasts are exact where they say so, hold classes equal, and call noise noise at the stated rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact, permutation_test

from photovision.trust.fairness.contrasts import contrast, detectable, holm, shift


@pytest.mark.parametrize("seed", range(5))
def test_one_stratum_is_fishers_exact_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flags, member = rng.random(120) < 0.7, rng.random(120) < 0.3
    table = [[int((flags == f)[member == m].sum()) for f in (True, False)] for m in (True, False)]
    found = contrast(flags, member, np.zeros(120, int))
    assert found.p == pytest.approx(fisher_exact(table).pvalue, rel=1e-9)
    assert found.raw_p == found.p
    assert found.adjusted.value == pytest.approx(found.raw.value)


def test_strata_are_tested_by_chance_within_them() -> None:
    rng = np.random.default_rng(1)
    strata, member = rng.integers(4, size=80), rng.random(80) < 0.4
    flags = rng.random(80) < np.where(member, 0.55, 0.8)

    def drawn() -> int:
        mixed = member.copy()
        for s in range(4):
            mixed[strata == s] = rng.permutation(member[strata == s])
        return int(flags[mixed].sum())

    sums = np.array([drawn() for _ in range(20_000)])
    counts = np.bincount(sums, minlength=81)
    seen = int(flags[member].sum())
    by_lot = counts[counts <= counts[seen]].sum() / len(sums)
    assert contrast(flags, member, strata).p == pytest.approx(by_lot, abs=0.012)


def test_a_group_is_not_blamed_for_its_classes() -> None:
    strata = np.repeat([0, 1], 200)  # class 0 is easy, class 1 hard, and the group holds mostly class 1
    member = np.concatenate([np.arange(200) < 20, np.arange(200) < 180])
    flags = np.arange(400) % 10 < np.where(strata == 0, 9, 5)
    found = contrast(flags, member, strata)
    assert found.raw.high < -0.2
    assert found.raw_p < 1e-6
    assert found.adjusted.value == pytest.approx(0, abs=0.02)
    assert found.p > 0.5


def test_a_group_of_its_own_classes_cannot_be_compared() -> None:
    strata = np.repeat([0, 1], 50)
    found = contrast(np.arange(100) < 70, strata == 1, strata)
    assert (found.comparable, found.p) == (0.0, 1.0)


def test_intervals_stay_honest_where_every_answer_is_right() -> None:
    found = contrast(np.ones(60, bool), np.arange(60) < 25, np.arange(60) % 2)
    assert found.adjusted.value == 0
    assert found.adjusted.low < -0.05 < 0.05 < found.adjusted.high


def test_shift_agrees_with_a_permutation_of_skewed_values() -> None:
    rng = np.random.default_rng(2)
    values, member = rng.exponential(size=90), np.arange(90) < 20
    values[member] += 0.3
    result = permutation_test(
        (values[member], values[~member]), lambda a, b: a.mean() - b.mean(), n_resamples=9999, rng=rng
    )
    assert shift(values, member, np.zeros(90, int)) == pytest.approx(result.pvalue, abs=0.02)


def test_noise_is_called_a_shift_at_the_stated_rate() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(800):
        values = np.where(rng.random(150) < 0.1, 0.8, -0.1)  # few wrong answers, many right ones
        found.append(shift(values, rng.random(150) < 0.2, rng.integers(3, size=150)) < 0.05)
    assert 0.02 < np.mean(found) < 0.08


def test_holm_steps_down_and_never_turns_back() -> None:
    assert holm([0.5, 0.01, 0.02]).tolist() == pytest.approx([0.5, 0.03, 0.04])
    assert holm([0.4, 0.5]).tolist() == pytest.approx([0.8, 0.8])
    assert holm([]).tolist() == []


def test_more_pictures_show_smaller_differences() -> None:
    assert detectable(0.8, 400, 400, 0.05) < detectable(0.8, 40, 400, 0.05) < detectable(0.8, 40, 400, 0.001)
    assert detectable(1.0, 20, 20, 0.05) > 0.05
