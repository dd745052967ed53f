"""Overlays: colours that read the same in grey, over the part of the picture that the network sees."""

from __future__ import annotations

import numpy as np

from photovision.core.overlay import heat_colours, legend, overlay, scaled
from photovision.core.preprocess import Preprocess


def luminance(colours: np.ndarray) -> np.ndarray:
    encoded = colours.astype(float) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_lightness_grows_evenly() -> None:
    seen = 116 * np.cbrt(luminance(heat_colours(np.linspace(0, 1, 65, dtype=np.float32)))) - 16
    assert (np.diff(seen) > 0).all()
    assert seen[0] < 20
    assert seen[-1] > 90
    assert np.abs(seen - np.linspace(seen[0], seen[-1], 65)).max() < 8


def test_the_hottest_place_is_the_lightest() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[6, 1] = 1
    found = overlay(np.full((64, 96, 3), 90, np.uint8), heat, Preprocess((8, 8)))
    assert found.shape == (64, 96, 3)
    row, column = np.unravel_index(luminance(found).argmax(), (64, 96))
    assert (row // 8, column // 12) == (6, 1)


def test_what_the_network_does_not_see_is_dark() -> None:
    picture = np.full((60, 100, 3), 200, np.uint8)
    found = overlay(picture, np.random.default_rng(0).random((8, 8)).astype(np.float32), Preprocess((8, 8), "crop"))
    assert (found[:, :20] == 70).all()
    assert (found[:, 80:] == 70).all()
    assert not (found[:, 20:80] == 70).all()


def test_flat_heat_has_one_colour() -> None:
    assert (scaled(np.full((3, 3), 7, np.float32)) == 0.5).all()
    assert scaled(np.float32([[-2, 2]])).tolist() == [[0.0, 1.0]]


def test_the_legend_says_which_end_is_which() -> None:
    drawing = legend()
    assert drawing.index("least") < drawing.index("most")
