"""A click gives the object under it, at the picture's own size; what cannot be meant is refused in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clicker import SCORES, clicker_bundle
from painter import painter_bundle
from spots import spot_bundle

from photovision.core.errors import ModelError, UsageError
from photovision.engine.load import load
from photovision.models.pretrained import _MADE
from photovision.models.weights import CUTTERS
from photovision.runtime.bundle import read_bundle
from photovision.tasks.cut.prompted_segmenter import READY, Cutter, Embedding

NONE = np.zeros((0, 2), np.float32)


@pytest.fixture(scope="module", params=["openvino", "onnxruntime"])
def cutter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cutter:
    return Cutter.open(clicker_bundle(tmp_path_factory.mktemp("cutter") / "model"), engine=request.param)


def _picture(height: int, width: int) -> np.ndarray:
    """A green picture with a red object in its left third."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 1] = 200
    picture[:, : width // 3] = (230, 0, 0)
    return picture


@pytest.mark.parametrize(("height", "width"), [(48, 48), (90, 160), (160, 90), (33, 1), (1000, 1200)])
def test_a_click_gives_the_object_at_the_size_of_the_picture(cutter: Cutter, height: int, width: int) -> None:
    picture = _picture(height, width)
    red = picture[..., 0] > 0
    inside = (width / 6, height / 2) if width > 2 else (0.5, height / 2)
    # Clear prompts are for one mask; a click alone may also mean everything, which this model is surest of.
    found = cutter.cut(cutter.embed(picture), np.array([inside, inside], np.float32), np.array([True, True]))
    assert found.mask.shape == (height, width)
    wrong = (found.mask != (red if width > 2 else np.ones_like(red))).mean()
    assert wrong < 0.12  # half a cell at a border; cells are a sixteenth of the longer side
    assert found.score == pytest.approx(SCORES[0])


def test_a_click_alone_gives_the_surest_of_three_masks(cutter: Cutter) -> None:
    embedding = cutter.embed(_picture(60, 60))
    found = cutter.cut(embedding, np.array([[50, 30]], np.float32), np.array([True]))
    assert found.score == pytest.approx(max(SCORES[1:]))
    assert found.mask[:, 30:].all()
    assert not found.mask[:, :15].any()


def test_a_box_alone_is_enough(cutter: Cutter) -> None:
    found = cutter.cut(cutter.embed(_picture(60, 60)), NONE, np.zeros(0, bool), (1, 1, 18, 59))
    assert found.box is not None
    assert found.box[:2] == (0, 0)
    assert found.score == pytest.approx(SCORES[0])


def test_what_cannot_be_meant_is_refused(cutter: Cutter) -> None:
    embedding = cutter.embed(_picture(20, 30))
    yes = np.array([True])
    for points, positive, box, message in (
        (NONE, np.zeros(0, bool), None, "nothing says where"),
        (np.array([[3, 3]], np.float32), ~yes, None, "nothing says where"),
        (np.array([[31, 3]], np.float32), yes, None, r"picture of 30 x 20 pixels, got \(31, 3\)"),
        (np.array([[np.nan, 3]], np.float32), yes, None, "a point should lie in the picture"),
        (np.array([[3, 3]], np.float32), np.array([True, False]), None, "1 points and 2 values"),
        (NONE, np.zeros(0, bool), (5.0, 5.0, 5.0, 9.0), "x1 below x2"),
        (NONE, np.zeros(0, bool), (0.0, 0.0, 40.0, 9.0), "in the picture of 30 x 20"),
        (np.zeros((300, 2), np.float32), np.ones(300, bool), None, "at most 256 points"),
    ):
        with pytest.raises(UsageError, match=message):
            cutter.cut(embedding, points, positive, box)
    with pytest.raises(UsageError, match="uint8"):
        cutter.embed(np.zeros((4, 4), np.int64))


def test_the_mask_of_a_big_picture_is_made_band_by_band_without_seams(
    cutter: Cutter, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    embedding = Embedding(values, (700, 500))
    prompt = embedding, np.array([[250, 300]], np.float32), np.array([True])
    whole = cutter.cut(*prompt).mask
    monkeypatch.setattr("photovision.tasks.cut.prompted_segmenter._BAND", 20_000)
    assert (cutter.cut(*prompt).mask == whole).mean() > 0.999


def test_other_bundles_and_missing_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = painter_bundle(tmp_path / "painter")
    with pytest.raises(ModelError, match="is a segmenter, not a prompted segmenter"):
        Cutter.open(painter)
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="photovision weights get mobilesam"):
        Cutter.open()
    half = clicker_bundle(tmp_path / "half")
    (half / "decoder.onnx").unlink()
    broken = Cutter.open(half)
    with pytest.raises(ModelError, match="incomplete"):
        broken.cut(broken.embed(_picture(9, 9)), np.array([[1, 1]], np.float32), np.array([True]))
    swapped = clicker_bundle(tmp_path / "swapped")
    (swapped / "model.onnx").write_bytes((spot_bundle(tmp_path / "spots") / "model.onnx").read_bytes())
    with pytest.raises(ModelError, match="make the bundle again"):
        Cutter(read_bundle(swapped)).embed(_picture(9, 9))


def test_load_opens_a_cutter_and_the_ready_one_has_its_name(tmp_path: Path) -> None:
    assert isinstance(load(clicker_bundle(tmp_path / "model")), Cutter)
    assert f"{CUTTERS['mobilesam'].sha256[:8]}-{_MADE}/mobilesam" == READY
