"""A detector whose scores promise too much elsewhere learns what they mean there; its boxes stay the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from painter import painter_bundle
from spotter import spotter_bundle
from test_audit_boxes import NAMES, squares

from photovision.app.cli import run
from photovision.core.errors import DataError, UsageError
from photovision.data.dataset import Dataset
from photovision.data.formats.coco import write
from photovision.engine.calibrate import calibrate_on
from photovision.runtime.bundle import read_bundle
from photovision.runtime.session import open_session
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.evaluation import evaluate
from photovision.trust.metrics.box_confidence import calibrated, d_ece


def elsewhere(count: int = 60) -> Dataset:
    """Pictures where three of ten squares are not what is looked for."""
    return squares(count, lambda rng, camera, place: "unlabelled" if rng.random() < 0.3 else "")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(read_bundle(spotter_bundle(tmp_path_factory.mktemp("spotter") / "model")))


@pytest.fixture(scope="module")
def here(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here") / "model"
    report = calibrate_on(detector, elsewhere(), folder)
    assert report.data["before"]["d_ece"]["value"] > 0.2
    assert report.metrics["d_ece"].value < 0.1
    assert report.metrics["recall_shown"].value > 0.95
    return folder


def test_scores_are_true_there_on_other_pictures(here: Path) -> None:
    fresh = squares(160, lambda rng, camera, place: "unlabelled" if rng.random() < 0.3 else "")
    error = d_ece(
        evaluate(Detector(read_bundle(here)), Dataset(fresh.samples[80:], NAMES, annotation_type="boxes")).hits
    )
    assert error is not None
    assert error.value < 0.1


def test_the_graph_gives_the_same_boxes_with_the_scores_learned(detector: Detector, here: Path) -> None:
    images = np.stack([np.asarray(sample.image) for sample in elsewhere(6).samples])
    old, new = (
        open_session(bundle.graph, precision="f32").run(images) for bundle in (detector.bundle, read_bundle(here))
    )
    info = read_bundle(here).info
    assert np.array_equal(old["boxes"], new["boxes"])
    learned = info["calibration"]
    assert np.allclose(calibrated(old["scores"], learned["slope"], learned["shift"]), new["scores"], atol=1e-4)
    assert info["recalibrated"]["pictures"] == 60
    assert (here / "README.md").read_text().count("fitted to 60 other pictures") == 1


def test_what_was_learned_once_is_learned_upon(here: Path, tmp_path: Path) -> None:
    once = read_bundle(here)
    calibrate_on(Detector(once), squares(60), tmp_path / "back")
    again = read_bundle(tmp_path / "back")
    images = np.stack([np.asarray(sample.image) for sample in squares(3).samples])
    nodes = [len(open_session(bundle.graph, precision="f32").run(images)["scores"]) for bundle in (once, again)]
    assert nodes == [3, 3]
    first, second = (len(onnx.load(str(bundle.graph)).graph.node) for bundle in (once, again))
    assert first == second, "no nodes were added a second time"
    error = d_ece(evaluate(Detector(again), squares(60)).hits)
    assert error is not None
    assert error.value < 0.1


def test_mistakes_are_told_and_cost_nothing(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the model itself"):
        calibrate_on(detector, elsewhere(), detector.bundle.path)
    with pytest.raises(DataError, match=r"at least 30 readable pictures with 50 boxes, got 8"):
        calibrate_on(detector, elsewhere(8), tmp_path / "few")
    assert not (tmp_path / "few").exists()


def test_a_segmenter_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    model = painter_bundle(tmp_path / "model")
    assert run(["calibrate", str(model), str(tmp_path / "data"), "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert (
        "'calibrate' is not available for a segmenter: it needs an anomaly detector, a detector or a classifier"
        in told[0]
    )


def test_the_command_calibrates_detectors(
    detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    data = elsewhere(40)
    write(data, tmp_path / "data")
    out = tmp_path / "out"
    assert run(["calibrate", str(detector.bundle.path), str(tmp_path / "data"), "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "calibrate"
    assert told["thresholds"] == read_bundle(out).info["thresholds"]


def test_thresholds_that_would_serve_worse_are_not_taken(detector: Detector, tmp_path: Path) -> None:
    """All is found at the old thresholds: what is shown stays, whatever scores come to mean."""
    report = calibrate_on(detector, squares(40), tmp_path / "same")
    own = evaluate(Detector(read_bundle(tmp_path / "same")), squares(40))
    assert own.hits.tally(own.thresholds)[:, 1:].sum() == 0
    assert report.metrics["f1"].value == report.data["before"]["f1"]["value"] == 1
