"""Pictures that are added from the page: they become a new folder, whole or not at all, and lead nowhere else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from colours import colour_folder
from fastapi.testclient import TestClient

from photovision.app.web.server import create_app
from photovision.app.web.workspace import State
from photovision.data.read import read_dataset

HOME = "http://127.0.0.1:8707"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> TestClient:
    return TestClient(create_app(State(home)), base_url=HOME)


def begin(client: TestClient, name: str = "new") -> int:
    number: int = client.post("/api/adding/begin", json={"name": name}).json()["number"]
    return number


def put(client: TestClient, number: int, path: str, content: bytes, start: int = 0) -> int:
    query = {"number": number, "path": path, "start": start}
    headers = {"content-type": "application/octet-stream"}
    return client.put("/api/adding/file", params=query, content=content, headers=headers).status_code


def test_a_folder_is_added_and_is_a_data_set_at_once(client: TestClient, home: Path, tmp_path: Path) -> None:
    source = colour_folder(tmp_path / "source", per_class=2)
    number = begin(client)
    for path in sorted(source.rglob("*.png")):
        content, name = path.read_bytes(), path.relative_to(source).as_posix()
        assert put(client, number, name, content[:100]) == 200
        assert put(client, number, name, content[100:], 100) == 200
    assert client.get("/api/recognise/overview").json()["data"] == [], "not before it is whole"
    assert client.post("/api/adding/finish", params={"number": number}).json() == {"folder": "new", "data": ["new"]}
    assert [s.label for s in read_dataset(home / "new").samples] == ["blue", "blue", "green", "green", "red", "red"]
    assert sorted(path.name for path in home.iterdir()) == ["new"]


def test_an_archive_is_unpacked(
    client: TestClient, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    source, packed = colour_folder(tmp_path / "source", per_class=2), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(source.rglob("*.png")):
            file.write(path, path.relative_to(source))
    number = begin(client)
    put(client, number, "colours.zip", packed.getvalue())
    assert client.post("/api/adding/finish", params={"number": number}).json()["data"] == ["new"]
    assert sorted(path.name for path in home.iterdir()) == ["new"]


@pytest.mark.parametrize(
    "path",
    [
        "../out.png",
        "/tmp/out.png",
        "a/../../out.png",
        ".hidden.png",
        "a/.git/x.png",
        "run.sh",
        "a\0.png",
        "",
        ".",
        "a.py",
    ],
)
def test_files_go_nowhere_else(client: TestClient, home: Path, path: str) -> None:
    number = begin(client)
    assert put(client, number, path, b"x") == 400
    client.post("/api/adding/drop", params={"number": number})
    assert list(home.rglob("*")) == []
    assert list(home.parent.glob("out*")) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "-x", "a\nb", "taken", "/tmp/x"])
def test_names_that_are_no_folder_or_taken_are_refused(client: TestClient, home: Path, name: str) -> None:
    (home / "taken").mkdir()
    assert client.post("/api/adding/begin", json={"name": name}).status_code in (400, 422)


def test_what_is_there_is_never_replaced(client: TestClient, home: Path) -> None:
    number = begin(client)
    assert put(client, number, "a.png", b"one") == 200
    assert put(client, number, "a.png", b"two") == 400
    assert put(client, number, "a.png", b"x", 7) == 400, "a part that does not follow"
    assert put(client, number + 1, "a.png", b"two") == 400
    (home / "new").mkdir()
    (home / "new" / "mine.png").write_bytes(b"mine")
    assert client.post("/api/adding/finish", params={"number": number}).status_code == 400
    assert [path.name for path in (home / "new").iterdir()] == ["mine.png"]


def test_nothing_is_added_to_a_data_set(tmp_path: Path) -> None:
    data = colour_folder(tmp_path / "colours", per_class=2)
    client = TestClient(create_app(State(data)), base_url=HOME)
    assert client.get("/api/recognise/overview").json()["takes_folders"] is False
    found = client.post("/api/adding/begin", json={"name": "new"})
    assert "colours is a data set itself" in found.json()["error"]
    assert sorted(path.name for path in data.iterdir()) == ["blue", "green", "red"]


def test_bounds_and_ends(client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = begin(client)
    assert client.post("/api/adding/finish", params={"number": number}).status_code == 400
    assert put(client, number, "a.png", b"one") == 200
    monkeypatch.setattr("photovision.app.web.adding.MAX_FILES", 1)
    assert put(client, number, "b.png", b"two") == 400
    monkeypatch.setattr("photovision.app.web.adding.PART", 2)
    assert put(client, number, "a.png", b"more", 3) == 400
    foreign = {"origin": "http://evil.example"}
    assert client.post("/api/adding/begin", json={"name": "x"}, headers=foreign).status_code == 403
    client.app.state.page.end()  # type: ignore[attr-defined]
    assert list(home.iterdir()) == [], "what was not whole goes with the page"
