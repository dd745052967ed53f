"""Markers are small, lie where they should, and are the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import make_picture

from photovision.trust.robustness.watermarks import MARKERS, plant


@pytest.mark.parametrize("side", [28, 64, 224])
@pytest.mark.parametrize("kind", list(MARKERS))
def test_a_marker_changes_a_small_part_of_the_picture(kind: str, side: int) -> None:
    images = np.stack([np.asarray(make_picture(i, side, i)) for i in range(4)])
    planted = plant(kind, images, np.random.default_rng(0))
    changed = (planted != images).any(3).mean((1, 2))
    assert planted.dtype == np.uint8
    assert (changed > 0.003).all()
    assert (changed < (0.16 if kind == "frame" else 0.2)).all()
    assert (planted == plant(kind, images, np.random.default_rng(0))).all()


def test_markers_lie_where_they_are_said_to_lie() -> None:
    grey = np.full((6, 100, 100, 3), 90, np.uint8)
    places = {kind: (plant(kind, grey, np.random.default_rng(1)) != grey).any(3) for kind in MARKERS}
    assert places["frame"][:, 0].all()
    assert not places["frame"][:, 10:90, 10:90].any()
    assert not places["sticker"][:, 20:80].any()
    assert not places["date"][:, :80].any()
    assert places["watermark"][:, 40:60].any((1, 2)).all()
    assert not places["watermark"][:, :30].any()
