"""A picture in segments: things differ, stuff has the colour of its class, and the legend says what is there."""

from __future__ import annotations

import numpy as np

from photovision.core.boxes import colour_of
from photovision.core.segments import SHARE, draw_segments

NAMES = ("background", "road", "car")


def _drawn(labels: np.ndarray, numbers: np.ndarray | None, background: int | None = None) -> np.ndarray:
    image = np.full((*labels.shape, 3), 100, np.uint8)
    return draw_segments(image, labels, numbers, NAMES, side=80, background=background)


def _labels() -> np.ndarray:
    labels = np.zeros((40, 80), int)
    labels[20:] = 1
    labels[4:16, 5:20] = labels[4:16, 50:65] = 2
    return labels


def test_stuff_has_the_colour_of_its_class_and_background_none() -> None:
    drawn = _drawn(_labels(), None, background=0)
    expected = 100 + SHARE * (np.array(colour_of(1)) - 100)
    assert np.abs(drawn[30, 40] - expected).max() <= 1
    assert drawn[2, 2].tolist() == [100, 100, 100]


def test_things_of_one_class_differ_and_have_edges() -> None:
    numbers = np.zeros((40, 80), int)
    numbers[4:16, 5:20], numbers[4:16, 50:65] = 1, 2
    drawn = _drawn(_labels(), numbers, background=0).astype(int)
    assert np.abs(drawn[10, 12] - drawn[10, 57]).max() > 40
    assert drawn[10, 19].tolist() == [255, 255, 255]


def test_unjudged_pixels_are_dark() -> None:
    labels = _labels()
    labels[:, 70:] = 255
    assert _drawn(labels, None)[10, 75].max() < 70


def test_the_legend_stands_below_and_grows_with_the_classes() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    labels = np.arange(800).reshape(20, 40) // 40
    few = draw_segments(image, labels // 20, None, ("a",), side=200)
    many = draw_segments(image, labels, None, [f"a class of things {i}" for i in range(20)], side=200, title="Truth")
    assert few.shape[0] > 100
    assert few.shape[1] == many.shape[1] == 200
    assert many.shape[0] > few.shape[0] + 40
    assert (few[100:] == 255).mean() > 0.5


def test_tiny_and_odd_pictures() -> None:
    assert draw_segments(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), int), None, ("a",), side=50).shape[1] == 50
    odd = draw_segments(
        np.zeros((3, 3, 3), np.uint8), np.full((3, 3), 255), np.zeros((3, 3), int), ("\x1b[1m",), side=60
    )
    assert odd.shape[1] == 60
