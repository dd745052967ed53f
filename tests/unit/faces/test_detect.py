"""Faces are found wherever they are, however the picture is turned and cut, and aligned on their five points."""

from __future__ import annotations

import io

import numpy as np
import pytest
from faces_of import astronaut, enlarged, needs_weights
from PIL import Image as Pillow

from photovision.core.inputs import as_pixels
from photovision.faces.align import SIDE, TEMPLATE, aligned, similarity
from photovision.faces.detect import Face, FaceDetector, decoded, distinct, view_of
from photovision.faces.quality import COMPARISON, ENROLMENT, quality_of

EYES = np.float32([[202, 106], [245, 105]])
"""Of the astronaut."""


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@needs_weights
def test_a_face_is_found_with_its_points_and_a_picture_without_one_has_none(detector: FaceDetector) -> None:
    (face,) = detector.find(astronaut())
    assert np.abs(face.points[:2] - EYES).max() < 6
    assert detector.find(np.full((200, 300, 3), 127, np.uint8)) == []


@needs_weights
@pytest.mark.parametrize("times", [0.3, 2.5])
def test_size_does_not_matter(detector: FaceDetector, times: float) -> None:
    (face,) = detector.find(enlarged(astronaut(), times))
    assert np.abs(face.points[:2] / times - EYES).max() < 8


@needs_weights
def test_a_face_that_fills_the_picture_or_is_cut_by_its_border_is_found(detector: FaceDetector) -> None:
    assert len(detector.find(enlarged(astronaut()[50:190, 170:280], 4))) == 1
    assert len(detector.find(np.ascontiguousarray(astronaut()[:, :230]), least=0.35, tiles=True)) == 1


@needs_weights
def test_a_small_face_in_a_large_picture_is_found_tile_by_tile(detector: FaceDetector) -> None:
    page = np.full((900, 1600, 3), 90, np.uint8)
    page[700:800, 1400:1500] = enlarged(astronaut(), 100 / 512)
    (face,) = detector.find(page, tiles=True)
    assert 1400 < face.points[:, 0].min() < face.points[:, 0].max() < 1500


@needs_weights
def test_a_picture_that_is_turned_by_its_exif_has_the_same_face(detector: FaceDetector) -> None:
    exif, file = Pillow.Exif(), io.BytesIO()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    Pillow.fromarray(np.rot90(astronaut()).copy()).save(file, "PNG", exif=exif)
    (face,) = detector.find(as_pixels(file.getvalue()))
    assert np.abs(face.points[:2] - EYES).max() < 6


def test_a_face_is_turned_upright_whatever_its_size() -> None:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    pattern = np.stack([2 * columns, 2 * rows, columns + rows], axis=-1).clip(0, 255).astype(np.uint8)
    large = np.asarray(Pillow.fromarray(pattern).resize((SIDE * 5, SIDE * 5), Pillow.Resampling.BICUBIC).rotate(90))
    points = 5 * TEMPLATE
    turned = np.stack([points[:, 1], 5 * SIDE - points[:, 0]], axis=1).astype(np.float32)
    back = aligned(large, turned).astype(float)
    assert np.abs(back - pattern)[8:-8, 8:-8].mean() < 3


def test_five_points_in_one_place_do_not_break_the_alignment() -> None:
    assert aligned(np.zeros((9, 9, 3), np.uint8), np.zeros((5, 2), np.float32)).shape == (SIDE, SIDE, 3)
    assert np.isfinite(abs(similarity(np.zeros((5, 2), np.float32))[0]))


def test_outputs_are_decoded_as_published() -> None:
    outputs = {
        f"{kind}_{stride}": np.zeros(((640 // stride) ** 2, wide), np.float32)
        for stride in (8, 16, 32)
        for kind, wide in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    }
    place = 3 * 40 + 5  # row 3, column 5 of stride 16
    outputs["cls_16"][place], outputs["obj_16"][place] = 0.81, 1.0
    outputs["bbox_16"][place] = [0.5, -0.5, np.log(2), np.log(4)]
    boxes, points, scores = decoded(outputs, 0.5)
    assert boxes.tolist() == [pytest.approx([5.5 * 16 - 16, 2.5 * 16 - 32, 5.5 * 16 + 16, 2.5 * 16 + 32])]
    assert points[0, 0].tolist() == [80, 48]
    assert scores.tolist() == [pytest.approx(0.9)]


def test_one_face_is_found_once_and_a_view_knows_its_place() -> None:
    five = np.zeros((5, 2), np.float32)
    boxes = [(0.0, 0.0, 10.0, 10.0), (1.0, 1.0, 11.0, 11.0), (2.0, 2.0, 5.0, 5.0), (20.0, 0.0, 30.0, 10.0)]
    found = distinct(Face(box, five, score) for box, score in zip(boxes, (0.8, 0.9, 0.7, 0.5), strict=True))
    assert [face.score for face in found] == [0.9, 0.5]
    view = view_of(np.full((100, 200, 3), 9, np.uint8))
    left, top = (int(side) for side in view.shift)
    assert view.pixels[top, left].tolist() == [9, 9, 9]
    assert view.scale == 3.2


@needs_weights
def test_poor_pictures_are_refused_with_their_reasons(detector: FaceDetector) -> None:
    def reasons(image: np.ndarray) -> list[str]:
        face = detector.find(image)[0]
        quality = quality_of(face, aligned(image, face.points), image.shape[:2])
        return ENROLMENT.reasons(quality) + ["also for comparing" for _ in COMPARISON.reasons(quality)]

    assert reasons(astronaut()) == []
    assert "too small" in reasons(enlarged(astronaut(), 0.35))[0]
    blurred = np.asarray(Pillow.fromarray(enlarged(astronaut(), 0.25)).resize((1024, 1024), Pillow.Resampling.BICUBIC))
    assert "blurred" in reasons(blurred)[0]
    assert "dark" in " ".join(reasons((astronaut() // 12).astype(np.uint8)))
