"""Heatmaps: one scale a model, empty below the limit, boxes in pixels of the picture."""

from __future__ import annotations

import numpy as np

from photovision.tasks.anomaly.heatmap import enlarged, hot_regions, relative


def test_below_the_limit_a_map_is_empty() -> None:
    heat = np.full((8, 8), 4.9, np.float32)
    assert not relative(heat, 5.0).any()
    assert hot_regions(heat, 5.0, (100, 100)) == []


def test_regions_are_boxes_in_the_picture_the_hottest_first() -> None:
    heat = np.zeros((28, 28), np.float32)
    heat[4:8, 20:26] = 6
    heat[20:24, 2:6] = 9
    first, second = hot_regions(heat, 5.0, (280, 560))
    assert first.heat > second.heat >= 1
    assert np.allclose(first.box, (40, 200, 120, 240), atol=8)
    assert np.allclose(second.box, (400, 40, 520, 80), atol=8)
    assert 0 < first.area < 0.05


def test_a_map_is_enlarged_to_the_picture() -> None:
    heat = np.arange(16, dtype=np.float32).reshape(4, 4)
    large = enlarged(heat, (40, 80))
    assert large.shape == (40, 80)
    assert large.min() == 0
    assert large.max() == 15
