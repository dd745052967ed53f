"""Preference: planted preferences are found, absent ones are not, and silent units are left out."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.class_selectivity import STRONGEST, Activity, choose_units, preferred, telling


def planted(seed: int, strength: float, units: int = 30, per_class: int = 30, classes: int = 5) -> Activity:
    """Peaks in which unit k is raised by class k, for k below 3; the others are noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    peaks = rng.gamma(2, 1, (len(labels), units))
    for k in range(3):
        peaks[labels == k, k] += strength
    return Activity.of(peaks.astype(np.float32), np.full_like(peaks, 1, dtype=np.float32))


def membership(per_class: int = 30, classes: int = 5) -> np.ndarray:
    return np.repeat(np.eye(classes, dtype=bool), per_class, axis=0)


def test_units_that_tell_classes_apart_are_chosen_and_their_class_is_named() -> None:
    activity = planted(0, strength=8)
    scores, how = telling(activity, membership())
    assert "between the classes" in how
    chosen = choose_units(activity, scores, 3)
    assert sorted(chosen) == [0, 1, 2]
    for unit in chosen:
        first, count, certain = preferred(activity, unit, membership())[0]
        assert (first, certain) == (unit, True)
        assert count >= 9


def test_without_a_preference_none_is_claimed() -> None:
    claims = 0
    for seed in range(100):
        activity = planted(seed, strength=0)
        scores, _ = telling(activity, membership())
        for unit in choose_units(activity, scores, 6):
            claims += any(certain for *_, certain in preferred(activity, unit, membership()))
    assert claims <= 8  # at most 5% of 100 atlases are expected to claim one, though the most telling units are asked


@pytest.mark.parametrize("fill", [0.0, 3.0])
def test_a_unit_that_does_not_change_is_silent(fill: float) -> None:
    activity = planted(1, strength=8)
    peaks = activity.peaks.copy()
    peaks[:, 1] = fill
    means = np.full_like(peaks, 1)
    means[:, 1] = fill
    silent = Activity.of(peaks, means)
    assert not silent.alive[1]
    assert silent.alive.sum() == peaks.shape[1] - 1
    scores, _ = telling(silent, membership())
    assert 1 not in choose_units(silent, scores, peaks.shape[1])


def test_units_that_answer_alike_are_shown_last() -> None:
    activity = planted(2, strength=8)
    peaks = np.column_stack([activity.peaks, activity.peaks[:, 0] * 2])
    twin = Activity.of(peaks, np.full_like(peaks, 1))
    scores, _ = telling(twin, membership())
    chosen = choose_units(twin, scores, 4)
    assert len({0, 30} & set(chosen)) == 1


def test_without_classes_sparse_units_come_first() -> None:
    rng = np.random.default_rng(0)
    peaks = rng.uniform(4, 6, (80, 5)).astype(np.float32)
    peaks[:, 2] = 0.01
    peaks[:4, 2] = 9
    activity = Activity.of(peaks, np.zeros_like(peaks))
    scores, how = telling(activity, None)
    assert "few pictures" in how
    assert scores.argmax() == 2
    assert activity.exciting(2) == 4
    assert set(activity.strongest(2)[:4].tolist()) == {0, 1, 2, 3}


def test_fewer_than_two_pictures_a_class_say_nothing_of_classes() -> None:
    activity = planted(3, strength=8, per_class=1, classes=20)
    _, how = telling(activity, np.eye(20, dtype=bool))
    assert "few pictures" in how


def test_counts_are_of_the_ten_strongest() -> None:
    activity = planted(4, strength=0)
    assert sum(count for _, count, _ in preferred(activity, 5, membership())) == STRONGEST
