"""Parity figures are fairlearn's."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.fairness.groups import read_attribute
from photovision.trust.fairness.parity import demographic_parity, equalised_odds, parity_table


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_fairlearns(seed: int) -> None:
    metrics = pytest.importorskip("fairlearn.metrics")
    rng = np.random.default_rng(seed)
    said, true, codes = rng.random(300) < 0.4, rng.random(300) < 0.5, rng.integers(4, size=300)
    assert demographic_parity(said, codes) == pytest.approx(
        metrics.demographic_parity_difference(true, said, sensitive_features=codes)
    )
    assert equalised_odds(said, true, codes) == pytest.approx(
        metrics.equalized_odds_difference(true, said, sensitive_features=codes)
    )


def test_a_group_without_true_pictures_has_no_share_of_them() -> None:
    said, true = np.array([True, False, True, False]), np.array([True, True, False, False])
    assert equalised_odds(said, true, np.array([0, 0, 1, 1])) == 0


def test_the_table_shows_two_classes_once_and_chance_beside_them() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=400)
    site = read_attribute("site", list(rng.choice(list("ab"), 400)))
    tiny = read_attribute("tiny", ["x", *["y"] * 399])
    one_hot = np.arange(2) == truth[:, None]
    table = parity_table([site, tiny], one_hot, one_hot, ("no", "yes"), 20)
    assert table is not None
    assert [row[:2] for row in table.rows] == [("site", "yes")]
    assert table.rows[0][4] == "0.0 points"  # equal odds: everything said is true
    assert float(table.rows[0][3].split()[0]) > 0  # but shares differ by chance
    assert parity_table([tiny], one_hot, one_hot, ("no", "yes"), 20) is None
    assert parity_table([site], np.ones((400, 11), bool), np.ones((400, 11), bool), tuple("abcdefghijk"), 20) is None
