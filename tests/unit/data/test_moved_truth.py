"""Boxes and classes of pixels go where a corruption moves the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from photovision.core.regions import IGNORE, Detections
from photovision.core.window import crop_boxes
from photovision.data.corruptions import CORRUPTIONS, corrupt
from photovision.data.corruptions.transform_targets import MOVING, moved_boxes, moved_labels

SIZE, BOX = (100, 140), (20, 10, 50, 40)
ONE = Detections(np.float32([BOX]), np.array([0], np.int64), ("thing",))


def picture() -> np.ndarray:
    image = np.zeros((*SIZE, 3), np.uint8)
    image[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    return image


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_boxes_are_where_the_pixels_went_mirror_images_too(seed: int, severity: int) -> None:
    found, _ = ndimage.label(corrupt(picture(), "scale", severity, seed)[..., 0] > 127)
    there = sorted((part[1].start, part[0].start, part[1].stop, part[0].stop) for part in ndimage.find_objects(found))
    moved = moved_boxes(ONE, SIZE, "scale", severity, seed)
    np.testing.assert_allclose(sorted(map(tuple, moved.boxes.tolist())), there, atol=1)
    whole = np.prod(moved.boxes[:, 2:] - moved.boxes[:, :2], axis=1)
    assert moved.crowd is not None
    assert moved.crowd.tolist() == (whole < 0.5 * whole.max()).tolist()  # what is mostly cut off is not judged


def test_what_touches_its_own_mirror_image_is_not_judged() -> None:
    edge = Detections(np.float32([[0, 10, 30, 40]]), np.array([0], np.int64), ("thing",))
    farther = next(seed for seed in range(9) if len(moved_boxes(ONE, SIZE, "scale", 5, seed)) > 1)
    moved = moved_boxes(edge, SIZE, "scale", 5, farther)
    assert moved.crowd is not None
    assert moved.crowd.all()


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS.names() if name not in MOVING])
def test_what_stays_where_it_is_is_left_alone(name: str) -> None:
    assert moved_boxes(ONE, SIZE, name, 3, 0) is ONE
    labels = np.ones(SIZE, np.int32)
    assert moved_labels(labels, 2, name, 3, 0) is labels


@pytest.mark.parametrize("name", MOVING)
def test_classes_are_those_of_the_moved_pixels(name: str) -> None:
    labels = (picture()[..., 0] > 0).astype(np.int32)
    moved = moved_labels(labels, 5, name, 4, (0, 7))
    assert (moved == (corrupt(picture(), name, 4, (0, 7))[..., 0] > 127)).mean() > 0.999
    labels[60:] = IGNORE
    assert set(np.unique(moved_labels(labels, 5, name, 4, (0, 7)))) == {0, 1, IGNORE}


def test_nothing_there_stays_nothing() -> None:
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), ("thing",))
    assert len(moved_boxes(none, SIZE, "scale", 3, 0)) == 0
    assert len(crop_boxes(none, (0, 0, 9, 9), (18, 18))) == 0
