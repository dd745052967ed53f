"""A model that claims too much elsewhere learns what it knows there, and the network stays the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import make_folder, make_picture

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.engine.calibrate import calibrate
from photovision.engine.load import load
from photovision.engine.train import train
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.metrics.calibrate import fit_class_shift


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    folder = make_folder(tmp_path_factory.mktemp("shapes"), per_class=90, size=32)
    return train(folder, tmp_path_factory.mktemp("models") / "shapes", weights="none", epochs=12)


def elsewhere(count: int = 120) -> Dataset:
    """Shapes seen by a camera of another white balance."""
    pictures = [np.asarray(make_picture(i % 2, 32, 700_000 + i)) * [1.2, 0.6, 0.3] for i in range(count)]
    cast = [np.clip(picture, 0, 255).astype(np.uint8) for picture in pictures]
    return dataset_from_arrays(cast, ["circle" if i % 2 == 0 else "square" for i in range(count)])


def test_limits_hold_again_where_the_pictures_differ(model: Recognizer, tmp_path: Path) -> None:
    report = calibrate(model, elsewhere(), tmp_path / "here")
    before, after = report.data["before"], report.metrics
    assert before["false_alarms"]["value"] > 0.3
    assert after["false_alarms"].value < 0.1
    assert abs(after["coverage"].value - 0.95) <= abs(before["coverage"]["value"] - 0.95) + 0.02
    again = load(tmp_path / "here")
    fresh = [sample.image for sample in elsewhere().samples]
    assert sum(answer.known is False for answer in again.predict(fresh)) < 0.1 * len(fresh)  # type: ignore[union-attr]


def test_only_temperature_and_class_shift_change_in_the_graph(model: Recognizer, tmp_path: Path) -> None:
    report = calibrate(model, elsewhere(), tmp_path / "here")
    exact, again = (load(path, precision="f32") for path in (model.bundle.path, tmp_path / "here"))
    images = np.stack([sample.image for sample in elsewhere(20).samples])
    first, second = exact.session.run(images), again.session.run(images)
    moved = first["logits"] + np.float32(report.data["class_shift"])
    assert np.allclose(moved, second["logits"], atol=1e-4)
    scaled = moved / again.info["temperature"]
    expected = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
    assert np.allclose(second["probs"], expected, atol=1e-4)
    assert again.info["temperature"] != exact.info["temperature"]


def test_its_own_kind_of_pictures_changes_little(model: Recognizer, tmp_path: Path) -> None:
    same = read_dataset(make_folder(tmp_path / "same", per_class=60, size=32, seed=9))
    report = calibrate(model, same, tmp_path / "here")
    assert abs(report.metrics["coverage"].value - report.data["before"]["coverage"]["value"]) < 0.1


def test_another_mix_of_classes_is_corrected_and_the_same_one_left_alone() -> None:
    rng = np.random.default_rng(0)

    def place(share: float, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Logits that are calibrated where half of the pictures are positive."""
        truth = (rng.random(n) < share).astype(np.int64)
        score = rng.normal(2 * truth - 1, 1, n) * 2
        return np.stack([np.zeros(n), score], axis=1).astype(np.float32), truth

    logits, truth = place(0.12, 200)
    shift = fit_class_shift(logits, truth)
    assert -2.6 < shift[1] - shift[0] < -1.4  # the log of .12 / .88 is -2.0
    new, there = place(0.12, 4000)
    stated = 1 / (1 + np.exp(-(new[:, 1] + shift[1] - shift[0])))
    assert abs(stated.sum() / there.sum() - 1) < 0.15
    assert sum(fit_class_shift(*place(0.5, 200)).any() for _ in range(20)) <= 2


def test_its_own_training_pictures_teach_it_nothing(model: Recognizer, tmp_path: Path) -> None:
    """Neither under their own names nor under others; its test pictures alone are too few here."""
    own = read_dataset(make_folder(tmp_path / "shapes", per_class=90, size=32))
    for data in (own, replace(own, samples=tuple(replace(s, id=f"x/{s.id}") for s in own.samples[::-1]))):
        with pytest.raises(DataError, match="at least 50 readable labelled pictures, got 2"):
            calibrate(model, data, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_what_cannot_be_done_is_said(model: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 50"):
        calibrate(model, elsewhere(30), tmp_path / "here")
    with pytest.raises(UsageError, match="choose another folder"):
        calibrate(model, elsewhere(), model.bundle.path)
    strange = dataset_from_arrays(np.zeros((60, 8, 8, 3), np.uint8), ["circle", "star"] * 30)
    with pytest.raises(DataError, match="'star'"):
        calibrate(model, strange, tmp_path / "here")
    older = Recognizer(type(model.bundle)(model.bundle.path, {**model.info, "doubt": None}))
    with pytest.raises(ModelError, match="train it again"):
        calibrate(older, elsewhere(), tmp_path / "here")
    assert not (tmp_path / "here").exists()
