"""PhotoClassifier behaves like an estimator of scikit-learn."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from colours import colour_bundle, colour_picture
from pictures import make_picture
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.types import Sample
from photovision.engine.feature_cache import FeatureCache, digest_of
from photovision.engine.load import load
from photovision.runtime.bundle import read_bundle, unpacked
from photovision.tasks.classify.estimator import PhotoClassifier
from photovision.tasks.classify.recognizer import Recognizer


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey circles (label 10) and stripes (label 7)."""
    images = [np.asarray(make_picture(kind, 32, seed).convert("L")) for seed in range(count) for kind in (0, 4)]
    return np.stack(images), np.array([10, 7] * count)


def test_parameters_are_read_set_and_cloned() -> None:
    estimator = PhotoClassifier(minutes=3, backbone="resnet18", seed=4)
    chosen = {"minutes": 3, "backbone": "resnet18", "weights": "auto", "size": None, "seed": 4, "proof": True}
    assert estimator.get_params() == chosen
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
    ("labels", "pictures"),
    [
        ([1, 2], np.zeros((4, 8, 8), np.uint8)),
        (["1", " 1", "2", "2"], np.zeros((4, 8, 8), np.uint8)),
        ([1, 2, 1, 2], np.full((4, 8, 8), 200, np.float32)),
        ([1, 2, 1, 2], np.zeros((4, 8, 8), np.int32)),
        ([1, 2, 1, 2], [None] * 4),
        ([1, 2, 1, 2], None),
    ],
)
def test_wrong_input_is_refused(labels: list[object], pictures: Any) -> None:
    with pytest.raises(UsageError):
        PhotoClassifier().fit(pictures, labels)


@pytest.fixture
def fitted(tmp_path: Path) -> PhotoClassifier:
    """As after `fit`, without the minutes: it tells red (7), green (8) and blue (9) apart."""
    estimator = PhotoClassifier()
    estimator.model_ = Recognizer(unpacked(read_bundle(colour_bundle(tmp_path / "model")).files()))
    estimator.classes_ = np.array([7, 8, 9])
    shutil.rmtree(tmp_path / "model")
    return estimator


def test_one_picture_gets_one_answer_and_many_get_many(fitted: PhotoClassifier, tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    colour_picture("green").save(file)
    for one in (str(file), file, file.read_bytes(), colour_picture("green"), np.asarray(colour_picture("green")) / 255):
        assert fitted.predict(one) == 8
        assert fitted.predict_proba(one).shape == (3,)
        assert fitted.predict([one, one]).tolist() == [8, 8]
    paths = (path for path in [file, file])
    assert fitted.predict(paths).tolist() == [8, 8]
    assert fitted.score(iter([file, colour_picture("red")]), [8, 7]) == 1
    assert fitted.predict_proba([]).shape == (0, 3)
    assert fitted.predict(np.zeros((3, 8, 8), np.uint8)).shape == (3,)  # grey ones in a stack
    with pytest.raises(UsageError, match="is a folder"):
        fitted.predict(tmp_path)
    with pytest.raises(UnreadableImage, match="picture 2"):
        fitted.predict([file, b"no picture"])


@pytest.mark.parametrize("used", [False, True])
def test_a_fitted_estimator_travels_whole(fitted: PhotoClassifier, tmp_path: Path, used: bool) -> None:
    picture = np.asarray(colour_picture("blue"))
    if used:
        fitted.predict(picture)
    joblib.dump(fitted, tmp_path / "kept.joblib")
    twin = copy.deepcopy(fitted)
    assert twin.predict(picture) == 9
    code = "import joblib, sys, PIL.Image; print(joblib.load(sys.argv[1]).predict(PIL.Image.open(sys.argv[2])))"
    colour_picture("blue").save(tmp_path / "blue.png")
    command = [sys.executable, "-c", code, str(tmp_path / "kept.joblib"), str(tmp_path / "blue.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "9", done.stderr


def test_the_model_outlives_its_estimator(fitted: PhotoClassifier) -> None:
    model = fitted.model_
    del fitted
    gc.collect()
    assert model.predict(colour_picture("red")).label == "red"


@pytest.mark.slow
def test_it_works_inside_searches_and_pipelines(tmp_path: Path) -> None:
    images, labels = pictures(12)
    files = []
    for number, image in enumerate(images):
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(image).save(files[-1])
    whole = make_pipeline(FunctionTransformer(), PhotoClassifier(minutes=0.05, weights="none"))
    search = GridSearchCV(whole, {"photoclassifier__seed": [3]}, cv=2).fit(files, labels)
    assert search.best_estimator_.predict(files[:3]).shape == (3,)
    assert 0 <= search.best_score_ <= 1


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


def test_a_search_needs_neither_an_export_nor_a_test(tmp_path: Path) -> None:
    images, labels = pictures(12)
    estimator = PhotoClassifier(minutes=0.02, weights="none", proof=False).fit(images, labels)
    probs = estimator.predict_proba(images)
    assert probs.shape == (24, 2)
    assert probs.sum(1) == pytest.approx(1, abs=1e-5)
    assert estimator.predict(images[0]) in (7, 10)
    again = pickle.loads(pickle.dumps(estimator))  # noqa: S301 - our own
    assert np.array_equal(again.predict_proba(images), probs)
    with pytest.raises(UsageError, match="cannot be saved: fit it again with proof=True"):
        estimator.save(tmp_path / "model")


def test_features_are_kept_between_fits_up_to_a_limit() -> None:
    made: list[str] = []
    cache = FeatureCache(most_bytes=100)

    def make() -> str:
        made.append("session")
        return "session"

    assert [cache.session(("a", 1), make) for _ in range(2)] == ["session"] * 2
    assert made == ["session"]
    rows = np.ones(10, np.float32)  # 40 bytes
    for key in ("a", "b", "c"):
        assert cache.get(key) is None
        cache.put(key, {"features": rows})
        cache.get("a" if key == "b" else key)
    rows[:] = 0
    assert cache.get("b") is None, "the least recently used one went first"
    kept = cache.get("a")
    assert kept is not None
    assert kept["features"].tolist() == [1] * 10


def test_pictures_are_known_again_by_their_content(tmp_path: Path) -> None:
    images, _ = pictures(1)
    colour = np.dstack([images[0]] * 3)
    same, other = Sample("a", colour), Sample("b", colour.copy())
    assert digest_of(same) == digest_of(other)
    assert digest_of(same) != digest_of(Sample("a", colour[::-1].copy()))
    Image.fromarray(colour).save(tmp_path / "a.png")
    assert digest_of(Sample("x", tmp_path / "a.png")) == digest_of(Sample("y", tmp_path / "a.png"))
