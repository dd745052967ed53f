"""The load test measures what a service does, and says what it refuses."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from served import colour_file

from photovision.app.cli import run
from photovision.core.errors import DataError, UsageError
from photovision.service.load_test import Load, Measured
from photovision.service.load_test_text import quantile, report, throughput


@contextmanager
def steady(seconds: float, refuse_every: int = 0, close: bool = False) -> Iterator[str]:
    """A server that answers every request after a time, some with 503."""
    loop, count, port = asyncio.new_event_loop(), [0], [0]
    started = threading.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                count[0] += 1
                number = count[0]
                await asyncio.sleep(seconds)
                status = b"503 Busy" if refuse_every and number % refuse_every == 0 else b"200 OK"
                last = b"Connection: close\r\n" if close else b""
                writer.write(b"HTTP/1.1 " + status + b"\r\n" + last + b"Content-Length: 2\r\n\r\n{}")
                if close:
                    writer.close()
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port[0] = server.sockets[0].getsockname()[1]
        started.set()
        async with server:
            await ended.wait()

    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    started.wait()
    try:
        yield f"http://127.0.0.1:{port[0]}/predict"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()


def test_latency_and_throughput_are_what_the_server_does() -> None:
    with steady(0.02) as url:
        found = Load(url, [b"x" * 100], concurrency=4, seconds=1.0, warm_up=0.2).run()
    middle = float(np.median(found.seconds))
    assert 0.02 <= middle < 0.04
    assert set(found.statuses) == {"200"}
    rate = throughput(found)
    assert rate.value == pytest.approx(4 / middle, rel=0.25)


def test_refusals_and_closed_connections_are_counted() -> None:
    with steady(0.005, refuse_every=2, close=True) as url:
        found = Load(url, [b"x"], concurrency=2, seconds=0.6, warm_up=0.1, form=False).run()
    assert set(found.statuses) == {"200", "503"}
    assert abs(found.statuses["200"] - found.statuses["503"]) <= 3
    assert len(found.seconds) == found.statuses["200"]
    assert "were not answered" in report(Load(url, [b"x"]), found).warnings[0]


def test_at_a_rate_the_time_in_the_queue_counts() -> None:
    """One connection answers 20 a second; at 40 a second requests wait longer and longer."""
    with steady(0.05) as url:
        found = Load(url, [b"x"], concurrency=1, seconds=1.0, warm_up=0.1, rate=40).run()
    assert found.seconds.max() > 0.3
    with steady(0.005) as url:
        found = Load(url, [b"x"], concurrency=4, seconds=1.0, warm_up=0.1, rate=40).run()
    assert throughput(found).value == pytest.approx(40, rel=0.15)
    assert np.median(found.seconds) < 0.05


def test_intervals_hold_the_truth() -> None:
    seconds = np.random.default_rng(0).exponential(0.1, 10_000).astype(np.float32)
    for share in (0.5, 0.9, 0.99):
        metric = quantile(seconds, share)
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low < -100 * np.log(1 - share) < metric.high


def test_a_report_of_nothing_is_refused() -> None:
    empty = np.empty(0, np.float32)
    with pytest.raises(DataError, match="401: 7"):
        report(Load("http://127.0.0.1:1/", [b"x"]), Measured(empty, empty, {"401": 7}, 1.0))


def test_an_address_that_nobody_answers_is_told() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(UsageError, match="start 'photovision serve' first"):
            Load(f"http://127.0.0.1:{silent.getsockname()[1]}/", [b"x"]).run()
    for wrong in ("", "127.0.0.1:8000", "ftp://x/", "http://:1/", "http://[/"):
        with pytest.raises(UsageError, match="expected the address"):
            Load(wrong, [b"x"]).run()


def test_the_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jpg").write_bytes(colour_file("red"))
    with steady(0.01) as url:
        arguments = ["loadtest", url.removesuffix("/predict"), str(tmp_path / "a.jpg"), "--seconds", "1", "--json"]
        assert run([*arguments, "--concurrency", "2", "--output", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["statuses"].keys() == {"200"}
    assert told["metrics"]["answer_time_p99"]["unit"] == "ms"
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()
