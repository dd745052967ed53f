"""A detector is trained, proved, written and opened."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from accelerate import Accelerator
from boxed import CLASSES, boxed_samples, boxed_set
from safetensors.torch import load_file, save_file

from photovision.core.errors import DataError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.data.augment.box import BoxAugmenter
from photovision.data.augment.image import Augment
from photovision.engine.load import load
from photovision.engine.train import run
from photovision.engine.train_config import TrainConfig
from photovision.learn.boxes import BoxFeed
from photovision.learn.loop import FitResult, RunContext, fit
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, create
from photovision.models.detector import DetectorNetwork
from photovision.models.export import Normalise
from photovision.runtime.held_out import read_held_out
from photovision.runtime.neighbours import read_references
from photovision.tasks.detect import detector as runtime
from photovision.tasks.detect.learn import input_size
from photovision.tasks.detect.objective import DetectObjective

PREPROCESS = Preprocess((64, 96))
STILL = BoxAugmenter(Augment(scale=1, ratio=1, flip=False, jitter=0))
PLAN = Plan(40, 8, lr=4e-3, weight_decay=0.0, train_norm=True, clip=5.0, validate_every=40)


def learned(plan: Plan, setting: RunContext, view: BoxAugmenter = STILL) -> FitResult:
    torch.manual_seed(0)
    network = DetectorNetwork(Backbone("test_resnet", "none", PREPROCESS), len(CLASSES))
    feed = BoxFeed(boxed_samples(16), PREPROCESS, view, 2)
    return fit(
        network, DetectObjective(len(CLASSES), PREPROCESS.size), plan, feed, feed, Normalise(PREPROCESS), setting
    )


def test_a_tiny_detector_learns_sixteen_pictures_by_heart() -> None:
    assert learned(PLAN, RunContext(Accelerator(cpu=True))).score.value > 0.5


def test_interrupted_and_resumed_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    plan, view = dataclasses.replace(PLAN, epochs=4, batch_size=4, validate_every=1), BoxAugmenter(Augment(scale=0.5))
    whole = learned(plan, RunContext(Accelerator(cpu=True)), view)
    count = {"steps": 0}

    def stop(progress: object) -> None:
        count["steps"] += 1
        if count["steps"] == 10:
            raise RuntimeError("killed")

    setting = RunContext(Accelerator(cpu=True), checkpoint=tmp_path / "checkpoint.pt")
    with pytest.raises(RuntimeError, match="killed"):
        learned(plan, dataclasses.replace(setting, listener=stop), view)
    resumed = learned(plan, setting, view)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)


def test_the_whole_way_to_a_detector(tmp_path: Path) -> None:
    data, output = boxed_set(16, 6, 6), tmp_path / "model"
    options = TrainConfig(minutes=1, backbone="test_resnet", weights="none", size=128, epochs=2)
    made = run(data, output, options)
    assert isinstance(made, runtime.Detector)
    assert not (tmp_path / ".model.work").exists()
    opened = load(output)
    found = opened.predict(np.asarray(data.samples[0].image))
    assert found.classes == CLASSES
    assert {"map", "map50", "f1", "count_error"} <= set(opened.info["metrics"])
    assert opened.info["rungs"][0]["test"]["value"] == opened.info["metrics"]["map"]["value"]
    assert tuple(opened.info["preprocess"]["size"]) == (96, 128)
    outputs = opened.session.run(opened.input_of(np.asarray(data.samples[0].image))[0][None])
    assert np.linalg.norm(outputs["embedding"]) == pytest.approx(1, abs=0.01)
    references = read_references(output)
    assert references is not None
    assert references.embeddings.shape == (opened.info["data"]["counts"]["train"], outputs["embedding"].shape[1])
    assert read_held_out(output) is not None
    assert (output / "report.html").is_file()
    card = (output / "README.md").read_text()
    assert f"# {output.name}: detector, made with Photovision" in card
    assert "### By class" in card
    assert "to train and judge a detector of" in (output / "DATASHEET.md").read_text()


def test_what_a_detector_cannot_learn_from_is_told(tmp_path: Path) -> None:
    data = boxed_set(4, 2, 2)
    bare = tuple(dataclasses.replace(sample, annotations=None) for sample in data.samples)
    with pytest.raises(DataError, match="boxes"):
        run(dataclasses.replace(data, samples=bare), tmp_path / "a", TrainConfig())
    with pytest.raises(UsageError, match="does not accept 'robust'"):
        run(data, tmp_path / "b", TrainConfig(robust=("blur",)))


def test_the_input_has_the_pictures_proportions_and_room_for_small_objects() -> None:
    data = boxed_set(6, 1, 1)
    assert input_size(data, 128) == [96, 128]
    assert input_size(data, None) == [96, 128]  # not larger than the pictures


def test_in_a_short_training_the_backbone_stays_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(1)
    start = create(Backbone("test_resnet", "none", PREPROCESS), 2)
    save_file(start.state_dict(), tmp_path / "start.safetensors")
    options = TrainConfig(minutes=0.1, backbone="test_resnet", weights=str(tmp_path / "start.safetensors"), size=64)
    made = run(boxed_set(16, 6, 6), tmp_path / "model", options)
    assert "frozen backbone" in made.info["rungs"][0]["note"]
    assert [one["stage"] for one in made.info["training"]["not_tried"]] == [
        "learning the backbone's upper stages, on larger inputs"
    ]
    learned_network = load_file(tmp_path / "model" / "model.safetensors")
    started = DetectorNetwork(Backbone("test_resnet", options.weights, PREPROCESS), 1).state_dict()
    frozen = [name for name in started if name.startswith(("lower.", "upper.stages."))]
    assert frozen
    assert all(torch.equal(learned_network[name], started[name]) for name in frozen)
    # The graph, put together of two, decides like the network whose weights lie beside it.
    assert made.info["parity"]["max_abs_prob_difference"] < 1e-3
    constants = {constant.name for constant in onnx.load(tmp_path / "model" / "model.onnx").graph.initializer}
    assert {"slope", "shift"} <= constants  # by which `calibrate` finds them
    assert {"boxes", "scores", "embedding"} == set(made.session.run(np.zeros((1, 64, 64, 3), np.uint8)))


def test_the_first_of_the_views_that_come_again_shows_pictures_as_they_are() -> None:
    feed = BoxFeed(boxed_samples(4), PREPROCESS, BoxAugmenter(Augment(scale=0.5), mosaic=0.5), 2)
    feed.views, feed.plain = 2, True
    rows = np.arange(4)
    still, varied = feed.take(rows, 0, 0), feed.take(rows, 1, 0)
    assert torch.equal(still, feed.take(rows, -1, 0))
    assert not torch.equal(still, varied)
    assert torch.equal(still, feed.take(rows, 2, 0))
    assert np.array_equal(feed.truth(rows, 0, 0), feed.targets[rows])
    assert feed.truth(rows, 1, 0).tolist() != feed.truth(rows, 0, 0).tolist()
