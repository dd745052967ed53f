"""Distillation on small networks: the student learns to answer as the teacher does, and is a whole bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from teachers import job, shapes, teacher

from photovision.core.errors import ModelError, UsageError
from photovision.engine.load import load
from photovision.learn import checkpoint
from photovision.models.backbones import Backbone, create
from photovision.models.export import Normalise
from photovision.models.load_network import trained_network
from photovision.tasks.classify.candidates import find_candidates
from photovision.tasks.classify.distill import distill
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.scratch import scratch_plan
from photovision.tasks.classify.student import open_lesson, teach_whole

FILES = {"bundle.json", "model.onnx", "model.safetensors", "doubt.safetensors", "references.safetensors", "README.md"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return teacher(tmp_path_factory.mktemp("small") / "model", "small_resnet", 24, steps=70)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Speeds as if they had been measured, by the network's name."""
    speeds = {"small_resnet_wide": 0.4, "small_resnet": 1.0, "small_resnet_narrow": 1.9, "small_resnet_slim": 4.1}
    monkeypatch.setattr(
        "photovision.tasks.classify.candidates.speedup", lambda job, network, source: speeds[source.backbone]
    )
    return speeds


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return teacher(tmp_path_factory.mktemp("cut") / "model", "test_efficientnet", 96, steps=40)


def logits_of(network: torch.nn.Module, source: Backbone, first: int) -> np.ndarray:
    pixels = np.stack([np.asarray(sample.image) for sample in shapes(first, 30, source.preprocess.size[0]).samples])
    with torch.no_grad():
        found: np.ndarray = network.eval()(Normalise(source.preprocess)(torch.from_numpy(pixels))).numpy()
    return found


def test_a_student_comes_to_agree_with_its_teacher(small: Recognizer, tmp_path: Path) -> None:
    step, _ = job(small, tmp_path)
    lesson = open_lesson(step, "distill")
    lesson = replace(lesson, run=replace(lesson.run, config=replace(lesson.run.config, epochs=15)))
    torch.manual_seed(1)
    source = Backbone("small_resnet_slim", "none", small.preprocess)
    network = create(source, 3)
    said = logits_of(trained_network(small.bundle), source, 9000)
    before = logits_of(network, source, 9000)
    score, epochs = teach_whole(lesson, network, source, scratch_plan(lesson.run, source), pretrained=False)
    after = logits_of(network, source, 9000)
    agree = [(answers.argmax(1) == said.argmax(1)).mean() for answers in (before, after)]
    assert epochs == 15
    assert agree[1] > max(agree[0], 0.6)
    assert score.value > 0.6


def test_a_distilled_bundle_is_whole(small: Recognizer, tmp_path: Path) -> None:
    step, said = job(small, tmp_path, backbone="small_resnet_slim")
    assert distill(step) == step.folder
    assert {file.name for file in step.folder.iterdir()} >= FILES
    student = load(step.folder)
    told = student.info["distilled"]
    assert student.info["backbone"]["name"] == "small_resnet_slim"
    assert student.info["backbone"]["params"] < 100_000
    assert student.info["metrics"] == {}
    assert told["teacher"] == "small_resnet"
    assert told["val"]["n"] == 90
    assert student.doubt is not None
    assert student.references is not None
    network = trained_network(student.bundle)
    pixels = np.stack([np.asarray(sample.image) for sample in step.validation.samples])
    with torch.no_grad():
        expected = network(Normalise(student.preprocess)(torch.from_numpy(pixels))).numpy()
    assert np.abs(student.respond(step.validation).logits - expected).max() < 0.1
    assert "fitting confidence" in said
    assert not list(step.work.rglob("*.pt"))


@pytest.mark.slow
def test_a_network_that_can_be_cut_learns_above_the_cut_at_a_smaller_size(cut: Recognizer, tmp_path: Path) -> None:
    step, said = job(cut, tmp_path, backbone="test_efficientnet@64", minutes=0.7)
    distill(step)
    student = load(step.folder)
    assert student.preprocess.size == (64, 64)
    lower = {name: tensor for name, tensor in trained_network(cut.bundle).state_dict().items() if "blocks.0" in name}
    state = trained_network(student.bundle).state_dict()
    assert lower
    assert all(torch.equal(state[name], tensor) for name, tensor in lower.items())
    assert any("before it is taught" in line for line in said)
    answers = student.respond(step.validation).probs.argmax(1)
    assert (answers == step.validation.labels).mean() > 0.45


def test_the_search_takes_the_costliest_network_that_is_fast_enough(
    small: Recognizer, tmp_path: Path, quick: dict[str, float]
) -> None:
    step, said = job(small, tmp_path, backbone="auto")
    assert [one.source.backbone for one in find_candidates(step, 2.0)] == ["small_resnet_slim"]
    assert [one.source.backbone for one in find_candidates(step, 1.5)] == ["small_resnet_narrow"]
    assert "small_resnet: 1.0 times as fast" in said
    with pytest.raises(UsageError, match="5 times as fast"):
        find_candidates(step, 5.0)


def test_names_that_are_no_network_are_refused(small: Recognizer, tmp_path: Path) -> None:
    for name in ("no_such_network", "small_resnet@9", "small_resnet@x"):
        with pytest.raises(UsageError):
            find_candidates(job(small, tmp_path, backbone=name)[0], 2)


@pytest.mark.slow
def test_an_interrupted_step_leaves_no_bundle_and_goes_on_where_it_was(
    small: Recognizer, tmp_path: Path, quick: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, _ = job(small, tmp_path, backbone="small_resnet_slim")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("photovision.tasks.classify.student.export_graph", stop)
    with pytest.raises(KeyboardInterrupt):
        distill(step)
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    place = step.work / ".distill.work" / "checkpoint-student.pt"
    learned = checkpoint.load(place)
    with pytest.raises(KeyboardInterrupt):
        distill(step)
    again = checkpoint.load(place)
    assert learned is not None
    assert again is not None
    # Nothing was learned twice; where the clock had ended the first run, the second may have gone on.
    assert again["state"]["curve"][: len(learned["state"]["curve"])] == learned["state"]["curve"]


def test_a_teacher_without_weights_for_torch_is_told(
    small: Recognizer, tmp_path: Path, quick: dict[str, float]
) -> None:
    copy = tmp_path / "graph-only"
    small.save(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no network"):
        distill(job(load(copy), tmp_path, backbone="small_resnet_slim")[0])
    assert not (tmp_path / "smaller").exists()
