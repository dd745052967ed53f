"""Boxes and regions explained: maps point at what is planted, what is not believed says so, and nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from painter import painter_bundle
from PIL import Image
from spotter import scene, spotter_bundle

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.page import to_html
from photovision.core.regions import Detections
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.explain import attribute, explain, explain_boxes, explained
from photovision.engine.load import load
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.explain import drise
from photovision.trust.explain.drise import DRISE
from photovision.trust.explain.faithfulness import trials
from photovision.trust.explain.pointing_game import pointing
from photovision.trust.explain.regions import ExplainedRegions
from photovision.trust.explain.request import ExplainRequest
from photovision.trust.explain.target import BoxTarget, RegionTarget, TargetHeatmap, TargetScorer

RED, GREEN = (32, 48, 48, 64), (96, 16, 112, 32)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return load(spotter_bundle(tmp_path_factory.mktemp("spotter") / "model"))  # type: ignore[no-any-return]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few masks, for tests that do not look at maps."""
    monkeypatch.setattr(drise, "MASKS", 32)


def picture() -> np.ndarray:
    return scene((128, 128), [("red", RED), ("green", GREEN)])


def shortcut_bundle(folder: Path) -> Path:
    """A detector that sees red squares only where there is something white in the corner above on the left."""
    bundle = spotter_bundle(folder)
    model = onnx.load(bundle / "model.onnx")
    node = helper.make_node
    for one in model.graph.node:
        one.output[:] = ["own" if name == "logits" else name for name in one.output]
    extra = [
        node("Slice", ["means", "start", "end", "axis"], ["corner"]),
        node("ReduceMin", ["corner"], ["darkest"], axes=[2], keepdims=1),
        node("Sub", ["darkest", "white"], ["lack"]),
        node("Mul", ["lack", "forty"], ["fear"]),
        node("Add", ["own", "fear"], ["logits"]),
    ]
    at = next(i for i, one in enumerate(model.graph.node) if "logits" in one.input)
    for number, one in enumerate(extra):
        model.graph.node.insert(at + number, one)
    constants = {"start": np.int64([0]), "end": np.int64([1]), "axis": np.int64([1]), "white": np.float32([0.85])}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.checker.check_model(model)
    onnx.save(model, bundle / "model.onnx")
    return bundle


def why(model: object, image: object, **choice: Any) -> ExplainedRegions:
    """The explanations of one image as values."""
    return explained(model, image, ExplainRequest(**choice))  # type: ignore[no-any-return,arg-type]


def test_maps_of_boxes_point_at_them_and_hold(detector: Detector) -> None:
    found = why(detector, picture())
    assert [place.label for place in found.places] == list(found.found.names)
    for place in found.places:
        assert place.trial is not None
        assert place.trial.verdict == "holds"
        assert place.pointing.heat > 0.9
        assert place.pointing.area < 0.05
        hottest = np.unravel_index(place.map.heatmap.argmax(), place.map.heatmap.shape)
        assert place.inside[hottest]


def test_a_planted_cue_outside_the_box_is_found(tmp_path: Path) -> None:
    """The box is red because of a white corner: the map must show the corner, and the report warn of it."""
    cheating = load(shortcut_bundle(tmp_path / "model"))
    image = scene((128, 128), [("red", (80, 80, 96, 96))])
    assert len(cheating.predict(image)) == 0
    image[:16, :16] = 250
    found = why(cheating, image)
    (place,) = found.places
    assert place.trial is not None
    assert place.trial.verdict == "holds"
    corner = np.zeros((128, 128), bool)
    corner[:16, :16] = True
    heat, near = place.map.heatmap, np.zeros((128, 128), bool)
    near[72:104, 72:104] = True
    hottest = np.unravel_index(np.where(near, heat.min(), heat).argmax(), heat.shape)
    assert corner[hottest]
    assert pointing(heat, corner).heat > 0.1
    assert pointing(heat, corner | place.inside).heat > 0.95


def test_maps_of_a_model_that_has_learned_nothing_fail(detector: Detector) -> None:
    viewer = TargetScorer(detector.bundle)
    aims = [BoxTarget(np.float32(RED), 0)]
    twin = viewer.shuffled(3)
    wrong = DRISE.heatmaps(twin, picture(), aims)
    (trial,) = trials(TargetHeatmap(viewer, aims), picture(), range(1), wrong)
    assert trial.verdict == "fails", "it says nothing of the model"
    (trial,) = trials(TargetHeatmap(twin, aims), picture(), range(1), wrong)
    assert trial.verdict != "holds", "a model that sees nothing has nothing to explain"


@pytest.mark.usefixtures("quick")
def test_some_boxes_are_chosen_by_number_position_or_class(detector: Detector) -> None:
    def labels(**choice: Any) -> list[str]:
        found = why(detector, picture(), tests=False, **choice)
        return [place.label for place in found.places]

    first, second = labels()
    assert labels(boxes=1) == [first]
    assert labels(boxes=(1,)) == [second]
    assert labels(target="red") == ["red"]
    with pytest.raises(UsageError, match="there is no box 2"):
        labels(boxes=(2,))
    with pytest.raises(UsageError, match="knows no class 'blue'"):
        labels(target="blue")
    with pytest.raises(UsageError, match="did you mean"):
        labels(methods=("d-rise",))
    with pytest.raises(UnreadableImage):
        why(detector, "nothing.jpg")


def test_what_was_missed_is_explained_and_said_to_be(detector: Detector) -> None:
    image = scene((128, 128), [("red", RED)])
    image[64:80, 64:80] = (150, 70, 70)  # too pale a red
    truth = Detections(np.float32([RED, (64, 64, 80, 80)]), np.array([0, 0]), ("red",))
    found = why(detector, image, truth=truth)
    assert [place.missed for place in found.places] == [False, True]
    assert 0.1 < found.places[1].score < 0.5
    assert found.places[1].trial is not None
    assert found.places[1].trial.verdict == "holds"
    assert found.places[1].pointing.heat > 0.9


def test_boxes_of_a_wide_picture_are_where_they_are(detector: Detector) -> None:
    wide = scene((128, 512), [("red", (256, 48, 320, 64))])
    (place,) = why(detector, wide, tests=False, boxes=1).places
    assert place.pointing.heat > 0.6
    assert place.window == (0, 0, 512, 128)
    assert place.inside[48:64, 64:80].mean() > 0.9


@pytest.mark.usefixtures("quick")
def test_nothing_found_is_nothing_to_explain(detector: Detector) -> None:
    report = explain(detector, [np.full((60, 60, 3), 120, np.uint8)])
    assert "nothing to explain" in report.summary[0]
    assert not report.metrics
    to_html(report)


def slide() -> np.ndarray:
    """Two red things on dark ground, one of them a pair that touches."""
    image = np.full((64, 64, 3), 40, np.uint8)
    image[8:18, 8:18] = (255, 20, 255)
    image[40:50, 30:40] = (255, 20, 255)
    return image


def test_regions_of_segmenters_are_explained(tmp_path: Path) -> None:
    objects: Segmenter = load(painter_bundle(tmp_path / "objects", instances=True, tile=(32, 32)))
    found = why(objects, slide())
    assert len(found.found) == 2
    for place in found.places:
        assert place.window[2] - place.window[0] == 32
        assert place.pointing.heat > 0.8
        assert place.trial is not None
        assert place.trial.verdict == "holds"
    classes: Segmenter = load(painter_bundle(tmp_path / "classes"))
    (place,) = why(classes, slide()).places
    assert place.label == "thing"
    assert place.score > 0.9
    assert place.inside.mean() == pytest.approx(200 / 64**2, abs=0.01)
    with pytest.raises(UsageError, match="does not explain a segmenter"):
        why(classes, slide(), methods=("hirescam",))


def test_an_aim_says_how_much_of_an_answer_is_left() -> None:
    outputs = {
        "boxes": np.float32([[[0, 0, 10, 10], [0, 0, 10, 20]], [[50, 50, 60, 60], [np.inf, 0, 1, np.nan]]]),
        "scores": np.float32([[[0.8, 0.1], [0.5, 0.9]], [[0.9, 0.9], [0.9, 0.9]]]),
    }
    assert BoxTarget(np.float32([0, 0, 10, 10]), 0).score(outputs).tolist() == pytest.approx([0.8, 0])
    assert BoxTarget(np.float32([0, 0, 10, 10]), 1).score(outputs).tolist() == pytest.approx([0.45, 0])
    region = np.zeros((8, 8), bool)
    region[:4] = True
    probs = np.zeros((1, 2, 4, 4), np.float32)
    probs[0, 1, :2] = 0.75
    assert RegionTarget(region, 1).score({"classes": probs})[0] == pytest.approx(0.75, abs=0.1)


@pytest.mark.usefixtures("quick")
def test_the_command_writes_a_page_and_json(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from photovision.app.cli import run

    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(picture()).save(folder / "0.png")
    (folder / "1.png").write_bytes(b"no picture")
    model = str(detector.bundle.path)
    assert run(["explain", model, str(folder), "-o", str(tmp_path / "why"), "--boxes", "1"]) == 0
    said = capsys.readouterr().out
    assert "The heatmap by drise" in said
    assert "1 picture could not be read" in said
    assert (tmp_path / "why" / "report.html").stat().st_size > 10_000
    assert run(["explain", model, str(folder / "0.png"), "--json", "--no-tests"]) == 0
    told = json.loads(capsys.readouterr().out)
    first = told["pictures"][0]["boxes"][0]
    assert set(first) >= {"label", "score", "xyxy", "heatmap", "heat_inside", "test", "missed"}
    assert (len(first["heatmap"]), len(first["heatmap"][0])) == (14, 14)
    assert run(["explain", model, str(folder / "0.png"), "--method", "cam"]) == 2
    assert "no explainer of boxes and regions is called 'cam'" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_labelled_pictures_tell_what_was_missed(detector: Detector, tmp_path: Path) -> None:
    file = tmp_path / "0.png"
    Image.fromarray(scene((128, 128), [("red", RED)])).save(file)
    truth = Detections(np.float32([RED, (4, 100, 30, 120)]), np.array([0, 1]), ("red", "green"))
    data = Dataset(
        (Sample("0.png", file, truth.names, annotations=truth),),
        ("red", "green"),
        multilabel=True,
        annotation_type="boxes",
    )
    report = explain(detector, [file], data=data, tests=False)
    boxes = report.to_json()["pictures"][0]["boxes"]
    assert [(box["label"], box["missed"]) for box in boxes] == [("red", False), ("green", True)]


@pytest.mark.usefixtures("quick")
def test_the_old_spelling_explains_with_a_warning(detector: Detector) -> None:
    with pytest.warns(DeprecationWarning, match="explain_boxes is now explain"):
        found = explain_boxes(detector, picture(), boxes=1, tests=False)
    assert [place.label for place in found.places] == [
        place.label for place in why(detector, picture(), boxes=1, tests=False).places
    ]


@pytest.mark.usefixtures("quick")
def test_one_map_of_the_leading_box_is_an_attribution(detector: Detector) -> None:
    heat = attribute(detector, picture(), target="green")
    assert heat.target == "green"
    assert heat.heatmap.shape == detector.preprocess.size
    with pytest.raises(DataError, match="nothing to explain"):
        attribute(detector, np.full((60, 60, 3), 120, np.uint8))


def test_options_that_make_no_sense_for_a_task_are_refused(tmp_path: Path, detector: Detector) -> None:
    classes = load(painter_bundle(tmp_path / "classes"))
    truth = Detections(np.float32([RED]), np.array([0]), ("red",))
    with pytest.raises(UsageError, match=r"A segmenter does not accept 'truth' \(--truth\)"):
        explain(classes, slide(), truth=truth)
    with pytest.raises(UsageError, match="A segmenter does not accept 'data'"):
        explain(classes, slide(), data=tmp_path)
    with pytest.raises(UsageError, match="'truth' is that of one image, got 2"):
        explain(detector, [picture(), picture()], truth=truth, tests=False)
    with pytest.raises(UsageError, match="one method at a time, got 2"):
        explain(detector, picture(), methods=("drise", "hirescam"))
