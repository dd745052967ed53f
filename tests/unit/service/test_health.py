"""Health turns red when nothing can be answered any more, and green again when it can."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from colours import colour_bundle
from served import colour_file, served
from starlette.testclient import TestClient

from photovision.service.capacity import memory_limit, processors
from photovision.service.decoding import Decoders
from photovision.service.settings import Limits, Settings

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with served(Settings({"m": colour_bundle(tmp_path / "m")}, limits=Limits(timeout=0.8))) as found:
        yield found


def health(client: TestClient) -> tuple[int, int, str]:
    ready = client.get("/v2/health/ready")
    return client.get("/v2/health/live").status_code, ready.status_code, ready.json()["status"]


def eventually(check: Callable[[], bool], seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def ask(client: TestClient) -> int:
    return client.post("/predict", content=colour_file("red"), headers=JPEG).status_code


@pytest.mark.parametrize("lane", ["decoding", "windows"])
def test_threads_that_hang_turn_it_red(client: TestClient, lane: str) -> None:
    threads: Decoders = client.app.state.service.models.threads()[lane]  # type: ignore[attr-defined]
    assert health(client) == (200, 200, "ok")
    hang = threading.Event()
    try:
        for _ in range(len(threads._threads) + 1):  # all of them, and one piece of work that waits
            threads.submit(lambda _: hang.wait(20), None)
        assert eventually(lambda: health(client)[1:] == (503, "stalled"))
        assert eventually(lambda: health(client)[0] == 503)
        assert "photovision_stalled_seconds" in client.get("/metrics").text
    finally:
        hang.set()
    assert eventually(lambda: health(client) == (200, 200, "ok"))
    assert ask(client) == 200


def test_one_thread_that_hangs_for_long_ends_its_life_but_not_its_answers(client: TestClient) -> None:
    threads: Decoders = client.app.state.service.models.threads()["decoding"]  # type: ignore[attr-defined]
    if len(threads._threads) < 2:
        pytest.skip("needs two threads")
    hang = threading.Event()
    threads.submit(lambda _: hang.wait(20), None)
    assert ask(client) == 200
    assert eventually(lambda: health(client)[0] == 503)
    assert ask(client) == 200
    hang.set()
    assert eventually(lambda: health(client) == (200, 200, "ok"))


def test_a_network_that_hangs_turns_it_red(client: TestClient) -> None:
    batcher = client.app.state.service.models.get().batcher  # type: ignore[attr-defined]
    session, hang = batcher.wire.model.session, threading.Event()

    class Hanging:
        def run(self, images: object) -> object:
            hang.wait(20)
            return session.run(images)

    batcher.wire.model.__dict__["session"] = Hanging()
    assert ask(client) == 503
    assert eventually(lambda: health(client)[1:] == (503, "stalled"))
    assert eventually(lambda: health(client)[0] == 503)
    hang.set()
    batcher.wire.model.__dict__["session"] = session
    assert eventually(lambda: health(client) == (200, 200, "ok"))
    assert ask(client) == 200


def test_work_that_raises_ends_no_thread(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[int] = []
    with Decoders(1) as threads:
        threads.submit(lambda _: 1 // 0, None)
        threads.submit(found.append, 1)
    assert found == [1]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_containers_limits_are_read(tmp_path: Path) -> None:
    member = tmp_path / "member"
    member.write_text("0::/pods/one\n")
    group = tmp_path / "groups" / "pods" / "one"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "cpu.max").write_text("150000 100000\n")
    assert memory_limit(tmp_path / "groups", member) > 1 << 28
    (group.parent / "memory.max").write_text(f"{1 << 27}\n")  # of the whole pod
    assert memory_limit(tmp_path / "groups", member) == 1 << 27
    assert processors(tmp_path / "groups", member) <= 2
    (group / "cpu.max").write_text("50000 100000\n")
    assert processors(tmp_path / "groups", member) == 1


def test_a_containers_limits_are_read_in_the_older_form(tmp_path: Path) -> None:
    member = tmp_path / "member"
    member.write_text("4:memory:/a/b\n1:cpu,cpuacct:/a\n")
    for folder, name, value in (
        ("memory/a/b", "memory.limit_in_bytes", 1 << 27),
        ("cpu,cpuacct/a", "cpu.cfs_quota_us", 100_000),
        ("cpu,cpuacct/a", "cpu.cfs_period_us", 100_000),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_text(f"{value}\n")
    assert memory_limit(tmp_path, member) == 1 << 27
    assert processors(tmp_path, member) == 1
