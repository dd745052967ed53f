"""The truth of a batch is that of its views."""

from __future__ import annotations

import numpy as np
import pytest
from boxed import boxed_samples

from photovision.core.preprocess import Preprocess
from photovision.data.augment.box import BoxAugmenter
from photovision.data.augment.image import Augment
from photovision.learn.boxes import BoxFeed
from photovision.learn.feed import Shard, batches
from photovision.models.assign import NOTHING

PREPROCESS = Preprocess((96, 128))


def feed(mosaic: float = 0) -> BoxFeed:
    return BoxFeed(boxed_samples(9), PREPROCESS, BoxAugmenter(Augment(scale=0.5, jitter=0), mosaic=mosaic), 2)


@pytest.mark.parametrize("mosaic", [0, 1])
def test_boxes_travel_with_their_pixels_in_every_batch(mosaic: float) -> None:
    bright = 0
    for batch in batches(feed(mosaic), 3, 7, 4, 0, Shard()):
        for image, rows in zip(batch["inputs"].numpy(), batch["targets"].numpy(), strict=True):
            for _, x1, y1, x2, y2 in rows[rows[:, 0] >= 0]:
                middle = image[int((y1 + y2) / 2), int(min((x1 + x2) / 2, 127))]
                assert middle.min() > 150  # shapes are brighter than any ground
                bright += 1
    assert bright >= 12


def test_without_variation_the_truth_is_the_whole_pictures() -> None:
    made = feed()
    positions = np.arange(9)
    np.testing.assert_array_equal(made.truth(positions, -1, 0), made.targets)
    assert made.take(positions, -1, 0).shape == (9, 96, 128, 3)
    assert (made.targets[:, :, 0] != NOTHING).sum() == sum(len(s.annotations) for s in made.samples)  # type: ignore[arg-type]


def test_a_batch_does_not_depend_on_what_came_before() -> None:
    all_, rest = list(batches(feed(), 1, 0, 4, 0, Shard())), list(batches(feed(), 1, 0, 4, 2, Shard()))
    for name in ("inputs", "targets", "positions"):
        np.testing.assert_array_equal(all_[2][name].numpy(), rest[0][name].numpy())


def test_a_mosaic_shows_its_own_picture_and_three_others() -> None:
    made = feed(1)
    counts = (made.truth(np.arange(9), 2, 0)[:, :, 0] >= 0).sum(1)
    alone = (feed().truth(np.arange(9), 2, 0)[:, :, 0] >= 0).sum(1)
    assert counts.sum() > 1.3 * alone.sum()
    assert not np.array_equal(made.take(np.arange(9), 2, 0).numpy(), made.take(np.arange(9), 3, 0).numpy())
