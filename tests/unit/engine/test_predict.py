"""Pictures predicted from Python, wherever model and pictures are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle, colour_folder, colour_picture
from PIL import Image
from spotter import scene, spotter_bundle

import photovision as pv
from photovision.data.read import read_dataset

SCENE = scene((64, 96), [("red", (16, 16, 48, 48))])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classifier, a detector, pictures of three colours, and one that is broken."""
    root = tmp_path_factory.mktemp("place")
    colour_bundle(root / "colours-model")
    spotter_bundle(root / "spotter-model")
    colour_folder(root / "colours")
    (root / "colours" / "red" / "broken<b>.png").write_bytes(b"no picture")
    Image.fromarray(SCENE).save(root / "scene.png")
    return root


def test_one_picture_has_its_prediction(place: Path) -> None:
    picture = colour_picture("blue")
    for model in (place / "colours-model", str(place / "colours-model"), pv.load(place / "colours-model")):
        found = pv.predict(model, picture)
        assert isinstance(found, pv.Classes)
        assert found.label == "blue"
    assert len(pv.predict(place / "colours-model", picture, top=2).to_json()["top"]) == 2
    with pytest.raises(pv.UnreadableImage):
        pv.predict(place / "colours-model", place / "colours" / "red" / "broken<b>.png")


@pytest.mark.parametrize("way", ["folder", "pattern", "list", "data set", "arrays"])
def test_several_pictures_have_results(place: Path, way: str) -> None:
    folder = place / "colours" / "green"
    files = sorted(folder.glob("*.png"))
    images = {
        "folder": folder,
        "pattern": str(folder / "*.png"),
        "list": files,
        "data set": read_dataset(place / "colours", corrections=False).subset(range(4, 8)),
        "arrays": np.stack([np.asarray(Image.open(file)) for file in files]),
    }[way]
    found = pv.predict(place / "colours-model", images, batch_size=3)
    assert isinstance(found, pv.Results)
    assert len(found) == 4
    assert [result.file for result in found] == [None if way == "arrays" else str(file) for file in files]
    assert isinstance(found[1:], pv.Results)
    assert found[1:]._repr_html_().count("<img") == 3
    if way != "data set":
        assert {result.value.label for result in found} == {"green"}


def test_unreadable_pictures_keep_their_place(place: Path) -> None:
    found = pv.predict(place / "colours-model", place / "colours")
    assert sum(result.error is not None for result in found) == 1
    html = found._repr_html_()
    assert "broken&lt;b&gt;.png" in html
    assert len(re.findall("<img", html)) == len(found) - 1
    frame = found.to_pandas()
    assert list(frame.columns)[:3] == ["file", "label", "prob"]
    assert frame["error"].notna().sum() == 1
    assert len(found.to_json()) == len(frame) == len(found)


def test_objects_are_detected(place: Path) -> None:
    found = pv.detect(SCENE, place / "spotter-model")
    assert set(found.names) == {"red"}
    assert f"{len(found)} objects" in found._repr_html_()
    assert "<img" in found._repr_html_()
    frame = pv.detect([place / "scene.png"] * 2, place / "spotter-model").to_pandas()
    assert frame["label"].tolist() == ["red"] * 2 * len(found)
    assert len(pv.detect(SCENE, place / "spotter-model", threshold=0.9999)) == 0


def test_what_makes_no_sense_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(pv.UsageError, match="does not accept 'threshold'"):
        pv.predict(place / "colours-model", SCENE, threshold=0.5)
    with pytest.raises(pv.UsageError, match=r"is an address \(https://\): download it"):
        pv.predict(place / "colours-model", "https://example.org/a.jpg")
    with pytest.raises(pv.DataError, match="holds no pictures"):
        pv.predict(place / "colours-model", tmp_path)
    with pytest.raises(pv.ModelError, match="is a classifier, not a detector"):
        pv.detect(SCENE, place / "colours-model")
    with pytest.raises(pv.UsageError, match=r"is a folder: .* use photovision\.predict"):
        pv.load(place / "colours-model").predict(place / "colours")


def test_predictions_know_their_pictures_where_that_costs_nothing(place: Path) -> None:
    model, file = pv.load(place / "colours-model"), place / "colours" / "red" / "0.png"
    pixels = np.asarray(Image.open(file))
    assert model.predict(file).picture == file
    assert model.predict(pixels).picture is pixels
    assert [one.picture for one in model.predict([str(file), pixels])] == [str(file), None]
    assert next(model.stream([pixels])).picture is None


def test_a_model_shows_its_card_in_short(tmp_path: Path) -> None:
    folder = colour_bundle(tmp_path / "m", called=["<i>red", "green", "blue"])
    html = pv.load(folder)._repr_html_()
    assert "m: a classifier of 3 classes, mean_colour" in html
    assert "&lt;i&gt;red" in html


def test_an_attribution_is_laid_over_its_picture(place: Path) -> None:
    heat = pv.attribute(place / "spotter-model", SCENE)
    assert "<img" in heat._repr_html_()
    assert heat.preprocess is not None
