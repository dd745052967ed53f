"""Explanations of a small real model: what the report tells, and that it needs no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from spots import SIDE, spot_box, spot_bundle, spot_picture

from photovision.core.errors import DataError, ModelError, UnreadableImage, UsageError
from photovision.core.page import to_html
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.explain import MAX_IMAGES, attribute, explain, explanations
from photovision.engine.load import load
from photovision.runtime.neighbours import NeighbourIndex, write_references
from photovision.tasks.classify.explain import heatmaps
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.explain.request import ExplainRequest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return load(spot_bundle(tmp_path_factory.mktemp("spots") / "model"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(spot_picture(0, 0, 2)).save(tmp_path / "red <spot>.png")
    return tmp_path / "red <spot>.png"


def test_the_report_tells_what_was_decided_by_and_whether_to_believe_it(model: Recognizer, picture: Path) -> None:
    report = explain(model, [picture, spot_picture(2, 3, 1)])
    assert report.kind == "explain"
    assert report.metrics["maps_that_hold"].n == 2
    assert report.metrics["maps_that_hold"].value == 1
    assert any("Method: class activation map" in sentence for sentence in report.summary)
    assert any("'red'" in sentence and "This heatmap can be trusted" in sentence for sentence in report.summary)
    first, second = report.to_json()["pictures"]
    heat = np.array(first["maps"][0]["heatmap"])
    assert heat.shape == (14, 14)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (row * 4 // 14, column * 4 // 14) == (0, 2)
    assert first["label"] == "red"
    assert second["picture"] == "picture 2"
    assert second["maps"][0]["test"]["verdict"] == "holds"
    json.dumps(report.to_json(), allow_nan=False)
    page = to_html(report)
    assert "red &lt;spot&gt;.png" in page
    assert page.count("data:image/jpeg") == 4  # of each picture its pixels and its map


def test_what_the_assessment_says_of_a_single_picture_is_not_said_again(model: Recognizer, picture: Path) -> None:
    report = explain(model, [picture])
    assert report.assessment
    assert report.assessment.label == "The heatmap can be trusted"
    told = " ".join([report.assessment.text, *report.summary])
    assert told.lower().count("hiding or showing what it marks") == 1
    assert told.count("training pictures most like it") <= 1
    assert "red <spot>.png: 'red'" in told


def test_maps_that_do_not_hold_are_named(model: Recognizer, picture: Path) -> None:
    report = explain(model, [picture], target="blue")
    assert report.metrics["maps_that_hold"].value == 0
    assert any("should not be relied on" in warning and "red <spot>" in warning for warning in report.warnings)
    assert report.to_json()["pictures"][0]["maps"][0]["target"] == "blue"
    assert any("explained for 'blue'" in sentence for sentence in report.summary)


def test_unreadable_pictures_are_named_and_skipped(model: Recognizer, picture: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture.read_bytes()[:100])
    report = explain(model, [broken, picture], tests=False)
    assert len(report.to_json()["pictures"]) == 1
    assert any("broken.png" in warning for warning in report.warnings)
    assert any("not tested" in warning for warning in report.warnings)
    assert not report.metrics
    with pytest.raises(DataError, match="none of the 1 pictures"):
        explain(model, [broken])
    with pytest.raises(UnreadableImage):
        attribute(model, broken)


def test_several_methods_meet_in_one_report(model: Recognizer, picture: Path) -> None:
    found = explanations(model, [picture], ExplainRequest(("auto", "occlusion", "cam", "eigencam")))
    assert found.explainer.methods == ("cam", "occlusion", "eigencam")
    assert [one.method for one in found.images[0].maps] == ["cam", "occlusion", "eigencam"]
    assert all(found.images[0].trials)
    report = explain(model, [picture], methods=["occlusion", "eigencam"])
    assert set(report.metrics) == {"maps_that_hold_occlusion", "maps_that_hold_eigencam"}
    assert any("eigencam shows what the network looks at" in warning for warning in report.warnings)
    assert not any("was chosen" in sentence for sentence in report.summary)


def test_nearest_training_pictures(tmp_path: Path, picture: Path) -> None:
    bundle = spot_bundle(tmp_path / "model")
    vectors = np.eye(3, dtype=np.float16)
    write_references(NeighbourIndex(vectors, ("a.png", "b.png", "c.png"), ("red", "green", "blue")), bundle)
    report = explain(load(bundle), [picture], tests=False)
    assert report.to_json()["pictures"][0]["nearest"][0]["id"] == "a.png"
    assert report.tables[-1].rows[0][1] == "red"
    assert not any(figure.pictures and "training" in figure.pictures[0][1] for figure in report.figures)
    data = Dataset((Sample("a.png", spot_picture(0, 3, 3), ("red",)),), ("red",))
    report = explain(load(bundle), [picture], tests=False, data=data)
    captions = [caption for figure in report.figures for _, caption in figure.pictures]
    assert sum("training picture: red" in caption for caption in captions) == 1


def test_attributions_are_values(model: Recognizer) -> None:
    image = spot_picture(1, 2, 2)
    for method in ("auto", "occlusion"):
        found = attribute(model, image, method)
        assert found.target == "green"
        assert found.heatmap.shape == (SIDE, SIDE)
        assert found.heatmap[spot_box(2, 2)].mean() > np.quantile(found.heatmap, 0.9)
    assert attribute(model, image, target="red").target == "red"
    many = heatmaps(model, np.stack([image, image]), np.array([1, 1]))
    np.testing.assert_allclose(many[1], attribute(model, image).heatmap, atol=1e-5)


def test_a_multilabel_model_explains_its_most_probable_class(tmp_path: Path) -> None:
    model = load(spot_bundle(tmp_path / "m", multilabel=True))
    image = spot_picture(0, 1, 1)
    image[spot_box(3, 3)] = (20, 20, 140)
    report = explain(model, [image])
    (heat,) = report.to_json()["pictures"][0]["maps"]
    assert heat["target"] == "red"
    assert heat["test"]["verdict"] == "holds"


def test_what_makes_no_sense_is_said(model: Recognizer, picture: Path) -> None:
    with pytest.raises(UsageError, match="no class 'rde'; did you mean red"):
        explain(model, [picture], target="rde")
    with pytest.raises(UsageError, match="no explainer is called 'gradcamm'; did you mean gradcam"):
        explain(model, [picture], methods=["gradcamm"])
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        explain(model, [picture], methods=["gradcam"])
    with pytest.raises(DataError, match="1 to 200 pictures"):
        explain(model, [picture] * (MAX_IMAGES + 1))
    with pytest.raises(UsageError, match="64, 64"):
        heatmaps(model, np.zeros((1, 8, 8, 3), np.uint8), np.array([0]))


def test_no_torch_is_loaded(model: Recognizer, picture: Path) -> None:
    program = (
        "import sys; from photovision.engine.explain import explain\n"
        "from photovision.engine.load import load\n"
        "explain(load(sys.argv[1]), [sys.argv[2]], methods=['auto', 'cam', 'eigencam', 'occlusion', 'rise'])\n"
        "assert not {'torch', 'timm', 'captum'} & set(sys.modules), 'torch was loaded'"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(model.bundle.path), str(picture)], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
