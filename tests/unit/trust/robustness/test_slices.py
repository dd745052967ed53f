"""Failing slices: a planted one is found and described, and a model that fails everywhere alike has none."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.types import Sample
from photovision.trust.robustness.slices import find_slices, finding


def scene(seed: int, count: int = 800, kinds: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings of pictures of some kinds, and the kind of each."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(kinds, size=count)
    points = np.eye(24)[kind] + rng.normal(0, 0.12, (count, 24))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), kind


def test_a_kind_that_it_fails_on_is_found_and_described() -> None:
    points, kind = scene(0)
    rng = np.random.default_rng(1)
    right = rng.random(len(kind)) > np.where(kind == 3, 0.6, 0.05)
    weather = np.where(kind == 3, "fog", np.where(rng.random(len(kind)) < 0.1, "fog", "clear"))
    found = find_slices(points, right, groups={"weather": weather.tolist()}, seed=0)
    (one,) = found.found
    assert (kind[one.members] == 3).mean() > 0.95
    assert one.error.value > 0.45
    assert one.elsewhere.value < 0.12
    assert any("weather = fog" in trait for trait in one.traits)


def test_errors_that_fall_anywhere_make_no_slice() -> None:
    alarms = 0
    for seed in range(30):
        points, kind = scene(seed)
        right = np.random.default_rng((seed, 9)).random(len(kind)) > 0.25
        alarms += bool(find_slices(points, right, seed=seed).found)
    assert alarms <= 4  # nominal: at most 1.5 of 30


def test_what_describes_a_slice_is_not_what_all_pictures_have() -> None:
    points, kind = scene(3)
    right = np.random.default_rng(1).random(len(kind)) > np.where(kind == 1, 0.6, 0.05)
    site = np.random.default_rng(2).choice(["a", "b"], len(kind)).tolist()
    (one,) = find_slices(points, right, groups={"site": site}).found
    assert not one.traits


def test_two_kinds_are_two_slices_the_worse_one_first() -> None:
    points, kind = scene(5, 1600)
    chance = np.where(kind == 0, 0.8, np.where(kind == 4, 0.45, 0.03))
    right = np.random.default_rng(0).random(len(kind)) > chance
    found = find_slices(points, right).found
    assert len(found) == 2
    assert (kind[found[0].members] == 0).mean() > 0.9


@pytest.mark.parametrize("right", [np.ones(400, bool), np.zeros(400, bool)])
def test_all_right_or_all_wrong_has_no_slices(right: np.ndarray) -> None:
    points, _ = scene(0, 400)
    assert not find_slices(points, right).found


def test_few_pictures_are_not_searched_and_it_is_said() -> None:
    points, kind = scene(0, 60)
    slices = find_slices(points, kind != 2)
    told = finding(slices, [], kind != 2)
    assert "too few" in told.summary[0]
    assert not told.warnings


def test_the_report_shows_typical_wrong_pictures_and_names_them() -> None:
    points, kind = scene(0)
    right = np.random.default_rng(1).random(len(kind)) > np.where(kind == 3, 0.6, 0.05)
    samples = [Sample(f"{i}.png", np.full((8, 8, 3), 40 * k, np.uint8), (str(k),)) for i, k in enumerate(kind)]
    told = finding(find_slices(points, right), samples, right)
    assert told.warnings
    (figure,) = told.figures
    shown = [caption.split("\n") for _, caption in figure.pictures]
    assert all(label == "3" and not right[int(name.removesuffix(".png"))] for label, name in shown)
    nothing = finding(find_slices(points, np.random.default_rng(7).random(len(kind)) > 0.1), samples, right)
    assert not nothing.warnings
