"""Augmentation: views with and without corruptions."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image as Pillow

from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.data.augment.image import Augment

PREPROCESS = Preprocess((32, 32))
PICTURE = make_picture(2, 64)


def views(augment: Augment, n: int = 60) -> list[Image]:
    return [augment(PICTURE, PREPROCESS, np.random.default_rng((0, seed))) for seed in range(n)]


def test_half_of_the_views_are_corrupted_and_the_others_are_as_without() -> None:
    plain, worse = views(Augment()), views(Augment(corruptions=("fog", "noise")))
    same = np.mean([np.array_equal(a, b) for a, b in zip(plain, worse, strict=True)])
    assert 0.3 < same < 0.7
    assert all(np.array_equal(a, b) for a, b in zip(worse, views(Augment(corruptions=("fog", "noise"))), strict=True))


def test_augmix_changes_nearly_every_view() -> None:
    plain, mixed = views(Augment()), views(Augment(augmix=True))
    assert np.mean([np.array_equal(a, b) for a, b in zip(plain, mixed, strict=True)]) < 0.1
    assert all(view.shape == (32, 32, 3) and view.dtype == np.uint8 for view in mixed)


@pytest.mark.parametrize("augment", [Augment(), Augment(scale=1.0, jitter=0.0, flip=False)])
def test_without_them_nothing_is_disturbed(augment: Augment) -> None:
    assert not augment.disturbs
    view = np.asarray(Pillow.new("RGB", (8, 8), (9, 9, 9)))
    rng = np.random.default_rng(0)
    assert augment.disturb(view, rng) is view
    assert rng.random() == np.random.default_rng(0).random()  # no dice were thrown
