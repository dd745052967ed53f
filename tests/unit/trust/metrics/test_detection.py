"""Figures of detectors agree with the reference, and errors are told apart."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import DataError
from photovision.core.regions import Detections
from photovision.trust.metrics.detection import (
    IOUS,
    SIZES,
    Pair,
    _dataset,
    average_precision,
    best_thresholds,
    curve_of,
    f1,
    match,
    scores,
)
from photovision.trust.metrics.detection_errors import KINDS, break_down, confusion

CLASSES = ("cat", "dog", "hen")


def truth(*boxes: tuple[int, float, float, float, float], crowd: list[bool] | None = None) -> Detections:
    rows = np.array(boxes, np.float32).reshape(-1, 5)
    flags = None if crowd is None else np.array(crowd)
    return Detections(rows[:, 1:], rows[:, 0].astype(np.int64), CLASSES, crowd=flags)


def said(*boxes: tuple[int, float, float, float, float, float]) -> Detections:
    rows = np.array(boxes, np.float32).reshape(-1, 6)
    return Detections(rows[:, 2:], rows[:, 0].astype(np.int64), CLASSES, rows[:, 1])


def some_pairs(count: int = 20, seed: int = 0) -> list[Pair]:
    """Pictures with objects of all sizes, found with jitter, some missed, some invented, some crowds."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        n = int(rng.integers(0, 8))
        corner, side = rng.uniform(0, 400, (n, 2)), np.exp(rng.uniform(2, 5.3, (n, 2)))
        boxes = np.concatenate([corner, corner + side], 1).astype(np.float32)
        labels = rng.integers(0, 3, n)
        crowd = rng.uniform(size=n) < 0.1
        kept = rng.uniform(size=n) < 0.8
        moved = boxes[kept] + (rng.normal(0, 0.12, (kept.sum(), 4)) * np.tile(side[kept], 2)).astype(np.float32)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        extra = rng.uniform(0, 300, (4, 2))
        invented = np.concatenate([extra, extra + 60], 1).astype(np.float32)
        wrong = np.where(rng.uniform(size=kept.sum()) < 0.15, (labels[kept] + 1) % 3, labels[kept])
        found = Detections(
            np.concatenate([moved, invented]),
            np.concatenate([wrong, rng.integers(0, 3, 4)]),
            CLASSES,
            np.concatenate([rng.uniform(0.3, 1, kept.sum()), rng.uniform(0, 0.7, 4)]).astype(np.float32),
        )
        pairs.append(Pair(Detections(boxes, labels, CLASSES, crowd=crowd), found))
    return pairs


def reference(pairs: list[Pair]) -> Any:
    """The twelve figures of pycocotools itself."""
    from pycocotools import coco, cocoeval

    with contextlib.redirect_stdout(io.StringIO()):
        sides = [_dataset(coco, [pair[side] for pair in pairs], CLASSES) for side in (0, 1)]
        judge = cocoeval.COCOeval(*sides, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_the_reference(seed: int) -> None:
    pairs = some_pairs(seed=seed)
    metrics, by_class = scores(match(pairs, CLASSES), n_boot=20)
    expected = reference(pairs)
    names = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
    for name, value in zip(names, expected[:6], strict=True):
        assert metrics[name].value == pytest.approx(value, abs=1e-9), name
    assert metrics["recall"].value == pytest.approx(expected[8], abs=1e-9)
    assert all(one.low is not None for one in by_class.values())
    assert np.mean([one.value for one in by_class.values()]) == pytest.approx(expected[0], abs=1e-9)


def test_a_picture_that_counts_twice_is_the_picture_twice() -> None:
    pairs = some_pairs(8)
    whole, doubled = match(pairs, CLASSES), match([*pairs, pairs[3]], CLASSES)
    weights = np.ones((1, 8))
    weights[0, 3] = 2
    for label in range(3):
        twice = doubled.by["all"][label].precisions(np.ones((1, 9)))
        np.testing.assert_allclose(whole.by["all"][label].precisions(weights), twice, atol=1e-12)


def test_intervals_hold_the_figure_and_shrink_with_more_pictures() -> None:
    few, many = (scores(match(some_pairs(n), CLASSES))[0]["map50"] for n in (25, 225))
    for one in (few, many):
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high
    assert many.high - many.low < 0.6 * (few.high - few.low)  # type: ignore[operator]


def test_perfect_and_silent_detectors() -> None:
    there = truth((0, 0, 0, 50, 50), (1, 60, 60, 90, 90))
    perfect = said((0, 0.9, 0, 0, 50, 50), (1, 0.8, 60, 60, 90, 90))
    metrics, by_class = scores(match([Pair(there, perfect)], CLASSES))
    assert metrics["map"].value == pytest.approx(1)
    assert set(by_class) == {"cat", "dog"}
    assert by_class["cat"].low is None
    assert "map_large" not in metrics
    silent, _ = scores(match([Pair(there, said())], CLASSES))
    assert silent["map"].value == silent["recall"].value == 0
    with pytest.raises(DataError, match="no objects"):
        match([Pair(truth(), perfect)], CLASSES)
    with pytest.raises(DataError, match="no objects"):
        match([Pair(truth((0, 0, 0, 50, 50), crowd=[True]), perfect)], CLASSES)
    assert len(IOUS) == 10
    assert SIZES[0] == "all"


def test_thresholds_are_where_f1_is_highest() -> None:
    pairs = some_pairs(60, seed=4)
    matches = match(pairs, CLASSES)
    chosen = best_thresholds(matches)
    best = f1(matches, chosen).value
    for label in range(3):
        for other in np.linspace(0.05, 0.95, 19):
            own, its = (_f1_of(matches, label, float(limit)) for limit in (chosen[label], other))
            assert own >= its - 1e-9
    assert 0.5 < best < 1


def _f1_of(matches: Any, label: int, limit: float) -> float:
    one = matches.by["all"][label]
    kept = one.counts[0] & (one.scores >= limit)
    return float(2 * one.right[0][kept].sum() / (kept.sum() + one.objects.sum()))


def test_rare_classes_share_a_threshold() -> None:
    pairs = some_pairs(40, seed=5)
    lone = Pair(truth((2, 0, 0, 50, 50)), said((2, 0.06, 0, 0, 50, 50)))
    kept = [
        Pair(
            Detections(p.truth.boxes, np.minimum(p.truth.labels, 1), CLASSES),
            Detections(p.found.boxes, np.minimum(p.found.labels, 1), CLASSES, p.found.scores),
        )
        for p in pairs
    ]
    chosen = best_thresholds(match([*kept, lone], CLASSES))
    assert chosen[2] > 0.2  # its single box would have said 0.06


def test_every_error_has_its_kind() -> None:
    there = truth((0, 0, 0, 100, 100), (1, 200, 0, 300, 100), (2, 400, 0, 500, 100), (0, 600, 0, 700, 100))
    found = said(
        (0, 0.95, 0, 0, 100, 100),  # right
        (0, 0.9, 2, 2, 100, 100),  # duplicate
        (1, 0.8, 260, 0, 360, 100),  # localisation: overlap .25
        (0, 0.7, 402, 0, 500, 100),  # classification
        (1, 0.6, 440, 0, 560, 100),  # both
        (2, 0.5, 800, 800, 900, 900),  # background
    )
    broken = break_down([Pair(there, found)], 3)
    assert [one.kind for one in broken.mistakes] == [
        "duplicate",
        "localisation",
        "classification",
        "both",
        "background",
        "missed",
    ]
    assert broken.mistakes[-1].row == 3
    assert broken.counts() == dict.fromkeys(KINDS, 1)
    assert broken.counts(0.65)["both"] == 0
    assert broken.counts(0.65)["missed"] == 1
    # cat: found 1 of 2, AP about .5; dog and hen: 0
    assert broken.ap50 == pytest.approx(51 / 101 / 3)
    assert broken.costs["classification"] == pytest.approx(1 / 3 * 1)
    assert broken.costs["localisation"] > 0.3
    assert broken.costs["missed"] == pytest.approx((1 - 51 / 101) / 3)
    assert broken.costs["background"] == 0


def test_the_breakdown_starts_from_the_reference_figure() -> None:
    pairs = [Pair(Detections(p.truth.boxes, p.truth.labels, CLASSES), p.found) for p in some_pairs(30, seed=7)]
    broken = break_down(pairs, 3)
    assert broken.ap50 == pytest.approx(scores(match(pairs, CLASSES), n_boot=2)[0]["map50"].value, abs=0.01)
    assert all(cost >= -1e-9 for cost in broken.costs.values())
    assert sum(broken.counts().values()) == len(broken.mistakes)


def test_boxes_on_crowds_are_no_errors() -> None:
    there = truth((0, 0, 0, 300, 300), (1, 400, 0, 500, 100), crowd=[True, False])
    found = said((0, 0.9, 20, 20, 60, 60), (0, 0.8, 100, 100, 140, 140), (1, 0.9, 400, 0, 500, 100))
    broken = break_down([Pair(there, found)], 3)
    assert broken.mistakes == ()
    assert broken.ap50 == pytest.approx(1)


def test_average_precision_by_hand() -> None:
    assert average_precision(np.zeros(0, bool), 3) == 0
    assert average_precision(np.array([True, True]), 2) == pytest.approx(1)
    # recall .5 at precision 1, recall 1 at precision 2/3
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_what_was_called_what() -> None:
    there = truth((0, 0, 0, 100, 100), (1, 200, 0, 300, 100), (2, 400, 0, 500, 100), (0, 600, 0, 700, 100))
    found = said(
        (0, 0.95, 0, 0, 100, 100),  # a cat
        (2, 0.9, 2, 2, 100, 100),  # and something else on it
        (0, 0.7, 402, 0, 500, 100),  # a hen that is called a cat
        (1, 0.6, 800, 800, 900, 900),  # a dog that is not there
        (0, 0.2, 600, 0, 700, 100),  # below its threshold
    )
    table = confusion([Pair(there, found)], np.array([0.5] * 3), 3)
    assert table.tolist() == [[1, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 1, 0]]
    assert confusion([Pair(truth(), said())], np.array([0.5] * 3), 3).sum() == 0
    crowd = truth((0, 0, 0, 100, 100), crowd=[True])
    assert confusion([Pair(crowd, said((0, 0.9, 0, 0, 50, 50)))], np.array([0.5] * 3), 3).sum() == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_curve_ends_at_the_recall_and_spans_the_average_precision(seed: int) -> None:
    matches = match(some_pairs(30, seed), CLASSES)
    for one in matches.by["all"]:
        recall, precision = curve_of(one)
        assert (np.diff(recall) > 0).all()
        assert (np.diff(precision) <= 0).all()
        area = np.sum(np.diff(np.concatenate([[0], recall])) * precision)
        assert area == pytest.approx(one.precisions(np.ones((1, 30)))[0, 0], abs=0.02)
    assert [len(part) for part in curve_of(match([Pair(truth((0, 0, 0, 9, 9)), said())], CLASSES).by["all"][1])] == [
        0,
        0,
    ]
