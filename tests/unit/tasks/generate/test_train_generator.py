"""Training a generator: the whole way to a judged bundle, the loss that it learns by, and its verdict on copying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

import photovision as pv
from photovision.core.report import Metric
from photovision.data.read import dataset_from_arrays
from photovision.tasks.generate.judge_text import assessment
from photovision.tasks.generate.network import VelocityNetwork
from photovision.tasks.generate.objective import FlowNetwork, FlowObjective
from photovision.trust.metrics.generation import FeatureAxes, copies, distances, frechet, nearest, precision_recall

SIDE = 16


def stripes(count: int, seed: int = 0) -> pv.Dataset:
    """Bright stripes across or along a dark ground, at any place."""
    rng, pictures, labels = np.random.default_rng(seed), [], []
    for number in range(count):
        picture = rng.integers(0, 40, (SIDE, SIDE, 3), np.uint8)
        at, across = rng.integers(2, SIDE - 4), number % 2 == 0
        picture[(slice(at, at + 3), slice(None)) if across else (slice(None), slice(at, at + 3))] = 230
        pictures.append(picture)
        labels.append("across" if across else "along")
    return dataset_from_arrays(pictures, labels)


@pytest.mark.slow
def test_a_few_minutes_make_stripes_of_the_class_asked_for(tmp_path: Path) -> None:
    model = pv.train(stripes(1500), tmp_path / "model", minutes=2, task="generate", listener=pv.silent)
    made = model.sample(100)
    bright = made.images.mean(3) > 120
    across = bright.mean(2).max(1) > bright.mean(1).max(1)
    assert (across == (made.labels == 0)).mean() > 0.9
    metrics = model.info["metrics"]
    assert metrics["copies"]["value"] < 0.05
    assert metrics["frechet_distance_floor"]["value"] < metrics["frechet_distance"]["value"]


def test_the_whole_way_to_a_judged_bundle(tmp_path: Path) -> None:
    judge = "test_efficientnet"  # samples are judged in the features of any network that has weights
    save_file(timm.create_model(judge).state_dict(), tmp_path / "judge.safetensors")
    known = {"backbone": judge, "weights": str(tmp_path / "judge.safetensors"), "listener": pv.silent}
    model = pv.train(stripes(100), tmp_path / "model", minutes=0.5, epochs=1, task="generate", **known)  # type: ignore[arg-type]
    info = model.info
    assert set(info["metrics"]) >= {"precision", "recall", "frechet_distance", "kernel_distance_floor", "copies"}
    assert info["metrics"]["class_agreement"]["n"] >= 64  # as many as there is time for
    assert info["rungs"][0]["name"] == "rectified flow"
    assert info["preprocess"]["size"] == [SIDE, SIDE]
    report = (tmp_path / "model" / "report.html").read_text()
    assert "The samples nearest to training images" in report
    assert "generator" in (tmp_path / "model" / "README.md").read_text()
    assert model.sample(2, steps=2).images.shape == (2, SIDE, SIDE, 3)
    with pytest.raises(pv.UsageError, match="'evaluate' is not available for a generator"):
        pv.evaluate(model, stripes(10))


def test_data_that_teach_something_else_are_refused(tmp_path: Path) -> None:
    two = dataset_from_arrays([np.zeros((8, 8, 3), np.uint8)] * 8, [("a", "b"), ("a",)] * 4)
    with pytest.raises(pv.DataError, match="at most one class each"):
        pv.train(two, tmp_path / "model", task="generate", listener=pv.silent)


def test_the_loss_falls_and_held_out_errors_are_told() -> None:
    torch.manual_seed(0)
    flow, task = FlowNetwork(VelocityNetwork(2, 16, 2)), FlowObjective(mirror=True)
    images = torch.from_numpy(np.stack([np.asarray(one.image) for one in stripes(32).samples]))
    inputs = (images.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()
    batch = {"inputs": inputs, "targets": torch.eye(2).repeat(16, 1)}
    optimiser = torch.optim.AdamW(flow.parameters(), lr=3e-3)
    before = task.score(flow.eval()(inputs).detach().numpy(), np.zeros(0))
    losses = []
    for _ in range(60):
        loss = task.loss(flow.train(), batch, 0.0)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    after = task.score(flow.eval()(inputs).detach().numpy(), np.zeros(0))
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])
    assert after.value > before.value + 0.05


def test_a_mirrored_image_is_told_to_be_one() -> None:
    """So that mirroring does not leak: the network may give one answer for mirrored images and another for others."""
    torch.manual_seed(0)
    network = VelocityNetwork(1, 16, 2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    images, moment, label = torch.rand(1, 3, SIDE, SIDE), torch.tensor([0.5]), torch.tensor([0])
    plain, mirrored = network(images, moment, label), network(images, moment, label, torch.tensor([1]))
    assert not torch.allclose(plain, mirrored)
    assert torch.equal(plain, network(images, moment, label, torch.tensor([0])))


def test_distances_are_small_for_the_same_and_grow_with_a_difference() -> None:
    rng = np.random.default_rng(0)
    real, other, near, far = (rng.normal(shift, 1, (150, 8)) for shift in (0, 0, 0.5, 1.0))
    found = [distances(made, real, other)["frechet_distance"].value for made in (other, near, far)]
    assert found[0] < found[1] < found[2]
    floor = distances(far, real, other)["frechet_distance_floor"]
    assert floor.low < floor.value < floor.high
    assert floor.value == pytest.approx(frechet(other, real))
    assert frechet(real, real) == pytest.approx(0, abs=1e-6)
    assert abs(distances(other, real, near)["kernel_distance"].value) < 0.05
    assert distances(far, real, other)["kernel_distance"].low > 0.1
    assert FeatureAxes.of(rng.normal(size=(100, 90)))(rng.normal(size=(5, 90))).shape == (5, 64)


def test_precision_falls_for_odd_samples_and_recall_for_lack_of_variety() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(0, 1, (300, 4))
    odd, alike, good = rng.normal(9, 1, (200, 4)), rng.normal(0, 0.05, (200, 4)), rng.normal(0, 1, (200, 4))
    assert precision_recall(odd, real)["precision"].value == 0
    assert precision_recall(alike, real)["precision"].value == 1
    assert precision_recall(alike, real)["recall"].value < 0.1
    assert min(one.value for one in precision_recall(good, real).values()) > 0.8


@pytest.mark.parametrize("copied", [0, 40, 200])
def test_planted_copies_are_counted_and_new_images_are_not(copied: int) -> None:
    rng = np.random.default_rng(1)
    train, held, made = (rng.normal(0, 50, (count, 48)) for count in (400, 300, 200))
    made[:copied] = train[:copied] + rng.normal(0, 2, (copied, 48))
    far = [nearest(np.float32(part), np.float32(train))[1] for part in (made, held)]
    found, share = copies(*(np.stack([one, one], 1) for one in far))
    assert found[:copied].all()
    assert found.sum() - copied <= 2
    recall = Metric(0.9, 0.8, 1.0, 200)
    verdict = assessment({"copies": share, "recall": recall})
    assert verdict.level == ("bad" if copied else "good")
