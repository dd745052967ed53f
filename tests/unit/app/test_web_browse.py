"""Browsing and correcting through the page's addresses: filters, pages, thumbnails, decisions, and what is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pictures import make_folder
from PIL import Image

from photovision.app.check import check
from photovision.app.web.check_results import folder_of
from photovision.app.web.server import create_app
from photovision.app.web.thumbnails import Thumbnails
from photovision.app.web.workspace import State
from photovision.core.page import write_report
from photovision.data.corrections import NAME
from photovision.data.read import read_dataset

HOME = "http://127.0.0.1:8707"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A table of 24 pictures with splits and cameras; one is broken, one is there twice with another label."""
    data = make_folder(tmp_path / "home" / "shapes", per_class=12)
    (data / "circle" / "005.png").write_bytes(b"broken")
    shutil.copyfile(data / "circle" / "001.png", data / "square" / "001.png")
    lines = ["file_name,label,split,camera,patient"]
    for path in sorted(data.rglob("*.png")):
        number = int(path.stem)
        split = "train" if number < 8 else "test"
        lines.append(f"{path.relative_to(data).as_posix()},{path.parent.name},{split},{'AB'[number % 2]},p{path}")
    (data / "metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> TestClient:
    return TestClient(create_app(State(home)), base_url=HOME)


def ask(client: TestClient, **wish: Any) -> dict[str, Any]:
    found = client.get("/api/browse/pictures", params={"data": "shapes", **wish})
    assert found.status_code == 200, found.text
    told: dict[str, Any] = found.json()
    return told


def names(told: dict[str, Any]) -> list[str]:
    return [row["name"] for row in told["rows"]]


def decide(client: TestClient, i: int, name: str, decision: str, label: list[str] | None = None, **more: Any) -> Any:
    wish = {"data": "shapes", "i": i, "name": name, "decision": decision, "label": label or [], **more}
    return client.post("/api/browse/labels", json=wish)


def examined(home: Path) -> None:
    write_report(check(read_dataset(home / "shapes")), folder_of(home / "shapes"))


def test_the_summary_offers_filters_that_can_be_chosen_from(client: TestClient) -> None:
    told = client.get("/api/browse/summary", params={"data": "shapes"}).json()
    assert told["pictures"] == 24
    assert told["classes"] == [{"name": "circle", "pictures": 12}, {"name": "square", "pictures": 12}]
    assert told["splits"] == {"train": 16, "test": 8}
    assert told["groups"]["camera"] == {"A": 12, "B": 12}
    assert told["examined"]["when"] is None


@pytest.mark.parametrize(
    ("wish", "count"),
    [
        ({}, 24),
        ({"split": "test"}, 8),
        ({"label": "square"}, 12),
        ({"text": "CIRCLE/00"}, 10),
        ({"groups": '{"camera": "B"}'}, 12),
        ({"groups": '{"camera": "B"}', "split": "train", "label": "circle"}, 4),
        ({"label": "hexagon"}, 0),
        ({"kind": "problems"}, 0),
    ],
)
def test_filters(client: TestClient, wish: dict[str, Any], count: int) -> None:
    told = ask(client, **wish)
    assert told["total"] == count == len(told["rows"])


def test_pages_fit_together_and_are_sent_once(client: TestClient) -> None:
    whole = names(ask(client))
    assert names(ask(client, start=10, count=5)) == whole[10:15]
    address = {"data": "shapes", "start": 3}
    first = client.get("/api/browse/pictures", params=address)
    again = client.get("/api/browse/pictures", params=address, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


@pytest.mark.parametrize(
    "wish", [{"count": 501}, {"start": -1}, {"groups": "[1]"}, {"groups": "{"}, {"data": "elsewhere"}]
)
def test_what_makes_no_sense_is_refused(client: TestClient, wish: dict[str, Any]) -> None:
    assert client.get("/api/browse/pictures", params={"data": "shapes", **wish}).status_code in (400, 422)


def test_problems_come_first_once_they_were_looked_for(client: TestClient, home: Path) -> None:
    examined(home)
    told = client.get("/api/browse/summary", params={"data": "shapes", "anew": True}).json()
    assert told["examined"]["kinds"]["unreadable"] == 1
    assert told["examined"]["kinds"]["conflict"] == 2
    rows = ask(client)["rows"]
    assert [row["name"] for row in rows[:3]] == ["circle/005.png", "circle/001.png", "square/001.png"]
    assert rows[0]["marks"] == ["unreadable"]
    assert names(ask(client, kind="conflict")) == ["circle/001.png", "square/001.png"]
    assert names(ask(client, worst=False))[0] == "circle/000.png"
    facts = client.get("/api/browse/facts", params={"data": "shapes", "i": rows[1]["i"]}).json()
    assert [other["name"] for other in facts["found"][0]["others"]] == ["square/001.png"]
    # What was decided has been looked at, and need not come first any more.
    assert decide(client, rows[0]["i"], "circle/005.png", "leave out").json()["saved"]
    assert names(ask(client, as_of=2))[0] == "circle/001.png"


def test_suspected_labels_come_with_a_suggestion(client: TestClient, home: Path) -> None:
    examined(home)
    file = folder_of(home / "shapes") / "report.json"
    report = json.loads(file.read_text())
    suspect = {"label": "circle", "suggested": "square", "confidence": 0.98, "split": "train"}
    report["label_errors"] = {
        "suspects": [
            {"id": "circle/002.png", "chance_wrong": 0.4, **suspect},
            {"id": "circle/007.png", "chance_wrong": 0.9, **suspect},
            {"id": "gone.png", "chance_wrong": 0.9, **suspect},
        ]
    }
    report["outliers"] = [{"id": "square/003.png", "label": "square", "score": 12.5}]
    file.write_text(json.dumps(report))
    told = client.get("/api/browse/summary", params={"data": "shapes", "anew": True}).json()["examined"]
    assert told["labels"]
    assert told["current"]
    assert told["kinds"] == {"unreadable": 1, "conflict": 2, "suspect": 2, "outlier": 1}
    rows = ask(client, kind="suspect")["rows"]
    assert [(row["name"], row["suggested"]) for row in rows] == [
        ("circle/007.png", "square"),
        ("circle/002.png", "square"),
    ]
    assert names(ask(client))[3:6] == ["circle/007.png", "circle/002.png", "square/003.png"]
    facts = client.get("/api/browse/facts", params={"data": "shapes", "i": rows[0]["i"]}).json()
    assert facts["found"][0]["text"] == "Its label is “circle”, but it looks like “square” (98% sure)."
    (home / "shapes" / "metadata.csv").write_text("file_name,label\ncircle/000.png,circle\nsquare/000.png,square\n")
    changed = client.get("/api/browse/summary", params={"data": "shapes", "anew": True}).json()["examined"]
    assert not changed["current"]


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"problems": 1}', '{"problems": [{}], "leaked": []}'])
def test_damaged_findings_are_passed_over(client: TestClient, home: Path, content: str) -> None:
    folder_of(home / "shapes").mkdir(parents=True)
    (folder_of(home / "shapes") / "report.json").write_text(content)
    assert client.get("/api/browse/summary", params={"data": "shapes"}).json()["examined"]["when"] is None


def test_facts_are_those_of_the_file(client: TestClient) -> None:
    told = client.get("/api/browse/facts", params={"data": "shapes", "i": 0}).json()
    assert (told["width"], told["height"], told["format"]) == (48, 48, "PNG")
    assert told["groups"]["camera"] == "A"
    broken = client.get("/api/browse/facts", params={"data": "shapes", "i": 5}).json()
    assert broken["bytes"] == 6
    assert "not a picture" in broken["error"]


@pytest.mark.parametrize("i", [-1, 24, 10**9])
def test_positions_that_do_not_exist(client: TestClient, i: int) -> None:
    for what in ("facts", "thumbnail", "large"):
        found = client.get(f"/api/browse/{what}", params={"data": "shapes", "i": i})
        assert found.status_code == 400
        assert "reload the page" in found.json()["error"]


def test_thumbnails_are_made_once_and_follow_the_file(client: TestClient, home: Path, cache: Path) -> None:
    file = home / "shapes" / "circle" / "000.png"
    Image.new("RGB", (900, 600), "red").save(file)
    address = {"data": "shapes", "i": 0}
    first = client.get("/api/browse/thumbnail", params=address)
    assert Image.open(io.BytesIO(first.content)).size == (192, 128)
    kept = list((cache / "thumbnails").rglob("*.jpg"))
    assert len(kept) == 1
    assert client.get("/api/browse/thumbnail", params=address).content == first.content
    known = {"if-none-match": first.headers["etag"]}
    assert client.get("/api/browse/thumbnail", params=address, headers=known).status_code == 304
    Image.new("RGB", (600, 900), "blue").save(file)
    os.utime(file, (1, 1))
    other = client.get("/api/browse/thumbnail", params=address, headers=known)
    assert Image.open(io.BytesIO(other.content)).size == (128, 192)
    assert Image.open(io.BytesIO(client.get("/api/browse/large", params=address).content)).size == (600, 900)
    assert client.get("/api/browse/thumbnail", params={"data": "shapes", "i": 5}).status_code == 204


def test_a_torn_thumbnail_is_made_again_and_old_ones_go(home: Path, tmp_path: Path) -> None:
    made = Thumbnails(tmp_path / "small")
    files = sorted((home / "shapes" / "square").glob("*.png"))
    whole = made.get(files[0])
    assert whole is not None
    kept = next((tmp_path / "small").rglob("*.jpg"))
    kept.write_bytes(whole[:40])
    assert made.get(files[0]) == whole
    os.utime(kept, (1, 1))
    for file in files[1:]:
        made.get(file)
    made.trim(most=sum(path.stat().st_size for path in (tmp_path / "small").rglob("*.jpg")) - 1)
    left = list((tmp_path / "small").rglob("*.jpg"))
    assert kept not in left
    assert 0 < len(left) < len(files)


def test_a_correction_is_on_the_disk_and_in_the_grid(client: TestClient, home: Path) -> None:
    assert decide(client, 0, "circle/000.png", "label", ["square"]).json()["saved"]
    assert {s.id: s.label for s in read_dataset(home / "shapes").samples}["circle/000.png"] == "square"
    assert "circle/000.png" in names(ask(client, label="square", as_of=1))
    row = ask(client, kind="label", as_of=1)["rows"][0]
    assert row["label"] == ["circle"]
    assert row["decision"]["label"] == ["square"]
    saw = {"decision": "label", "label": ["square"]}
    assert decide(client, 0, "circle/000.png", "undone", instead_of=saw).json() == {"saved": True, "decision": None}
    assert {s.id: s.label for s in read_dataset(home / "shapes").samples}["circle/000.png"] == "circle"
    assert (home / "shapes" / NAME).read_text().count("\n") == 3


def test_two_tabs_do_not_overwrite_each_other(client: TestClient, home: Path) -> None:
    other = TestClient(create_app(State(home)), base_url=HOME)
    assert decide(client, 1, "circle/001.png", "label", ["square"]).json()["saved"]
    late = decide(other, 1, "circle/001.png", "leave out").json()
    assert late["saved"] is False
    assert late["decision"]["label"] == ["square"]
    assert decide(other, 1, "circle/001.png", "leave out", instead_of=late["decision"]).json()["saved"]
    assert ask(client, kind="leave out", as_of=3)["total"] == 1


def test_a_correction_that_no_longer_fits_can_be_made_anew(client: TestClient, home: Path) -> None:
    table = home / "shapes" / NAME
    table.write_text("file_name,was,decision,label,time\ncircle/000.png,ring,label,square,\n")
    assert ask(client)["rows"][0]["decision"] is None
    assert decide(client, 0, "circle/000.png", "label", ["square"]).json()["saved"]


@pytest.mark.parametrize(
    ("i", "name", "decision", "label"),
    [
        (0, "circle/001.png", "right", []),
        (0, "circle/000.png", "label", ["hexagon"]),
        (0, "circle/000.png", "label", []),
        (0, "circle/000.png", "label", ["circle", "square"]),
        (0, "circle/000.png", "leave out", ["square"]),
        (0, "circle/000.png", "delete", []),
        (99, "circle/000.png", "right", []),
    ],
)
def test_decisions_that_make_no_sense(
    client: TestClient, home: Path, i: int, name: str, decision: str, label: list[str]
) -> None:
    found = decide(client, i, name, decision, label)
    assert found.status_code == 400
    assert found.json()["error"]
    assert not (home / "shapes" / NAME).exists()


def test_another_site_cannot_correct_labels(client: TestClient, home: Path) -> None:
    wish = {"data": "shapes", "i": 0, "name": "circle/000.png", "decision": "leave out"}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert client.post("/api/browse/labels", json=wish, headers=headers).status_code == 403
    # A form cannot send JSON, and plain text is not taken for it.
    assert client.post("/api/browse/labels", content=json.dumps(wish)).status_code == 422
    assert not (home / "shapes" / NAME).exists()


def test_several_labels_can_be_corrected(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "several" / "tags", per_class=2)
    (data / "metadata.csv").write_text("file_name,labels\ncircle/000.png,a|b\nsquare/000.png,c\n")
    client = TestClient(create_app(State(tmp_path / "several")), base_url=HOME)
    wish = {"data": "tags", "i": 0, "name": "circle/000.png", "decision": "label", "label": ["a", "c"]}
    assert client.post("/api/browse/labels", json=wish).json()["saved"]
    assert read_dataset(data).samples[0].target == ("a", "c")


def test_a_model_answers_the_opened_picture(tmp_path: Path) -> None:
    from colours import colour_bundle, colour_folder

    colour_folder(tmp_path / "home" / "colours")
    colour_bundle(tmp_path / "home" / "model")
    client = TestClient(create_app(State(tmp_path / "home")), base_url=HOME)
    asked = {"data": "colours", "i": 0, "model": "model"}
    assert client.get("/api/browse/answer", params=asked).json()["label"] == "blue"
    assert client.get("/api/browse/answer", params=asked | {"model": "none"}).status_code == 400


def test_sessions_are_joined_split_and_undone_by_a_click(client: TestClient, home: Path) -> None:
    source = home / "shapes"
    data = read_dataset(source)
    ids = [sample.id for sample in data.samples]
    report = check(source)
    report.data["found_sessions"], report.data["sessions"] = [ids[:6], ids[6:12]], {"by": "capture time and camera"}
    write_report(report, folder_of(source))
    address, told = "/api/browse/sessions", client.get("/api/browse/sessions", params={"data": "shapes"}).json()
    assert [(one["name"], one["pictures"]) for one in told["sessions"]] == [("session 1", 6), ("session 2", 6)]
    assert (told["alone"], told["by"]) == (12, "capture time and camera")
    version = client.get("/api/browse/summary", params={"data": "shapes"}).json()["version"]
    wish = {"data": "shapes", "version": version}
    split = client.post(address, json={**wish, "into": "one", "pictures": [0, 1, 12]}).json()
    assert split["changed"] == 3
    assert read_dataset(source).sessions == dict.fromkeys([ids[0], ids[1], ids[12]], "by hand 1")
    shown = client.get("/api/browse/sessions", params={"data": "shapes"}).json()["sessions"]
    assert [(one["name"], one["pictures"], one["by_hand"]) for one in shown] == [
        ("by hand 1", 3, True), ("session 1", 4, False), ("session 2", 6, False),
    ]  # fmt: skip
    assert ask(client, session=shown[0]["key"])["total"] == 3
    assert {row["session"] for row in ask(client, session=shown[0]["key"], as_of=1)["rows"]} == {"by hand 1"}
    joined = client.post(address, json={**wish, "into": "one", "sessions": [one["key"] for one in shown]}).json()
    assert joined["changed"] == 13
    assert [(one["into"], one["name"], len(one["pictures"])) for one in joined["before"]] == [
        ("named", "by hand 1", 3), ("found", "", 10),
    ]  # fmt: skip
    for before in joined["before"]:
        assert client.post(address, json={**wish, **before}).status_code == 200
    assert client.get(address, params={"data": "shapes"}).json()["sessions"] == shown
    every = client.post(address, json={**wish, "into": "one", "shown": {"data": "shapes", "label": "square"}}).json()
    assert every["changed"] == 12
    client.post(address, json={**wish, "into": "none", "pictures": [0]})
    assert read_dataset(source).sessions[ids[0]] == "none"
    for wrong in ({"version": "old"}, {"pictures": [0]}, {"pictures": []}, {"pictures": [0, 999]}, {"into": "all"}):
        assert client.post(address, json={**wish, "into": "one", **wrong}).status_code in (400, 422), wrong
