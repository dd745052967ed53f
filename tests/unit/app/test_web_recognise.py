"""Recognising on the page: answers, unknown pictures, broken files, reasons, and training pictures on disk."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle, colour_picture
from fastapi.testclient import TestClient
from PIL import Image
from workspace import make_workspace

from photovision.app.web import recognise
from photovision.app.web.neighbours import Recall
from photovision.app.web.server import create_app
from photovision.app.web.workspace import State
from photovision.core.preprocess import Preprocess
from photovision.tasks.classify.page import heat_layer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("page") / "work")


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    return TestClient(create_app(State(folder)), base_url="http://127.0.0.1")


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_overview_tells_what_there_is(client: TestClient) -> None:
    found = client.get("/api/recognise/overview").json()
    assert found["folder"] == "work"
    assert [model["name"] for model in found["models"]] == ["good", "muddled"]
    (data,) = found["data"]
    assert (data["name"], data["task"], data["annotation_type"]) == ("pictures", "classify", "labels")
    assert data["tasks"][0] == "classify"
    assert found["tasks"]["classify"]["script"] == "tasks/classify.js"
    good = found["models"][0]
    assert (good["lead"], good["figure"]["n"], good["classes"]) == ("accuracy", 200, ["red", "green", "blue"])
    assert not good["report"]


def test_a_damaged_model_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "bundle.json").write_text("{", encoding="utf-8")
    found = TestClient(create_app(State(tmp_path)), base_url="http://127.0.0.1").get("/api/recognise/overview").json()
    assert "damaged" in found["models"][0]["error"]


def test_a_picture_is_answered(client: TestClient) -> None:
    found = client.post("/api/recognise/answer?model=good", content=png(colour_picture("green", 5))).json()
    assert (found["label"], found["sure"], found["set"]) == ("green", "sure", ["green"])
    assert found["top"][0][0] == "green"
    assert 0.5 < found["prob"] <= 1
    assert found["words"][0].startswith("Nothing else fits.")


def test_a_picture_of_something_else_is_unknown(client: TestClient) -> None:
    white = png(Image.fromarray(np.full((40, 40, 3), 255, np.uint8)))
    found = client.post("/api/recognise/answer?model=good", content=white).json()
    assert (found["label"], found["sure"], found["known"]) == ("unknown", "unknown", False)
    assert "unlike those that the model learned from" in found["words"][0]


def test_a_picture_between_two_classes_has_a_set_of_both(client: TestClient) -> None:
    halves = np.concatenate([np.asarray(colour_picture(name, 5)) for name in ("green", "blue")])
    found = client.post("/api/recognise/answer?model=good", content=png(Image.fromarray(halves))).json()
    assert found["sure"] in ("unsure", "unknown")
    assert len(found["set"]) != 1


def test_a_model_without_doubt_says_so(client: TestClient) -> None:
    found = client.post("/api/recognise/answer?model=muddled", content=png(colour_picture("green", 5))).json()
    assert (found["label"], found["set"], found["known"]) == ("blue", None, None)
    assert "never says" in found["words"][0]


def test_several_labels(tmp_path: Path) -> None:
    colour_bundle(tmp_path / "many", multilabel=True)
    client = TestClient(create_app(State(tmp_path)), base_url="http://127.0.0.1")
    found = client.post("/api/recognise/answer?model=many", content=png(colour_picture("red", 5))).json()
    assert found["labels"] == ["red"]


@pytest.mark.parametrize("content", [b"", b"not a picture", png(colour_picture("red"))[:60]])
def test_a_broken_file_gives_its_reason(client: TestClient, content: bytes) -> None:
    assert client.post("/api/recognise/answer?model=good", content=content).json()["error"]


def test_a_file_that_is_too_large_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognise, "LARGEST", 1000)
    found = client.post("/api/recognise/answer?model=good", content=b"x" * 1001)
    assert found.status_code == 400
    assert "at most" in found.json()["error"]


def test_reasons_are_a_layer_over_the_picture_and_training_pictures(client: TestClient, folder: Path) -> None:
    picture = png(colour_picture("blue", 5).resize((40, 20)))
    found = client.post("/api/recognise/why?model=good", content=picture).json()
    assert (found["target"], found["method"], found["verdict"]) == ("blue", "occlusion", None)
    layer = Image.open(io.BytesIO(base64.b64decode(found["layer"].partition(",")[2])))
    assert (layer.mode, layer.size) == ("RGBA", (320, 160))
    assert [near["label"] for near in found["nearest"]] == ["blue"] * 5
    assert all(near["shown"] for near in found["nearest"])
    small = client.get("/api/recognise/training", params={"model": "good", "id": found["nearest"][0]["id"]})
    assert small.headers["content-type"] == "image/jpeg"
    assert np.asarray(Image.open(io.BytesIO(small.content))).mean((0, 1)).argmax() == 2


def test_a_reason_can_be_asked_for_any_class_and_tested(client: TestClient) -> None:
    picture = png(colour_picture("blue", 5))
    found = client.post("/api/recognise/why?model=good&target=red&tested=true", content=picture).json()
    assert found["target"] == "red"
    assert found["verdict"] in ("holds", "fails", "untestable")
    assert "map" in found["sentence"]
    assert client.post("/api/recognise/why?model=good&target=ed", content=picture).status_code == 400


def test_what_the_network_does_not_see_is_darkened() -> None:
    heat = np.linspace(0, 1, 16 * 16, dtype=np.float32).reshape(16, 16)
    content = heat_layer(heat, (40, 80), Preprocess((16, 16), fit="crop"))
    layer = np.asarray(Image.open(io.BytesIO(content)))
    assert (layer[:, :18] == (0, 0, 0, 165)).all()
    assert layer[-1, 40, 3] > layer[0, 40, 3]


def test_training_pictures_are_taken_only_from_where_the_model_knows_them(folder: Path, tmp_path: Path) -> None:
    # The same names, other pictures: a folder that the model was not trained on.
    for name in ("red", "green", "blue"):
        (tmp_path / "other" / name).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (8, 8), "white").save(tmp_path / "other" / name / f"{number}.png")
    assert Recall(State(folder)).root("good") == folder / "pictures"
    state = State(tmp_path, {"good": folder / "good"})
    assert Recall(state).root("good") is None
    assert Recall(State(None, {"good": folder / "good"})).root("good") is None


def test_names_in_a_hostile_bundle_lead_nowhere(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    colour_picture("red").save(secret)
    recall = Recall(State(folder))
    for id in (str(secret), "../good/bundle.json", "../../secret.png", "red"):
        assert recall.picture("good", id) is None
    assert recall.picture("good", "red/0.png") == folder / "pictures" / "red" / "0.png"


def test_a_picture_no_browser_shows_comes_as_jpeg(client: TestClient) -> None:
    buffer = io.BytesIO()
    colour_picture("red", size=1600).save(buffer, "TIFF")
    found = client.post("/api/recognise/preview", content=buffer.getvalue())
    assert Image.open(io.BytesIO(found.content)).format == "JPEG"
    assert max(Image.open(io.BytesIO(found.content)).size) == 1024
