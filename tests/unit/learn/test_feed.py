"""Feeds: which picture, varied how, depends on the seed, the epoch and the position alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photovision.core.preprocess import Preprocess
from photovision.core.types import Sample
from photovision.data.augment.image import Augment
from photovision.learn.feed import FeatureFeed, JoinedFeed, PictureFeed, Shard, SmallPictureFeed, batches, order
from photovision.learn.optim import mix
from photovision.learn.plan import Plan

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 20, 20, 3), dtype=np.uint8)
TARGETS = np.eye(3, dtype=np.float32)[np.arange(12) % 3]


def small() -> SmallPictureFeed:
    return SmallPictureFeed(IMAGES, TARGETS, Augment(), shift=2, erase=4)


def disturbed() -> SmallPictureFeed:
    return SmallPictureFeed(IMAGES, TARGETS, Augment(corruptions=("fog", "noise"), augmix=True), shift=2, erase=4)


def pictures() -> PictureFeed:
    samples = tuple(Sample(str(i), image, ("a",)) for i, image in enumerate(IMAGES))
    return PictureFeed(samples, TARGETS, Preprocess((16, 16)), Augment(), workers=2)


@pytest.mark.parametrize("feed", [small(), disturbed(), pictures()], ids=["small", "disturbed", "files"])
def test_a_view_does_not_depend_on_its_batch(feed: SmallPictureFeed | PictureFeed) -> None:
    together = feed.take(np.arange(12), 3, seed=5)
    alone = torch.cat([feed.take(np.array([i]), 3, seed=5) for i in range(12)])
    assert torch.equal(together, alone)
    assert not torch.equal(together, feed.take(np.arange(12), 4, seed=5))


@pytest.mark.parametrize("feed", [small(), pictures()], ids=["small", "files"])
def test_epoch_minus_one_is_what_prediction_sees(feed: SmallPictureFeed | PictureFeed) -> None:
    plain = feed.take(np.arange(12), -1, 0).numpy()
    expected = (
        IMAGES if isinstance(feed, SmallPictureFeed) else np.stack([Preprocess((16, 16)).apply(i) for i in IMAGES])
    )
    assert np.array_equal(plain, expected)


def test_small_pictures_are_corrupted_only_where_asked() -> None:
    plain, worse = (
        SmallPictureFeed(IMAGES, TARGETS, augment).take(np.arange(12), 0, seed=1).numpy()
        for augment in (Augment(), Augment(corruptions=("noise",)))
    )
    changed = (plain != worse).any((1, 2, 3))
    assert 0 < changed.sum() < 12
    assert np.array_equal(disturbed().take(np.arange(12), -1, seed=1).numpy(), IMAGES)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), half=st.integers(1, 8), epoch=st.integers(0, 5))
def test_an_epoch_shows_every_sample_in_whole_batches(n: int, half: int, epoch: int) -> None:
    rows = order(n, epoch, 0, 2 * half)
    assert rows.shape[1] == 2 * half
    assert set(rows.ravel()) == set(range(n))


def test_two_processes_share_what_one_sees() -> None:
    one = [b["inputs"] for b in batches(small(), 1, 0, 4, 0, Shard())]
    parts = [[b["inputs"] for b in batches(small(), 1, 0, 4, 0, Shard(rank, 2))] for rank in (0, 1)]
    for whole, left, right in zip(one, *parts, strict=True):
        assert torch.equal(whole, torch.cat([left, right]))


def test_resumed_epoch_goes_on_with_the_next_batch() -> None:
    whole = [b["inputs"] for b in batches(small(), 1, 0, 4, 0, Shard())]
    rest = [b["inputs"] for b in batches(small(), 1, 0, 4, 1, Shard())]
    assert len(rest) == len(whole) - 1
    assert torch.equal(whole[1], rest[0])


def test_rare_classes_are_shown_more_often() -> None:
    weights = np.where(np.arange(100) < 10, 9.0, 1.0).astype(np.float32)
    assert 30 < (order(100, 0, 0, 100, weights) < 10).sum() < 70


def test_feature_views_take_turns() -> None:
    views = [np.full((12, 2, 3, 3), v, np.float16) for v in range(3)]
    feed = FeatureFeed(views, TARGETS)
    seen = np.stack([feed.take(np.arange(12), epoch, 0)[:, 0, 0, 0].numpy() for epoch in range(3)])
    assert (np.sort(seen, axis=0) == np.arange(3)[:, None]).all()
    assert (feed.take(np.arange(12), -1, 0) == 0).all()


@pytest.mark.parametrize("plan", [Plan(1, mixup=0.5), Plan(1, cutmix=0.7)], ids=["mixup", "cutmix"])
def test_mixing_keeps_the_share_of_labels_and_pixels(plan: Plan) -> None:
    inputs = torch.zeros(8, 1, 10, 10)
    inputs[1::2] = 1.0  # each pair: zeros of class 0, ones of class 1
    targets = torch.eye(2)[torch.arange(8) % 2]
    mixed, soft = mix(inputs, targets, plan, np.random.default_rng(0), (0, 1))
    assert torch.allclose(soft.sum(1), torch.ones(8))
    assert torch.allclose(mixed.mean((1, 2, 3)), soft[:, 1], atol=1e-5)


def test_mixing_is_the_same_in_two_processes() -> None:
    inputs, targets, plan = torch.rand(8, 3, 6, 6), torch.eye(8), Plan(1, mixup=0.5, cutmix=0.5)
    whole, _ = mix(inputs, targets, plan, np.random.default_rng(4), (0, 1))
    halves = [
        mix(inputs[4 * r : 4 * r + 4], targets[4 * r : 4 * r + 4], plan, np.random.default_rng(4), (r, 2))[0]
        for r in (0, 1)
    ]
    assert torch.equal(whole, torch.cat(halves))


def test_joined_feeds_give_what_each_gives() -> None:
    first, second = small(), disturbed()
    both = JoinedFeed(first, second)
    assert np.array_equal(both.targets, np.concatenate([TARGETS, TARGETS]))
    rows = np.array([14, 3, 0, 23, 11])
    expected = [first.take(rows[rows < 12], 2, 5), second.take(rows[rows >= 12] - 12, 2, 5)]
    assert torch.equal(both.take(rows, 2, 5)[[1, 2, 4, 0, 3]], torch.cat(expected))
    assert torch.equal(both.take(np.array([1, 2]), 2, 5), first.take(np.array([1, 2]), 2, 5))
