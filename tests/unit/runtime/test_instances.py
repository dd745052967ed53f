"""Objects that touch are told apart by their cores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photovision.data.augment.mask import depth
from photovision.runtime.instances import detections, separate


def _discs(*middles: tuple[int, int], radius: int = 9, size: tuple[int, int] = (40, 64)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    numbers = np.zeros(size, np.int32)
    for number, (y, x) in enumerate(middles, 1):
        numbers[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = number
    return numbers


def test_touching_discs_are_two() -> None:
    true = _discs((20, 20), (20, 37))
    found = separate(true > 0, (255 * depth(true)).astype(np.uint8))
    assert found.max() == 2
    for number in (1, 2):
        one, other = true == number, found == found[20, 20 if number == 1 else 37]
        assert (one & other).sum() / (one | other).sum() > 0.9


def test_an_object_without_a_core_is_one_all_the_same() -> None:
    true = _discs((20, 20))
    assert np.array_equal(separate(true > 0, np.zeros(true.shape, np.uint8)) > 0, true > 0)


def test_specks_of_depth_do_not_tear_a_large_object_apart_and_a_small_neighbour_stays() -> None:
    rows, columns = np.mgrid[:60, :80]
    large, small = (rows - 30) ** 2 + (columns - 30) ** 2 <= 24**2, (rows - 30) ** 2 + (columns - 63) ** 2 <= 9**2
    inner = ((rows - 30) ** 2 + (columns - 30) ** 2 <= 16**2) | ((rows - 30) ** 2 + (columns - 63) ** 2 <= 6**2)
    values = np.where(inner, 220, np.where(large | small, 60, 0)).astype(np.uint8)
    for row, column in ((10, 30), (48, 35), (25, 9)):
        values[row : row + 3, column : column + 3] = 180
    found = separate(large | small, values)
    assert found.max() == 2
    assert found[10, 30] == found[30, 30] != found[30, 63]


def test_objects_below_the_least_area_are_left_out() -> None:
    foreground = np.zeros((20, 20), bool)
    foreground[2:4, 2:4] = foreground[8:16, 8:16] = True
    found = separate(foreground, np.full((20, 20), 200, np.uint8), least=5)
    assert found.max() == 1
    assert found[10, 10] == 1
    assert not found[:5].any()


@pytest.mark.parametrize("foreground", [np.zeros((1, 1), bool), np.ones((1, 1), bool), np.ones((3, 1), bool)])
def test_the_smallest_pictures(foreground: np.ndarray) -> None:
    numbers = separate(foreground, np.zeros(foreground.shape, np.uint8))
    found = detections(numbers, foreground.astype(np.uint8), np.full(foreground.shape, 255, np.uint8), ("cell",))
    assert len(found) == int(foreground.any())


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_masks_boxes_and_numbers_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    foreground = rng.random((13, 17)) < 0.5
    labels = np.where(foreground, rng.integers(1, 3, foreground.shape), 0).astype(np.uint8)
    sure = rng.integers(0, 256, foreground.shape).astype(np.uint8)
    numbers = separate(foreground, rng.integers(0, 256, foreground.shape).astype(np.uint8))
    found = detections(numbers, labels, sure, ("a", "b"))
    masks = found.bitmaps((13, 17))
    assert np.array_equal(masks.any(0), foreground)
    for number, (mask, box, label, score) in enumerate(
        zip(masks, found.boxes, found.labels, found.scores, strict=True), 1
    ):
        assert np.array_equal(mask, numbers == number)
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (labels[mask] == label + 1).sum() * 2 >= mask.sum()
        assert score == pytest.approx(sure[mask].mean() / 255, abs=1e-5)
