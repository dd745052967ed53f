"""A command that is interrupted, or ended by the system, says so in one line and exits as programs do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder

ENDINGS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended by SIGHUP"}
SLOWLY = """
import sys, time, types
from concurrent.futures import ThreadPoolExecutor
from photovision.app.cli import main

def run(dataset, output, options, listener, **_):
    pool = ThreadPoolExecutor(2)
    queued = [pool.submit(time.sleep, 0.3) for _ in range(200)]  # as decoding ahead does
    try:
        print("begun", flush=True)
        queued[-1].result()
    finally:
        print("tidying", flush=True)
        time.sleep(%s)

sys.modules["photovision.engine.train"] = types.SimpleNamespace(run=run)  # so that torch is not loaded either
main(["train", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_folder(tmp_path_factory.mktemp("data") / "d")


@contextmanager
def training(data: Path, output: Path, tidying: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SLOWLY % tidying, str(data), "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        # CPython may miss a signal in the moment between its last look and the wait for a lock; until then, wait.
        time.sleep(0.5)
        yield process
        process.kill()


def ended(process: subprocess.Popen[str]) -> list[str]:
    """The lines that it said after it was told to end."""
    said = process.communicate(timeout=60)[1]
    assert "Traceback" not in said
    return [line for line in said.splitlines() if line.startswith("photovision: ") and "pictures of" not in line]


@pytest.mark.parametrize("number", list(ENDINGS), ids=lambda number: number.name)
def test_a_signal_ends_it_soon_with_one_line(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    with training(data, tmp_path / "m") as process:
        began = time.monotonic()
        process.send_signal(number)
        assert ended(process) == [f"photovision: {ENDINGS[number]}; the same command resumes"]
        assert process.returncode == 128 + number
        assert time.monotonic() - began < 15  # 30 s are queued


@pytest.mark.parametrize(("number", "count"), [(signal.SIGINT, 6), (signal.SIGTERM, 2)], ids=["SIGINT", "SIGTERM"])
def test_more_signals_end_it_at_once(data: Path, tmp_path: Path, number: signal.Signals, count: int) -> None:
    with training(data, tmp_path / "m", tidying=120) as process:
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stdout.readline() == "tidying\n"
        for _ in range(count - 1):
            process.send_signal(number)
        assert ended(process) == [f"photovision: {ENDINGS[number]}; the same command resumes"]
        assert process.returncode == 128 + number


def test_what_is_ignored_stays_ignored(data: Path, tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SLOWLY % 0
    command = [sys.executable, "-c", script, str(data), "-o", str(tmp_path / "m")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)  # as of a terminal that closes, under nohup
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        ended(process)
        assert process.returncode == 143


def test_signals_mean_what_they_did_once_a_command_is_over(data: Path, tmp_path: Path) -> None:
    from photovision.app.cli import run

    before = [signal.getsignal(number) for number in ENDINGS]
    assert run(["train", str(tmp_path / "none"), "-o", str(tmp_path / "m")]) == 2
    assert [signal.getsignal(number) for number in ENDINGS] == before


def at_once(count: int, start: Callable[[int], list[str]]) -> list[subprocess.CompletedProcess[str]]:
    processes = [
        subprocess.Popen(start(n), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for n in range(count)
    ]
    said = [process.communicate(timeout=120) for process in processes]
    return [subprocess.CompletedProcess([], p.returncode, *told) for p, told in zip(processes, said, strict=True)]


def test_keys_made_and_revoked_at_once_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    photovision = [sys.executable, "-m", "photovision", "keys"]
    made = at_once(6, lambda n: [*photovision, "add", f"user{n}", "--file", str(file)])
    assert [one.returncode for one in made] == [0] * 6
    mixed = at_once(
        6, lambda n: [*photovision, *(["revoke", f"user{n}"] if n < 3 else ["add", f"more{n}"]), "--file", str(file)]
    )
    assert [one.returncode for one in mixed] == [0] * 6, [one.stderr for one in mixed]
    names = {key["name"] for key in json.loads(file.read_text())["keys"]}
    assert names == {"user3", "user4", "user5", "more3", "more4", "more5"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["keys.json"]


def test_keys_behind_a_link_are_changed_where_they_are(tmp_path: Path) -> None:
    from photovision.app.cli import run

    (tmp_path / "secret").mkdir()
    (tmp_path / "keys.json").symlink_to("secret/keys.json")
    for name in ("ana", "ben"):
        assert run(["keys", "add", name, "--file", str(tmp_path / "keys.json")]) == 0
    assert (tmp_path / "keys.json").is_symlink()
    assert len(json.loads((tmp_path / "secret" / "keys.json").read_text())["keys"]) == 2


def test_an_export_that_is_killed_leaves_the_model_and_the_next_one_works(tmp_path: Path) -> None:
    from photovision.app.cli import run

    model = colour_bundle(tmp_path / "m")
    command = [sys.executable, "-m", "photovision", "export", str(model), "--to", "onnx", "-o", str(tmp_path / "e")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(1)
        process.kill()
    assert run(["export", str(model), "--to", "onnx", "-o", str(tmp_path / "e")]) == 0
    assert sorted(os.listdir(tmp_path)) == ["e", "m"]
