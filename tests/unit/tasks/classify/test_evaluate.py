"""Evaluation counts what it should, names what it leaves out, and says it in plain words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_in import StandIn, answering, labelled, stripes

from photovision.core.errors import DataError
from photovision.core.page import to_html
from photovision.core.thumbnail import thumbnail
from photovision.core.types import Sample
from photovision.data.dataset import Dataset, Problem
from photovision.engine.evaluate import evaluate_on as evaluate

CLASSES = ("apple", "<script>", "leek", "kiwi")


def mixed(n: int = 120) -> tuple[Dataset, np.ndarray]:
    data = labelled([CLASSES[i % 3] for i in range(n)], ("leek", "<script>", "apple"))  # a part, in another order
    return data, np.arange(n) % 10 != 0


def test_accuracy_follows_names_not_positions() -> None:
    data, right = mixed()
    report = evaluate(answering(data, CLASSES, right), data)
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert document["metrics"]["accuracy"]["n"] == 120
    assert document["metrics"]["accuracy"]["low"] < 0.9 < document["metrics"]["accuracy"]["high"]
    assert sum(entry["n"] for entry in document["confusions"]) == 12
    assert "108 of 120 pictures" in report.summary[0]
    assert any("3 of the model's 4 classes" in warning for warning in report.warnings)


def test_hostile_class_names_stay_text_on_the_page() -> None:
    data, right = mixed()
    page = to_html(evaluate(answering(data, CLASSES, right), data))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_unreadable_and_unlabelled_pictures_are_named_and_count_nowhere() -> None:
    data, right = mixed()
    model = answering(data, CLASSES, right)
    del model.answers["003.png"]
    data = replace(
        data,
        samples=(*data.samples, Sample("unknown.png", stripes(1))),
        problems=(Problem("gone.png", "missing", "the table names it, but it is not there"),),
    )
    report = evaluate(model, data)
    assert report.metrics["accuracy"].n == 119
    assert report.to_json()["unreadable"] == [{"id": "003.png", "message": "the file is truncated"}]
    told = " ".join(report.warnings)
    assert "'003.png'" in told
    assert "gone.png (missing)" in told
    assert "1 picture without a label" in told


def test_mistakes_are_pictures_most_confident_first() -> None:
    data, right = mixed()
    model = answering(data, CLASSES, right)
    sure = np.float32([0.001, 0.001, 0.001, 0.001])
    said = CLASSES.index("kiwi")
    sure[said] = 0.997
    model.answers["050.png"] = sure
    figure = next(f for f in evaluate(model, data).figures if f.title == "Worst mistakes")
    assert len(figure.pictures) == 12
    assert figure.pictures[0][1].startswith("true: leek\npredicted: kiwi (100%)\n050.png")
    assert all(content.startswith(b"\xff\xd8") for content, _ in figure.pictures)


def test_all_right_shows_no_mistakes_and_no_certainty() -> None:
    data, _ = mixed(30)
    report = evaluate(answering(data, CLASSES, np.ones(30, bool)), data)
    assert "Worst mistakes" not in [figure.title for figure in report.figures]
    accuracy = report.metrics["accuracy"]
    assert accuracy.value == 1
    assert accuracy.low is not None
    assert accuracy.low < 0.9


def test_leaks_are_told_where_there_are_any() -> None:
    data, right = mixed()
    model = answering(data, CLASSES, right)
    easy = np.flatnonzero(right)[:60]
    report = evaluate(model, data, leaked=set(easy.tolist()))
    assert report.metrics["accuracy"].value == pytest.approx(0.9)
    assert report.metrics["accuracy_leak_free"].value == pytest.approx(0.8)
    assert report.metrics["accuracy_leak_free"].n == 60
    assert "without them the accuracy is 80.0% (95% interval" in report.warnings[0]
    same = evaluate(model, data, leaked=range(20))
    assert same.metrics["accuracy_leak_free"].value == pytest.approx(0.9)
    assert same.metrics["accuracy_leak_free"].n == 100
    assert "say nothing about new ones" in evaluate(model, data, leaked=range(120)).warnings[0]
    assert not any("resemble" in warning for warning in evaluate(model, data).warnings)


def test_over_confidence_is_said() -> None:
    data, _ = mixed()
    over = evaluate(answering(data, CLASSES, np.arange(120) % 2 == 0, sure=0.98), data)
    assert any("over-confident" in sentence for sentence in over.summary)
    fair = evaluate(answering(data, CLASSES, np.arange(120) % 10 != 0, sure=0.9), data)
    assert any("well calibrated" in sentence for sentence in fair.summary)


def test_many_classes_get_pairs_instead_of_a_heatmap() -> None:
    names = tuple(f"class {i}" for i in range(40))
    data = labelled([names[i % 40] for i in range(200)], names)
    report = evaluate(answering(data, names, np.arange(200) % 7 != 0), data)
    assert "Confusion" not in [figure.title for figure in report.figures]
    assert "Most confused pairs" in [table.title for table in report.tables]


def test_multi_label() -> None:
    rng = np.random.default_rng(0)
    names = ("wet", "dark", "foggy")
    truth = rng.random((80, 3)) < 0.4
    samples = tuple(
        Sample(f"{i}.png", stripes(i % 5), tuple(n for n, t in zip(names, row, strict=True) if t))
        for i, row in enumerate(truth)
    )
    data = Dataset(samples, names, multilabel=True)
    answers = {s.id: np.where(row, 0.8, 0.1).astype(np.float32) for s, row in zip(samples, truth, strict=True)}
    answers["0.png"] = 1 - answers["0.png"]
    report = evaluate(StandIn(names, answers, multilabel=True, thresholds=np.full(3, 0.3, np.float32)), data)
    assert report.metrics["exact_match"].value == pytest.approx(79 / 80)
    scores = {"map", "macro_auroc", "micro_f1", "macro_f1", "exact_match", "ece"}
    assert set(report.metrics) == scores | {"selective_accuracy", "aurc"}
    assert len(next(f for f in report.figures if f.title == "Worst mistakes").pictures) == 1
    json.dumps(report.to_json(), allow_nan=False)


def test_what_cannot_be_evaluated_is_refused() -> None:
    data, right = mixed()
    model = answering(data, CLASSES, right)
    with pytest.raises(DataError, match="'pear'"):
        evaluate(model, labelled(["apple", "pear"], ("apple", "pear")))
    with pytest.raises(DataError, match="labelled"):
        evaluate(model, Dataset((Sample("a", stripes(1)),), CLASSES))
    with pytest.raises(DataError, match="truncated"):
        evaluate(StandIn(CLASSES, {}), data)
    with pytest.raises(DataError, match="exactly one"):
        evaluate(model, Dataset((Sample("a", stripes(1), ("apple", "leek")),), CLASSES, multilabel=True))


def test_thumbnail_of_a_file_is_small_and_a_lost_file_gives_none(tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "a.jpg"
    Image.fromarray(stripes(1)).resize((900, 600)).save(file)
    content = thumbnail(Sample("a", file))
    assert content is not None
    assert len(content) < 20_000
    assert thumbnail(Sample("b", tmp_path / "lost.jpg")) is None
