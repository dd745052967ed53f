"""A segmenter's masks are of the size of the picture as people see it, also where it is seen through windows."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from painter import painter_bundle
from PIL import Image as Pillow

from photovision.core.errors import ModelError, UnreadableImage, UsageError
from photovision.core.regions import Segmentation
from photovision.data.augment.mask import depth
from photovision.engine.load import load
from photovision.runtime.bundle import read_bundle
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.segment.lines import AreaLines
from photovision.tasks.segment.segmenter import Segmenter
from tests.dicoms import saved


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(read_bundle(painter_bundle(tmp_path_factory.mktemp("whole") / "model")))


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    folder = tmp_path_factory.mktemp("tiled") / "model"
    return Segmenter(read_bundle(painter_bundle(folder, instances=True, tile=(32, 32))))


def _red(size: tuple[int, int], left: int, top: int, right: int, bottom: int) -> np.ndarray:
    picture = np.zeros((*size, 3), np.uint8)
    picture[top:bottom, left:right, 0] = 255
    return picture


def _labels(found: Segmentation | list[Segmentation]) -> np.ndarray:
    assert isinstance(found, Segmentation)
    return found.labels


def test_masks_have_the_size_of_the_picture(whole: Segmenter) -> None:
    picture = _red((96, 64), 10, 30, 40, 60)
    said = _labels(whole.predict(picture))
    assert said.shape == (96, 64)
    truth = picture[..., 0] > 0
    assert ((said == 1) & truth).sum() / ((said == 1) | truth).sum() > 0.9


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (33, 1), (37, 53), (31, 97)])
def test_any_size_of_picture(whole: Segmenter, tiled: Segmenter, size: tuple[int, int]) -> None:
    for segmenter in (whole, tiled):
        # What tells objects apart finds none in a picture smaller than one.
        expected = int(size != (1, 1) or not segmenter.instances)
        assert (_labels(segmenter.predict(np.full((*size, 3), (255, 0, 255), np.uint8))) == expected).all()
        assert (_labels(segmenter.predict(np.zeros((*size, 3), np.uint8))) == 0).all()


def test_windows_leave_no_seams(tiled: Segmenter) -> None:
    """At one pixel of the picture for one of the network the mask is exact, wherever windows meet."""
    rng = np.random.default_rng(0)
    picture = np.zeros((150, 201, 3), np.uint8)
    for _ in range(12):
        y, x = rng.integers(0, 130), rng.integers(0, 180)
        picture[y : y + 17, x : x + 17] = 255, 0, 255
    assert np.array_equal(_labels(tiled.predict(picture)) == 1, picture[..., 0] > 0)


def test_objects_that_touch_are_told_apart(tiled: Segmenter) -> None:
    numbers = np.zeros((60, 90), np.int32)
    rows, columns = np.mgrid[:60, :90]
    for number, x in enumerate((25, 44, 63), 1):
        numbers[(rows - 30) ** 2 + (columns - x) ** 2 <= 100] = number
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[..., 0], picture[..., 2] = 255 * (numbers > 0), 255 * depth(numbers)
    found = tiled.objects(picture)
    assert len(found) == 3
    assert found.names == ("thing",) * 3
    assert found.scores is not None
    assert found.scores.min() > 0.9
    for mask in found.bitmaps((60, 90)):
        assert max(((numbers == n) & mask).sum() / ((numbers == n) | mask).sum() for n in (1, 2, 3)) > 0.9


def test_specks_are_no_objects(tiled: Segmenter) -> None:
    scene = next(iter(tiled.results([_red((32, 32), 4, 4, 5, 6)])))
    assert scene.value is not None
    assert scene.value.objects is not None
    assert len(scene.value.objects) == 0
    assert not scene.value.labels.any()


def test_turned_files_bytes_and_arrays_agree(whole: Segmenter, tmp_path: Path) -> None:
    picture = _red((64, 96), 8, 16, 40, 48)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # stored on its side: to be turned by 90 degrees
    Pillow.fromarray(picture).rotate(90, expand=True).save(tmp_path / "a.png", exif=exif)
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, "PNG")
    answers = whole.predict([tmp_path / "a.png", buffer.getvalue(), picture])
    assert isinstance(answers, list)
    for answer in answers:
        assert np.array_equal(answer.labels, answers[2].labels)


def test_areas_of_scans_are_in_square_millimetres(whole: Segmenter, tmp_path: Path) -> None:
    scan = saved(tmp_path / "a.dcm", _red((8, 16), 0, 0, 8, 8), PixelSpacing=[0.5, 2])
    (found,) = whole.results([scan])
    assert found.value is not None
    shares = found.value.areas()
    assert found.value.areas_mm2() == {name: share * 8 * 16 for name, share in shares.items()}
    assert found.to_json()["areas_mm2"] == found.value.areas_mm2()
    assert " mm2)" in AreaLines(whole, 1).text("a.dcm", found.value)


def test_unreadable_pictures_are_told_and_passed_over(whole: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    seen = list(whole.results([tmp_path / "broken.png", _red((8, 8), 0, 0, 8, 8)]))
    assert [scene.value is None for scene in seen] == [True, False]
    assert "error" in seen[0].to_json()
    assert seen[1].to_json() == {"file": None, "size": [8, 8], "areas": {"thing": 1.0}}
    with pytest.raises(UnreadableImage):
        whole.predict(tmp_path / "broken.png")


def test_models_are_opened_as_what_they_are(whole: Segmenter, tmp_path: Path) -> None:
    assert isinstance(load(whole.bundle.path), Segmenter)
    with pytest.raises(ModelError, match="is a segmenter, not a classifier"):
        Recognizer(whole.bundle)
    with pytest.raises(UsageError, match="not objects"):
        whole.objects(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("tile", ["32", [32], [32, -1], [32, 1e9], [True, 32]])
def test_a_strange_tile_is_refused(tmp_path: Path, tile: object) -> None:
    folder = painter_bundle(tmp_path / "model")
    info = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**info, "tile": tile}))
    with pytest.raises(ModelError, match="tile"):
        Segmenter(read_bundle(folder))


def test_a_graph_of_other_classes_is_refused(tmp_path: Path) -> None:
    folder = painter_bundle(tmp_path / "model")
    info = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**info, "classes": ["a", "b", "c"]}))
    with pytest.raises(ModelError, match="should give classes"):
        Segmenter(read_bundle(folder)).predict(np.zeros((8, 8, 3), np.uint8))
