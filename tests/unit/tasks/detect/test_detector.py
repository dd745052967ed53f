"""A detector's boxes lie where the objects are, in the picture as people see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from spotter import scene, spotter_bundle

from photovision.core.errors import ModelError, UnreadableImage, UsageError
from photovision.core.regions import Detections
from photovision.runtime.bundle import read_bundle
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.detector import Detector


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spotter_bundle(tmp_path_factory.mktemp("spotter") / "model")


@pytest.fixture(scope="module")
def detector(folder: Path) -> Detector:
    return Detector(read_bundle(folder))


def only(found: Detections | list[Detections]) -> Detections:
    assert isinstance(found, Detections)
    return found


def test_boxes_lie_in_pixels_of_the_picture(detector: Detector) -> None:
    # 128 cells of the input are 512 x 256 pixels of the picture: a cell is 64 x 32.
    picture = scene((256, 512), [("red", (64, 32, 128, 64)), ("green", (448, 224, 512, 256))])
    found = only(detector.predict(picture))
    assert dict(zip(found.names, found.boxes.tolist(), strict=True)) == {
        "red": [64, 32, 128, 64],
        "green": [448, 224, 512, 256],
    }
    assert found.scores is not None
    assert (found.scores > 0.9).all()


def test_files_bytes_and_turned_files_agree(detector: Detector, tmp_path: Path) -> None:
    picture = scene((256, 512), [("red", (64, 32, 128, 64))])
    upright, turned = tmp_path / "a.png", tmp_path / "b.jpg"
    Pillow.fromarray(picture).save(upright)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # stored on its side: to be turned by 90 degrees
    Pillow.fromarray(picture).rotate(90, expand=True).save(turned, exif=exif, quality=95)
    seen = list(detector.results([upright, turned, upright.read_bytes(), picture]))
    assert [one.size for one in seen] == [(256, 512)] * 4
    assert [one.file for one in seen] == [str(upright), str(turned), None, None]
    assert [one.value.boxes.tolist() for one in seen if one.value is not None] == [[[64, 32, 128, 64]]] * 4


def test_a_large_jpeg_is_decoded_small_and_measured_large(detector: Detector, tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    Pillow.fromarray(scene((2048, 4096), [("green", (1024, 512, 1536, 768))])).save(file, quality=90)
    (seen,) = detector.results([file])
    assert seen.size == (2048, 4096)
    assert seen.value is not None
    assert seen.value.boxes.tolist() == [[1024, 512, 1536, 768]]


def test_thresholds_come_from_the_bundle_or_the_caller(tmp_path: Path) -> None:
    picture = scene((128, 128), [("red", (16, 16, 32, 32)), ("green", (64, 64, 80, 80))])
    strict = read_bundle(spotter_bundle(tmp_path / "a", thresholds=[1.0, 0.5]))
    assert only(Detector(strict).predict(picture)).names == ("green",)
    assert sorted(only(Detector(strict, threshold=0.5).predict(picture)).names) == ["green", "red"]
    assert len(only(Detector(strict, threshold=0.0, most=7).predict(picture))) == 7
    with pytest.raises(UsageError, match="threshold should be 0 to 1, got 2"):
        Detector(strict, threshold=2)


def test_tiles_find_what_is_small(detector: Detector) -> None:
    small = [("red", (x, y, x + 30, y + 30)) for x, y in ((40, 40), (900, 500), (500, 8), (8, 960))]
    picture = scene((1000, 1000), small)
    whole, tiled = (only(detector.predict(picture, tile=tile)) for tile in (None, (96, 96)))
    assert len(whole) == 0
    for _, box in small:
        reds = tiled.boxes[tiled.labels == 0]
        near = np.abs((reds[:, :2] + reds[:, 2:]) / 2 - (np.array(box[:2]) + 15)).max(1)
        assert near.min() < 15


def test_unreadable_pictures_are_answered_in_their_place(detector: Detector, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    picture = scene((64, 64), [("red", (8, 8, 16, 16))])
    for tile in (None, (32, 32)):
        seen = list(detector.with_options(tile=tile).results([bad, picture, tmp_path / "gone.jpg"]))
        assert [one.value is None for one in seen] == [True, False, True]
        assert seen[0].to_json() == {"file": str(bad), "error": "cannot be decoded (not a picture of a known format)"}
        assert seen[1].to_json()["size"] == [64, 64]
        with pytest.raises(UnreadableImage, match=r"bad\.jpg"):
            detector.predict(bad, tile=tile)


def test_the_answer_as_json(detector: Detector, tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    Pillow.fromarray(scene((128, 128), [("red", (16, 16, 32, 32))])).save(file)
    (seen,) = detector.results([file])
    said = json.loads(json.dumps(seen.to_json()))
    assert said["file"] == str(file)
    assert said["size"] == [128, 128]
    (box,) = said["boxes"]
    assert box["label"] == "red"
    assert 0.9 < box["score"] <= 1
    assert box["xyxy"] == [16, 16, 32, 32]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": None}, "one threshold a class"),
        ({"thresholds": [0.5]}, "one threshold a class"),
        ({"thresholds": [0.5, 3]}, "a number from 0 to 1"),
        ({"thresholds": [0.5, "a"]}, "a number from 0 to 1"),
        ({"iou": "much"}, "a number from 0 to 1"),
        ({"classes": []}, "at least one class name"),
        ({"task": "paint"}, "task of anomaly, segment, detect, classify, embed, cut, generate, got 'paint'"),
        ({"task": ["detect"]}, "task of anomaly, segment, detect, classify"),
        ({"task": "classify"}, "lacks temperature, multilabel"),
    ],
)
def test_bundles_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_bundle(spotter_bundle(tmp_path / "m", **changes))


def test_a_graph_of_other_outputs_or_classes_is_refused(tmp_path: Path, folder: Path) -> None:
    picture = np.zeros((10, 10, 3), np.uint8)
    three = Detector(read_bundle(spotter_bundle(tmp_path / "m", classes=list("abc"), thresholds=[0.5] * 3)))
    with pytest.raises(ModelError, match=r"should give boxes \(N, K, 4\) and scores \(N, K, 3\)"):
        three.predict(picture)
    with pytest.raises(ModelError, match=r"is a detector, not a classifier.*photovision detect"):
        Recognizer(read_bundle(folder))
