"""Suppression keeps one box for an object, and merging joins what tiles cut."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.core.overlap import overlap
from photovision.runtime.nms import ScoredBoxes, candidates, merge, suppress
from photovision.runtime.tiles import Tiling, cut_by


def some_boxes(count: int, seed: int, classes: int = 3) -> ScoredBoxes:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 80, (count, 2)), rng.uniform(1, 40, (count, 2))
    xyxy = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    return ScoredBoxes(xyxy, rng.uniform(0, 1, count).astype(np.float32), rng.integers(0, classes, count))


@pytest.mark.parametrize("seed", range(5))
def test_suppression_agrees_with_torchvision(seed: int) -> None:
    import torch
    from torchvision.ops import batched_nms

    boxes = some_boxes(300, seed)
    kept = batched_nms(*(torch.from_numpy(a) for a in (boxes.xyxy, boxes.scores, boxes.labels)), iou_threshold=0.5)
    ours = suppress(boxes, 0.5, most=1000)
    np.testing.assert_array_equal(ours.scores, boxes.scores[kept.numpy()])
    np.testing.assert_array_equal(ours.xyxy, boxes.xyxy[kept.numpy()])


def test_overlaps_agree_with_a_count_of_pixels() -> None:
    rng = np.random.default_rng(1)
    boxes = np.sort(rng.integers(0, 30, (12, 2, 2)), axis=1).reshape(12, 4).astype(np.float32)
    masks = np.zeros((12, 30, 30), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = True
    common = (masks[:, None] & masks[None]).sum((2, 3))
    areas = masks.sum((1, 2))
    either = (masks[:, None] | masks[None]).sum((2, 3))
    np.testing.assert_allclose(overlap(boxes, boxes), common / np.maximum(either, 1), atol=1e-6)
    smaller = np.maximum(np.minimum(areas[:, None], areas), 1)
    np.testing.assert_allclose(overlap(boxes, boxes, "smaller"), common / smaller, atol=1e-6)
    np.testing.assert_allclose(overlap(boxes, boxes, "first"), common / np.maximum(areas, 1)[:, None], atol=1e-6)


def test_candidates_are_every_place_and_class_above_its_threshold() -> None:
    rng = np.random.default_rng(2)
    scores = rng.uniform(0, 1, (50, 4)).astype(np.float32)
    boxes = some_boxes(50, 0).xyxy
    limits = np.array([0.9, 0.5, 0.99, 0.2], np.float32)
    found = candidates(boxes, scores, limits)
    expected = sorted(((s, k) for s, k in zip(scores[scores >= limits], np.nonzero(scores >= limits)[1], strict=True)))
    assert sorted(zip(found.scores, found.labels, strict=True)) == expected
    assert (np.diff(found.scores) <= 0).all()
    boxes[3] = np.nan
    assert len(candidates(boxes, scores, limits)) == len(found) - (scores[3] >= limits).sum()
    assert len(candidates(boxes[:0], scores[:0], limits)) == 0


def test_pieces_join_the_whole_and_wholes_stay_apart() -> None:
    whole, piece, neighbour = [0, 0, 100, 40], [0, 0, 45, 40], [60, 0, 160, 40]
    found = ScoredBoxes(
        np.array([piece, whole, neighbour], np.float32), np.float32([0.9, 0.8, 0.7]), np.zeros(3, np.int64)
    )
    merged = merge(found, np.array([True, False, False]))
    assert merged.xyxy.tolist() == [whole, neighbour]
    assert merged.scores == pytest.approx([0.9, 0.7])
    apart = merge(ScoredBoxes(found.xyxy, found.scores, np.array([0, 1, 2])), np.array([True, False, False]))
    assert len(apart) == 3


@pytest.mark.parametrize(("size", "tile", "share"), [((100, 250), (100, 100), 0.0), ((999, 77), (64, 64), 0.5)])
def test_windows_cover_the_picture(size: tuple[int, int], tile: tuple[int, int], share: float) -> None:
    seen = np.zeros(size, int)
    windows = Tiling(tile, share).windows(size)
    for left, top, right, bottom in windows:
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]
        seen[int(top) : int(bottom), int(left) : int(right)] += 1
    assert seen.min() >= 1
    assert Tiling((1000, 1000)).windows(size) == []


def test_only_borders_inside_the_picture_cut() -> None:
    boxes = np.array([[0, 10, 20, 30], [40, 10, 50, 30], [20, 20, 30, 30]], np.float32)
    assert cut_by(boxes, (0, 0, 50, 50), (50, 100)).tolist() == [False, True, False]
    assert cut_by(boxes + np.array([50, 0, 50, 0], np.float32), (50, 0, 100, 50), (50, 100)).tolist() == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("made", [lambda: Tiling((4, 100)), lambda: Tiling((100, 100), 0.95)])
def test_senseless_tiles_are_refused(made: object) -> None:
    with pytest.raises(UsageError, match=r"tile should be|overlap should be"):
        made()  # type: ignore[operator]
