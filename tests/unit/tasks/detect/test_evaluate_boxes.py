"""A detector held against the truth: figures, errors, pictures, and mistakes of the user."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from spotter import scene, spotter_bundle

from photovision.app.cli import run
from photovision.core.errors import DataError
from photovision.core.page import to_html
from photovision.core.regions import Detections
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.evaluate import evaluate_on
from photovision.runtime.bundle import read_bundle
from photovision.tasks.detect.detector import Detector

# In the other order than the detector's: names count, not numbers.
CLASSES = ("green", "red")


def cell(rng: np.random.Generator) -> tuple[int, int, int, int]:
    x, y = (rng.integers(0, 8, 2) * 16).tolist()
    return x, y, x + 16, y + 16


def some_data(count: int = 12, extra: str = "") -> Dataset:
    """Squares on cells; every third picture has an object that is not there."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        told = {cell(rng): str(rng.choice(CLASSES)) for _ in range(3)}
        picture = scene((128, 128), [(name, box) for box, name in told.items()], number)
        if number % 3 == 0:
            told[(50, 50, 59, 59)] = extra or "red"
        boxes = np.array(list(told), np.float32)
        classes = (*CLASSES, extra) if extra else CLASSES
        labels = np.array([classes.index(name) for name in told.values()])
        samples.append(
            Sample(f"{number}.png", picture, tuple(set(told.values())), {}, Detections(boxes, labels, classes))
        )
    return Dataset(tuple(samples), (*CLASSES, extra) if extra else CLASSES, multilabel=True, annotation_type="boxes")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(read_bundle(spotter_bundle(tmp_path_factory.mktemp("spotter") / "model")))


def test_what_is_there_is_found_and_what_is_not_is_missed(detector: Detector) -> None:
    calls: list[tuple[int, int]] = []
    report = evaluate_on(detector, some_data(), progress=lambda done, total: calls.append((done, total)))
    metrics = report.metrics
    assert list(metrics)[:2] == ["map", "map50"]
    assert 0.8 < metrics["map50"].value < 1
    assert metrics["map50"].n == 12
    assert report.data["task"] == "detect"
    errors = report.data["errors"]
    assert errors["missed"]["count"] == 4
    assert max(errors, key=lambda kind: errors[kind]["cost"]) == "missed"
    assert sum(told["count"] for told in errors.values()) == 4
    assert metrics["count_error"].value == pytest.approx(np.mean([1 / 4] * 4 + [0] * 8), abs=0.03)
    assert metrics["count_ratio"].value == pytest.approx(36 / 40)
    assert calls[-1] == (12, 12)
    (shown,) = (figure for figure in report.figures if figure.title == "Wrong and right")
    captions = [caption for _, caption in shown.pictures]
    assert [caption.startswith("✗ 1 missed\n4 objects in ") for caption in captions] == [True] * 4 + [False] * 3
    assert all(caption.startswith("✓ all right\n") for caption in captions[4:])
    assert "Wrong and right" in to_html(report).partition("<details>")[0]


def test_unreadable_pictures_count_nowhere(detector: Detector, tmp_path: Path) -> None:
    data = some_data(4)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"junk")
    with_bad = Dataset(
        (*data.samples, Sample("bad", bad, ("red",), {}, data.samples[0].annotations)),
        CLASSES,
        annotation_type="boxes",
        multilabel=True,
    )
    report, clean = evaluate_on(detector, with_bad), evaluate_on(detector, data)
    assert report.metrics["map"].value == clean.metrics["map"].value
    assert any("could not be evaluated" in warning for warning in report.warnings)


def test_strange_classes_and_no_boxes_are_refused(detector: Detector) -> None:
    with pytest.raises(DataError, match="does not know 'purple'"):
        evaluate_on(detector, some_data(3, "purple"))
    plain = Dataset((Sample("a", scene((64, 64), []), ("red",)),), CLASSES)
    with pytest.raises(DataError, match="no boxes"):
        evaluate_on(detector, plain)


def test_the_command_judges_detectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = some_data(6)
    folder = tmp_path / "data"
    (folder / "images" / "val").mkdir(parents=True)
    (folder / "labels" / "val").mkdir(parents=True)
    for number, sample in enumerate(data.samples):
        assert isinstance(sample.image, np.ndarray)
        assert isinstance(sample.annotations, Detections)
        Image.fromarray(sample.image).save(folder / "images" / "val" / f"{number}.png")
        lines = [
            f"{label} {(x1 + x2) / 256} {(y1 + y2) / 256} {(x2 - x1) / 128} {(y2 - y1) / 128}"
            for label, (x1, y1, x2, y2) in zip(
                sample.annotations.labels, sample.annotations.boxes.tolist(), strict=True
            )
        ]
        (folder / "labels" / "val" / f"{number}.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text("path: .\nval: images/val\nnames: [green, red]\n")
    model = spotter_bundle(tmp_path / "model")
    assert run(["evaluate", str(model), str(folder), "--json", "-o", str(tmp_path / "report")]) == 0
    told = json.loads(capsys.readouterr().out)
    expected = evaluate_on(Detector(read_bundle(model)), data).metrics["map"]
    assert told["metrics"]["map"]["value"] == pytest.approx(expected.value, abs=1e-6)
    assert set(told["metrics"]["map50"]) == {"value", "low", "high", "n", "unit"}
    assert (tmp_path / "report" / "report.html").stat().st_size > 5000
