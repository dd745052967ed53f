"""PhotoClassifier behaves like an estimator of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError

from photovision.core.errors import UsageError
from photovision.tasks.estimator import PhotoClassifier
from photovision.tasks.recognizer import load


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey circles (label 10) and stripes (label 7)."""
    images = [np.asarray(make_picture(kind, 32, seed).convert("L")) for seed in range(count) for kind in (0, 4)]
    return np.stack(images), np.array([10, 7] * count)


def test_parameters_are_read_set_and_cloned() -> None:
    estimator = PhotoClassifier(minutes=3, backbone="resnet18", seed=4)
    assert estimator.get_params() == {"minutes": 3, "backbone": "resnet18", "weights": "auto", "size": None, "seed": 4}
    assert clone(estimator).set_params(minutes=1).minutes == 1
    assert is_classifier(estimator)


def test_unfitted_estimators_say_so(tmp_path: Path) -> None:
    images, labels = pictures(1)
    for call in (
        lambda e: e.predict(images),
        lambda e: e.predict_proba(images),
        lambda e: e.score(images, labels),
        lambda e: e.save(tmp_path / "model"),
    ):
        with pytest.raises(NotFittedError):
            call(PhotoClassifier())


@pytest.mark.parametrize(
    ("labels", "dtype"), [([1, 2], "uint8"), (["1", " 1", "2", "2"], "uint8"), ([1, 2, 1, 2], "float32")]
)
def test_wrong_input_is_refused(labels: list[object], dtype: str) -> None:
    with pytest.raises(UsageError):
        PhotoClassifier().fit(np.zeros((4, 8, 8), dtype), labels)


@pytest.mark.slow
def test_fit_predict_score_and_save(tmp_path: Path) -> None:
    images, labels = pictures(16)
    estimator = PhotoClassifier(minutes=0.05, weights="none").fit(images, labels)
    assert estimator.classes_.tolist() == [7, 10]
    probs = estimator.predict_proba(images)
    assert probs.shape == (32, 2)
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)
    said = estimator.predict(images)
    assert said.dtype == labels.dtype
    assert estimator.score(images, labels) == (said == labels).mean()
    estimator.save(tmp_path / "model")
    colour = np.stack([images[0]] * 3, axis=2)
    np.testing.assert_allclose(load(tmp_path / "model").predict(colour).probs, probs[0], atol=2e-2)
    folder = estimator.model_.bundle.path
    del estimator
    assert not folder.exists()
