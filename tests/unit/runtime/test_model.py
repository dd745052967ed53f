"""OnnxModel: what opened models of all tasks have in common."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_bundle
from painter import painter_bundle
from spotter import spotter_bundle

import photovision as pv
from photovision.core.errors import UnreadableImage, UsageError
from photovision.runtime.model import OnnxModel

IMAGE = np.full((24, 32, 3), (250, 5, 5), np.uint8)
BUNDLES = {"classify": colour_bundle, "detect": spotter_bundle, "segment": painter_bundle}


@pytest.fixture(params=BUNDLES)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return pv.load(BUNDLES[request.param](tmp_path / "model"))


def test_results_name_the_file_and_say_why_there_is_no_prediction(model: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    broken, read = model.results([bad, IMAGE])
    assert broken.value is None
    assert isinstance(broken.error, UnreadableImage)
    assert broken.to_json() == {"file": str(bad), "error": "cannot be decoded (not a picture of a known format)"}
    assert read.error is None
    assert read.to_json() == {"file": None, **read.value.json_fields((24, 32))}


def test_predict_stream_and_results_agree(model: Any) -> None:
    alone = model.predict(IMAGE)
    (streamed,) = model.stream([IMAGE])
    (result,) = model.results([IMAGE])
    size = (24, 32)
    assert alone.json_fields(size) == streamed.json_fields(size) == result.value.json_fields(size)


def test_a_batch_has_at_least_one_image(model: Any) -> None:
    with pytest.raises(UsageError, match="batch_size should be a whole number of at least 1, got 0"):
        next(model.results([IMAGE], batch_size=0))


def test_what_is_not_images_is_refused_at_once(model: Any) -> None:
    for call in (model.predict, model.results, model.stream):
        with pytest.raises(UsageError):
            call(7)


def test_a_used_model_can_be_pickled_and_saved(model: Any, tmp_path: Path) -> None:
    size = (24, 32)
    wanted = model.predict(IMAGE).json_fields(size)
    assert "session" not in model.__getstate__()
    assert pickle.loads(pickle.dumps(model)).predict(IMAGE).json_fields(size) == wanted  # noqa: S301
    model.save(tmp_path / "copy")
    assert pv.load(tmp_path / "copy").predict(IMAGE).json_fields(size) == wanted


def test_options_of_a_prediction_leave_the_model_as_it_was(model: Any) -> None:
    assert isinstance(model, OnnxModel)
    assert model.with_options().session is model.session


def test_the_number_of_classes_in_json_is_an_option_of_a_classifier(tmp_path: Path) -> None:
    model = pv.load(colour_bundle(tmp_path / "model"))
    assert len(model.with_options(top=2).predict(IMAGE).to_json()["top"]) == 2
    assert len(model.predict(IMAGE).to_json()["top"]) == len(model.classes)
    assert len(model.predict(IMAGE).to_json(1)["top"]) == 1


def test_the_old_spelling_warns_and_answers(tmp_path: Path) -> None:
    model = pv.load(spotter_bundle(tmp_path / "model"))
    with pytest.warns(DeprecationWarning, match="results"):
        (result,) = model.see([IMAGE], tile=(16, 16))
    with pytest.warns(DeprecationWarning, match="value"):
        assert result.found is result.value


def test_people_see_the_classes_and_the_figures(model: Any) -> None:
    assert repr(model).startswith(type(model).__name__)
    assert f"{len(model.classes)} class" in model._repr_html_()
