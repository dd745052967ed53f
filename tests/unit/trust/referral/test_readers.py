"""Readers beside a model: intervals that hold what they promise, and what they need."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from photovision.core.errors import UsageError
from photovision.trust.referral.readers import ReaderDifference, reader_difference

RUNS, CASES, READERS, MODEL, MEAN = 120, 120, 5, 0.9, 0.82


def _simulated(seed: int, spread: float) -> tuple[ReaderDifference, float]:
    """Readers of known sensitivity on cases that are as hard for one as for another, and their mean sensitivity."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=CASES)

    def found(sensitivity: float) -> np.ndarray:
        latent = np.sqrt(0.5) * hard + np.sqrt(0.5) * rng.normal(size=CASES)
        return (latent < norm.ppf(sensitivity)).astype(np.float64)

    known = np.clip(rng.normal(MEAN, spread, READERS), 0.02, 0.98)
    people = np.stack([found(one) for one in known])
    all_looked = np.ones(people.shape, bool)
    difference = reader_difference(found(MODEL), people, all_looked, np.arange(CASES), n_boot=200, seed=seed)
    assert difference is not None
    return difference, float(known.mean())


def test_intervals_hold_the_truth_about_as_often_as_they_promise() -> None:
    these = others = 0
    for seed in range(RUNS):
        difference, mean = _simulated(seed, 0.06)
        assert difference.others is not None
        these += difference.these.low <= MODEL - mean <= difference.these.high
        others += difference.others.low <= MODEL - MEAN <= difference.others.high
    assert 0.89 <= these / RUNS <= 0.99
    assert 0.89 <= others / RUNS <= 0.99


def test_readers_who_differ_widen_the_interval_for_others_only() -> None:
    alike, unlike = (_simulated(0, spread)[0] for spread in (0.0, 0.15))
    assert alike.others is not None
    assert unlike.others is not None
    assert (unlike.others.high - unlike.others.low) > 1.5 * (alike.others.high - alike.others.low)
    assert (unlike.these.high - unlike.these.low) < 1.5 * (alike.these.high - alike.these.low)


def test_one_reader_tells_nothing_of_others_and_few_patients_nothing_at_all() -> None:
    rng = np.random.default_rng(0)
    model, people = rng.random(50), rng.random((1, 50))
    looked = np.ones((1, 50), bool)
    one = reader_difference(model, people, looked, np.arange(50))
    assert one is not None
    assert one.others is None
    assert reader_difference(model, people, looked, np.arange(50) // 10) is None
    assert reader_difference(model, people, ~looked, np.arange(50)) is None
    with pytest.raises(UsageError):
        reader_difference(model, people.T, looked, np.arange(50))


def test_a_reader_counts_on_the_cases_that_were_read() -> None:
    model = np.r_[np.ones(40), np.zeros(40)]
    people = np.zeros((2, 80))
    looked = np.stack([np.arange(80) < 40, np.arange(80) >= 40])
    found = reader_difference(model, people, looked, np.arange(80))
    assert found is not None
    assert found.these.value == 0.5  # 1 on the cases of one reader, 0 on those of the other
