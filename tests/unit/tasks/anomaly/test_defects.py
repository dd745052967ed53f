"""Synthetic defects: of every kind, at every size, the same for the same dice."""

from __future__ import annotations

import numpy as np
import pytest
from surfaces import surface

from photovision.tasks.anomaly.defects import DEFECTS, plant


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_changes_the_picture_within_its_mask(kind: str) -> None:
    image, inside, outside = surface(1), 0.0, 0.0
    for seed in range(10):
        planted, mask = plant(image, kind, np.random.default_rng(seed))
        assert planted.shape == image.shape
        assert planted.dtype == np.uint8
        change = np.abs(planted.astype(int) - image).mean(2)
        inside += float(change[mask].sum())
        outside += float(change[~mask].sum())
    assert inside > 2 * outside


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_same_dice_give_the_same_defect(kind: str) -> None:
    one, other = (plant(surface(2), kind, np.random.default_rng(5))[0] for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("kind", DEFECTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (40, 30)])
def test_pictures_of_every_size_are_taken(kind: str, size: tuple[int, int]) -> None:
    planted, mask = plant(np.full((*size, 3), 100, np.uint8), kind, np.random.default_rng(0))
    assert planted.shape == (*size, 3)
    assert mask.shape == size
