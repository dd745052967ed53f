"""photovision ui: where it listens, what it loads before the first page, how it ends, and mistakes."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from colours import colour_bundle

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
from photovision.app.web.state import State
client = TestClient(create_app(State(Path({str(tmp_path)!r}))), base_url="http://127.0.0.1")
assert client.get("/").status_code == 200
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_it_serves_this_machine_until_it_is_interrupted(tmp_path: Path) -> None:
    colour_bundle(tmp_path / "model")
    command = [sys.executable, "-m", "photovision", "ui", str(tmp_path), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        address = next(word for word in line.split() if word.startswith("http://"))
        assert address.startswith("http://127.0.0.1:")
        assert b"<main" in urllib.request.urlopen(address, timeout=30).read()
        overview = urllib.request.urlopen(f"{address}/api/recognise/overview", timeout=30).read()
        assert b'"model"' in overview
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not process.stderr.read()


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
