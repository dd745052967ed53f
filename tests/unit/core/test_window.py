"""Windows: boxes go from an image to a view of a part of it and back, and nothing is made up on the way."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photovision.core.preprocess import Preprocess
from photovision.core.regions import Detections
from photovision.core.window import (
    Boxes,
    Size,
    Window,
    clipped,
    crop_boxes,
    rescaled,
    to_image,
    to_view,
    visible,
    whole,
)
from photovision.runtime.tiles import Tiling

sides = st.integers(1, 20_000)
sizes = st.tuples(sides, sides)
shares = st.floats(0, 1, allow_nan=False)
spans = st.tuples(shares, shares).map(sorted)
WIDEST = 20_000


@st.composite
def windows(draw: st.DrawFn) -> tuple[Size, Window]:
    """The size of an image and a window inside it, at least a hundredth of a pixel wide and high."""
    height, width = size = draw(sizes)
    left, top = draw(shares) * (width - 0.01), draw(shares) * (height - 0.01)
    wide, high = 0.01 + draw(shares) * (width - 0.01 - left), 0.01 + draw(shares) * (height - 0.01 - top)
    return size, (left, top, left + wide, top + high)


def boxes_in(size: Size, parts: list[tuple[list[float], list[float]]]) -> Boxes:
    rows = [(x[0] * size[1], y[0] * size[0], x[1] * size[1], y[1] * size[0]) for x, y in parts]
    return np.array(rows, np.float64).reshape(-1, 4)


found = st.lists(st.tuples(spans, spans), max_size=8)


@given(windows(), sizes, found)
def test_there_and_back_is_where_one_was(
    part: tuple[Size, Window], view: Size, parts: list[tuple[list[float], list[float]]]
) -> None:
    size, window = part
    boxes = boxes_in(size, parts)
    np.testing.assert_allclose(to_image(to_view(boxes, window, view), window, view), boxes, atol=1e-6)
    np.testing.assert_allclose(to_view(to_image(boxes, window, view), window, view), boxes, atol=1e-6 * WIDEST)


@given(windows(), sizes)
def test_the_corners_of_a_window_are_those_of_its_view(part: tuple[Size, Window], view: Size) -> None:
    _, window = part
    np.testing.assert_allclose(to_view([window], window, view), [whole(view)], atol=1e-6 * WIDEST)
    np.testing.assert_allclose(to_image([whole(view)], window, view), [window], atol=1e-6)


@given(windows(), sizes, found)
def test_what_is_cut_is_cut_alike_on_both_sides(
    part: tuple[Size, Window], view: Size, parts: list[tuple[list[float], list[float]]]
) -> None:
    size, window = part
    boxes = boxes_in(size, parts)
    inside = clipped(boxes, window)
    assert (inside[:, 2:] >= inside[:, :2]).all()
    assert (visible(boxes, window) >= 0).all()
    assert (visible(boxes, window) <= 1 + 1e-9).all()
    seen = clipped(to_view(boxes, window, view), whole(view))
    np.testing.assert_allclose(to_image(seen, window, view), inside, atol=1e-6)


@given(windows(), sizes, found)
def test_objects_in_a_view_lie_in_it_and_were_seen(
    part: tuple[Size, Window], view: Size, parts: list[tuple[list[float], list[float]]]
) -> None:
    size, window = part
    boxes = boxes_in(size, parts).astype(np.float32)
    objects = Detections(boxes, np.arange(len(boxes)))
    cropped = crop_boxes(objects, window, view)
    share = visible(boxes, window)
    assert cropped.labels.tolist() == np.flatnonzero(share > 0.05).tolist()
    assert cropped.crowd is not None
    assert cropped.crowd.tolist() == (share[cropped.labels] < 0.4).tolist()
    if len(cropped):
        assert cropped.boxes.min() >= 0
        assert (cropped.boxes[:, 2:] <= np.float32(view[::-1])).all()
    everything = crop_boxes(objects, whole(size), size)
    np.testing.assert_allclose(everything.boxes, boxes[everything.labels], rtol=1e-6)


@given(windows(), sizes)
def test_a_window_is_the_same_part_of_a_smaller_copy(part: tuple[Size, Window], other: Size) -> None:
    size, window = part
    copy = rescaled(window, size, other)
    np.testing.assert_allclose(rescaled(copy, other, size), window, atol=1e-6)
    shares = np.array(window) / np.array(whole(size)[2:] * 2)
    np.testing.assert_allclose(np.array(copy) / np.array(whole(other)[2:] * 2), shares, atol=1e-9)


@given(st.integers(100, 300), st.integers(100, 300), st.integers(16, 600), st.integers(16, 600), st.floats(0, 0.5))
def test_boxes_found_in_tiles_are_where_they_are_in_the_picture(
    high: int, wide: int, height: int, width: int, overlap: float
) -> None:
    """An object of a few pixels lies whole in some tile or is cut by it, and comes back from each where it was."""
    box = np.array([[width / 2 - 3, height / 2 - 2, width / 2 + 3, height / 2 + 2]])
    for window in Tiling((high, wide), overlap).windows((height, width)):
        seen = to_view(box, window, (64, 64))
        back = to_image(clipped(seen, whole((64, 64))), window, (64, 64))
        np.testing.assert_allclose(back, clipped(box, window), atol=1e-9)


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("crop", [1.0, 0.8])
@given(size=sizes, net=st.tuples(st.integers(8, 800), st.integers(8, 800)), parts=found)
def test_what_a_network_sees_comes_back_to_the_picture(
    fit: Literal["squash", "crop"],
    crop: float,
    size: Size,
    net: Size,
    parts: list[tuple[list[float], list[float]]],
) -> None:
    window = Preprocess(net, fit=fit, crop=crop).window(size[1], size[0])
    truth = to_image(boxes_in(net, parts), window, net)
    there = to_view(truth, window, net).astype(np.float32)
    back = clipped(to_image(there, window, net), window)
    np.testing.assert_allclose(back, clipped(truth, window), atol=1e-6 * max(size) + 1e-6)


def test_a_marked_pixel_comes_back_where_it_was() -> None:
    # The inverse of the resize itself, not of its description: the centre of what the network sees lit.
    for size, at in [((60, 200), (12, 150)), ((333, 77), (300, 20)), ((64, 64), (5, 50))]:
        picture = np.zeros((*size, 3), np.uint8)
        picture[at[0] : at[0] + 8, at[1] : at[1] + 8] = 255
        for preprocess in (Preprocess((96, 96)), Preprocess((48, 96), fit="squash", interpolation="bicubic")):
            light = preprocess.apply(picture)[..., 0].astype(float)
            y, x = ((grid * light).sum() / light.sum() + 0.5 for grid in np.mgrid[: light.shape[0], : light.shape[1]])
            back = to_image([[x, y, x, y]], preprocess.window(size[1], size[0]), preprocess.size)[0]
            assert back[:2] == pytest.approx([at[1] + 4, at[0] + 4], abs=0.6)
