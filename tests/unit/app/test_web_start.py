"""The start of the page: what the folder holds, pictures to try, links and archives that a person opens."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder
from fastapi.testclient import TestClient

from photovision.app.web.discovery import models_in
from photovision.app.web.samples import APART, TESTED, UNCERTAIN
from photovision.app.web.server import create_app
from photovision.app.web.workspace import State, neighbours_of
from photovision.data.read import read_dataset
from photovision.data.scan import scan
from photovision.runtime.bundle import read_bundle
from photovision.runtime.bundle_info import write_info
from photovision.runtime.training_images import (
    TEST,
    TRAIN,
    TrainingImages,
    write_training_images,
)

HOME = "http://127.0.0.1:8707"


def client_of(state: State) -> TestClient:
    return TestClient(create_app(state), base_url=HOME)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    colour_folder(tmp_path / "home" / "colours", per_class=4)
    return tmp_path / "home"


def test_models_beside_the_data_are_found_and_said_to_lie_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = home / "colours"
    colour_bundle(home / "colours-model")
    monkeypatch.chdir(home)
    assert models_in(neighbours_of(data)) == [home / "colours-model"]
    state = State(data, beside=neighbours_of(data))
    (model,) = client_of(state).get("/api/recognise/overview").json()["models"]
    assert (model["name"], model["beside"]) == ("colours-model", True)
    colour_bundle(home / "second")
    state.refresh()
    assert list(state.models) == ["colours-model", "second"], "what a terminal trains meanwhile is found, too"
    assert neighbours_of(home) == []


def test_a_page_that_is_loaded_again_shows_what_came_and_went(home: Path) -> None:
    client = client_of(State(home))

    def names() -> list[str]:
        return [one["name"] for one in client.get("/api/recognise/overview").json()["data"]]

    assert names() == ["colours"]
    colour_folder(home / "more")
    (home / "colours").rename(home.parent / "away")
    assert names() == ["more"]


def test_a_data_set_is_described_by_its_counts_and_pictures(home: Path) -> None:
    told = client_of(State(home)).get("/api/start/data", params={"name": "colours"}).json()
    assert (told["pictures"], told["classes"], len(told["covers"])) == (12, 3, 4)


def test_nothing_in_the_folder_is_passed_over_in_silence(home: Path) -> None:
    colour_folder(home.parent / "far")
    (home / "linked").symlink_to(home.parent / "far")
    (home / "nowhere").symlink_to(home.parent / "nothing")
    (home / "bare").mkdir()
    (home / "colours" / "red" / "0.png").rename(home / "bare" / "a.png")
    with zipfile.ZipFile(home / "packed.zip", "w") as file:
        for path in sorted((home / "colours").rglob("*.png")):
            file.write(path, path.relative_to(home / "colours"))
    state = State(home)
    found = client_of(state).get("/api/recognise/overview").json()["skipped"]
    assert [(one["name"], one["kind"], one["can"]) for one in found] == [
        ("bare", "pictures", None),
        ("linked", "link", "Show it"),
        ("packed.zip", "archive", "Unpack it here"),
    ]
    assert list(state.data) == ["colours"], "nothing behind a link is read before a person says so"


def test_a_link_is_followed_once_a_person_says_so(home: Path) -> None:
    far = colour_folder(home.parent / "far")
    (home / "linked").symlink_to(far)
    client = client_of(State(home))
    assert client.get("/api/browse/pictures", params={"data": "linked"}).status_code == 400
    assert client.post("/api/start/open", json={"name": "linked"}).json() == {"opened": "linked"}
    assert client.get("/api/browse/thumbnail", params={"data": "linked", "i": 0}).status_code == 200
    overview = client.get("/api/recognise/overview").json()
    assert [one["name"] for one in overview["data"]] == ["colours", "linked"]
    assert overview["skipped"] == []
    for name in ("../far", "linked/red", "/etc", "colours", ""):
        assert client.post("/api/start/open", json={"name": name}).status_code == 400, name


def test_an_archive_is_unpacked_beside_itself_and_replaces_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(home / "packed.zip", "w") as file:
        for path in sorted((home / "colours").rglob("*.png")):
            file.write(path, path.relative_to(home / "colours"))
    client = client_of(State(home))
    assert client.post("/api/start/open", json={"name": "packed.zip"}).status_code == 200
    assert len(read_dataset(home / "packed")) == 12
    again = client.post("/api/start/open", json={"name": "packed.zip"})
    assert "there is a packed already" in again.json()["error"]


@pytest.mark.parametrize(("recorded", "note"), [("own", TESTED), ("other", APART), (None, UNCERTAIN)])
def test_pictures_to_try_are_those_that_the_model_has_not_learned_from(
    home: Path, recorded: str | None, note: str
) -> None:
    bundle = colour_bundle(home / "model")
    data = read_dataset(home / "colours")
    if recorded is not None:
        images = TrainingImages.of(scan(data), TRAIN)
        images.role[::4] = TEST
        if recorded == "own":
            write_info(bundle, {**read_bundle(bundle).info, "data": {"fingerprint": data.fingerprint}})
        write_training_images(images, bundle)
    client = client_of(State(home))
    told = client.get("/api/start/samples", params={"model": "model"}).json()
    assert told["note"] == note
    learned = set(range(12)) - set(range(0, 12, 4)) if recorded else set()
    assert {one["i"] for one in told["pictures"]} == set(range(12)) - learned
    assert [one["label"] for one in told["pictures"]][:3] == [["blue"], ["green"], ["red"]]
    first = told["pictures"][0]
    content = client.get("/api/start/picture", params={"data": told["data"], "i": first["i"]}).content
    assert content == (home / "colours" / first["name"]).read_bytes()
    assert client.get("/api/start/picture", params={"data": told["data"], "i": 99}).status_code == 400


def test_a_model_of_other_classes_is_offered_nothing(home: Path) -> None:
    colour_bundle(home / "model", called=("cat", "dog", "cow"))
    assert client_of(State(home)).get("/api/start/samples", params={"model": "model"}).json()["pictures"] == []
