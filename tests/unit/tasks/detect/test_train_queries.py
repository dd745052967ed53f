"""A detector with queries learns through the one loop, and becomes a bundle like any other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from boxed import CLASSES, boxed_samples, boxed_set
from queries import SIDE, TINY, tiny, tiny_folder

from photovision.core.errors import LicenceError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.data.augment.box import BoxAugmenter
from photovision.data.augment.image import Augment
from photovision.engine.train import run
from photovision.engine.train_config import TrainConfig
from photovision.learn.boxes import BoxFeed
from photovision.learn.loop import FitResult, RunContext, fit
from photovision.learn.optim import build_optimiser
from photovision.learn.plan import Plan
from photovision.models.checkpoint_folder import read_folder
from photovision.models.export import Normalise
from photovision.models.query_detector import QueryDetector, QuerySource, query_source
from photovision.tasks.detect import detector as runtime
from photovision.tasks.detect.learn import size_for
from photovision.tasks.detect.objective import DetectByQueriesObjective

pytest.importorskip("transformers", reason="needs the extra transformers")
STILL = BoxAugmenter(Augment(scale=1, ratio=1, flip=False, jitter=0))
SQUARE = (SIDE, SIDE)


def learned(family: str, plan: Plan, setting: RunContext, view: BoxAugmenter = STILL, count: int = 8) -> FitResult:
    torch.manual_seed(0)
    found = tiny(family)
    network = QueryDetector(found, SQUARE, CLASSES)
    feed = BoxFeed(boxed_samples(count), found.preprocess, view, 2)
    prepare = Normalise(found.preprocess)
    return fit(network, DetectByQueriesObjective(len(CLASSES), SQUARE), plan, feed, feed, prepare, setting)


@pytest.mark.slow
@pytest.mark.parametrize("family", TINY)
def test_it_learns_eight_pictures_by_heart(family: str) -> None:
    plan = Plan(200, 8, lr=3e-3, weight_decay=0.0, train_norm=True, clip=1.0, ema=0.9, validate_every=200)
    done = learned(family, plan, RunContext(Accelerator(cpu=True)))
    assert done.score.value > 0.3  # untrained: 0.0


def test_the_loss_falls() -> None:
    plan = Plan(16, 4, lr=2e-3, weight_decay=0.0, train_norm=True, clip=1.0, validate_every=8)
    curve = learned("d_fine", plan, RunContext(Accelerator(cpu=True)), count=4).curve
    assert curve[-1]["loss"] < 0.9 * curve[0]["loss"]


def test_interrupted_and_resumed_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    plan, view = Plan(2, 4, lr=1e-3, train_norm=True, ema=0.9), BoxAugmenter(Augment(scale=0.5))
    whole = learned("d_fine", plan, RunContext(Accelerator(cpu=True)), view)
    count = {"steps": 0}

    def stop(progress: object) -> None:
        count["steps"] += 1
        if count["steps"] == 3:
            raise RuntimeError("killed")

    setting = RunContext(Accelerator(cpu=True), checkpoint=tmp_path / "checkpoint.pt")
    with pytest.raises(RuntimeError, match="killed"):
        learned("d_fine", plan, dataclasses.replace(setting, listener=stop), view)
    resumed = learned("d_fine", plan, setting, view)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)


def test_the_backbone_learns_more_slowly() -> None:
    network = QueryDetector(tiny("d_fine"), SQUARE, CLASSES)
    optimiser = build_optimiser(network, Plan(1, 2, lr=1e-3, layer_decay=0.1))
    below = {id(parameter) for _, parameter in network.steps()[0]}
    rates = {id(p) in below: group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert rates == {True: pytest.approx(1e-4), False: pytest.approx(1e-3)}
    told = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert len(told) == len(set(told)) == sum(p.requires_grad for p in network.parameters())


@pytest.mark.slow
def test_the_whole_way_from_a_folder_to_a_detector_and_on_from_there(tmp_path: Path) -> None:
    data, output = boxed_set(8, 4, 4), tmp_path / "model"
    folder = tiny_folder(tmp_path / "theirs", "rt_detr_v2", ("cat", "dog", "cow"))
    made = run(data, output, TrainConfig(minutes=1, backbone=str(folder), epochs=1, flip="off"))
    assert isinstance(made, runtime.Detector)
    assert made.classes == CLASSES
    assert tuple(made.info["preprocess"]["size"]) == SQUARE
    assert made.info["rungs"][0]["plan"]["precision"] == "f32"
    assert len(made.info["backbone"]["sha256"]) == 64
    assert {"map", "map50"} <= set(made.info["metrics"])
    made.predict(np.asarray(data.samples[0].image))
    own = query_source(str(output))
    assert own.found.classes == CLASSES
    assert own.preprocess == made.preprocess
    graph = runtime.Detector(made.bundle, threshold=0.0, precision="f32")
    image = graph.preprocess.apply(np.asarray(data.samples[0].image))[None].copy()
    with torch.no_grad():
        again = QueryDetector(own.found, SQUARE).eval()(Normalise(own.preprocess)(torch.from_numpy(image)))
    boxes, wanted = graph.session.run(image)["boxes"], again[..., :4].numpy()
    assert np.abs(wanted[:, :, None] - boxes[:, None]).max(3).min(2).max() < 0.05


def test_a_size_that_the_network_can_take(tmp_path: Path) -> None:
    data = boxed_set(6, 1, 1)  # pictures of 96 x 128
    bare = query_source("dfine-n", "none")
    assert size_for(bare, data, 128) == [96, 128]
    square = query_source("rf-detr-nano", "none")
    assert size_for(square, data, 128) == [128, 128]
    folder = tiny_folder(tmp_path / "theirs", "d_fine")
    pretrained = query_source(str(folder))
    assert size_for(pretrained, data, None) == list(SQUARE)
    odd = dataclasses.replace(pretrained, preprocess=Preprocess((70, 90)))
    assert size_for(odd, data, None) == [64, 96]
    assert isinstance(pretrained, QuerySource)
    assert read_folder(folder).block == 32


def test_what_may_not_or_cannot_be_used_is_told_before_anything_is_read(tmp_path: Path) -> None:
    data = boxed_set(4, 2, 2)
    with pytest.raises(LicenceError, match="rf-detr-large"):
        run(data, tmp_path / "a", TrainConfig(backbone="rf-detr-xl"))
    folder = tiny_folder(tmp_path / "theirs", "d_fine")
    with pytest.raises(LicenceError, match="unknown"):
        run(data, tmp_path / "b", TrainConfig(backbone=str(folder), commercial=True))
    plain = dataclasses.replace(data, annotation_type="labels")
    with pytest.raises(UsageError, match="whole detector"):
        run(plain, tmp_path / "c", TrainConfig(backbone="dfine-s"))
