"""The threshold: what it promises, for whom, and where it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.tasks.anomaly.threshold import GoodScores, promise


def test_the_promised_rate_is_kept_over_draws_of_good_pictures() -> None:
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(400):
        kept = promise(GoodScores.of(rng.normal(size=59)), 0.05)[""]
        rates.append(float((rng.normal(size=500) >= kept.threshold).mean()))
    assert np.mean(rates) == pytest.approx(3 / 60, abs=0.006)
    inside = np.mean([kept.expected.low <= rate <= kept.expected.high for rate in rates])
    assert inside > 0.9


def test_a_picture_is_anomalous_exactly_where_its_p_value_is_at_most_the_promise() -> None:
    good = GoodScores.of(np.repeat(np.arange(40.0), 2))  # with ties
    kept = promise(good, 0.1)[""]
    scores = np.arange(-1, 42, 0.5)
    called = np.array([kept.verdict(score) == "anomalous" for score in scores])
    assert (called == (good.p_values(scores) <= 0.1)).all()
    assert called.any()
    assert not called.all()


def test_verdicts_ascend_from_good_over_unsure_to_anomalous() -> None:
    kept = promise(GoodScores.of(np.arange(100.0)), 0.05)[""]
    verdicts = [kept.verdict(score) for score in np.arange(0, 120.0)]
    order = {"good": 0, "unsure": 1, "anomalous": 2}
    ranks = [order[verdict] for verdict in verdicts]
    assert ranks == sorted(ranks)
    assert set(verdicts) == set(order)


def test_more_good_pictures_make_fewer_unsure() -> None:
    def unsure(n: int) -> float:
        kept = promise(GoodScores.of(np.linspace(0, 1, n)), 0.1)[""]
        return kept.threshold - kept.unsure

    assert unsure(1000) < unsure(100) < unsure(20)


def test_too_few_good_pictures_are_refused_with_the_number_that_is_needed() -> None:
    with pytest.raises(UsageError, match="at least 99"):
        promise(GoodScores.of(np.arange(60.0)), 0.01)
    assert promise(GoodScores.of(np.arange(99.0)), 0.01)[""].threshold > 97


def test_each_group_keeps_its_own_promise() -> None:
    rng = np.random.default_rng(1)
    names = ["dark"] * 60 + ["bright"] * 60
    scores = np.concatenate([rng.normal(0, 1, 60), rng.normal(5, 1, 60)])
    good = GoodScores.of(scores, names)
    kept = promise(good, 0.05)
    for name, centre in (("dark", 0), ("bright", 5)):
        assert (rng.normal(centre, 1, 2000) >= kept[name].threshold).mean() < 0.12
    assert good.p_values(np.array([5.0]), "dark")[0] < 0.02
    assert good.p_values(np.array([5.0]))[0] == good.p_values(np.array([5.0]), "bright")[0] > 0.2


def test_a_group_with_too_few_pictures_is_named() -> None:
    good = GoodScores.of(np.arange(50.0), ["a"] * 45 + ["b"] * 5)
    with pytest.raises(UsageError, match="group 'b'"):
        promise(good, 0.05)


def test_pictures_of_the_same_thing_count_as_one() -> None:
    scores = np.random.default_rng(2).normal(size=80)
    apart, leaves = promise(GoodScores.of(scores), 0.1)[""], GoodScores.of(scores, same=np.arange(80) // 4)
    together = promise(leaves, 0.1)[""]
    assert (apart.n, together.n) == (80, 20)
    assert together.threshold == apart.threshold
    assert together.expected.low < apart.expected.low < apart.expected.high < together.expected.high
    assert together.unsure < apart.unsure
    with pytest.raises(UsageError, match="20 good pictures cannot"):
        promise(leaves, 0.02)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="finite"):
        GoodScores.of(np.array([1.0, np.nan]))
