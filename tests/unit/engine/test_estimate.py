"""estimate: what accuracy to expect of a model without labels, and when not to rely on it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle
from faded import CLASSES, faded, faded_bundle, faded_picture
from PIL import Image

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.page import to_html
from photovision.data.dataset import Dataset
from photovision.engine.estimate import estimate
from photovision.engine.evaluate import evaluate
from photovision.engine.load import load


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faded_bundle(tmp_path_factory.mktemp("faded") / "model")


@pytest.mark.parametrize("amounts", [(0.0, 0.3), (0.4, 0.8), (0.7, 0.9), (0.85, 1.0)])
def test_the_interval_holds_the_truth_where_pictures_fade(model: Path, amounts: tuple[float, float]) -> None:
    pictures = faded(150, amounts, 9)
    expected, truth = (found(model, pictures).metrics for found in (estimate, evaluate))
    metric = expected["expected_score"]
    assert metric.low <= truth["accuracy"].value <= metric.high
    assert metric.n == 150


def test_the_more_pictures_fade_the_less_is_expected(model: Path) -> None:
    reports = [estimate(model, faded(60, (amount, amount + 0.1), 4)) for amount in (0.0, 0.7, 0.9)]
    expected = [report.metrics["expected_score"].value for report in reports]
    assert expected == sorted(expected, reverse=True)
    assert [report.metrics["similarity"].value for report in reports] == sorted(
        (report.metrics["similarity"].value for report in reports), reverse=True
    )


def test_labels_change_nothing_and_the_report_says_that_evaluate_measures(model: Path) -> None:
    pictures = faded(40, (0.5, 0.9), 5)
    wrong = Dataset(tuple(replace(sample, target=("red",)) for sample in pictures.samples), CLASSES)
    one, other = estimate(model, pictures), estimate(model, wrong)
    assert one.metrics == other.metrics
    assert any("40 pictures have labels" in warning and "evaluate" in warning for warning in one.warnings)


def test_the_least_expected_pictures_and_folders_are_named(model: Path, tmp_path: Path) -> None:
    for folder, amount in (("near", 0.1), ("far", 0.95)):
        (tmp_path / folder).mkdir()
        for number in range(12):
            picture = faded_picture(CLASSES[number % 3], amount, 700 + number + 50 * (folder == "far"))
            Image.fromarray(picture).save(tmp_path / folder / f"{number:02d}.png")
    report = estimate(model, tmp_path)
    least = report.data["least_expected"]
    assert [one["id"].split("/")[0] for one in least[:8]] == ["far"] * 8
    assert [one["expected"] for one in least] == sorted(one["expected"] for one in least)
    groups = next(table for table in report.tables if table.title == "Groups with the lowest expectation")
    assert [row[0] for row in groups.rows] == ["folder: far", "folder: near"]
    assert any(figure.title == "Lowest expected accuracy" and len(figure.pictures) == 12 for figure in report.figures)
    assert any("24 pictures only" in warning for warning in report.warnings)
    assert "Expected accuracy" in to_html(report)
    assert json.dumps(report.to_json(), allow_nan=False)


def test_training_pictures_copies_and_broken_files_are_left_out(model: Path, tmp_path: Path) -> None:
    for number in range(30):
        Image.fromarray(faded(30, (0.5, 0.9), 6).samples[number].image).save(tmp_path / f"{number:02d}.png")
    shutil.copy(tmp_path / "00.png", tmp_path / "copy.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for number, sample in enumerate(faded(90, (0.0, 0.3), 1).samples[:5]):
        Image.fromarray(sample.image).save(tmp_path / f"learned{number}.png")
    report = estimate(model, tmp_path)
    assert report.metrics["expected_score"].n == 30
    assert any("5 pictures that the model learned from were left out" in warning for warning in report.warnings)
    assert any("1 picture shows the same as another one" in warning for warning in report.warnings)
    assert any("broken.png" in warning for warning in report.warnings)
    with pytest.raises(DataError, match="the model learned from all"):
        estimate(model, faded(90, (0.0, 0.3), 1))


def test_pictures_of_something_else_are_not_to_be_relied_on(tmp_path: Path) -> None:
    model = add_doubt(faded_bundle(tmp_path / "model"))
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 40, 3)).astype(np.uint8)
    report = estimate(model, noise)
    assert report.metrics["unknown_share"].value > 0.5
    assert "expected_score" not in report.metrics  # no lone figure that nobody should rely on
    low, high = report.data["possible_score"]
    assert low < 0.5 <= high  # all of them may be wrong
    assert "do not rely on this estimate" in report.warnings[0]
    assert report.summary[0].startswith("There is no reliable estimate")
    assert "may be anything from" in report.summary[1]
    assert "the right pictures for this model" in " ".join(report.summary)
    assert report.data["reliable"] is False


def test_a_model_that_cannot_tell_says_why_and_what_to_do(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ModelError, match=r"made by an older Photovision.*evaluate.*or train it again"):
        estimate(colour_bundle(tmp_path / "old"), faded(9, (0, 1), 3))
    with pytest.raises(DataError, match="does not exist"):
        estimate(model, tmp_path / "nowhere")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="could be read"):
        estimate(model, tmp_path / "broken")
    with pytest.raises(UsageError, match="needs a model"):
        estimate(7, faded(9, (0, 1), 3))  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_report(model: Path) -> None:
    pictures = faded(40, (0.5, 0.9), 5)
    own = load(model)
    one, other, third = (estimate(own, pictures, seed=seed).metrics for seed in (0, 0, 1))
    assert one == other
    assert one["expected_score"].value == third["expected_score"].value
