"""Pictures of one shelf from two places are laid over each other; others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage import data
from skimage.transform import ProjectiveTransform, warp

from photovision.core.errors import DataError
from photovision.recipes.shelf.align import align, fixed

VIEWS = {
    "shifted": [[1, 0, 40], [0, 1, -25], [0, 0, 1]],
    "nearer": [[1.2, 0, -30], [0, 1.2, -40], [0, 0, 1]],
    "turned": [[0.98, 0.17, -20], [-0.17, 0.98, 40], [0, 0, 1]],
    "from the side": [[1.05, 0.08, 15], [-0.06, 1.02, 25], [3e-4, 1e-4, 1]],
}


def seen_from(picture: Any, matrix: Any, light: float = 1.0) -> Any:
    moved = warp(picture, ProjectiveTransform(np.array(matrix, float)).inverse, output_shape=picture.shape[:2])
    return np.clip(moved * 255 * light, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("view", VIEWS)
def test_places_are_found_again_within_a_few_pixels(view: str) -> None:
    picture = data.coffee()
    moved = seen_from(picture, VIEWS[view], light=0.7)
    found = align(picture, moved)
    box = np.float32([[250, 120, 310, 200]])
    corners = ProjectiveTransform(np.array(VIEWS[view], float))([(250, 120), (310, 120), (310, 200), (250, 200)])
    truth = np.concatenate([corners.min(0), corners.max(0)])
    assert np.abs(found.place(box)[0] - truth).max() < 3
    assert found.unchanged(np.float32(truth)) > 0.9


def test_what_was_covered_is_changed_and_the_rest_is_not() -> None:
    picture = data.coffee()
    moved = seen_from(picture, VIEWS["shifted"])
    moved[100:180, 290:350] = data.astronaut()[40:120, 200:260]
    found = align(picture, moved)
    assert found.unchanged(np.float32([290, 100, 350, 180])) < 0.5
    assert found.unchanged(np.float32([400, 100, 460, 180])) > 0.9
    assert found.unchanged(np.float32([-500, -500, -400, -400])) == 0.0


@pytest.mark.parametrize("other", ["chelsea", "rocket", "brick", "black", "dot"])
def test_other_pictures_are_refused(other: str) -> None:
    pictures = {"black": np.zeros((300, 400, 3), np.uint8), "dot": np.zeros((1, 1, 3), np.uint8)}
    picture = pictures[other] if other in pictures else getattr(data, other)()
    picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    with pytest.raises(DataError, match="about the same place"):
        align(data.coffee(), picture)


def test_a_camera_that_stands_still_needs_no_features_and_may_change_its_resolution() -> None:
    picture = data.coffee()
    found = fixed(picture, picture[::2, ::2])
    assert found.place(np.float32([[100, 50, 200, 100]])).tolist() == [[50, 25, 100, 50]]
    assert found.unchanged(np.float32([50, 25, 100, 50])) > 0.9
