"""Estimates on the page: offered for models that can, run as a command, listed with the reports."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from colours import colour_bundle
from faded import faded, faded_bundle
from fastapi.testclient import TestClient
from PIL import Image

from photovision.app.web.server import create_app
from photovision.app.web.workspace import State

HOME = "http://127.0.0.1:8707"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "home"
    faded_bundle(home / "able")
    colour_bundle(home / "old")
    (home / "other" / "place").mkdir(parents=True)
    for number, sample in enumerate(faded(6, (0.2, 0.9), 5).samples):
        Image.fromarray(sample.image).save(home / "other" / "place" / f"{number}.png")
    return TestClient(create_app(State(home)), base_url=HOME)


def test_an_estimate_is_offered_run_and_listed_with_the_reports(client: TestClient) -> None:
    offered = client.get("/api/training/estimate").json()
    assert offered == {"models": ["able"], "pictures": ["other/place"]}
    wish = {"model": "able", "pictures": "other/place"}
    assert client.post("/api/training/estimate", json=wish).json()["kind"] == "estimate"
    end = time.monotonic() + 60
    while (job := client.get("/api/training/job").json())["state"] == "running" and time.monotonic() < end:
        time.sleep(0.05)
    assert job["state"] == "done", job
    (report,) = client.get("/api/reports/list").json()["reports"]
    assert (report["name"], report["shown"], report["kind"]) == (
        job["facts"]["report"],
        "able on other/place",
        "estimate",
    )
    page = client.get("/api/reports/page", params={"name": report["name"]})
    assert "Expected accuracy" in page.text


@pytest.mark.parametrize(
    "wish",
    [
        {"model": "able", "pictures": "../.."},
        {"model": "nobody", "pictures": "other/place"},
        {"model": "old", "pictures": "/etc"},
    ],
)
def test_what_is_not_offered_is_refused(client: TestClient, wish: dict[str, str]) -> None:
    answer = client.post("/api/training/estimate", json=wish)
    assert answer.status_code == 400
    assert "reload the page" in answer.json()["error"]
    assert client.get("/api/training/job").json() == {"state": None}
