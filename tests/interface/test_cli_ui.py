"""photovision ui: where it listens, what it loads before the first page, how it ends, and mistakes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from colours import colour_bundle
from pictures import make_folder

from photovision.app.cli import run

HEAVY = ("torch", "openvino", "onnxruntime", "sklearn", "scipy", "timm")


def test_the_first_page_comes_without_any_heavy_library(tmp_path: Path) -> None:
    colour_bundle(tmp_path / "model")
    code = f"""
import sys
from pathlib import Path
from fastapi.testclient import TestClient
import photovision.app.cli.commands, photovision.app.web.serve
from photovision.app.web.server import create_app
from photovision.app.web.workspace import State
client = TestClient(create_app(State(Path({str(tmp_path)!r}))), base_url="http://127.0.0.1")
assert client.get("/").status_code == 200
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_this_user_until_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    colour_bundle(tmp_path / "model")
    with page_of(tmp_path) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        base, query = address.split("?")
        assert b"<main" in urllib.request.urlopen(address, timeout=30).read()
        overview = urllib.request.urlopen(f"{base}api/recognise/overview?{query}", timeout=30).read()
        assert b'"model"' in overview
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{base}api/recognise/overview", timeout=30)
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr
        assert not process.stderr.read()


def test_a_page_that_is_ended_takes_its_command_with_it(tmp_path: Path) -> None:
    make_folder(tmp_path / "home" / "shapes", per_class=12)
    with page_of(tmp_path / "home", PHOTOVISION_CACHE=str(tmp_path / "cache")) as (process, address):
        base, query = address.split("?")
        wish = json.dumps({"data": "shapes", "labels": True, "minutes": 5}).encode()
        asked = urllib.request.Request(f"{base}api/training/check?{query}", wish, {"content-type": "application/json"})
        assert json.load(urllib.request.urlopen(asked, timeout=30))["state"] == "running"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    (lock,) = (tmp_path / "cache").rglob("lock")
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it any more


def test_a_long_head_is_refused(tmp_path: Path) -> None:
    with page_of(tmp_path) as (process, address):
        port = int(address.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 70_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 431 ")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@contextmanager
def page_of(folder: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The page of a folder as a process, and its address with the token."""
    command = [sys.executable, "-m", "photovision", "ui", str(folder), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}) as process:
        try:
            assert process.stderr
            line = process.stderr.readline()
            yield process, next(word for word in line.split() if word.startswith("http://"))
        finally:
            process.kill()


def test_a_port_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["ui", str(tmp_path), "--no-browser", "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another one with --port" in capsys.readouterr().err


def test_a_folder_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ui", str(tmp_path / "none"), "--no-browser"]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_model_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ui", "--model", str(tmp_path / "none"), "--no-browser"]) == 2
    assert "no model at" in capsys.readouterr().err
