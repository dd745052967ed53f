"""Two detectors, or two segmenters: the better one is found, equals are not told apart, and others are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from painter import painter_bundle
from spots import spot_bundle
from spotter import COLOURS, spotter_bundle, squares

from photovision.app.cli import run
from photovision.core.errors import DataError
from photovision.core.page import to_html
from photovision.core.regions import Segmentation
from photovision.core.types import Sample
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.engine.compare import compare
from photovision.engine.load import load


def colour_blind(folder: Path, **changes: Any) -> Path:
    """The same detector, which confuses green with what is there everywhere else: it hardly finds green."""
    bundle = spotter_bundle(folder, **changes)
    graph = onnx.load(bundle / "model.onnx")
    (bias,) = [value for value in graph.graph.initializer if value.name == "bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - np.float32([0, 9]), "bias"))
    (cells,) = [value for value in graph.graph.initializer if value.name == "cells"]
    moved = numpy_helper.to_array(cells).copy()
    moved[:, ::2] += 8  # every second cell tells of a place beside itself
    cells.CopyFrom(numpy_helper.from_array(moved, "cells"))
    onnx.save(graph, bundle / "model.onnx")
    return bundle


def test_the_better_detector_is_found_with_the_classes_in_which_it_is(tmp_path: Path) -> None:
    data = squares()
    good, worse = load(spotter_bundle(tmp_path / "good")), load(colour_blind(tmp_path / "worse"))
    report = compare(worse, good, data)
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert told["verdict"] == "b"
    assert report.summary[0].startswith("B is better: +")
    assert "points of mean average precision" in report.summary[0]
    gain = told["metrics"]["map_difference"]
    assert 0 < gain["low"] < gain["value"] < gain["high"]
    both = [told["metrics"][f"map50_{name}"]["value"] for name in ("a", "b")]
    assert told["metrics"]["map50_difference"]["value"] == pytest.approx(both[1] - both[0])
    assert set(told["by_class"]) == set(COLOURS)
    (apart,) = [figure for figure in report.figures if figure.pictures]
    assert "only B" in apart.pictures[0][1]
    to_html(report)
    assert compare(good, worse, data).to_json()["verdict"] == "a"


def test_a_detector_is_no_better_than_itself(tmp_path: Path) -> None:
    one, same = load(spotter_bundle(tmp_path / "one")), load(spotter_bundle(tmp_path / "same"))
    report = compare(one, same, squares(12))
    assert report.to_json()["verdict"] == "undecided"
    assert report.metrics["map_difference"].value == 0
    assert not [figure for figure in report.figures if figure.pictures]


def test_order_of_classes_does_not_matter(tmp_path: Path) -> None:
    turned = spotter_bundle(tmp_path / "turned", classes=list(COLOURS)[::-1])
    graph = onnx.load(turned / "model.onnx")
    for value in graph.graph.initializer:
        if value.name in ("weights", "bias"):
            array = numpy_helper.to_array(value)[..., ::-1]
            value.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), value.name))
    onnx.save(graph, turned / "model.onnx")
    report = compare(load(spotter_bundle(tmp_path / "one")), load(turned), squares(12))
    assert report.metrics["map_difference"].value == 0
    assert all(gain["value"] == 0 for gain in report.to_json()["by_class"].values())


def painted(count: int = 24) -> Dataset:
    """Red things on black, beside grey ones that are none: those are red by half."""
    samples, classes = [], ("background", "thing")
    for number in range(count):
        labels = np.zeros((32, 32), np.int32)
        top, left = np.random.default_rng(number).integers(2, 18, 2)
        labels[top : top + 10, left : left + 10] = 1
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[labels == 1] = (255, 0, 0)
        picture[:2] = (150, 150, 150)
        samples.append(Sample(f"{number}.png", picture, ("thing",), annotations=Segmentation(labels, classes)))
    return Dataset(tuple(samples), classes, multilabel=True, annotation_type="masks")


def test_the_better_segmenter_is_found(tmp_path: Path) -> None:
    keen, careful = painter_bundle(tmp_path / "keen"), painter_bundle(tmp_path / "careful")
    graph = onnx.load(careful / "model.onnx")
    (bias,) = [value for value in graph.graph.initializer if value.name == "bias"]
    bias.CopyFrom(numpy_helper.from_array(np.float32([14, -14]), "bias"))  # half red is not enough for it
    onnx.save(graph, careful / "model.onnx")
    report = compare(load(keen), load(careful), painted())
    told = report.to_json()
    assert told["verdict"] == "b"
    assert "points of mean IoU" in report.summary[0]
    assert report.metrics["dice_difference"].value > 0.1
    assert told["by_class"]["thing"]["low"] > 0
    assert [figure for figure in report.figures if figure.pictures]


def test_models_that_cannot_be_compared_are_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector, segmenter = spotter_bundle(tmp_path / "d"), painter_bundle(tmp_path / "s")
    with pytest.raises(DataError, match="A is a detector and B a segmenter: only models of one task"):
        compare(load(detector), load(segmenter), squares(2))
    with pytest.raises(DataError, match="A is a classifier and B a detector"):
        compare(load(spot_bundle(tmp_path / "c")), load(detector), squares(2))
    other = spotter_bundle(tmp_path / "other", classes=["red", "blue"])
    with pytest.raises(DataError, match="only A knows 'green'"):
        compare(load(detector), load(other), squares(2))
    convert(squares(4), "coco", tmp_path / "data")
    assert run(["compare", str(detector), str(segmenter), str(tmp_path / "data")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["compare", str(detector), str(detector), str(tmp_path / "data"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "undecided"
