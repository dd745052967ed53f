"""Outlines and masks: what goes in comes out, in every form, and nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from photovision.core.errors import DataError
from photovision.core.shapes import Polygons, Rle, unpack

MASKS = arrays(np.bool_, some.tuples(some.integers(1, 30), some.integers(1, 30)))


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_a_mask_comes_back_from_every_form(mask: np.ndarray) -> None:
    shape = Rle.of(mask)
    assert (shape.bitmap() == mask).all()
    assert Rle.read(shape.size, shape.text).counts.tolist() == shape.counts.tolist()
    assert Rle.read(shape.size, shape.counts.tolist()).counts.tolist() == shape.counts.tolist()
    packed = unpack(shape.pack())
    assert isinstance(packed, Rle)
    assert packed.size == shape.size
    assert (packed.bitmap() == mask).all()
    assert shape.area == mask.sum()


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_the_box_of_a_mask_is_the_smallest(mask: np.ndarray) -> None:
    rows, columns = np.nonzero(mask)
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0, 0, 0, 0)
    assert Rle.of(mask).box == expected


def test_the_compressed_text_is_that_of_coco() -> None:
    # Worked out by hand from the rule of the API: five bits a letter from "0", "P" and above go on, signed differences.
    assert Rle((1, 6), np.array([2, 1, 3])).text == "213"
    assert Rle((10, 10), np.array([40, 20, 30, 10])).text == "X1d0n0F"
    assert Rle.read((10, 10), "X1d0n0F").counts.tolist() == [40, 20, 30, 10]


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ((2, 2), [1, 1]),  # too few pixels
        ((2, 2), [-1, 5]),
        ((2, 2), ["a"]),
        ((2, 2), [[1], [2, 3]]),
        ((2, 2), [10**30]),
        ((2, 2), "~~~"),
        ((2, 2), "oooooooooooooooo"),  # a number without an end
        ((10**5, 10**5), [10**10]),  # a bomb
    ],
)
def test_nonsense_is_no_mask(size: tuple[int, int], counts: list[int] | str) -> None:
    with pytest.raises(DataError):
        Rle.read(size, counts)


def test_polygons_of_several_parts() -> None:
    square = np.float32([[1, 1], [4, 1], [4, 4], [1, 4]])
    shape = Polygons((square, square + 5))
    assert shape.box == (1, 1, 9, 9)
    bitmap = shape.bitmap((10, 10))
    assert bitmap[1:4, 1:4].all()
    assert bitmap[6:9, 6:9].all()
    assert not bitmap[0].any()
    assert not bitmap[4:6, 4:6][0, 1]
    packed = unpack(shape.pack())
    assert isinstance(packed, Polygons)
    assert [part.tolist() for part in packed.parts] == [part.tolist() for part in shape.parts]


@pytest.mark.parametrize("parts", [(), (np.float32([[0, 0], [1, 1]]),), (np.float32([[0, 0], [1, 1], [np.nan, 0]]),)])
def test_nonsense_is_no_outline(parts: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(DataError):
        Polygons(parts)
