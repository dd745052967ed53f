"""A model is adapted to a place by pictures without labels where that helps, and left alone where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gratings import CLASSES, bundle, gratings, labelled
from PIL import Image

import photovision as pv
from photovision.core.errors import DataError, ExportError, ModelError, UsageError
from photovision.data.dataset import Dataset
from photovision.models.export import Decider, export_graph
from photovision.models.load_network import trained_network
from photovision.runtime.bundle import Bundle
from photovision.runtime.validation import VALIDATION_FILE
from photovision.tasks.classify.evaluation import evaluate
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.refit import refit

HEAVY = (0.9, 0.05, 0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    found = pv.load(bundle(tmp_path_factory.mktemp("models") / "gratings"), precision="f32")
    assert isinstance(found, Recognizer)
    return found


def accuracy(model: Recognizer, pictures: list[np.ndarray], labels: list[str]) -> float:
    answers = model.predict(pictures)
    assert isinstance(answers, list)
    return float(np.mean([answer.label == label for answer, label in zip(answers, labels, strict=True)]))


def dimmed(pictures: list[np.ndarray]) -> list[np.ndarray]:
    return [(0.6 * picture + 60).astype(np.uint8) for picture in pictures]


def test_a_planted_mix_of_classes_is_found_and_corrected(model: Recognizer, tmp_path: Path) -> None:
    for number, picture in enumerate(gratings(200, 10, HEAVY)[0]):
        (tmp_path / "place").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "place" / f"{number}.png")
    (tmp_path / "place" / "broken.png").write_bytes(b"no picture")
    report = pv.adapt(model, tmp_path / "place", tmp_path / "here")
    assert "'broken.png'" in report.warnings[0]
    assert [step["taken"] for step in report.data["steps"][:2]] == [False, True]
    adapted = pv.load(tmp_path / "here", precision="f32")
    rest = gratings(400, 11, HEAVY)
    assert accuracy(adapted, *rest) >= accuracy(model, *rest) + 0.02
    assert adapted.info["adapted"]["steps"] == [step["name"] for step in report.data["steps"] if step["taken"]]
    assert adapted.info["class_mix"][0] > 0.5
    assert "adapted to 200 unlabelled pictures" in adapted.info["warnings"][-1]
    assert report.metrics["expected_accuracy_after"].n == 200
    for answer in adapted.predict(rest[0][:50]):
        assert answer.label in answer.prediction_set or answer.known is False


def test_the_weights_for_torch_say_what_the_graph_says(model: Recognizer, tmp_path: Path) -> None:
    import torch

    from photovision.tasks.classify.network import network

    pictures, _ = gratings(200, 10, HEAVY)
    pv.adapt(model, pictures, tmp_path / "here")
    adapted = pv.load(tmp_path / "here", precision="f32")
    with torch.no_grad():
        probs = network(adapted.bundle)(torch.from_numpy(np.stack(pictures[:20])))[0].numpy()
    assert np.allclose(probs, adapted.session.run(np.stack(pictures[:20]))["probs"], atol=1e-3)


def test_the_usual_pictures_change_nothing(model: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nothing was written") as caught:
        pv.adapt(model, gratings(200, 12)[0], tmp_path / "here", labelled=labelled(150, 13))
    assert "class mix" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_another_brightness_is_undone_by_normalisation(model: Recognizer, tmp_path: Path) -> None:
    pictures, _ = gratings(150, 14)
    report = pv.adapt(model, dimmed(pictures), tmp_path / "here", labelled=labelled(200, 15))
    assert report.data["steps"][0]["taken"]
    adapted = pv.load(tmp_path / "here", precision="f32")
    rest, labels = gratings(300, 16)
    assert accuracy(adapted, dimmed(rest), labels) >= accuracy(model, dimmed(rest), labels) + 0.1


@pytest.fixture(scope="module")
def several(model: Recognizer, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """The same network with a probability for each label."""
    folder = tmp_path_factory.mktemp("models") / "several"
    model.save(folder)
    known = Bundle(folder, {**model.info, "multilabel": True, "thresholds": [0.5] * 3})
    decider = Decider(trained_network(known), known.preprocess, 1.5, True)
    export_graph(decider, known.preprocess.size, decider.outputs, known.graph)
    info = {**known.info, **refit(known, *(of_several(count, seed) for count, seed in ((200, 1), (400, 2), (60, 3))))}
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    found = pv.load(folder, precision="f32")
    assert isinstance(found, Recognizer)
    return found


def of_several(count: int, seed: int, dim: bool = False) -> Dataset:
    found = replace(labelled(count, seed), multilabel=True)
    images = [np.asarray(sample.image) for sample in found.samples]
    shown = zip(found.samples, dimmed(images) if dim else images, strict=True)
    return replace(found, samples=tuple(replace(sample, image=image) for sample, image in shown))


def test_a_classifier_of_several_labels_is_adapted_by_its_normalisation(several: Recognizer, tmp_path: Path) -> None:
    report = pv.adapt(several, of_several(150, 14, dim=True), tmp_path / "here", labelled=of_several(200, 15))
    assert [step["taken"] for step in report.data["steps"]] == [True, False, False]
    held_out = report.metrics["held_out_score_before"], report.metrics["held_out_score_after"]
    assert held_out[1].value > held_out[0].value + 0.05
    adapted, rest = pv.load(tmp_path / "here", precision="f32"), of_several(300, 16, dim=True)
    assert evaluate(adapted, rest).score().mean() > evaluate(several, rest).score().mean() + 0.05
    assert adapted.info["adapted"]["steps"] == ["normalisation statistics"]


def test_a_classifier_of_several_labels_is_left_alone_where_nothing_changed(
    several: Recognizer, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"nothing is gained beyond chance.*their shares are no mix"):
        pv.adapt(several, of_several(150, 14), tmp_path / "here", labelled=of_several(200, 15))
    with pytest.raises(ExportError, match=r"--labelled"):
        pv.adapt(several, of_several(40, 14), tmp_path / "here")
    assert not any(tmp_path.iterdir())


def test_without_labelled_pictures_the_network_stays_as_it_is(model: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--labelled"):
        pv.adapt(model, dimmed(gratings(60, 14)[0]), tmp_path / "here")


def test_what_cannot_be_done_is_said(model: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 30 readable pictures"):
        pv.adapt(model, gratings(20, 17)[0], tmp_path / "here")
    with pytest.raises(UsageError, match="choose another folder"):
        pv.adapt(model, gratings(40, 17)[0], model.bundle.path)
    odd = Recognizer(Bundle(model.bundle.path, {**model.info, "class_mix": [0.5, 0.5]}))
    with pytest.raises(ModelError, match="damaged"):
        pv.adapt(odd, gratings(40, 17)[0], tmp_path / "here")
    model.save(tmp_path / "older")
    (tmp_path / "older" / VALIDATION_FILE).unlink()
    with pytest.raises(ModelError, match="train or calibrate it again"):
        pv.adapt(tmp_path / "older", gratings(40, 17)[0], tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_an_odd_class_mix_is_refused_when_the_bundle_is_opened(model: Recognizer, tmp_path: Path) -> None:
    model.save(tmp_path / "odd")
    info = json.loads((tmp_path / "odd" / "bundle.json").read_text(encoding="utf-8"))
    (tmp_path / "odd" / "bundle.json").write_text(json.dumps({**info, "class_mix": ["a"] * len(CLASSES)}))
    with pytest.raises(ModelError, match="class_mix"):
        pv.load(tmp_path / "odd")
