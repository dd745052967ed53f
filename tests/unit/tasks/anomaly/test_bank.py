"""The memory bank: whitening, reservoir, k-centre, folds."""

from __future__ import annotations

import numpy as np

from photovision.tasks.anomaly.bank import Moments, Reservoir, assign_folds, build_bank, fit_whitening, k_centre


def correlated(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(12, 12))
    return (rng.normal(size=(rows, 12)) @ mixing * 5 + 3).astype(np.float32)


def test_whitened_patches_have_unit_variance_and_no_correlations() -> None:
    patches = correlated(4000)
    whitened = fit_whitening(Moments.of(patches), 1e-6)(patches)
    assert np.allclose(np.cov(whitened.T), np.eye(12), atol=0.02)


def test_shrinkage_grows_where_pictures_are_few() -> None:
    def folds(rows: int) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.normal(size=(rows, 60)).astype(np.float32) for _ in range(4)]

    assert build_bank(folds(20), 40).shrinkage > build_bank(folds(4000), 40).shrinkage


def test_k_centre_holds_its_seed_and_covers_far_points() -> None:
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(size=(500, 8)), [[60.0] * 8, [-60.0] * 8]]).astype(np.float32)
    chosen = k_centre(points, 20, seed=3)
    assert len(set(chosen.tolist())) == 20
    assert {500, 501} <= set(chosen.tolist())
    assert chosen[0] == k_centre(points, 2, seed=3)[0]


def test_equal_points_are_not_chosen_twice() -> None:
    assert sorted(k_centre(np.zeros((5, 3), np.float32), 4).tolist()) == sorted(
        set(k_centre(np.zeros((5, 3), np.float32), 4).tolist())
    )


def test_a_reservoir_is_bounded_and_fair() -> None:
    reservoir = Reservoir(1000, seed=2)
    for block in range(50):
        reservoir.add(np.full((200, 1), block, np.float32))
    kept = reservoir.sample()
    assert len(kept) == 1000
    assert sum(len(rows) for rows in reservoir.rows) == 1000
    assert abs(float(kept.mean()) - 24.5) < 2


def test_pictures_of_one_group_share_a_fold_and_no_fold_is_empty() -> None:
    groups = np.array([0, 0, 0, 1, 2, 2, 3, 4, 5, 6])
    folds = assign_folds(groups, 4)
    assert set(folds.tolist()) == {0, 1, 2, 3}
    assert all(len(set(folds[groups == group].tolist())) == 1 for group in groups)


def test_a_bank_without_a_fold_never_saw_it() -> None:
    samples = [correlated(300, seed) for seed in range(3)]
    samples[1] += 40  # a fold unlike the others
    bank = build_bank(samples, 90)
    assert bank.without[1].distances(samples[1]).min() > bank.whole.distances(samples[1]).max()


def test_distances_count_more_where_good_pictures_are_all_alike() -> None:
    def fold(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        alike, varied = rng.normal(40, 0.1, (200, 6)), rng.normal(0, 3, (200, 6))
        return np.concatenate([alike, varied]).astype(np.float32)

    bank = build_bank([fold(seed) for seed in range(4)], 80).whole
    centre = bank.whitening(np.full((1, 6), 40, np.float32))
    alike = np.linalg.norm(bank.patches - centre, axis=1) < 1
    assert 0 < alike.sum() < len(alike)
    assert bank.weights[alike].min() > bank.weights[~alike].max()


def test_a_fold_may_be_empty() -> None:
    samples = [correlated(60, seed) for seed in range(4)]
    samples[2] = samples[2][:0]
    bank = build_bank(samples, 40)
    assert all(np.isfinite(part.distances(samples[0])).all() for part in (bank.whole, *bank.without))
    assert all((part.weights > 0).all() for part in (bank.whole, *bank.without))


def test_distances_are_those_to_the_nearest_patch() -> None:
    bank = build_bank([correlated(50, seed) for seed in (1, 2, 4)], 30).whole
    queries = correlated(7, 3)
    expected = np.linalg.norm(bank.whitening(queries)[:, None] - bank.patches[None], axis=2)
    expected = (expected * np.sqrt(bank.weights)).min(1)
    assert np.allclose(bank.distances(queries), expected, rtol=1e-3)
