"""Masks are learned: a small network overfits a few scenes, and its graph decides like it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from scenes import objects, semantic

from photovision.core.errors import UsageError
from photovision.core.regions import IGNORE
from photovision.data.augment.image import Augment
from photovision.data.augment.mask import MaskAugmenter
from photovision.learn.loop import FitResult, RunContext, fit
from photovision.learn.pixels import PixelFeed
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, choose
from photovision.models.export import Normalise, export_graph
from photovision.models.segmenter import PixelDecider, SegmenterNetwork, check_pixels
from photovision.tasks.segment.objective import SegmentObjective

SMALL = "lcnet_035"


def _source(size: int = 64) -> Backbone:
    return choose(SMALL, "none", size)


def _learn(instances: bool, epochs: int) -> tuple[SegmenterNetwork, PixelFeed, FitResult]:
    torch.manual_seed(0)
    data, source = (objects(4) if instances else semantic(4)), _source()
    tile = (64, 64) if instances else None
    feed = PixelFeed(data.samples, source.preprocess, MaskAugmenter(Augment(0.6), tile, instances), 1, judged=True)
    classes = 2 if instances else 3
    network = SegmenterNetwork(source, classes, instances)
    plan = Plan(epochs, batch_size=4, lr=5e-3, label_smoothing=0.0, train_norm=True, validate_every=epochs)
    setting = RunContext(Accelerator())
    done = fit(network, SegmentObjective(classes, instances), plan, feed, feed, Normalise(source.preprocess), setting)
    return network, feed, done


@pytest.mark.parametrize("instances", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_small_segmenter_learns_a_few_scenes(instances: bool) -> None:
    _, _, start = _learn(instances, 1)
    _, _, done = _learn(instances, 40)
    assert done.score.value > 0.8
    assert done.score.value > start.score.value + 0.2


def test_views_and_their_truth_are_determined_by_seed_and_epoch() -> None:
    data, source = semantic(3), _source()
    feed = PixelFeed(data.samples, source.preprocess, MaskAugmenter(Augment()), 2)
    rows = np.arange(3)
    assert torch.equal(feed.take(rows, 4, 7), feed.take(rows, 4, 7))
    assert np.array_equal(feed.truth(rows, 4, 7), feed.truth(rows, 4, 7))
    assert not torch.equal(feed.take(rows, 4, 7), feed.take(rows, 5, 7))
    assert not np.array_equal(feed.truth(rows, 4, 7), feed.truth(rows, 5, 7))
    # Discs are red and squares are green, whichever way they are shown.
    pixels, truth = feed.take(rows, 4, 7).numpy().astype(float), feed.truth(rows, 4, 7)[..., 0]
    assert (pixels[..., 0] - pixels[..., 1])[truth == 1].mean() > 20
    assert (pixels[..., 1] - pixels[..., 0])[truth == 2].mean() > 20


def test_unjudged_pixels_teach_nothing() -> None:
    raw = torch.zeros(1, 2, 8, 8, requires_grad=True)

    class Fixed(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return raw

    truth = torch.full((1, 8, 8, 1), IGNORE, dtype=torch.uint8)
    inputs = torch.zeros(1, 3, 8, 8)
    SegmentObjective(2).loss(Fixed(), {"inputs": inputs, "targets": truth}, 0.0)["loss"].backward()
    assert raw.grad is not None
    assert float(raw.grad.abs().sum()) == 0
    raw.grad = None
    truth[0, 0, 0] = 1
    SegmentObjective(2).loss(Fixed(), {"inputs": inputs, "targets": truth}, 0.0)["loss"].backward()
    assert (raw.grad.abs().sum(1) > 0).sum() == 1  # type: ignore[attr-defined]


def test_the_score_is_the_mean_iou_of_judged_pixels() -> None:
    predicted = np.zeros((1, 2, 2, 2), np.float32)
    predicted[0, 1, :, 1] = 1
    truth = np.zeros((1, 4, 4, 1), np.uint8)
    truth[0, :, 2:] = 1
    assert SegmentObjective(2).score(predicted, truth).value == 1
    truth[0, :2, 2:] = 0
    assert SegmentObjective(2).score(predicted, truth).value == pytest.approx((2 / 3 + 1 / 2) / 2)
    truth[0, :2, 2:] = IGNORE
    assert SegmentObjective(2).score(predicted, truth).value == 1


@pytest.mark.slow
def test_the_graph_decides_like_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = _source()
    decider = PixelDecider(SegmenterNetwork(source, 2, True).eval(), source.preprocess, 1.5)
    export_graph(decider, (64, 64), decider.outputs, tmp_path / "model.onnx")
    pictures = np.stack([sample.image for sample in semantic(5).samples])
    parity = check_pixels(decider, tmp_path / "model.onnx", pictures)
    assert parity.pictures == 5
    assert parity.max_abs_prob_difference < 1e-3
    assert parity.agreement > 0.99


def test_backbones_without_maps_and_odd_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 32"):
        SegmenterNetwork(_source(72), 2, False)
    with pytest.raises(UsageError, match="convolutional"):
        SegmenterNetwork(choose("vit_tiny_patch16_224", "none", 224), 2, False)
