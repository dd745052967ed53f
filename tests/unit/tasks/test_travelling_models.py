"""Models travel: into pickles and copies, into other processes and threads, used or not."""

from __future__ import annotations

import copy
import gc
import json
import multiprocessing
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clicker import clicker_bundle
from colours import add_doubt, colour_bundle, colour_picture
from painter import painter_bundle
from spotter import scene, spotter_bundle

import photovision as pv
from photovision.core.errors import ModelError
from photovision.runtime.bundle import read_bundle, unpacked
from photovision.runtime.held_out import HELD_OUT_FILE
from photovision.runtime.neighbours import REFERENCES_FILE
from photovision.runtime.training_images import TRAINING_IMAGES_FILE
from photovision.runtime.uncertainty import GATE_FILE
from photovision.runtime.validation import VALIDATION_FILE

PIXELS = scene((64, 96), [("red", (16, 16, 48, 48))])
MAKERS = {"classify": colour_bundle, "detect": spotter_bundle, "segment": painter_bundle, "cut": clicker_bundle}


def answer(model: Any) -> list[float]:
    """The model's answer to one picture, as numbers."""
    if hasattr(model, "embed"):
        embedding = model.embed(PIXELS)
        cut = model.cut(embedding, np.float32([[30, 30]]), np.array([True]))
        return [float(cut.mask.sum()), cut.score]
    found = model.predict(PIXELS)
    if isinstance(found, pv.Classes):
        return found.probs.tolist()
    if isinstance(found, pv.Detections):
        return [*found.boxes.ravel().tolist(), *found.scores.tolist()]
    return np.bincount(found.labels.ravel()).tolist()


def restored(kept: bytes) -> Any:
    """What a pickle of our own holds."""
    return pickle.loads(kept)  # noqa: S301


@pytest.fixture(params=MAKERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A model of each task."""
    bundle = MAKERS[request.param](tmp_path / "model")
    if request.param == "classify":
        add_doubt(bundle)
    return pv.load(bundle)


@pytest.mark.parametrize("used", [False, True])
def test_pickled_and_copied_whether_or_not_it_has_answered(model: Any, used: bool) -> None:
    if used:
        answer(model)
    for other in (restored(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert answer(other) == answer(model)
        assert other.classes == model.classes
        assert repr(other) == repr(model)


@pytest.mark.parametrize("way", ["spawn", "forkserver", "fork"])
def test_other_processes_answer_alike(tmp_path: Path, way: str) -> None:
    models = [pv.load(make(tmp_path / name)) for name, make in MAKERS.items()]
    wanted = [answer(model) for model in models]
    with multiprocessing.get_context(way).Pool(2) as pool:
        assert pool.map(answer, models, chunksize=1) == wanted
        assert pool.map(answer, models, chunksize=1) == wanted  # the processes have engines of their own by now


def test_joblib(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    model = pv.load(colour_bundle(tmp_path / "model"))
    wanted = answer(model)
    joblib.dump(model, tmp_path / "kept.joblib", compress=3)
    assert answer(joblib.load(tmp_path / "kept.joblib")) == wanted
    with joblib.parallel_config("loky", n_jobs=2):
        assert joblib.Parallel()(joblib.delayed(answer)(model) for _ in range(4)) == [wanted] * 4


def test_threads_share_one_model(model: Any) -> None:
    wanted = answer(model)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: answer(model), range(64))) == [wanted] * 64


def test_a_pickle_is_small_and_says_when_its_model_has_gone_or_changed(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path / "model")
    kept = pickle.dumps(pv.load(bundle))
    assert len(kept) < 5_000
    other = colour_bundle(tmp_path / "other", ("blue", "green", "red"))
    shutil.copy(bundle / "model.onnx", tmp_path / "graph")
    shutil.copy(other / "model.onnx", bundle / "model.onnx")
    with pytest.raises(ModelError, match="another model than the one that was pickled"):
        restored(kept)
    shutil.copy(tmp_path / "graph", bundle / "model.onnx")
    assert answer(restored(kept)) == answer(pv.load(bundle))
    shutil.rmtree(bundle)
    with pytest.raises(ModelError, match="a pickled model stays where its files are, but no model at"):
        restored(kept)


def test_a_model_whose_files_changed_since_it_was_opened_is_not_pickled(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path / "model")
    model = pv.load(bundle)
    info = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(info | {"classes": ["a", "b", "c"]}))
    with pytest.raises(ModelError, match="has changed since it was opened"):
        pickle.dumps(model)


def test_a_pickle_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colour_bundle(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    kept = pickle.dumps(pv.load("model"))
    monkeypatch.chdir("/")
    assert restored(kept).predict(np.asarray(colour_picture("red"))).label == "red"


def test_a_model_of_its_own_takes_its_files_along(tmp_path: Path) -> None:
    source = add_doubt(colour_bundle(tmp_path / "model")) or tmp_path / "model"
    model = pv.Recognizer(unpacked(read_bundle(source).files()))
    shutil.rmtree(source)
    wanted = answer(model)
    kept, here = pickle.dumps(model), model.bundle.path
    del model
    gc.collect()
    assert not here.exists()
    again = restored(kept)
    assert answer(again) == wanted
    again.save(tmp_path / "saved")
    assert (tmp_path / "saved").stat().st_mode & 0o055 == 0o055  # as every saved model
    assert answer(pv.load(tmp_path / "saved")) == wanted
    twin = copy.deepcopy(again)
    del again
    gc.collect()
    assert answer(twin) == wanted


def forked(model: Any) -> list[float]:
    found = answer(model)
    del model
    gc.collect()
    return found


def test_a_forked_process_leaves_the_files_of_its_parent(tmp_path: Path) -> None:
    model = pv.Recognizer(unpacked(read_bundle(colour_bundle(tmp_path / "model")).files()))
    wanted = answer(model)
    for way in ("fork", "spawn"):
        with multiprocessing.get_context(way).Pool(1) as pool:
            assert pool.apply(forked, (model,)) == wanted
    assert model.bundle.path.is_dir()
    assert answer(copy.copy(model)) == wanted


def test_a_copy_of_a_model_is_replaced_by_the_next_one_with_every_file_that_a_bundle_may_hold(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path / "model")
    for name in (GATE_FILE, REFERENCES_FILE, HELD_OUT_FILE, VALIDATION_FILE, TRAINING_IMAGES_FILE):
        (bundle / name).touch()
    model = pv.Recognizer(read_bundle(bundle))
    for _ in range(2):
        model.save(tmp_path / "copy")
    assert (tmp_path / "copy" / TRAINING_IMAGES_FILE).is_file()
