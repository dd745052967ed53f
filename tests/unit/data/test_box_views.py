"""Boxes follow their pixels through every view."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from photovision.core.preprocess import Preprocess
from photovision.core.regions import Detections
from photovision.data.augment.box import UNJUDGED, BoxAugmenter, targets_in_window
from photovision.data.augment.image import Augment

PREPROCESS = Preprocess((160, 192))


def marked(box: tuple[int, int, int, int], size: tuple[int, int] = (120, 200)) -> tuple[Pillow.Image, Detections]:
    """A black picture with one white box, and its truth."""
    image = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return Pillow.fromarray(image), Detections(np.float32([box]), np.array([3], np.int64))


@pytest.mark.parametrize("seed", range(40))
def test_a_box_stays_on_its_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = int(rng.integers(0, 120)), int(rng.integers(0, 60))
    picture, found = marked((x, y, x + int(rng.integers(30, 80)), y + int(rng.integers(30, 60))))
    view = BoxAugmenter(Augment(scale=0.3, jitter=0), turn=bool(seed % 2))
    draw = view.draw((120, 200), np.random.default_rng(seed))
    image, truth = draw.pixels(picture, (120, 200), PREPROCESS), draw.truth(found, PREPROCESS)
    white = image[..., 0] > 127
    if not white.any():
        assert len(truth) == 0 or truth[0, 0] == UNJUDGED
        return
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    if len(truth):  # a scrap at the border is dropped
        assert np.abs(truth[0, 1:] - seen).max() <= 1.5


def test_what_is_cut_off_or_a_crowd_is_not_judged() -> None:
    crowd = np.array([False, False, True])
    found = Detections(
        np.float32([[0, 0, 20, 20], [60, 0, 100, 40], [40, 40, 60, 60]]), np.array([0, 1, 0]), crowd=crowd
    )
    rows = targets_in_window(found, (15, 0, 100, 85), (85, 85))
    assert rows[:, 0].tolist() == [UNJUDGED, 1, UNJUDGED]
    assert rows[1, 1:].tolist() == [45, 0, 85, 40]


def test_a_smaller_decoded_picture_has_the_same_boxes() -> None:
    picture, found = marked((40, 20, 120, 80))
    half = picture.resize((100, 60))
    view = BoxAugmenter(Augment(scale=1, ratio=1, flip=False, jitter=0))
    draw = view.draw((120, 200), np.random.default_rng(0))
    whole, small = (draw.pixels(one, (120, 200), PREPROCESS) for one in (picture, half))
    np.testing.assert_allclose(draw.truth(found, PREPROCESS)[0, 1:], [38.4, 26.67, 115.2, 106.67], atol=0.01)
    assert np.abs(whole.astype(int) - small).mean() < 6
