"""Reports on the page: what is listed, and that nothing else is given out, whatever is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from colours import colour_bundle
from fastapi.testclient import TestClient

from photovision.app.web.server import create_app
from photovision.app.web.workspace import State
from photovision.core.page import write_report
from photovision.core.report import Metric, Report

HOME = "http://127.0.0.1:8707"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("reports")
    home = tmp_path / "home"
    for name in ("reports/first", "second", ".hidden"):
        write_report(Report("audit", f"About {name}", ("It is so.",), warnings=["Mind this."]), home / name)
    (home / "second" / "README.md").write_text("# Card\n")
    (home / "second" / "secret.txt").write_text("secret")
    outside = tmp_path / "outside"
    write_report(Report("audit", "Outside"), outside)
    (home / "linked").symlink_to(outside)
    (home / "third").mkdir()
    (home / "third" / "report.html").symlink_to(outside / "report.html")
    return home


@pytest.fixture
def client(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return TestClient(create_app(State(home)), base_url=HOME)


def test_reports_are_listed(client: TestClient) -> None:
    found = {one["name"]: one for one in client.get("/api/reports/list").json()["reports"]}
    assert set(found) == {"reports/first", "second"}
    assert found["reports/first"]["title"] == "About reports/first"
    assert found["reports/first"]["warnings"] == 1
    assert found["second"]["texts"] == [{"file": "README.md", "title": "Model card"}]


def test_the_list_has_the_leading_figure_and_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    metrics = {"log_loss": Metric(0.3, 0.2, 0.4, 9), "accuracy": Metric(0.9, 0.8, 0.95, 9, "share")}
    report = Report("train", "A model", ("It is so.",), metrics=metrics, data={"task": "classify"})
    write_report(report, colour_bundle(tmp_path / "home" / "flowers"))
    write_report(Report("audit", "Another", ("So.",)), tmp_path / "home" / "audit")
    client = TestClient(create_app(State(tmp_path / "home")), base_url=HOME)
    found = {one["name"]: one for one in client.get("/api/reports/list").json()["reports"]}
    assert found["flowers"]["figure"] == {"name": "accuracy", "value": 0.9, "unit": "share", "n": 9}
    assert (found["flowers"]["of"], found["audit"]["of"], found["audit"]["figure"]) == ("flowers", None, None)


def test_a_report_can_do_and_load_nothing(client: TestClient) -> None:
    found = client.get("/api/reports/page", params={"name": "second"})
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert "About second" in found.text
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "; sandbox;" in policy
    assert "frame-ancestors 'self'" in policy


@pytest.mark.parametrize(
    "name", ["../outside", "linked", "third", ".hidden", "/etc", "second/..", "", "second/../second"]
)
def test_other_folders_are_out_of_reach(client: TestClient, name: str) -> None:
    assert client.get("/api/reports/page", params={"name": name}).status_code == 400


@pytest.mark.parametrize(
    "file", ["secret.txt", "../second/secret.txt", "report.json", "bundle.json", "DATASHEET.md", ""]
)
def test_other_files_are_out_of_reach(client: TestClient, file: str) -> None:
    assert client.get("/api/reports/text", params={"name": "second", "file": file}).status_code == 400


def test_cards_come_as_text(client: TestClient) -> None:
    found = client.get("/api/reports/text", params={"name": "second", "file": "README.md"}).json()
    assert found == {"name": "second", "title": "Model card", "text": "# Card\n"}


@pytest.mark.parametrize("content", ["[]", "{", '{"summary": 1, "warnings": null, "title": ["x"]}', "[" * 100_000])
def test_a_damaged_report_is_listed_still(client: TestClient, home: Path, content: str) -> None:
    (home / "second" / "report.json").write_text(content)
    assert len(client.get("/api/reports/list").json()["reports"]) == 2
