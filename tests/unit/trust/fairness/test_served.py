"""Groups are judged class by class, with honest intervals, and only where there are enough pictures."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.fairness.group_accuracy import MIN_PICTURES, Served
from photovision.trust.metrics.statistics import wilson


def test_a_shortcut_cannot_hide_behind_the_frequent_class() -> None:
    """Nearly all of group "water" are of class 0; the few of class 1 are all wrong."""
    groups = np.repeat([0, 1], 100)
    labels = np.concatenate([np.arange(100) >= 90, np.arange(100) < 90]).astype(int)
    right = ~((groups == 0) & (labels == 1))
    served = Served.of(groups, ("water", "land"), labels)
    assert served.balanced
    name, share = served.worst(right)
    assert (name, share.value) == ("water", 0.5)
    assert served.gap(right).value == pytest.approx(0.5)
    assert Served.of(groups, ("water", "land"), None).share("water", right).value == pytest.approx(0.9)


def test_small_and_unnamed_groups_are_not_judged() -> None:
    groups = np.array([0] * 20 + [1] * (MIN_PICTURES - 1) + [2] * 20 + [-1] * 30)
    served = Served.of(groups, ("a", "b", "c"), None)
    assert list(served.strata) == ["a", "c"]
    assert list(Served.of(groups, ("a", "b", ""), None).strata) == ["a"]


def test_without_common_classes_the_plain_accuracy_counts() -> None:
    groups, labels = np.repeat([0, 1], 20), np.repeat([0, 1, 2, 3], 10)
    served = Served.of(groups, ("a", "b"), labels)
    assert not served.balanced
    right = np.arange(40) < 30
    low, high = wilson(10, 20)
    assert served.share("b", right) == (0.5, low, high)


def test_the_paired_gain_covers_the_truth() -> None:
    """Of 400 draws of two unlike models, about 95% of the intervals hold the true difference."""
    rng, held = np.random.default_rng(0), 0
    labels, groups = np.arange(60) % 2, np.zeros(60, int)
    served = Served.of(np.where(np.arange(60) < 60, groups, 1), ("a",), labels)
    for _ in range(400):
        u = rng.random(60)
        a, b = u < np.where(labels, 0.5, 0.9), (u + rng.normal(0, 0.05, 60)) < np.where(labels, 0.75, 0.9)
        gain = served.gain("a", a, b)
        held += gain.low <= 0.125 <= gain.high
    assert held / 400 > 0.92


def test_equal_models_gain_nothing() -> None:
    served = Served.of(np.zeros(30, int), ("a",), np.arange(30) % 3)
    gain = served.gain("a", np.ones(30, bool), np.ones(30, bool))
    assert gain.value == 0
    assert gain.low < 0 < gain.high
