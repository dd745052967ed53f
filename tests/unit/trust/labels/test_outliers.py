"""Strays are named where they were planted, and nobody is named in their absence."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from photovision.core.errors import UsageError
from photovision.trust.labels.outliers import outliers


def crowd(n: int, seed: int, dimensions: int = 64) -> np.ndarray:
    """Features of five classes of different spread, such as a network with rectified units gives."""
    rng = np.random.default_rng(seed)
    centres = rng.exponential(1, (5, dimensions)) * (rng.random((5, dimensions)) < 0.5)
    kind = np.arange(n) % 5
    noise = rng.normal(0, 0.2 + 0.02 * kind[:, None], (n, dimensions))
    return np.maximum(centres[kind] + noise, 0).astype(np.float32)


def test_strays_are_named_and_hardly_anybody_else() -> None:
    others = 0
    for seed in range(8):
        features = crowd(600, seed)
        strays = np.random.default_rng(100 + seed).choice(600, 6, replace=False)
        features[strays] = np.random.default_rng(200 + seed).exponential(1, (6, 64)).astype(np.float32)
        named = set(outliers(features).named.tolist())
        assert named >= set(strays.tolist())
        others += len(named) - len(strays)
    assert others <= 2


def test_a_homogeneous_crowd_has_no_outliers() -> None:
    named = [len(outliers(crowd(n, seed)).named) for seed in range(15) for n in (150, 800)]
    assert sum(named) <= 3  # nominally 0.05 each


def test_real_digits_have_hardly_any() -> None:
    assert len(outliers(load_digits().data.astype(np.float32)).named) <= 2


def test_the_order_does_not_matter_and_the_farthest_comes_first() -> None:
    features = crowd(300, 0)
    features[[5, 9]] = np.random.default_rng(1).exponential(1, (2, 64)).astype(np.float32)
    order = np.random.default_rng(2).permutation(300)
    straight, turned = outliers(features), outliers(features[order])
    assert straight.named.tolist() == order[turned.named].tolist()
    assert (np.diff(straight.score[straight.named]) <= 0).all()
    assert (straight.score[straight.named] > straight.limit).all()


def test_equal_features_are_no_reason_to_fail() -> None:
    assert len(outliers(np.ones((120, 4), np.float32)).named) == 0


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 100"):
        outliers(crowd(50, 0))
    with pytest.raises(UsageError, match="finite"):
        outliers(np.full((200, 3), np.nan, np.float32))
