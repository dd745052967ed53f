"""Watching on the page: what may be watched, what is refused, and that a watcher ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from clips import blobs, moving, write
from fastapi.testclient import TestClient
from spotter import scene, spotter_bundle

from photovision.app.web import live, watcher
from photovision.app.web.server import create_app
from photovision.app.web.watcher import Watcher
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, ModelError, UsageError
from photovision.video.sources import _PROTOCOLS
from photovision.video.watch import WatchRequest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("live")
    (home / "work" / "clips").mkdir(parents=True)
    spotter_bundle(home / "work" / "spotter")
    write(home / "work" / "clips" / "a.mp4", [scene((64, 64), [("red", (0, i, 16, i + 16))]) for i in range(20)])
    (home / "work" / "clips" / "broken.mp4").write_bytes(b"no video" * 99)
    (home / "work" / "clips" / "note.txt").write_text("x")
    (home / "work" / "clips" / "link.mp4").symlink_to(home / "secret.mp4")
    (home / "secret.mp4").write_bytes(b"x")
    return home / "work"


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    state = State(folder)
    with TestClient(create_app(state), base_url="http://127.0.0.1") as client:
        yield client
    state.end()


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red disc crosses the picture from left to right."""
    pictures = moving([(0, lambda i: (10 + 1.8 * i, 48))], 60)
    return write(tmp_path_factory.mktemp("clips") / "crossing.mp4", pictures)


def source(kind: str, value: str) -> live.LiveSource:
    return live.LiveSource.model_validate({"kind": kind, "value": value})


def test_videos_of_the_folder_are_listed_without_links(folder: Path, client: TestClient) -> None:
    found = client.get("/api/live/sources").json()
    assert [one["name"] for one in found["videos"]] == ["clips/a.mp4", "clips/broken.mp4"]
    assert live.videos(None) == []


@pytest.mark.parametrize("value", ["../secret.mp4", "/etc/passwd", "clips/link.mp4", "clips/note.txt", "clips", "a\0b"])
def test_files_elsewhere_are_out_of_reach(folder: Path, value: str) -> None:
    with pytest.raises((UsageError, DataError)):
        live.opened(State(folder), source("file", value))


@pytest.mark.parametrize(
    "value",
    ["file:///etc/passwd", "concat:a|b", "clips/a.mp4", "data://x", "ftp://x", "rtsp//x", "http", "rtsp://a\nb"],
)
def test_addresses_of_other_schemes_are_refused(folder: Path, value: str) -> None:
    with pytest.raises(UsageError, match="should begin with"):
        live.opened(State(folder), source("address", value))
    for address in ("rtsp://camera.local/1", "RTSP://camera.local/1"):  # in capitals it would be taken for a path
        assert live.opened(State(folder), source("address", address)) == "rtsp://camera.local/1"
    assert set(live.SCHEMES) <= set(_PROTOCOLS.split(",")), "the page allows what the decoder allows, and no more"


@pytest.mark.parametrize("value", ["/dev/video0", "-1", "x", "", "1000"])
def test_cameras_are_numbers(folder: Path, value: str) -> None:
    with pytest.raises(UsageError, match="by its number"):
        live.opened(State(folder), source("camera", value))
    assert live.opened(State(folder), source("camera", "1")) == 1


def test_a_first_frame_to_draw_on(client: TestClient) -> None:
    found = client.post("/api/live/look", json={"kind": "file", "value": "clips/a.mp4"}).json()
    assert (found["size"], found["frames"], found["live"]) == ([64, 64], 20, False)
    assert found["picture"].startswith("data:image/jpeg")
    broken = client.post("/api/live/look", json={"kind": "file", "value": "clips/broken.mp4"})
    assert "cannot be opened as a video" in broken.json()["error"]
    assert "\n" not in broken.json()["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lines": [{"name": "a", "points": [(0, 0), (1, 1)]}] * 2}, "names of their own"),
        ({"lines": [{"name": "a", "points": [(0, 0), (2, 1)]}]}, "within the frame"),
        ({"lines": [{"name": "a", "points": [(0, 0), (1, 1), (0, 1)]}]}, "two points"),
        ({"zones": [{"name": "a", "points": [(0, 0), (1, 1)]}]}, "three corners"),
        ({"classes": ["zebra"]}, "zebra is not one of the classes"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Path, change: dict[str, Any], message: str) -> None:
    wish = {"source": {"kind": "file", "value": "clips/a.mp4"}, "model": "spotter", **change}
    with pytest.raises(UsageError, match=message):
        live.asked_for(State(folder), live.LiveRequest.model_validate(wish))


def test_only_detectors_watch(folder: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        live.asked_for(
            State(folder), live.LiveRequest.model_validate({"source": {"kind": "camera", "value": "0"}, "model": "x"})
        )


def test_frames_counts_and_events_come_beside_each_other(crossing: Path) -> None:
    asked = WatchRequest(lines={"gate": ((0.5, 1), (0.5, 0))})
    one = Watcher(crossing, blobs, asked, quick=True)
    number, pictures = 0, 0
    while (found := one.picture(number)) is not None:
        number, pictures = found[0], pictures + 1
        assert found[1].startswith(b"\xff\xd8")
    assert one.wait(5)
    told = one.told(0)
    assert (told["ended"], told["error"], told["frame"], told["total"]) == (True, None, 60, 60)
    assert told["lines"]["gate"]["right"] == 1
    assert [event["event"] for event in told["events"]] == ["cross"]
    assert one.told(told["last"])["events"] == []
    assert pictures > 1


def test_a_file_is_shown_at_its_own_pace(crossing: Path) -> None:
    began = time.monotonic()
    one = Watcher(crossing, blobs, WatchRequest())
    time.sleep(0.5)
    assert 5 <= one.told(0)["frame"] <= 20
    one.stop()
    assert one.wait(2)
    assert time.monotonic() - began < 2


def test_nobody_looks_and_it_ends(crossing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "ALONE", 0.2)
    one = Watcher(crossing, blobs, WatchRequest())
    assert one.wait(1.5), "the video itself lasts 2.4 s"


def test_a_broken_source_is_told_in_one_line(folder: Path) -> None:
    one = Watcher(folder / "clips" / "broken.mp4", blobs, WatchRequest())
    assert one.wait(5)
    told = one.told(0)
    assert told["ended"]
    assert "cannot be opened as a video" in told["error"]
    assert one.picture(0) is None


def test_one_is_watched_at_a_time_and_the_last_takes_over(crossing: Path) -> None:
    watchers = live.Watchers()
    first = watchers.start(crossing, blobs, WatchRequest(), False)
    one = watchers.of(first)
    second = watchers.start(crossing, blobs, WatchRequest(), False)
    assert one.wait(2)
    with pytest.raises(UsageError, match="not watched any more"):
        watchers.of(first)
    watchers.end()
    assert watchers.of(second).wait(2)


def test_the_page_is_told_by_server_sent_events(client: TestClient) -> None:
    wish = {"source": {"kind": "file", "value": "clips/a.mp4"}, "model": "spotter", "quick": True}
    number = client.post("/api/live/start", json=wish).json()["number"]
    stream = client.get(f"/api/live/stream?number={number}")
    assert stream.headers["content-type"].startswith("multipart/x-mixed-replace")
    assert stream.content.count(b"Content-Type: image/jpeg") >= 1
    told = client.get(f"/api/live/events?number={number}")
    assert told.headers["content-type"].startswith("text/event-stream")
    last = told.text.strip().split("\n\n")[-1]
    assert last.startswith("event: end")
    assert json.loads(last.partition("data: ")[2])["frame"] == 20
    assert client.get("/api/live/stream?number=99").status_code == 400


def test_the_page_ends_at_once_while_a_video_is_watched(folder: Path, tmp_path: Path) -> None:
    frames = [scene((64, 64), [("red", (0, 16, 16, 32))])] * 250  # ten seconds, which nobody wants to wait for
    write(folder / "clips" / "long.mp4", frames)
    command = [sys.executable, "-m", "photovision", "ui", str(folder), "--no-browser", "--port", "0"]
    wish = {"source": {"kind": "file", "value": "clips/long.mp4"}, "model": "spotter"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PHOTOVISION_CACHE": str(tmp_path)}
    ) as process:
        assert process.stderr
        address = next(word for word in process.stderr.readline().split() if word.startswith("http://"))
        with httpx.Client(base_url=address.split("?")[0], timeout=60) as client:
            client.get(address)  # whose answer holds the page's secret
            number = client.post("/api/live/start", json=wish).json()["number"]
            with client.stream("GET", f"/api/live/stream?number={number}") as stream:
                assert len(next(stream.iter_bytes())) > 0
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 0
        assert not process.stderr.read()
    (folder / "clips" / "long.mp4").unlink()
