"""Plates: patches lie where the unit looked, small things are enlarged, tiles are laid out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from photovision.learned_features.tiles import CELL, FieldBox, enlarged, field_box, filter_tiles, map_tiles, patch


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("place", "side", "expected"),
    [
        ((0, 0), 20, FieldBox(0, 0, 20)),
        ((9, 9), 20, FieldBox(80, 80, 20)),
        ((5, 5), 10, FieldBox(50, 50, 10)),
        ((5, 5), 300, FieldBox(0, 0, 100)),
    ],
)
def test_fields_stay_within_the_picture(place: tuple[int, int], side: int, expected: FieldBox) -> None:
    assert field_box((100, 100), (10, 10), place, side) == expected


def test_a_patch_shows_the_place_and_frames_a_small_field() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[40:70, 40:70] = (220, 30, 30)
    shown = opened(patch(picture, FieldBox(45, 45, 20)))
    assert shown.shape == (CELL, CELL, 3)
    assert shown.mean((0, 1))[0] > 200
    framed = opened(patch(picture, FieldBox(52, 52, 3)))
    assert framed.mean((0, 1))[0] > 150
    assert np.abs(framed.astype(int) - (220, 30, 30)).sum(2).max() > 300  # the frame


def test_proportions_are_kept() -> None:
    assert opened(enlarged(np.zeros((20, 40, 3), np.uint8), 120)).shape == (60, 120, 3)


def test_tiles_of_maps_and_filters() -> None:
    maps = np.random.default_rng(0).random((12, 4, 4)).astype(np.float32)
    maps[3] = 0
    sheet = opened(map_tiles(maps))
    assert sheet.shape[0] == sheet.shape[1]
    weights = np.zeros((4, 3, 3, 3), np.float32)
    weights[0, 0] = 1
    tiles = opened(filter_tiles(weights))
    assert tiles[5, 5].tolist() == [255, 128, 128, 255]
    assert opened(filter_tiles(np.ones((1, 3, 2, 2), np.float32))).shape[:2] == (48, 48)
