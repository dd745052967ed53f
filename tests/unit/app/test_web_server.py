"""The page's server: who is answered, what it may load, what it says when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from photovision.app.web.server import create_app
from photovision.app.web.workspace import State

HOME = "http://127.0.0.1:8707"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return TestClient(create_app(State(tmp_path_factory.mktemp("folder"))), base_url=HOME)


def test_the_page_and_its_parts_are_there(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "<main" in page.text
    for name, kind in (
        ("main.js", "text/javascript"),
        ("style.css", "text/css"),
        ("tokens.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
        ("views/recognise.js", "text/javascript"),
    ):
        found = client.get(f"/{name}")
        assert found.status_code == 200
        assert found.headers["content-type"].startswith(kind)


def test_nothing_from_elsewhere_may_be_loaded(client: TestClient) -> None:
    for path in ("/", "/main.js", "/api/recognise/overview", "/nowhere"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:;")
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8707", "127.0.0.1.evil.example:8707", "", "10.0.0.1"])
def test_names_that_were_made_to_point_here_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8707", "localhost:8707", "localhost", "[::1]:8707"])
def test_this_machine_is_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9999", "null", "https://127.0.0.1:8707"])
def test_other_origins_are_refused(client: TestClient, origin: str) -> None:
    for method in ("get", "post"):
        assert getattr(client, method)("/api/recognise/overview", headers={"origin": origin}).status_code == 403
    assert client.post("/api/recognise/answer?model=x", content=b"x", headers={"origin": HOME}).status_code == 400


def test_other_sites_may_link_to_the_page_but_embed_nothing_of_it(client: TestClient) -> None:
    other = {"sec-fetch-site": "cross-site"}
    assert client.get("/", headers=other).status_code == 200
    assert client.get("/api/recognise/overview", headers=other).status_code == 403
    assert client.get("/main.js", headers={"sec-fetch-site": "same-site"}).status_code == 403
    assert client.get("/main.js", headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("path", ["/../server.py", "/%2e%2e/server.py", "/views/..%2f..%2fserver.py", "//etc/passwd"])
def test_files_beside_the_page_are_out_of_reach(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_mistakes_come_as_one_line(client: TestClient) -> None:
    found = client.post("/api/recognise/answer?model=none", content=b"x")
    assert found.status_code == 400
    assert "there is no model 'none' here" in found.json()["error"]
    assert client.post("/api/recognise/preview", content=b"not a picture").status_code == 422


@pytest.fixture
def guarded(tmp_path: Path) -> TestClient:
    return TestClient(create_app(State(tmp_path), "secret"), base_url=HOME)


def test_other_users_of_the_machine_are_not_answered(guarded: TestClient) -> None:
    for path in (
        "/",
        "/main.js",
        "/api/recognise/overview",
        "/?token=",
        "/?token=wrong",
        "/api/training/job?token=secre",
    ):
        assert guarded.get(path).status_code == 403, path
    assert guarded.post("/api/training/cancel").status_code == 403
    assert "photovision ui" in guarded.get("/").text


def test_whoever_opens_the_address_is_answered_from_then_on(guarded: TestClient) -> None:
    first = guarded.get("/?token=secret")
    assert first.status_code == 200
    assert "HttpOnly; SameSite=Strict" in first.headers["set-cookie"]
    assert guarded.get("/api/recognise/overview").status_code == 200
    other = TestClient(guarded.app, base_url="http://127.0.0.1:8708", cookies=guarded.cookies)
    assert other.get("/api/recognise/overview").status_code == 403, "a cookie of the page on another port"
    elsewhere = guarded.get("/api/recognise/overview", headers={"origin": "http://evil.example"})
    assert elsewhere.status_code == 403


def test_bodies_of_text_are_bounded(client: TestClient) -> None:
    long = json.dumps({"data": "x" * (1 << 20), "name": "m"})
    json_type = {"content-type": "application/json"}
    assert client.post("/api/training/start", content=long, headers=json_type).status_code == 413
    assert client.post("/api/training/start", content=iter([long.encode()]), headers=json_type).status_code == 400
    assert client.post("/api/training/check", json={"data": "none"}).status_code == 400
    picture = {"content-type": "image/png"}
    assert client.post("/api/recognise/preview", content=bytes(2 << 20), headers=picture).status_code == 422
