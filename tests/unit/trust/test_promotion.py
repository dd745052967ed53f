"""May a changed model take the place of the one in use? Planted gains, planted losses, and nothing at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from photovision.trust.promotion import PromotionLimits, Trial, better_p, judge, next_level

CLASSES = ("a", "b", "c")


def trial(wrong_before: float, wrong_after: float, n: int = 400, seed: int = 0, fresh: float = 0.25) -> Trial:
    """Two models that are wrong on their own random shares of n pictures, a part of them fresh."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)

    def logits(wrong: float) -> np.ndarray:
        shown = np.where(rng.random(n) < wrong, (truth + 1) % 3, truth)
        return np.asarray(3 * np.eye(3)[shown] + rng.normal(0, 0.3, (n, 3)), np.float32)

    new = np.arange(n) >= n * (1 - fresh)
    return Trial(truth, logits(wrong_before), logits(wrong_after), ~new, new, CLASSES)


def failed(one: Trial, limits: PromotionLimits | None = None, alpha: float = 0.02) -> set[str]:
    return {
        condition.name for condition in judge(one, limits or PromotionLimits(), alpha).conditions if not condition.holds
    }


def test_a_clear_gain_is_promoted_and_no_gain_is_not() -> None:
    assert judge(trial(0.3, 0.1), PromotionLimits(), 0.02).granted
    assert failed(replace(trial(0.2, 0.2), new=trial(0.2, 0.2).old)) == {"better"}


def test_a_loss_on_the_golden_set_is_refused_whatever_the_new_data_gain() -> None:
    one = trial(0.1, 0.1)
    new = one.old.copy()
    new[:30] = 3 * np.eye(3)[(one.truth[:30] + 1) % 3]
    old = one.old.copy()
    old[one.fresh] = 3 * np.eye(3)[(one.truth[one.fresh] + 1) % 3]
    new[one.fresh] = 3 * np.eye(3)[one.truth[one.fresh]]
    assert "golden set" in failed(replace(one, old=old, new=new))


def test_a_class_a_group_and_a_floor_are_kept() -> None:
    one = trial(0.25, 0.02)
    rows = np.flatnonzero(one.golden & (one.truth == 1))[:40]
    old, new = one.old.copy(), one.new.copy()
    old[rows], new[rows] = 3 * np.eye(3)[1], 3 * np.eye(3)[2]
    site = tuple("north" if row in set(rows.tolist()) else "south" for row in range(len(one.truth)))
    changed = replace(one, old=old, new=new, groups={"site": site})
    assert {"classes", "groups by site"} <= failed(changed)
    assert "floor" in failed(changed, PromotionLimits(floor=0.9))
    assert "floor" not in failed(trial(0.25, 0.02), PromotionLimits(floor=0.9))


def test_a_new_class_counts_as_a_gain() -> None:
    one = trial(0.0, 0.0, n=200)
    old = one.old.copy()
    old[:, 2] = -np.inf
    golden = one.golden & (one.truth != 2)
    rows = np.flatnonzero(golden | one.fresh)
    part = Trial(one.truth[rows], old[rows], one.new[rows], golden[rows], one.fresh[rows], CLASSES)
    assert judge(part, PromotionLimits(), 0.02).granted


def test_confidence_that_is_no_longer_true_is_refused() -> None:
    one = trial(0.3, 0.1, n=1200)
    sure = np.where(np.random.default_rng(1).random(len(one.truth)) < 0.5, 0.05, 8.0)[:, None]
    right = one.new.argmax(1) == one.truth
    backwards = np.where(right[:, None], one.new * sure, one.new * 8)
    assert failed(replace(one, new=backwards.astype(np.float32))) == {"calibration"}


def test_levels_are_spent_and_earned_back() -> None:
    nothing = [next_level([False] * k, 0.05) for k in range(2000)]
    assert sum(nothing) < 0.05
    assert nothing == sorted(nothing, reverse=True)
    assert next_level([False] * 9 + [True]) > next_level([False] * 10)
    assert next_level([True] * 20) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_streams_without_gains_are_rarely_promoted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    promoted = 0
    for _ in range(40):
        tests: list[bool] = []
        for _ in range(20):
            old, new = (rng.random(300) < 0.8 for _ in range(2))
            tests.append(better_p(old, new) <= next_level(tests))
        promoted += any(tests)
    assert promoted <= 6  # of 40 streams 5% are expected at most
