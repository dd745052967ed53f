"""Comparing on the page: the paired test's verdict, and the pictures on which two models disagree."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from workspace import make_workspace

from photovision.app.web.background import BackgroundJob, Stopped
from photovision.app.web.server import create_app
from photovision.app.web.workspace import State


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    folder = make_workspace(tmp_path_factory.mktemp("compare") / "work")
    return TestClient(create_app(State(folder)), base_url="http://127.0.0.1")


def finished(client: TestClient, **wanted: str) -> tuple[int, dict[str, Any]]:
    number = client.post("/api/compare/start", json=wanted).json()["job"]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        told = client.get("/api/compare/job", params={"number": number}).json()
        if told.get("result") or told.get("error"):
            return number, told
        time.sleep(0.02)
    raise AssertionError("the comparison does not end")


def test_the_verdict_and_the_disagreements(client: TestClient) -> None:
    number, told = finished(client, a="good", b="muddled", data="pictures")
    result = told["result"]
    assert result["verdict"] == "a"
    assert result["summary"][0].startswith("A is better: +66.7 points")
    assert result["pictures"] == 60
    assert len(result["rows"]) == 40  # the green and the blue ones
    assert {row["truth"] for row in result["rows"]} == {"green", "blue"}
    assert {row["right"] for row in result["rows"]} == {"a"}
    first = result["rows"][0]
    assert first["a"]["label"] == first["truth"] != first["b"]["label"]
    assert result["tables"][0]["rows"][0][0] == "Accuracy"
    picture = client.get("/api/compare/picture", params={"number": number, "row": 0})
    assert Image.open(io.BytesIO(picture.content)).size == (40, 40)
    assert client.get("/api/compare/picture", params={"number": number, "row": 40}).status_code == 400


def test_a_model_is_not_compared_with_itself(client: TestClient) -> None:
    found = client.post("/api/compare/start", json={"a": "good", "b": "good", "data": "pictures"})
    assert found.status_code == 400
    for wanted in ({"a": "none", "b": "good", "data": "pictures"}, {"a": "good", "b": "muddled", "data": "../.."}):
        assert client.post("/api/compare/start", json=wanted).status_code == 400


def test_what_cannot_be_compared_says_why(client: TestClient, tmp_path: Path) -> None:
    from colours import colour_bundle, colour_folder

    colour_folder(tmp_path / "pictures")
    colour_bundle(tmp_path / "one")
    colour_bundle(tmp_path / "other", multilabel=True)
    other = TestClient(create_app(State(tmp_path)), base_url="http://127.0.0.1")
    _, told = finished(other, a="one", b="other", data="pictures")
    assert told["error"]


def test_old_comparisons_are_forgotten(client: TestClient) -> None:
    numbers = [finished(client, a="good", b="muddled", data="pictures")[0] for _ in range(3)]
    assert client.get("/api/compare/job", params={"number": numbers[0]}).status_code == 400
    assert client.get("/api/compare/job", params={"number": numbers[1]}).status_code == 200


def test_a_comparison_that_is_called_off_ends() -> None:
    job = BackgroundJob()
    listen = job.progress("model A answers")
    listen(1, 2)
    assert (job.what, job.done, job.total) == ("model A answers", 1, 2)
    job.stop.set()
    with pytest.raises(Stopped):
        listen(2, 2)
