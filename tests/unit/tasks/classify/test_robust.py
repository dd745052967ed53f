"""The choice among robust variants, and the share of a loss that is won back."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.engine.train_config import TrainConfig
from photovision.tasks.classify.robust import choose_robust, gains, measured, recovered
from photovision.tasks.classify.variants import corruptions_of, robust_variants

N = 400
ROWS = np.arange(0, N, 2)


def answers(seed: int, share: float, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def test_a_robust_variant_is_kept_where_it_gains_and_costs_little() -> None:
    clean = answers(0, 0.9)
    worse, better = answers(1, 0.5, 200), answers(2, 0.75, 200)
    kept, reason = choose_robust({"plain": clean, "robust": clean}, {"plain": worse, "robust": better}, "plain")
    assert kept == "robust"
    assert "points more often" in reason
    dear = clean & answers(3, 0.9)
    assert choose_robust({"plain": clean, "robust": dear}, {"plain": worse, "robust": better}, "plain")[0] == "plain"


def test_without_an_effect_the_plain_one_is_kept() -> None:
    kept = 0
    for seed in range(200):
        same = {"plain": answers(seed, 0.6, 200), "robust": answers(1000 + seed, 0.6, 200)}
        clean = answers(0, 0.9)
        kept += choose_robust({"plain": clean, "robust": clean}, same, "plain")[0] == "robust"
    assert kept / 200 < 0.1


def test_the_share_won_back_and_its_interval() -> None:
    clean, worse = np.ones(400, bool), np.arange(400) < 200
    found = recovered(clean, worse, np.arange(400) < 300)
    assert found is not None
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    assert recovered(clean, clean, clean) is None  # nothing was lost


def test_figures_are_paired() -> None:
    clean = answers(0, 0.9)
    plain, other = (clean, clean[ROWS] & answers(1, 0.5, 200)), (clean, clean[ROWS] & answers(2, 0.8, 200))
    found = gains(plain, other, ROWS)
    assert found["clean"]["value"] == 0
    assert found["corrupted"]["low"] > 0.1
    assert 0 < found["recovered"]["low"] < found["recovered"]["high"] <= 1.2
    assert measured(*plain, ROWS)["clean_part"]["n"] == 200


def test_names_are_families_corruptions_and_augmix() -> None:
    assert corruptions_of(["blur", "augmix"]) == ("motion-blur", "defocus-blur")
    assert [one.name for one in robust_variants(["augmix"])] == ["AugMix"]
    with pytest.raises(UsageError, match="'wether'; did you mean weather"):
        TrainConfig(robust=("wether",))
