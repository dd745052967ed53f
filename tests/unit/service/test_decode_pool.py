"""Costly pictures are decoded by processes that can be ended: they look the same, and harm nobody."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle, colour_picture
from painter import painter_bundle
from PIL import Image
from served import colour_file, file_of, served
from spotter import spotter_bundle

from photovision.core.errors import UnreadableImage
from photovision.core.image import decode, to_array
from photovision.core.image_cost import DecodeCost, estimate_cost
from photovision.core.preprocess import Preprocess
from photovision.service import costly
from photovision.service.decode_pool import DecodePool, DecodeRequest, Worker
from photovision.service.http_error import Refusal
from photovision.service.limits import Room
from photovision.service.settings import Limits, Settings

MANY = 10**9
SEEN = Preprocess((32, 48), "crop")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    found = Worker()
    yield found
    found.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_of(worker: Worker) -> int:
    assert worker._process is not None
    return worker._process.pid


def decoded(
    worker: Worker, content: bytes, preprocess: Preprocess | None, cost: DecodeCost, max_pixels: int, seconds: float
) -> tuple[np.ndarray, tuple[int, int]]:
    return worker.decoded(
        content, DecodeRequest(preprocess or SEEN, preprocess is None, cost.bytes, max_pixels, seconds)
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_process_sees_what_a_thread_sees(worker: Worker, form: str) -> None:
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    small.resize((800, 600)).save(stream, form, exif=exif)
    content = stream.getvalue()
    cost = estimate_cost(content)
    image, size = decoded(worker, content, SEEN, cost, MANY, 10)
    assert np.array_equal(image, SEEN.load(content))
    assert size == (800, 600)
    whole, _ = decoded(worker, content, None, cost, MANY, 10)
    assert np.array_equal(whole, to_array(decode(content)))


def test_what_cannot_be_decoded_has_the_same_reason(worker: Worker) -> None:
    whole = file_of(colour_picture("red", size=300), "PNG")
    for content, most in ((whole[:-2000], MANY), (b"GIF89a", MANY), (whole, 100)):
        with pytest.raises(UnreadableImage) as here:
            decode(content, None, most)
        with pytest.raises(UnreadableImage) as there:
            decoded(worker, content, None, estimate_cost(whole), most, 10)
        assert str(there.value) == str(here.value)


def test_a_picture_that_takes_too_long_is_ended_and_the_next_one_is_decoded(worker: Worker) -> None:
    large, small = blank(6000), colour_file("red")
    began = time.monotonic()
    with pytest.raises(UnreadableImage, match=r"longer than 0.05 s"):
        decoded(worker, large, SEEN, estimate_cost(large), MANY, 0.05)
    assert time.monotonic() - began < 5
    image, _ = decoded(worker, small, SEEN, estimate_cost(small), MANY, 10)
    assert image.shape == (32, 48, 3)


def test_a_picture_that_nobody_waits_for_is_decoded_no_further(worker: Worker) -> None:
    began = time.monotonic()
    with pytest.raises(Refusal, match="given up"):
        worker.decoded(
            blank(12_000), DecodeRequest(SEEN, True, 10**9, MANY, 20.0), lambda: time.monotonic() > began + 0.1
        )
    assert time.monotonic() - began < 5
    small = colour_file("red")
    decoded(worker, small, SEEN, estimate_cost(small), MANY, 10)


def test_memory_beyond_the_estimate_is_refused(worker: Worker) -> None:
    content = blank(12_000)  # 144 megapixels, said to cost nothing
    with pytest.raises(UnreadableImage, match=r"memory|decoder"):
        decoded(worker, content, None, estimate_cost(colour_file("red")), MANY, 20)
    small = colour_file("red")
    decoded(worker, small, None, estimate_cost(small), MANY, 10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_process_that_dies_is_replaced(worker: Worker, number: signal.Signals) -> None:
    small = colour_file("red")
    before = worker.restarts
    decoded(worker, small, SEEN, estimate_cost(small), MANY, 10)
    os.kill(pid_of(worker), number)
    time.sleep(0.1)
    decoded(worker, small, SEEN, estimate_cost(small), MANY, 10)
    assert worker.restarts == before + 1


def test_a_process_has_no_sockets_no_secrets_and_no_importance(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    worker.end()
    small = colour_file("red")
    decoded(worker, small, SEEN, estimate_cost(small), MANY, 10)
    process = Path(f"/proc/{pid_of(worker)}")
    opened = {os.readlink(file) for file in (process / "fd").iterdir()}
    assert not [one for one in opened if one.startswith("socket:")]
    assert len(opened) <= 5  # a pipe in, a pipe out, nothing, the picture
    assert b"secret" not in (process / "environ").read_bytes()
    assert (process / "cwd").readlink() == Path("/")
    assert int((process / "oom_score_adj").read_text()) == 1000
    assert os.getpriority(os.PRIO_PROCESS, pid_of(worker)) >= 10


def test_a_process_never_outlives_the_service(tmp_path: Path) -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from served import colour_file
from photovision.core.preprocess import Preprocess
from photovision.service.decode_pool import DecodeRequest, Worker
worker = Worker()
worker.decoded(colour_file("red"), DecodeRequest(Preprocess((9, 9)), True, 10**6, 10**9, 10.0))
print(worker._process.pid, flush=True)
time.sleep(30)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 5
    while alive(child):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_code_in_the_current_folder_is_not_run(tmp_path: Path) -> None:
    for name in ("PIL", "numpy", "json", "photovision"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'RUN')!r}, 'w')")
    script = """
import os, sys
from photovision.core.preprocess import Preprocess
from photovision.service.decode_pool import DecodeRequest, Worker
os.chdir(sys.argv[1])
sys.path.insert(0, sys.argv[1])
os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH", "") + os.pathsep
worker = Worker()
worker.decoded(b"P5 1 1 255 a", DecodeRequest(Preprocess((9, 9)), True, 1, 9, 10.0))
worker.close()
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "RUN").exists()


@cache
def blank(side: int, mode: str = "L") -> bytes:
    """A PNG of so many pixels squared, in some kilobytes."""
    return file_of(Image.new(mode, (side, side)), "PNG")


def test_room_is_given_in_turn_and_back() -> None:
    room, order = Room(10), []
    entered = threading.Event()

    def hold(name: str, count: int, until: threading.Event) -> None:
        with room.taken(count):
            order.append(name)
            entered.set()
            assert until.wait(5)

    first, rest = threading.Event(), threading.Event()
    rest.set()
    threads = [threading.Thread(target=hold, args=("a", 8, first))]
    threads[0].start()
    assert entered.wait(5)
    for name, count in (("b", 9), ("c", 1)):  # the small one does not overtake
        threads.append(threading.Thread(target=hold, args=(name, count, rest)))
        threads[-1].start()
        time.sleep(0.05)
    with pytest.raises(Refusal), room.taken(5, lambda: True):
        pass
    first.set()
    for thread in threads:
        thread.join(5)
    assert order == ["a", "b", "c"]
    assert room.held == 0


def test_what_can_never_be_decoded_is_refused_and_too_much_at_once_too() -> None:
    pool = DecodePool(1, Room(10 << 20), seconds=2.0, patience=2.5)
    try:
        cost = estimate_cost(blank(1000))
        pool.check(cost, cost.bytes)
        with pytest.raises(UnreadableImage, match="MB of memory"):
            pool.check(cost, 11 << 20)
        slow = type(cost)("PNG", (10, 10), 10, 1.0)
        with pytest.raises(UnreadableImage, match="to decode"):
            pool.check(type(cost)("PNG", (10, 10), 10, 3.0), 10)
        wait = threading.Event()
        for _ in range(3):
            pool.submit(lambda _: wait.wait(5), None, slow)
        with pytest.raises(Refusal) as refused:
            pool.submit(lambda _: None, None, slow)
        assert (refused.value.status, refused.value.reason, refused.value.retry_after) == (503, "decoding", 3)
        wait.set()
        until = time.monotonic() + 5
        while pool._ahead:
            assert time.monotonic() < until
            time.sleep(0.01)
        pool.submit(lambda _: None, None, slow)
    finally:
        pool.close()


@pytest.mark.parametrize("task", ["classes", "boxes", "masks"])
def test_costly_pictures_are_answered_like_others(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = {"classes": colour_bundle, "boxes": spotter_bundle, "masks": painter_bundle}[task]
    settings = Settings({"m": make(tmp_path / "m")})
    content = file_of(colour_picture("green", size=400), "PNG")
    explain = ["/explain", "/explain?format=png"]
    routes = {"classes": explain, "boxes": ["/predict?tile=128"], "masks": ["/explain"]}[task]
    with served(settings) as client:

        def ask(route: str) -> dict[str, object]:
            answer = client.post(route, content=content, headers={"content-type": "image/png"})
            assert answer.status_code == 200, answer.text
            if answer.headers["content-type"] == "image/png":
                return {"png": len(answer.content) > 100}
            return {name: value for name, value in answer.json().items() if name != "id"}

        plain = [ask(route) for route in ("/predict", *routes)]
        monkeypatch.setattr(costly, "QUICK_SECONDS", 0.0)
        assert [ask(route) for route in ("/predict", *routes)] == plain
        pool = client.app.state.service.models._pool  # type: ignore[attr-defined]
        assert len(pool._workers) >= 1
        until = time.monotonic() + 5
        while pool.room.held:  # given back just after the answer
            assert time.monotonic() < until
            time.sleep(0.01)
    assert all(worker._process is None for worker in pool._workers)


def test_a_bad_picture_costs_no_honest_one(tmp_path: Path) -> None:
    """Pictures that take too long or too much are refused beside honest ones, which are answered meanwhile."""
    limits = Limits(decode_seconds=0.6, decode_bytes=200 << 20)
    with served(Settings({"m": colour_bundle(tmp_path / "m")}, limits=limits)) as client:
        bad = {"slow": blank(6000), "large": blank(9000, "RGBA")}
        files = [("file", (name, content)) for name, content in {**bad, "red": colour_file("red")}.items()]
        told = client.post("/predict", files=files).json()["predictions"]
        assert "s to decode" in json.dumps(told[0]) or "label" in told[0]
        assert "MB of memory" in told[1]["error"]
        assert told[2]["label"] == "red"
        assert client.app.state.service.models.get().batcher.pending == 0  # type: ignore[attr-defined]
