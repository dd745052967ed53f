"""Pictures, not objects, are what kinds of pictures are compared by; planted faults are found, chance is not."""

from __future__ import annotations

import numpy as np
import pytest
from test_detection import CLASSES

from photovision.core.regions import Detections
from photovision.trust.fairness.object_subgroups import SubgroupScale, audit_kinds
from photovision.trust.fairness.regions import audit_shares
from photovision.trust.metrics.detection import Pair
from photovision.trust.metrics.matching import Matching, find_hits
from photovision.trust.metrics.rates import compare_things, of_pictures, precision, recall

LIMITS = np.array([0.5] * 3, np.float32)


def seen_by_chance(count: int, found: np.ndarray, seed: int = 0, unlike: float = 0.0) -> Matching:
    """Pictures with four objects each, found with the probabilities (count, 4); one false box in every fourth picture.

    `unlike` lets whole pictures be better or worse than others.
    """
    rng = np.random.default_rng(seed)
    pairs = []
    for number in range(count):
        side = np.array([8, 16, 32, 48])
        corner = np.stack([[5.0, 100.0, 150.0, 200.0], [20.0, 20.0, 20.0, 20.0]], 1)
        boxes = np.concatenate([corner, corner + side[:, None]], 1).astype(np.float32)
        labels = np.array([0, 0, 1, 1])
        luck = rng.normal(0, unlike)
        kept = rng.random(4) < np.clip(found[number] + luck, 0, 1)
        extra = np.float32([[5, 150, 20, 170]] if number % 4 == 0 else []).reshape(-1, 4)
        said = np.concatenate([boxes[kept], extra])
        named = np.concatenate([labels[kept], np.zeros(len(extra), int)])
        scores = rng.uniform(0.6, 0.9, len(said)).astype(np.float32)
        pairs.append(Pair(Detections(boxes, labels, CLASSES), Detections(said, named, CLASSES, scores)))
    return find_hits(pairs, CLASSES)


def groups_of(hits: Matching, values: list[str]) -> dict[str, object]:
    shares = [recall(hits, LIMITS), precision(hits, LIMITS)]
    finding = audit_shares({"camera": values}, ["camera"], shares, precise=hits.ap50)
    return {"finding": finding, **finding.data["fairness"]}


def test_a_group_in_which_objects_are_missed_is_named() -> None:
    values = ["old" if number % 3 == 0 else "new" for number in range(150)]
    chance = np.where(np.array(values) == "old", 0.5, 0.9)[:, None] * np.ones(4)
    told = groups_of(seen_by_chance(150, chance), values)
    assert told["found"] == ["camera = old"]
    finding = told["finding"]
    assert "camera = old: recall is" in finding.warnings[0]  # type: ignore[attr-defined]
    metrics = finding.metrics  # type: ignore[attr-defined]
    assert metrics["group_gap"].low < -0.4 < metrics["group_gap"].high
    assert metrics["worst_group_recall"].value < 0.65
    (table,) = (table for table in finding.tables if table.title == "By group")  # type: ignore[attr-defined]
    assert table.columns[-1] == "AP at .5"
    assert table.rows[0][-1].value != table.rows[1][-1].value


def test_equal_groups_are_seldom_named_also_where_pictures_are_unlike() -> None:
    named = 0
    for seed in range(10):
        values = np.random.default_rng(seed).choice(["a", "b", "c"], 90).tolist()
        hits = seen_by_chance(90, np.full((90, 4), 0.75), seed, unlike=0.3)
        named += bool(groups_of(hits, values)["found"])
    assert named <= 2


def test_a_group_is_not_blamed_for_its_classes() -> None:
    """Class 1 is found half as often, and the old camera shows more of it."""
    rng = np.random.default_rng(0)
    pairs, values = [], []
    for number in range(200):
        old = number % 2 == 0
        labels = (rng.random(4) < (0.8 if old else 0.2)).astype(np.int64)
        corner = np.arange(4)[:, None] * 60.0
        boxes = np.concatenate([corner, corner, corner + 40, corner + 40], 1).astype(np.float32)
        kept = rng.random(4) < np.where(labels == 1, 0.45, 0.9)
        found = Detections(boxes[kept], labels[kept], CLASSES, np.full(kept.sum(), 0.9, np.float32))
        pairs.append(Pair(Detections(boxes, labels, CLASSES), found))
        values.append("old" if old else "new")
    told = groups_of(find_hits(pairs, CLASSES), values)
    assert told["found"] == []
    gap = told["finding"].metrics["group_gap"]  # type: ignore[attr-defined]
    assert abs(gap.value) < 0.1


def test_the_interval_of_a_share_is_that_of_pictures() -> None:
    """Objects of one picture that stand and fall together are worth less than as many of their own."""
    together = np.repeat(np.random.default_rng(0).random(60) < 0.7, 4).reshape(60, 4)
    apart = np.random.default_rng(1).random((60, 4)) < 0.7
    wide, narrow = (recall(seen_by_chance(60, flags.astype(float)), LIMITS) for flags in (together, apart))
    everyone = np.ones(60, bool)
    spread = [share.of(everyone).high - share.of(everyone).low for share in (wide, narrow)]
    assert spread[0] > 1.4 * spread[1]
    assert recall(seen_by_chance(30, np.ones((30, 4))), LIMITS).of(np.ones(30, bool)).low < 1


def test_small_objects_that_are_missed_are_named_and_others_are_not() -> None:
    chance = np.tile([0.4, 0.9, 0.9, 0.9], (120, 1))
    hits = seen_by_chance(120, chance)
    finding = audit_kinds(hits.there, hits.seen(LIMITS), np.tile([200, 300], (120, 1)))
    worse = [(one["trait"], one["value"]) for one in finding.data["kinds_of_objects"] if one["worse"]]
    assert worse[0][0] == "size"
    assert worse[0][1].startswith("small")
    assert finding.warnings


def test_kinds_that_fare_alike_are_seldom_named() -> None:
    named = 0
    for seed in range(10):
        hits = seen_by_chance(80, np.full((80, 4), 0.75), seed, unlike=0.3)
        finding = audit_kinds(hits.there, hits.seen(LIMITS), np.tile([200, 300], (80, 1)))
        named += any(one["worse"] for one in finding.data["kinds_of_objects"])
    assert named <= 2
    assert audit_kinds(hits.there, hits.seen(LIMITS), np.tile([200, 300], (80, 1))).figures


def test_few_objects_are_not_compared() -> None:
    hits = seen_by_chance(4, np.full((4, 4), 0.5))
    assert "not compared" in audit_kinds(hits.there, hits.seen(LIMITS), np.tile([200, 300], (4, 1))).summary[0]


def test_a_kind_is_held_against_others_of_its_class() -> None:
    hits = seen_by_chance(100, np.tile([0.9, 0.9, 0.3, 0.3], (100, 1)))
    second = hits.there.labels == 1
    assert compare_things(hits.there, hits.seen(LIMITS), second, 100).p > 0.999  # its class accounts for all of it
    odd = hits.there.row % 2 == 1
    assert compare_things(hits.there, hits.seen(LIMITS), odd, 100).p > 0.01
    assert compare_things(hits.there, hits.seen(LIMITS), odd, 100).n == 200


def test_what_counts_as_small_and_crowded_are_thirds() -> None:
    hits = seen_by_chance(30, np.ones((30, 4)))
    scale = SubgroupScale.of(hits.there, np.tile([200, 300], (30, 1)))
    size = scale.traits(hits.there)[0]
    assert np.bincount(size.labels).tolist() == [30, 30, 60]
    border = scale.traits(hits.there)[4]
    assert np.bincount(border.labels).tolist() == [120]


def test_a_score_a_picture_is_a_share_too() -> None:
    values = np.linspace(0, 1, 60)
    share = of_pictures("dice", "right", values)
    upper = np.arange(60) >= 30
    assert share.of(upper).value == pytest.approx(values[30:].mean())
    assert share.gap(upper, ~upper).low > 0.4
    assert share.p(upper, np.ones(60, bool)) < 1e-6
