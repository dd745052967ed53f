"""Comparison says which model is better where it is, and that it cannot tell where it cannot."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest
from stand_in import StandIn, answering, labelled, stripes

from photovision.core.errors import DataError
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.compare import compare_on as compare

CLASSES = ("apple", "leek", "kiwi")


def data(n: int = 200) -> Dataset:
    return labelled([CLASSES[i % 3] for i in range(n)], CLASSES)


def test_a_better_model_is_found_in_both_directions() -> None:
    pictures = data()
    worse = answering(pictures, CLASSES, np.arange(200) % 3 != 0)
    better = answering(pictures, CLASSES[::-1], np.arange(200) % 20 != 1)  # its own class order
    report = compare(worse, better, pictures)
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["verdict"] == "b"
    assert report.summary[0].startswith("B is better: +")
    only_a, only_b = document["only_a_right"], document["only_b_right"]
    assert document["metrics"]["mcnemar_p"]["value"] == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    gain = document["metrics"]["accuracy_difference"]
    assert gain["value"] == pytest.approx((only_b - only_a) / 200)
    assert 0 < gain["low"] < gain["value"] < gain["high"]
    turned = compare(better, worse, pictures)
    assert turned.to_json()["verdict"] == "a"
    assert turned.summary[0].startswith("A is better: +")


def test_flips_are_shown_as_pictures_with_both_answers() -> None:
    pictures = data(60)
    a_right, b_right = np.ones(60, bool), np.ones(60, bool)
    a_right[:4] = False
    b_right[10] = False
    report = compare(answering(pictures, CLASSES, a_right), answering(pictures, CLASSES, b_right), pictures)
    grids = {figure.title: figure.pictures for figure in report.figures if figure.pictures}
    assert len(grids["A wrong, B right"]) == 4
    assert [caption for _, caption in grids["A right, B wrong"]] == [
        "true: leek\nA: leek (90%)\nB: kiwi (90%)\n010.png"
    ]


def test_noise_is_not_called_a_difference() -> None:
    pictures = data()
    rng = np.random.default_rng(0)
    a, b = (answering(pictures, CLASSES, rng.random(200) < 0.85) for _ in range(2))
    report = compare(a, b, pictures)
    assert report.to_json()["verdict"] == "undecided"
    assert "No difference between A and B can be shown with 200 pictures" in report.summary[0]


def test_identical_models_still_leave_room_for_doubt() -> None:
    pictures = data(40)
    model = answering(pictures, CLASSES, np.arange(40) % 5 != 0)
    gain = compare(model, model, pictures).metrics["accuracy_difference"]
    assert gain.value == 0
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low < -0.01 < 0.01 < gain.high


def test_pictures_that_one_model_could_not_read_count_for_neither() -> None:
    pictures = data(60)
    a, b = (answering(pictures, CLASSES, np.arange(60) % 5 != 0) for _ in range(2))
    del b.answers["000.png"]
    report = compare(a, b, pictures)
    assert report.metrics["accuracy_a"].n == 59
    assert "'000.png'" in report.warnings[0]


def test_progress_runs_once_over_both_models() -> None:
    pictures = data(6)
    model = answering(pictures, CLASSES, np.ones(6, bool))
    seen: list[tuple[int, int]] = []
    compare(model, model, pictures, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 12) for i in range(1, 13)]


def test_multi_label_is_decided_by_average_precision() -> None:
    names = ("wet", "dark")
    rng = np.random.default_rng(1)
    truth = rng.random((150, 2)) < 0.5
    samples = tuple(
        Sample(f"{i}", stripes(i % 5), tuple(n for n, t in zip(names, row, strict=True) if t))
        for i, row in enumerate(truth)
    )
    pictures = Dataset(samples, names, multilabel=True)

    def model(noise: float) -> StandIn:
        probs = np.clip(truth * 0.5 + 0.25 + rng.normal(0, noise, truth.shape), 0, 1).astype(np.float32)
        return StandIn(names, {s.id: p for s, p in zip(samples, probs, strict=True)}, multilabel=True)

    report = compare(model(0.6), model(0.1), pictures)
    assert report.to_json()["verdict"] == "b"
    assert report.metrics["map_difference"].value == pytest.approx(
        report.metrics["map_b"].value - report.metrics["map_a"].value
    )
    assert compare(model(0.3), model(0.3), pictures).to_json()["verdict"] == "undecided"
    with pytest.raises(DataError, match="cannot be compared"):
        compare(model(0.3), answering(data(6), CLASSES, np.ones(6, bool)), pictures)
