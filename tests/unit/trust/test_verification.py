"""Rates of false matches and non-matches, with intervals that know how few people there are."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.trust.metrics.verification import all_pairs, clopper_pearson, match_rate, threshold_at


def people(count: int, each: int, spread: float, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Unit vectors around one direction a person."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(count, 16)), each, axis=0)
    vectors = centres + spread * rng.normal(size=centres.shape)
    whose = [number for number in range(count) for _ in range(each)]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), whose


def test_pairs_are_of_one_person_or_of_two() -> None:
    pairs = all_pairs(*people(5, 3, 0.1))
    assert (len(pairs), len(pairs.genuine), len(pairs.impostor), pairs.impostor.units) == (105, 15, 90, 10)
    assert pairs.genuine.scores.min() > pairs.impostor.scores.mean()


def test_a_threshold_keeps_its_rate_and_holds_for_other_people() -> None:
    pairs = all_pairs(*people(80, 2, 0.5)).impostor
    found = threshold_at(pairs, 0.01)
    assert found.low <= found.value <= found.high
    assert match_rate(pairs, found.value).value <= 0.01
    others = match_rate(all_pairs(*people(80, 2, 0.5, seed=1)).impostor, found.value)
    assert others.low <= 0.012
    assert others.high >= 0.008


def test_many_pictures_of_few_people_do_not_narrow_the_interval() -> None:
    few = match_rate(all_pairs(*people(8, 20, 0.3)).impostor, 0.3)
    many = match_rate(all_pairs(*people(100, 2, 0.3)).impostor, 0.3)
    assert few.high - few.low > 2 * (many.high - many.low)


def test_no_false_match_is_not_a_rate_of_nothing() -> None:
    rate = match_rate(all_pairs(*people(20, 2, 0.1)).impostor, 2.0)
    assert rate.value == rate.low == 0
    assert rate.high == pytest.approx(clopper_pearson(0, 190)[1])
    assert clopper_pearson(0, 102)[1] == pytest.approx(1 - 0.025 ** (1 / 102))
    assert clopper_pearson(5, 5)[1] == 1.0
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_nothing_to_compare_is_refused() -> None:
    alone = all_pairs(*people(1, 1, 0.1))
    with pytest.raises(UsageError, match="no pairs"):
        match_rate(alone, 0.5)
    with pytest.raises(UsageError, match="two people"):
        threshold_at(alone, 0.01)
    with pytest.raises(UsageError, match="0 <= k <= n"):
        clopper_pearson(3, 2)
