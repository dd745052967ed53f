"""Selection: which statistics make the score, by synthetic defects; no score falls where distances rise."""

from __future__ import annotations

import numpy as np

from photovision.tasks.anomaly.graph import TOP_SHARES
from photovision.tasks.anomaly.selection import select

NAMES = ("stride 8", "stride 16")
WIDTH = len(NAMES) * len(TOP_SHARES) + 1


def statistics(rows: int, seed: int, raised: tuple[int, ...] = (), by: float = 1.5) -> np.ndarray:
    values = np.exp(np.random.default_rng(seed).normal(1, 0.1, (rows, WIDTH)))
    values[:, list(raised)] *= by
    return values.astype(np.float32)


def test_a_statistic_that_finds_the_defects_is_chosen() -> None:
    good = statistics(60, 0)
    found = select(good, {"diffuse": statistics(40, 1, (WIDTH - 1,), 1.2)}, NAMES)
    assert found.combination.name == "whole picture"
    assert found.scales == ()
    found = select(good, {"small": statistics(40, 2, (len(TOP_SHARES),), 1.3)}, NAMES)
    assert found.combination.name == "farthest patch at stride 16"
    assert found.scales == (1,)
    assert found.auroc["small"] > 0.9


def test_without_a_difference_the_default_is_kept() -> None:
    found = select(statistics(60, 0), {"clear": statistics(40, 1, tuple(range(WIDTH)), 5)}, NAMES)
    assert found.combination.name == "farthest 1% of patches or farthest 20% of patches"
    assert set(found.auroc.values()) == {1.0}


def test_one_scale_is_enough() -> None:
    width = len(TOP_SHARES) + 1
    found = select(statistics(30, 0)[:, -width:], {"any": statistics(30, 1)[:, -width:] * 2}, ("stride 8",))
    assert found.combination.weights.shape[0] == width


def test_a_score_never_falls_where_a_distance_rises() -> None:
    rng = np.random.default_rng(3)
    combination = select(statistics(60, 0), {"any": statistics(40, 1, (2, 8))}, NAMES).combination
    values = statistics(50, 4)
    raised = values * rng.uniform(1, 1.5, values.shape).astype(np.float32)
    assert (combination(raised) >= combination(values)).all()
