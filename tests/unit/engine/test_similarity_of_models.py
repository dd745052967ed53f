"""A figure says which pictures it holds for: in the report, the card and the JSON of every model that knows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from faded import faded, faded_bundle
from painter import painter_bundle

from photovision.core.regions import Segmentation
from photovision.core.report import Metric, Report
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.estimate import estimate
from photovision.engine.evaluate import evaluate
from photovision.engine.load import load
from photovision.engine.model_card import model_card
from photovision.engine.remember import remember_embeddings
from photovision.engine.similarity import accuracy_by_similarity, headed
from photovision.runtime.similarity import NAME, read_expected
from photovision.tasks.classify.fit_novelty import remember
from photovision.tasks.classify.recognizer import Recognizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faded_bundle(tmp_path_factory.mktemp("faded") / "model")


def test_measured_stands_beside_expected(folder: Path) -> None:
    report = evaluate(load(folder), faded(120, (0.5, 1.0), 7))
    measured, expected = report.metrics["accuracy"], report.metrics["expected_score"]
    assert expected.n == 120
    assert expected.value == pytest.approx(measured.value, abs=0.12)
    assert any("was to be expected of 120 pictures" in sentence for sentence in report.summary)
    table = next(table for table in report.tables if "similarity to the training pictures" in table.title)
    assert sum(row[3] for row in table.rows) == 120
    document = json.loads(json.dumps(report.to_json()))
    assert {"n", "value", "low", "high", "median", "start", "end"} == set(document[NAME]["curve"][0])


def test_the_report_of_a_training_is_headed_by_what_its_figure_holds_for(folder: Path) -> None:
    model = load(folder)
    plain = Report("train", "A training", ("Sentence.",), {"accuracy": Metric(0.99, 0.97, 1.0, 90)})
    report = headed(model.bundle.row, model.info, plain)
    assert report.summary[0].startswith(
        "99.0% accuracy on pictures like those of the test (median similarity to the nearest training"
    )
    assert "; about " in report.summary[0]
    assert report.summary[1] == "Sentence."
    assert report.data[NAME]["n"] == 300
    assert report.figures[0].svg
    card = model_card({**model.info, "metrics": {"accuracy": Metric(0.99, 0.97, 1.0, 90).to_json()}}, report.to_json())
    assert "Where the similarity is lower, expect less" in card
    assert "accuracy and similarity to the training pictures" in card.casefold()


def test_where_there_is_no_curve_a_sentence_says_why(folder: Path) -> None:
    model = load(folder)
    few = accuracy_by_similarity(model.bundle.row, model.bundle, faded(12, (0.0, 1.0), 8))
    assert few["missing"] == "Accuracy by similarity needs at least 30 held-out pictures, and there are 12."
    plain = Report("train", "A training", ("Sentence.",), {"accuracy": Metric(0.99)})
    report = headed(model.bundle.row, {**model.info, NAME: few}, plain)
    assert report.summary == ("Sentence.", few["missing"])
    assert few["missing"] in model_card({**model.info, NAME: few})


def test_pictures_of_one_component_are_resampled_together(folder: Path) -> None:
    bundle = load(folder).bundle
    held_out = faded(60, (0.0, 1.0), 9)
    apart, together = (
        read_expected({NAME: accuracy_by_similarity(bundle.row, bundle, held_out, component)})
        for component in (None, np.arange(60) // 20)
    )
    assert apart is not None
    assert together is not None
    assert together.coefficients.tolist() == apart.coefficients.tolist()
    assert together.resampled.tolist() != apart.resampled.tolist()


def test_an_evaluation_of_an_older_model_is_as_it_was(folder: Path, tmp_path: Path) -> None:
    model = load(folder)
    model.bundle.info.pop(NAME)
    report = evaluate(model, faded(30, (0.0, 0.5), 11))
    assert "expected_score" not in report.metrics
    assert NAME not in report.to_json()


def test_predictions_hold_similarity_confidence_and_a_set_with_the_answer(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    bundle = load(folder).bundle
    doubt = remember(Recognizer(bundle), faded(90, (0.0, 0.3), 1), faded(300, (0.0, 1.0), 2), tmp_path / "model", 0)
    (tmp_path / "model" / "bundle.json").write_text(json.dumps({**bundle.info, "doubt": doubt}), encoding="utf-8")
    model = load(tmp_path / "model")
    near, far = (
        model.predict([sample.image for sample in faded(40, part, 5).samples]) for part in ((0, 0.2), (0.6, 1))
    )
    for answer in (*near, *far):
        shown = answer.to_json()
        assert answer.similarity is not None
        assert (shown["known"] is False) == ("confidence" not in shown)
        assert shown["known"] is False or answer.label in shown["set"]
        assert not (shown["known"] is False and shown["elsewhere"])
    mean = [np.mean([one.confidence for one in part if one.confidence is not None]) for part in (near, far)]
    assert mean[0] > mean[1] + 0.1
    assert np.mean([len(one.prediction_set) for one in near]) <= np.mean([len(one.prediction_set) for one in far])
    assert sum(bool(one.elsewhere) for one in near) == 0
    assert np.mean([one.known for one in far]) > 0.9  # familiar, however faded


def _things(count: int, most_grey: float, seed: int) -> Dataset:
    """Scenes with a red thing before blue, greyer up to a share: where it is grey the segmenter misses it."""
    rng, samples = np.random.default_rng(seed), []
    for number in range(count):
        truth = np.zeros((32, 32), np.int64)
        truth[8:24, 8:24] = 1
        colours, grey = np.array([[40, 40, 220], [230, 20, 20]]), rng.uniform(0, most_grey)
        image = (1 - grey) * colours[truth] + grey * 128 + rng.normal(0, 6, (32, 32, 3))
        kept = Segmentation(truth, ("background", "thing"))
        samples.append(Sample(f"{seed}-{number}", np.clip(image, 0, 255).astype(np.uint8), annotations=kept))
    return Dataset(tuple(samples), ("background", "thing"), multilabel=True, annotation_type="masks")


def test_a_segmenter_has_the_curve_too(tmp_path: Path) -> None:
    folder = painter_bundle(tmp_path / "model", embedding=True)
    remember_embeddings(load(folder), _things(40, 0.2, 1), _things(40, 0.2, 2), folder, 0)
    bundle = load(folder).bundle
    bundle.info[NAME] = accuracy_by_similarity(bundle.row, bundle, _things(80, 1.0, 3))
    expected = read_expected(bundle.info)
    assert expected is not None
    assert expected.score != "accuracy"
    assert expected.usual == pytest.approx(1, abs=0.1)
    model = bundle.row.part("model")(bundle)
    report = evaluate(model, _things(30, 1.0, 4))
    assert report.metrics["expected_score"].n == 30
    assert sum(row[3] for row in report.tables[-1].rows) == 30


def test_what_a_segmenter_was_never_tested_on_is_not_estimated(tmp_path: Path) -> None:
    folder = painter_bundle(tmp_path / "model", embedding=True)
    remember_embeddings(load(folder), _things(40, 0.2, 1), _things(40, 0.2, 2), folder, 0)
    bundle = load(folder).bundle
    bundle.info[NAME] = accuracy_by_similarity(bundle.row, bundle, _things(80, 0.3, 3))
    model = bundle.row.part("model")(bundle)
    green = np.random.default_rng(0).integers(0, 40, (30, 32, 32, 3)) + np.array([0, 210, 0])
    report = estimate(model, [image.astype(np.uint8) for image in green])
    assert report.data["reliable"] is False
    assert "expected_score" not in report.metrics
    assert report.data["possible_score"][0] == 0
    assert "100.0% of these pictures are less alike than any that were tested" in report.summary[0]
    assert "do not rely on this estimate" in report.warnings[0]
    assert "expected_score" in estimate(model, _things(30, 0.2, 6)).metrics
