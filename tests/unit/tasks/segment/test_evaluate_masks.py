"""A segmenter is held against the truth, in its own numbering of classes, and the worst pictures come first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from painter import painter_bundle

from photovision.core.errors import DataError
from photovision.core.regions import IGNORE, Detections, Segmentation
from photovision.core.shapes import Rle
from photovision.core.types import Sample
from photovision.data.augment.mask import depth
from photovision.data.dataset import Dataset
from photovision.engine.evaluate import evaluate_on
from photovision.runtime.bundle import read_bundle
from photovision.tasks.segment.evaluation import evaluate
from photovision.tasks.segment.segmenter import Segmenter


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(read_bundle(painter_bundle(tmp_path_factory.mktemp("whole") / "model")))


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    folder = tmp_path_factory.mktemp("counting") / "model"
    return Segmenter(read_bundle(painter_bundle(folder, instances=True, tile=(32, 32))))


def _scene(number: int, wrong: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture of 32 pixels with two red squares, and the truth, in which `wrong` rows more are things."""
    labels = np.zeros((32, 32), np.int32)
    labels[2 + number : 10 + number, 3:11] = labels[2 + number : 10 + number, 18:26] = 1
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[..., 0] = 255 * labels
    picture[..., 2] = 255 * depth(labels * np.where(np.arange(32) < 15, 1, 2))
    labels[32 - wrong :] = 1
    return picture, labels


def _semantic(wrong: tuple[int, ...], classes: tuple[str, ...] = ("background", "thing")) -> Dataset:
    samples = []
    for number, rows in enumerate(wrong):
        picture, labels = _scene(number, rows)
        numbered = labels if classes[0] == "background" else 1 - labels
        samples.append(Sample(str(number), picture, ("thing",), annotations=Segmentation(numbered, classes)))
    return Dataset(tuple(samples), classes, multilabel=True, annotation_type="masks")


def test_a_perfect_answer(whole: Segmenter) -> None:
    report = evaluate_on(whole, _semantic((0, 0, 0)))
    assert report.metrics["miou"].value == report.metrics["dice"].value == report.metrics["boundary_f1"].value == 1
    assert report.metrics["surface_distance"].value == 0
    assert not {"instance_f1", "pq"} & set(report.metrics)
    assert report.data["by_class"]["thing"]["boundary_f1"]["value"] == 1
    assert "boundary_f1" not in report.data["by_class"]["background"]
    assert report.data["task"] == "segment"


def test_figures_are_those_of_the_pixels(whole: Segmenter) -> None:
    report = evaluate_on(whole, _semantic((0, 4)))
    missed, things = 4 * 32, 2 * 128 + 4 * 32
    assert report.metrics["dice"].value == pytest.approx(2 * (things - missed) / (2 * things - missed))
    assert [row[0] for row in report.tables[0].rows] == ["thing", "background"]
    shown = next(figure.pictures for figure in report.figures if figure.pictures)
    assert shown[0][1].endswith("\n1")  # the worst picture first


def test_classes_in_another_order_are_the_same_classes(whole: Segmenter) -> None:
    assert evaluate_on(whole, _semantic((0, 0), ("thing", "background"))).metrics["miou"].value == 1


def test_unjudged_pixels_count_for_nothing(whole: Segmenter) -> None:
    picture, labels = _scene(0, 6)
    labels[26:] = IGNORE
    sample = Sample("a", picture, ("thing",), annotations=Segmentation(labels, ("background", "thing")))
    data = Dataset((sample,), ("background", "thing"), multilabel=True, annotation_type="masks")
    assert evaluate_on(whole, data).metrics["miou"].value == 1


def test_objects_are_counted(counting: Segmenter) -> None:
    samples = []
    for number in range(3):
        picture, labels = _scene(number)
        halves = [labels * (np.arange(32) < 15), labels * (np.arange(32) >= 15)]
        masks = [Rle.of(half > 0) for half in halves]
        boxes = np.array([mask.box for mask in masks], dtype=np.float32)
        found = Detections(boxes, np.zeros(2, np.int64), ("thing",), masks=tuple(masks))
        samples.append(Sample(str(number), picture, ("thing",), annotations=found))
    data = Dataset(tuple(samples), ("thing",), multilabel=True, source="masks", annotation_type="boxes")
    report = evaluate_on(counting, data)
    assert report.metrics["instance_f1"].value == 1
    assert report.metrics["count_error"].value == 0
    assert report.metrics["pq"].value == report.metrics["sq"].value == report.metrics["rq"].value == 1
    assert "Panoptic quality is 100.0%" in " ".join(report.summary)
    assert evaluate(counting, data).counts is not None
    assert "6 objects" in " ".join(report.summary)


def test_what_cannot_be_judged_is_told(whole: Segmenter, tmp_path: Path) -> None:
    data = _semantic((0, 0))
    (tmp_path / "broken.png").write_bytes(b"nothing")
    broken = replace(data.samples[0], id="broken", image=tmp_path / "broken.png")
    small = replace(data.samples[0], id="small", image=np.zeros((9, 9, 3), np.uint8))
    report = evaluate_on(whole, replace(data, samples=(*data.samples, broken, small)))
    assert report.metrics["miou"].value == 1
    assert [problem["id"] for problem in report.data["unreadable"]] == ["broken", "small"]
    with pytest.raises(DataError, match="could be evaluated"):
        evaluate_on(whole, replace(data, samples=(broken,)))


def test_strange_classes_and_missing_masks_are_refused(whole: Segmenter) -> None:
    with pytest.raises(DataError, match="does not know 'cat'"):
        evaluate_on(whole, _semantic((0,), ("background", "thing", "cat")))
    bare = Dataset((Sample("a", np.zeros((8, 8, 3), np.uint8), ("thing",)),), ("thing", "other"))
    with pytest.raises(DataError, match="needs them"):
        evaluate_on(whole, bare)
