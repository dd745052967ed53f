"""What is where: validated when it is made, turned as EXIF turns the picture, drawn where it is."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photovision.core.boxes import draw_regions
from photovision.core.errors import DataError, UsageError
from photovision.core.geometry import upright_box, upright_shape, upright_values
from photovision.core.image import decode, to_array
from photovision.core.regions import Detections, Segmentation
from photovision.core.shapes import Polygons, Rle

BOX = np.float32([[2, 1, 6, 3]])
LABEL = np.array([1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"boxes": np.float64([[0, 0, 1, 1]])},
        {"boxes": np.float32([[0, 0, np.nan, 1]])},
        {"boxes": np.float32([[5, 0, 1, 1]])},  # x1 after x2
        {"boxes": np.float32([[0, 0, 1, 1], [0, 0, 1, 1]])},  # two boxes, one label
        {"labels": np.array([2])},  # no such class
        {"labels": np.array([1.0])},
        {"scores": np.float32([1.5])},
        {"scores": np.float32([0.5, 0.5])},
        {"masks": ()},
        {"crowd": np.array([True, False])},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    fine: dict[str, Any] = {"boxes": BOX, "labels": LABEL, "classes": ("a", "b")}
    assert len(Detections(**fine)) == 1
    with pytest.raises(UsageError):
        Detections(**{**fine, **wrong})


def test_the_digest_follows_every_part() -> None:
    plain = Detections(BOX, LABEL, ("a", "b"))
    others = [
        Detections(BOX + 1, LABEL, ("a", "b")),
        Detections(BOX, LABEL - 1, ("a", "b")),
        Detections(BOX, LABEL, ("a", "c")),
        Detections(BOX, LABEL, ("a", "b"), crowd=np.array([True])),
        Detections(BOX, LABEL, ("a", "b"), track_ids=np.array([7])),
        Detections(BOX, LABEL, ("a", "b"), masks=(Rle.of(np.eye(4, dtype=bool)),)),
    ]
    assert len({plain.digest(), *(other.digest() for other in others)}) == 1 + len(others)
    assert Detections(BOX.copy(), LABEL.copy(), ("a", "b")).digest() == plain.digest()


def test_masks_and_boxes_as_bitmaps() -> None:
    mask = np.zeros((5, 7), dtype=bool)
    mask[2, 3] = True
    found = Detections(np.repeat(BOX, 2, axis=0), np.array([0, 1]), ("a", "b"), masks=(Rle.of(mask), None))
    bitmaps = found.bitmaps((5, 7))
    assert (bitmaps[0] == mask).all()
    assert bitmaps[1].sum() == 8
    assert bitmaps[1][1:3, 2:6].all()


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.zeros((0, 2), int), np.full((2, 2), 3), np.full((2, 2), -1)])
def test_a_segmentation_has_only_classes_that_exist(labels: np.ndarray) -> None:
    with pytest.raises(DataError):
        Segmentation(labels, ("a", "b"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_that_is_drawn_is_turned_like_the_picture(orientation: int) -> None:
    stored = np.zeros((50, 70, 3), dtype=np.uint8)
    stored[10:30, 20:60] = 255
    picture = Image.fromarray(stored)
    exif = picture.getexif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", exif=exif)
    bright = to_array(decode(buffer.getvalue()))[..., 0] > 128
    box = upright_box(np.float32([20, 10, 60, 30]), (50, 70), orientation)
    assert Rle.of(bright).box == tuple(box.tolist())
    assert (upright_values(stored[..., 0] > 0, orientation) == bright).all()
    outline = Polygons((np.float32([[20, 10], [60, 10], [60, 30], [20, 30]]),))
    assert upright_shape(outline, (50, 70), orientation).box == tuple(box.tolist())
    mask = upright_shape(Rle.of(stored[..., 0] > 0), (50, 70), orientation)
    assert (mask.bitmap(bright.shape) == bright).all()


def test_boxes_and_masks_are_drawn_where_they_are() -> None:
    image = np.full((100, 200, 3), 128, dtype=np.uint8)
    mask = np.zeros((100, 200), dtype=bool)
    mask[60:90, 150:190] = True
    boxes = np.float32([[10, 40, 60, 80], [150, 60, 190, 90]])
    drawn = draw_regions(image, Detections(boxes, np.array([0, 1]), ("a", "b"), masks=(None, Rle.of(mask))))
    changed = (drawn != 128).any(axis=2)
    assert changed[60, 10]  # the left edge of the first box
    assert not changed[60, 30]  # its inside
    assert changed[75, 170]  # the inside of the mask
    assert (image == 128).all()
    assert draw_regions(image, Detections(boxes, np.array([0, 1])), side=50).shape == (25, 50, 3)


def test_pixels_that_nobody_judges_are_dark() -> None:
    image = np.full((4, 4, 3), 200, dtype=np.uint8)
    labels = np.zeros((4, 4), dtype=np.int32)
    labels[0] = 255
    drawn = draw_regions(image, Segmentation(labels, ("a",)))
    assert (drawn[0] < 200).all()
    assert (np.ptp(drawn[1:].reshape(-1, 3), axis=0) == 0).all()
    assert (drawn[1, 0] != drawn[0, 0]).any()
