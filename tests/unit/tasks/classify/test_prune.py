"""Pruning: fewer channels, taught by the whole network, and a bundle that is built again without pickle."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from teachers import job, teacher

from photovision.core.errors import MissingExtra, ModelError, UsageError
from photovision.engine.load import load
from photovision.models.backbones import count_parameters
from photovision.models.export import Normalise
from photovision.models.load_network import trained_network
from photovision.models.pruned_shapes import resize, widths_of
from photovision.runtime.bundle import read_bundle
from photovision.tasks.classify.prune import narrowed, prune, pruner
from photovision.tasks.classify.recognizer import Recognizer


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return teacher(tmp_path_factory.mktemp("small") / "model", "small_resnet", 24, steps=70)


@pytest.mark.slow
def test_a_pruned_model_is_smaller_and_still_recognises(
    small: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch_pruning")
    speeds = iter([1.2, 1.9, 2.5])
    monkeypatch.setattr("photovision.tasks.classify.prune.speedup", lambda *_: next(speeds))
    monkeypatch.setattr("photovision.tasks.classify.prune.open_lesson", patient)
    step, said = job(small, tmp_path)
    prune(step)
    pruned = load(step.folder)
    told = pruned.info["pruned"]
    assert told["ratio"] == 0.5
    network = trained_network(pruned.bundle)
    assert count_parameters(network) == pruned.info["backbone"]["params"] < 0.4 * told["params_before"]
    assert not (step.folder / "config.json").exists()
    pixels = np.stack([np.asarray(sample.image) for sample in step.validation.samples])
    with torch.no_grad():
        expected = network(Normalise(pruned.preprocess)(torch.from_numpy(pixels))).numpy()
    answers = pruned.respond(step.validation)
    assert np.abs(answers.logits - expected).max() < 0.05 * np.abs(expected).max()
    assert (answers.probs.argmax(1) == step.validation.labels).mean() > 0.6
    assert pruned.doubt is not None
    assert pruned.references is not None
    assert "without 50% of its channels it is 2.5 times as fast" in said


def patient(step: object, name: str) -> object:
    """A lesson that goes on for a number of epochs instead of a time."""
    from photovision.tasks.classify.student import open_lesson

    lesson = open_lesson(step, name)  # type: ignore[arg-type]
    return replace(lesson, run=replace(lesson.run, config=replace(lesson.run.config, epochs=10)))


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
def test_architectures_of_timm_are_built_again_from_their_widths(name: str) -> None:
    library = pytest.importorskip("torch_pruning")
    network = timm.create_model(name, num_classes=4).eval()
    narrow = narrowed(library, network, (64, 64), 0.5).eval()
    assert count_parameters(narrow) < 0.4 * count_parameters(network)
    again = timm.create_model(name, num_classes=4).eval()
    resize(again, json.loads(json.dumps(widths_of(narrow))))
    again.load_state_dict(narrow.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    assert torch.equal(again(picture), narrow(picture))
    assert again.num_features == again.get_classifier().in_features


def test_a_bundle_with_impossible_widths_is_refused(small: Recognizer, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    small.save(folder)
    info = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    info["backbone"]["widths"] = {**widths_of(trained_network(small.bundle)), "stem.conv": [3, 10**12, 1]}
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(ModelError, match="impossible"):
        trained_network(read_bundle(folder))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(MissingExtra, match=r"install 'torch-pruning>=1.6'"):
        pruner()


def test_what_cannot_become_fast_enough_is_told(
    small: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch_pruning")
    monkeypatch.setattr("photovision.tasks.classify.prune.speedup", lambda *_: 1.3)
    with pytest.raises(UsageError, match=r"only 1\.3 times as fast"):
        prune(job(small, tmp_path)[0])
    assert not (tmp_path / "smaller").exists()
