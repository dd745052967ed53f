"""What is done with a model from the page: the commands that it starts, the service that ends with it, weights."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from networks import timm_folder
from workspace import make_workspace

from photovision.app.web.acting import PARTS
from photovision.app.web.jobs import Job, Jobs
from photovision.app.web.recognise import unmade
from photovision.app.web.server import create_app
from photovision.app.web.workspace import State
from photovision.models.import_weights import import_weights

HOME = "http://127.0.0.1:8707"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("acting") / "work", per_class=4)


@pytest.fixture
def client(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return TestClient(create_app(State(home)), base_url=HOME)


def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of jobs, which are not run."""
    lines: list[list[str]] = []

    def note(self: Jobs, kind: str, title: str, arguments: Any, facts: Any) -> Job:
        lines.append([*arguments])
        return Job(kind, title, tuple(arguments), facts, self.folder)

    monkeypatch.setattr(Jobs, "start", note)
    return lines


def test_the_page_offers_what_the_model_can_do(client: TestClient) -> None:
    told = client.get("/api/acting/choices", params={"model": "good"}).json()
    assert told["verbs"] == list(PARTS)
    assert told["data"] == ["pictures"]
    assert "onnx" in told["targets"]
    assert told["facts"]["figure"]["value"] == 0.95


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"verb": "evaluate", "data": "pictures"}, ["evaluate", "good", "pictures", "--output", "REPORT"]),
        (
            {"verb": "audit", "data": "pictures", "minutes": 2},
            ["audit", "good", "pictures", "--output", "REPORT", "--minutes", "2.0"],
        ),
        (
            {"verb": "optimize", "data": "pictures", "name": "small"},
            ["optimize", "good", "pictures", "--int8", "--output", "small"],
        ),
        ({"verb": "export", "to": "onnx", "name": "out"}, ["export", "good", "--to=onnx", "--output", "out"]),
    ],
)
def test_the_same_commands_as_in_a_terminal_are_started(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch, wish: dict[str, Any], expected: list[str]
) -> None:
    lines = started(monkeypatch)
    assert client.post("/api/acting/start", json={"model": "good", **wish}).status_code == 200
    plain = [Path(one).relative_to(home).as_posix() if one.startswith(str(home)) else one for one in lines[0]]
    assert [one if "estimates" not in one else "REPORT" for one in plain] == expected


def test_pictures_that_are_explained_are_those_to_try(
    client: TestClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = started(monkeypatch)
    assert client.post("/api/acting/start", json={"model": "good", "verb": "explain"}).status_code == 200
    files = [Path(one) for one in lines[0][2:-2]]
    assert len(files) == 6
    assert all(file.is_file() and file.is_relative_to(home / "pictures") for file in files)


@pytest.mark.parametrize(
    "wish",
    [
        {"verb": "evaluate"},
        {"verb": "evaluate", "data": "../pictures"},
        {"verb": "export", "to": "onnx", "name": "../out"},
        {"verb": "export", "to": "onnx", "name": "pictures"},
        {"verb": "export", "name": "out"},
        {"verb": "optimize", "data": "pictures", "name": ""},
        {"verb": "train", "data": "pictures"},
        {"verb": "evaluate", "data": "pictures", "model": "none"},
    ],
)
def test_what_makes_no_sense_is_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, wish: dict[str, Any]
) -> None:
    lines = started(monkeypatch)
    assert client.post("/api/acting/start", json={"model": "good", **wish}).status_code in (400, 422)
    assert lines == []


def test_weights_are_fetched_only_when_asked_for_and_only_known_ones(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = started(monkeypatch)
    told = {one["name"]: one for one in client.get("/api/weights/list").json()["weights"]}
    assert (told["mobilesam"]["megabytes"], told["mobilesam"]["licence"]) == (38, "apache-2.0")
    assert lines == []
    assert client.post("/api/weights/get", json={"name": "../evil"}).status_code == 400
    client.post("/api/weights/get", json={"name": "mobilesam"})
    assert lines == [["weights", "get", "mobilesam"]]


def test_networks_to_start_from_are_listed_with_the_tasks_that_can(client: TestClient) -> None:
    known = {one["name"]: one for one in client.get("/api/weights/list").json()["weights"]}
    assert (known["imagenet"]["ready"], known["imagenet"]["learns"]) == (True, [])
    assert known["dfine-s"]["learns"] == ["detect"], "a whole detector"
    assert {"classify", "detect", "segment"} <= set(known["efficientnet_lite0"]["learns"])
    transformer = known["vit_small_patch14_dinov2.lvd142m"]["learns"]
    assert "classify" in transformer
    assert not {"detect", "segment"} & set(transformer), "these need maps of several resolutions"


def test_a_training_starts_from_weights_that_are_here_and_fit(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import_weights(timm_folder(tmp_path / "folder", "vit"), "leaves-vit")
    lines = started(monkeypatch)
    wish = {"data": "pictures", "name": "new"}
    assert client.post("/api/training/start", json={**wish, "backbone": "leaves-vit"}).status_code == 200
    assert lines[0][-2:] == ["--backbone", "leaves-vit"]
    for name in ("dfine-s", "yolov4-tiny", "../evil"):
        refused = client.post("/api/training/start", json={**wish, "backbone": name})
        assert f"a classifier cannot start from '{name}' here" in refused.json()["error"]
    assert len(lines) == 1


def test_a_ready_model_that_is_not_made_yet_says_what_it_knows() -> None:
    facts = unmade("imagenet")
    assert (facts["task"], facts["annotation_type"], facts["class_count"]) == ("classify", "labels", 1000)
    assert len(unmade("yolov4-tiny")["classes"]) == 80


def test_the_owner_completes_the_card(client: TestClient, home: Path) -> None:
    told = client.post("/api/acting/card", json={"model": "muddled", "owner": "Orchard Ltd", "purpose": " Sorting "})
    assert told.json()["card"] == {"owner": "Orchard Ltd", "purpose": "Sorting"}
    assert "Orchard Ltd" in (home / "muddled" / "README.md").read_text(encoding="utf-8")
    found = client.get("/api/acting/choices", params={"model": "muddled"}).json()
    assert (found["card"]["owner"], list(found["entries"])) == ("Orchard Ltd", ["owner", "purpose", "contact"])
    assert client.post("/api/acting/card", json={"model": "muddled", "owner": "x" * 2001}).status_code == 400
    assert client.post("/api/acting/card", json={"model": "../x", "owner": "x"}).status_code == 400


def test_nothing_is_served_before_somebody_says_so(client: TestClient) -> None:
    assert client.get("/api/serving/status").json()["state"] == "off"
    assert client.post("/api/serving/start", json={"model": "none"}).status_code == 400
    assert client.post("/api/serving/start", json={"model": "good", "port": 99999}).status_code == 422
    foreign = {"origin": "http://evil.example"}
    assert client.post("/api/serving/start", json={"model": "good"}, headers=foreign).status_code == 403
    assert client.post("/api/serving/stop").json()["state"] == "off"
    assert "press Serve first" in client.post("/api/serving/ask", content=b"a picture").json()["error"]


@pytest.mark.slow
def test_a_model_is_served_until_the_page_ends(client: TestClient, home: Path) -> None:
    def until(state: str) -> dict[str, Any]:
        end = time.monotonic() + 120
        while (told := client.get("/api/serving/status").json())["state"] != state:
            assert told["state"] == "starting", told
            assert time.monotonic() < end
            time.sleep(0.1)
        found: dict[str, Any] = told
        return found

    (home / "good").rename(home / "Güte 'A'")  # a name that the page takes, and an address does not
    client.get("/api/recognise/overview")
    assert client.post("/api/serving/start", json={"model": "Güte 'A'", "port": 0}).json()["state"] == "starting"
    address = until("running")["address"]
    picture = next((home / "pictures" / "red").iterdir())
    asked = urllib.request.Request(f"{address}/predict", picture.read_bytes(), {"content-type": "image/png"})
    assert "red" in json.dumps(json.load(urllib.request.urlopen(asked, timeout=60)))
    through = client.post("/api/serving/ask", content=picture.read_bytes()).json()
    assert through["answer"]["predictions"][0]["label"] == "red"
    assert through["milliseconds"] > 0
    assert "error" in client.post("/api/serving/ask", content=b"not a picture").json()["answer"]
    again = client.post("/api/serving/start", json={"model": "muddled"})
    assert "Güte 'A' is served already" in again.json()["error"]
    taken = int(address.rsplit(":", 1)[1])
    client.app.state.page.end()  # type: ignore[attr-defined]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/docs", timeout=5)
    assert taken
