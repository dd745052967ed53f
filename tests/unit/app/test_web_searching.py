"""Searching and duplicates on the page: what is found, what is refused, what moves away and back."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from photographs import NAMES, photograph, write_photographs
from PIL import Image

import photovision as pv
from photovision.app.web.indexes import Indexes
from photovision.app.web.jobs import Job, Jobs
from photovision.app.web.server import create_app
from photovision.app.web.workspace import State
from photovision.retrieval.search import index_of_folder

MODEL = Path(__file__).parents[2] / "contract" / "bundles_0_1" / "classify" / "model"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of photographs, one of them twice, that is indexed; and one that is not."""
    top = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOVISION_CACHE", str(top / "cache"))
        home = top / "home"
        write_photographs(home / "photographs")
        shutil.copyfile(home / "photographs/people/coffee.png", home / "photographs/things/again.png")
        (home / "bare").mkdir()
        photograph("rocket").save(home / "bare" / "rocket.png")
        pv.index(home / "photographs", index_of_folder(home / "photographs"), model=MODEL, check=0).close()
        yield home


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    state = State(home)
    yield TestClient(create_app(state), base_url="http://127.0.0.1")
    state.end()


def find(client: TestClient, picture: Image.Image, **query: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    found: dict[str, Any] = client.post(
        "/api/search/find", params={"source": "photographs", **query}, content=buffer.getvalue()
    ).json()
    return found


def duplicates(client: TestClient, source: str = "photographs") -> tuple[int, dict[str, Any]]:
    number = client.post("/api/duplicates/start", json={"source": source}).json()["job"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told = client.get("/api/duplicates/job", params={"number": number}).json()
        if told.get("result") or told.get("error"):
            return number, told
        time.sleep(0.02)
    raise AssertionError("the search for duplicates does not end")


def test_folders_of_pictures_can_be_searched_once_they_are_indexed(client: TestClient) -> None:
    found = client.get("/api/search/sources").json()
    known = {one["name"]: one for one in found["sources"]}
    assert (known["photographs"]["pictures"], known["bare"]["pictures"]) == (len(NAMES) + 1, None)
    assert found["verdicts"]["crop"] == "a crop, or cropped from it"
    refused = client.post("/api/search/find", params={"source": "bare"}, content=b"x")
    assert (refused.status_code, refused.json()["error"]) == (400, "bare is not indexed yet: index it first")
    assert client.get("/api/search/rates", params={"source": "photographs"}).status_code == 200


def test_a_picture_is_found_with_its_verdict_and_shown(client: TestClient) -> None:
    found = find(client, photograph("astronaut").resize((200, 200)))
    assert found["results"][0] | {"score": 1} == {
        "file": "people/astronaut.png",
        "score": 1,
        "verdict": "same_picture",
    }
    assert found["verdicts"]["same_picture"] == 1
    at = {"number": found["number"], "row": 0}
    small = client.get("/api/search/thumbnail", params=at)
    assert max(Image.open(io.BytesIO(small.content)).size) <= 192
    whole = client.get("/api/search/picture", params=at)
    assert Image.open(io.BytesIO(whole.content)).size == photograph("astronaut").size


def test_a_part_is_found_where_it_was_cut(client: TestClient) -> None:
    found = find(client, photograph("chelsea"), part="0.2,0.2,0.8,0.8")
    assert (found["results"][0]["file"], found["results"][0]["verdict"]) == ("things/chelsea.png", "crop")


@pytest.mark.parametrize(
    ("query", "content", "error"),
    [
        ({"source": "photographs", "part": "0,0,1"}, "picture", "four shares"),
        ({"source": "photographs", "part": "0.5,0,0.2,1"}, "picture", "shares from 0 to 1"),
        ({"source": "photographs", "part": "0,0,nan,1"}, "picture", "shares from 0 to 1"),
        ({"source": "photographs"}, "text", "not a picture"),
        ({"source": "photographs"}, "", "the file is empty"),
        ({"source": "../etc"}, "picture", "there are no pictures '../etc' here"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    client: TestClient, query: dict[str, str], content: str, error: str
) -> None:
    buffer = io.BytesIO()
    photograph("coins").save(buffer, "PNG")
    sent = buffer.getvalue() if content == "picture" else content.encode()
    refused = client.post("/api/search/find", params=query, content=sent)
    assert refused.status_code in (400, 422)
    assert error in refused.json()["error"]


def test_rows_that_were_not_found_are_not_shown(client: TestClient) -> None:
    number = find(client, photograph("coins"))["number"]
    for at in ({"number": number, "row": 999}, {"number": number, "row": -1}, {"number": 1, "row": 0}):
        assert "search again" in client.get("/api/search/picture", params=at).json()["error"]


def test_an_index_of_another_place_is_not_searched(client: TestClient, home: Path) -> None:
    shutil.copytree(index_of_folder(home / "photographs"), home / "stranger")
    file = home / "stranger" / "index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"folder": "/etc"}))
    try:
        (known,) = [one for one in client.get("/api/search/sources").json()["sources"] if one["own"]]
        assert "outside the folder of this page" in known["error"]
        refused = client.post("/api/search/find", params={"source": "stranger"}, content=b"x").json()
        assert "outside the folder of this page" in refused["error"]
    finally:
        shutil.rmtree(home / "stranger")


def test_pictures_are_indexed_by_the_command(client: TestClient, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    lines: list[list[str]] = []

    def note(self: Jobs, kind: str, title: str, arguments: Any, facts: Any) -> Job:
        lines.append([*arguments])
        return Job(kind, title, tuple(arguments), facts, self.folder)

    monkeypatch.setattr(Jobs, "start", note)
    assert client.post("/api/search/index", json={"source": "bare"}).json()["facts"] == {"source": "bare"}
    client.post("/api/search/index", json={"source": "bare", "measure": True})
    expected = ["index", str(home / "bare"), "--output", str(index_of_folder(home / "bare"))]
    assert lines == [[*expected, "--check", "0"], expected]


def test_duplicates_move_away_and_back(client: TestClient, home: Path) -> None:
    number, told = duplicates(client)
    (group,) = told["result"]["groups"]
    (one,) = group["duplicates"]
    assert {group["kept"], one["file"]} == {"people/coffee.png", "things/again.png"}
    assert (one["verdict"], one["movable"]) == ("same_file", True)
    at = {"number": number, "group": 0}
    for member in (-1, 0):
        assert client.get("/api/duplicates/picture", params={**at, "member": member}).status_code == 200
    assert client.get("/api/duplicates/picture", params={**at, "member": 1}).status_code == 400
    assert client.get("/api/duplicates/moved").json() == {"folders": []}

    moved = client.post("/api/duplicates/move", json={"number": number, "chosen": [[0, 0]]}).json()
    assert moved == {"name": "photographs-duplicates", "moved": 1}
    assert not (home / "photographs" / one["file"]).exists()
    assert client.get("/api/duplicates/moved").json()["folders"] == [{"name": "photographs-duplicates", "files": 1}]
    assert [one["name"] for one in client.get("/api/recognise/overview").json()["data"]] == ["photographs"]
    again = client.post("/api/duplicates/move", json={"number": number, "chosen": [[0, 0]]})
    assert "look for duplicates again" in again.json()["error"]

    back = {"name": "photographs-duplicates"}
    assert client.post("/api/duplicates/undo", json=back).json() == {"moved": 1}
    assert (home / "photographs" / one["file"]).is_file()
    assert client.get("/api/duplicates/moved").json() == {"folders": []}


def test_nothing_is_moved_out_of_the_folder_of_the_page(client: TestClient, home: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "stolen.png"
    trash = home / "evil-duplicates"
    (trash / "files").mkdir(parents=True)
    photograph("coins").save(trash / "files" / "coins.png")
    moves = {"format": "photovision-moved", "moved": [[str(wanted), str(trash / "files" / "coins.png")]]}
    (trash / "undo.json").write_text(json.dumps(moves))
    try:
        refused = client.post("/api/duplicates/undo", json={"name": "evil-duplicates"})
        assert "did not lie in the folder of this page" in refused.json()["error"]
        assert not wanted.exists()
        assert "not inside" in client.post("/api/duplicates/undo", json={"name": "../cache"}).json()["error"]
    finally:
        shutil.rmtree(trash)


def test_other_sites_may_neither_search_nor_move(client: TestClient) -> None:
    foreign = {"origin": "http://evil.example"}
    for path in ("search/find?source=photographs", "search/index", "duplicates/start", "duplicates/move"):
        assert client.post(f"/api/{path}", content=b"{}", headers=foreign).status_code == 403


def test_an_index_stays_open_until_it_is_written(home: Path) -> None:
    state = State(home)
    indexes = Indexes(state)
    with indexes.using("photographs") as first:
        list(first.store.files())
    with indexes.using("photographs") as second:
        assert second is first
    photograph("retina").rotate(20).save(home / "photographs" / "people" / "new.png")
    pv.index(home / "photographs", index_of_folder(home / "photographs"), check=0).close()
    with indexes.using("photographs") as third:
        assert len(third) == len(NAMES) + 2
    state.end()
