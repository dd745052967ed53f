"""The audit of a segmenter finds what was planted, and finds nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from painter import painter_bundle

from photovision.core.errors import UsageError
from photovision.core.page import to_html
from photovision.core.regions import Detections, Segmentation
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.audit import audit
from photovision.runtime.bundle import read_bundle
from photovision.tasks.segment.checks import CHECKS
from photovision.tasks.segment.segmenter import Segmenter

CLASSES = ("background", "thing")


def scenes(count: int, missed: float = 0.0) -> Dataset:
    """Red squares from two sites; in the south this share of their rows is not red."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        labels = np.zeros((32, 32), np.int32)
        top, left = rng.integers(1, 16, 2)
        labels[top : top + 14, left : left + 14] = 1
        seen, site = labels.copy(), "south" if number % 3 == 0 else "north"
        if site == "south":
            seen[top : top + round(14 * missed * rng.uniform(0.5, 1.5))] = 0
        picture = np.stack([230 * seen + 10, np.full((32, 32), 20), np.full((32, 32), 40)], 2).astype(np.uint8)
        samples.append(Sample(f"{number:03d}", picture, CLASSES, {"site": site}, Segmentation(labels, CLASSES)))
    return Dataset(tuple(samples), CLASSES, multilabel=True, annotation_type="masks")


def pairs_of_objects(count: int, missed: bool = True) -> Dataset:
    """Pictures of a large and a small square, of which every second small one cannot be seen where any is `missed`."""
    samples = []
    for number in range(count):
        boxes = np.array([[2, 2, 14, 14], [20, 20, 25 + number % 2, 25 + number % 3]], np.float32)
        red, deep = np.zeros((32, 32)), np.zeros((32, 32))
        for x1, y1, x2, y2 in boxes[: 1 if missed and number % 2 else 2].astype(int).tolist():
            red[y1:y2, x1:x2], deep[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] = 255, 255
        picture = np.stack([red, np.zeros((32, 32)), deep], 2).astype(np.uint8)
        truth = Detections(boxes, np.zeros(2, np.int64), ("thing",))
        samples.append(Sample(f"{number:03d}", picture, ("thing",), {}, truth))
    return Dataset(tuple(samples), ("thing",), multilabel=True, annotation_type="boxes", source="masks")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(read_bundle(painter_bundle(tmp_path_factory.mktemp("painter") / "model")))


def test_of_a_sound_segmenter_nothing_is_said_but_what_conditions_cost(segmenter: Segmenter) -> None:
    report = audit(segmenter, scenes(90), minutes=0.1)
    assert list(report.provenance["audit"]["seconds"]) == list(CHECKS)
    assert [warning for warning in report.warnings if "rest on" not in warning] == []
    assert report.data["fairness"]["found"] == []
    told = report.data["robustness"]["conditions"]
    assert told["night"]["dice"][-1] < 0.2
    # Turned or seen from elsewhere, masks move with the pixels: next to nothing is lost.
    assert min(told["rotation"]["dice"] + told["scale"]["dice"]) > 0.9
    assert 0 < report.metrics["corrupted_dice"].value < report.metrics["uncorrupted_dice"].value
    to_html(report)


def test_a_group_that_is_served_worse_is_named(segmenter: Segmenter) -> None:
    report = audit(segmenter, scenes(120, missed=0.3), only=("groups",))
    assert report.data["fairness"]["found"] == ["site = south"]
    assert report.metrics["worst_group_dice"].value < 0.9


def test_objects_are_judged_where_they_are_told_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("counting") / "model"
    counting = Segmenter(read_bundle(painter_bundle(folder, instances=True, tile=(32, 32))))
    report = audit(counting, scenes(60), only=("groups",))
    (table,) = (table for table in report.tables if table.title == "By group")
    assert {"dice", "recall", "precision"} <= set(table.columns)
    report = audit(counting, pairs_of_objects(60), only=("objects",))
    worse = {(one["trait"], one["what"]) for one in report.data["kinds_of_objects"] if one["worse"]}
    assert ("size", "found") in worse
    sound = audit(counting, pairs_of_objects(60, missed=False), only=("objects",))
    assert not any(one["worse"] for one in sound.data["kinds_of_objects"])


def test_mistakes_are_told(segmenter: Segmenter) -> None:
    with pytest.raises(UsageError, match="no check 'labels' of a segmenter; its checks are groups, objects, slices"):
        audit(segmenter, scenes(3), only=("labels",))
