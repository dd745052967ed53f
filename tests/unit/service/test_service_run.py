"""The service as a process: how it starts, ends, and bears clients that misbehave."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder, colour_picture
from painter import painter_bundle
from served import Process, colour_file, file_of, process
from spotter import spotter_bundle

from photovision.app.cli import run

JPEG = {"Content-Type": "image/jpeg"}
CONFIG = """
drain = {drain}
watch = 0
[limits]
read_timeout = 0.5
idle_timeout = 1
connections = 20
request_bytes = 1000000
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_bundle(tmp_path_factory.mktemp("models") / "colours")


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    config = tmp_path_factory.mktemp("settings") / "service.toml"
    config.write_text(CONFIG.format(drain=0))
    with process([f"colours={bundle}", "--config", config]) as found:
        yield found


def ask(port: int, content: bytes | None = None) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/predict", content or colour_file("red"), JPEG)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def until_closed(connection: socket.socket, seconds: float = 5) -> bytes:
    """What comes until the other side closes."""
    connection.settimeout(seconds)
    found = b""
    try:
        while data := connection.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


def test_what_is_under_way_is_answered_after_sigterm(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text(CONFIG.format(drain=0.6))
    with process([f"colours={bundle}", "--config", tmp_path / "service.toml"]) as service:
        statuses: list[int] = []
        failed: list[Exception] = []
        done = threading.Event()

        def client() -> None:
            while not done.is_set():
                try:
                    statuses.append(ask(service.port)[0])
                except ConnectionError:  # it listens no more: refused, reset, or a pipe that broke while writing
                    return
                except Exception as error:
                    failed.append(error)
                    return

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        service.signal(signal.SIGTERM)
        time.sleep(0.2)
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
        connection.request("GET", "/v2/health/ready")
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["status"]) == (503, "draining")
        assert answer.getheader("connection") == "close"
        connection.close()
        before = len(statuses)
        assert service.wait() == 0
        done.set()
        for thread in threads:
            thread.join()
        assert not failed
        assert set(statuses) == {200}
        assert len(statuses) > before > 0  # it went on answering while it said "not ready"
        begun = [line for line in service.lines if '"/predict"' in line]
        assert len(begun) == len(statuses)  # whatever it began reached its client
        assert any('"draining"' in line for line in service.lines)


def test_a_client_that_sends_its_head_slowly_is_cut_off(service: Process) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        assert until_closed(connection) == b""
        assert time.monotonic() - began < 3
    with socket.create_connection(("127.0.0.1", service.port)) as silent:
        assert until_closed(silent) == b""
    assert ask(service.port)[0] == 200


def test_a_client_that_sends_its_picture_slowly_is_told(service: Process) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n"
        connection.sendall(head + b"\xff\xd8")
        assert until_closed(connection).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_breaks_off_harms_nobody(service: Process) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n"
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(head + colour_file("red")[:100])
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            content = colour_file("red")
            connection.sendall(head.replace(b"5000", str(len(content)).encode()) + content)
    assert ask(service.port)[0] == 200


def test_connections_that_are_only_held_open_shut_nobody_out(service: Process) -> None:
    idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(60)]
    for one in idle[::2]:
        with contextlib.suppress(OSError):  # it may have had to give way already
            one.sendall(b"POST /predict HTTP/1.1\r\nHost:")  # a part of a head rests, too
    assert [ask(service.port)[0] for _ in range(5)] == [200] * 5
    for one in idle:
        one.close()


def test_more_requests_at_once_than_connections_are_refused_and_later_ones_taken(service: Process) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: [::1]\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n"
    busy = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(20)]
    for one in busy:
        one.sendall(head)
    time.sleep(0.1)
    status, told = ask(service.port)
    assert status == 503
    assert "more connections" in str(told["error"])
    for one in busy:
        assert until_closed(one).startswith(b"HTTP/1.1 408 ")
        one.close()
    assert ask(service.port)[0] == 200


ENDLESS = {
    "first line": (b"GET /", b"a" * 60_000),
    "fields": (b"GET / HTTP/1.1\r\nHost: [::1]\r\n", b"X: " + b"y" * 997 + b"\r\n"),
    "tiny fields": (b"GET / HTTP/1.1\r\nHost: [::1]\r\n", b"a:b\r\n" * 10_000),
    "one value": (b"GET / HTTP/1.1\r\nX: ", b"y" * 60_000),
    "trailers": (
        b"POST /predict HTTP/1.1\r\nHost: [::1]\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n",
        b"X: " + b"y" * 997 + b"\r\n",
    ),
    "extension of a chunk": (
        b"POST /predict HTTP/1.1\r\nHost: [::1]\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n3;",
        b"y" * 60_000,
    ),
    "requests ahead": (b"", b"GET /v2/models/colours HTTP/1.1\r\nHost: [::1]\r\n\r\n" * 1000),
    "blank lines": (b"", b"\r\n" * 30_000),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
def test_a_head_has_a_bound(service: Process, start: bytes, more: bytes) -> None:
    memory = service.memory()
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.settimeout(5)
        sent = 0
        with contextlib.suppress(OSError):
            connection.sendall(start)
            while sent < 50_000_000:
                connection.sendall(more)
                sent += len(more)
        assert sent < 15_000_000  # what the sockets' own buffers hold
    assert service.memory() - memory < 20_000_000
    assert ask(service.port)[0] == 200


def test_a_large_head_is_refused_with_its_status(service: Process) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: [::1]\r\nX: " + b"y" * 65_600)
        assert until_closed(connection).startswith(b"HTTP/1.1 431 ")
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: [::1]\r\nX: " + b"y" * 60_000 + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_bodies_are_no_heads(service: Process) -> None:
    """A body arrives in many pieces of any size, and another request follows on the same connection."""
    content = file_of(colour_picture("red", size=200), "BMP")
    assert len(content) > 100_000
    head = f"POST /predict HTTP/1.1\r\nHost: [::1]\r\nContent-Type: image/bmp\r\nContent-Length: {len(content)}\r\n\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    for chunked in (False, True, False):
        body = (content[at : at + 999] for at in range(0, len(content), 999)) if chunked else content
        connection.request("POST", "/predict", body, {"Content-Type": "image/bmp"}, encode_chunked=chunked)
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()
    with socket.create_connection(("127.0.0.1", service.port)) as ahead:
        ahead.sendall((head.encode() + content) * 3)
        found = b""
        ahead.settimeout(5)
        while found.count(b"HTTP/1.1 200 ") < 3:
            found += ahead.recv(65536)


def test_few_open_files_mean_fewer_connections(bundle: Path) -> None:
    """Of a soft limit the service takes what the hard one allows, and never accepts more than it can open."""
    limit = f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, {260})); "
    with process([f"colours={bundle}"], before=limit) as service:
        idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(400)]
        assert [ask(service.port)[0] for _ in range(5)] == [200] * 5
        assert any('"fewer connections"' in line for line in service.lines)
        for one in idle:
            one.close()


def test_too_large_a_body_is_refused_before_it_is_read(service: Process) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        length = 10**12
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: [::1]\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % length
        )
        assert until_closed(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"CONNECT example.org:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["tls", "version", "negative", "smuggling", "proxy"],
)
def test_what_is_no_request_is_refused(service: Process, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(sent)
        found = until_closed(connection)
        assert not found or found.startswith(b"HTTP/1.1 400 ")
    assert ask(service.port)[0] == 200


OFFERS = {
    "java": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_a_client_that_offers_another_protocol_is_answered_by_this_one(service: Process, offer: bytes) -> None:
    picture = colour_file("green")
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n"
    last = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for pieces in (
        [head % len(picture) + offer + b"\r\n" + picture + last],
        [head % len(picture) + offer, b"\r\n", picture, last],
    ):
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.02)
            found = until_closed(connection)
        assert found.count(b"HTTP/1.1 200 ") == 2
        assert b'"label": "green"' in found


def test_trailers_never_count_as_fields_of_the_head(service: Process) -> None:
    picture = colour_file("green")
    for host, trailer, status in ((b"evil.example", b"localhost", b"403"), (b"localhost", b"evil.example", b"200")):
        head = b"POST /predict HTTP/1.1\r\nHost: %s\r\nContent-Type: image/jpeg\r\nConnection: close\r\n" % host
        body = b"%x\r\n%s\r\n0\r\nHost: %s\r\nX-Request-Id: other\r\n\r\n" % (len(picture), picture, trailer)
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
            found = until_closed(connection)
        assert found.startswith(b"HTTP/1.1 " + status)
        assert b"x-request-id: other" not in found


def test_it_runs_without_torch(tmp_path: Path, bundle: Path) -> None:
    boxes, masks = spotter_bundle(tmp_path / "boxes"), painter_bundle(tmp_path / "masks", instances=True)
    script = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm", "sklearn", "rich", "jinja2"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from served import colour_file, served
from photovision.service.settings import Settings
models = {{"m": Path({str(bundle)!r}), "boxes": Path({str(boxes)!r}), "masks": Path({str(masks)!r})}}
with served(Settings(models)) as client:
    routes = ["/predict", "/explain", "/explain?format=png", "/predict?model=boxes", "/predict?model=boxes&tile=32"]
    for route in [*routes, "/predict?model=masks&masks=rle", "/explain?model=masks"]:
        answer = client.post(route, content=colour_file("red"), headers={{"content-type": "image/jpeg"}})
        assert answer.status_code == 200, answer.text
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_lean_image_answers_and_says_what_explaining_needs(tmp_path: Path) -> None:
    boxes, masks = spotter_bundle(tmp_path / "boxes"), painter_bundle(tmp_path / "masks")
    objects = painter_bundle(tmp_path / "objects", instances=True)
    script = f"""
import sys
for name in ("accelerate", "scipy", "skimage", "faiss", "pandas", "av"):
    sys.modules[name] = None
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from served import colour_file, served
from photovision.core.errors import MissingExtra
from photovision.service.settings import Settings
with served(Settings({{"boxes": Path({str(boxes)!r}), "masks": Path({str(masks)!r})}})) as client:
    def ask(route):
        return client.post(route, content=colour_file("red"), headers={{"content-type": "image/jpeg"}})
    for route in ("/predict", "/predict?tile=32", "/predict?model=masks&masks=png"):
        assert ask(route).status_code == 200
    answer = ask("/explain")
    assert answer.status_code == 409 and "scipy" in answer.json()["error"], answer.text
try:
    with served(Settings({{"objects": Path({str(objects)!r})}})):
        raise SystemExit("it started")
except MissingExtra:
    pass
from photovision.app.cli import run
sys.exit(run(["train", {str(colour_folder(tmp_path / "colours"))!r}, "-o", {str(tmp_path / "model")!r}]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "photovision: 'photovision train' needs the library 'accelerate', which is not installed: " in done.stderr


def test_mistakes_are_told_in_one_line(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        (tmp_path / "bad.toml").write_text("queeue = 3")
        for arguments in (
            [str(bundle), "--port", port],
            [str(tmp_path)],
            [str(bundle), f"colours={bundle}"],
            [f"a/b={bundle}"],
            [str(bundle), "--keys", str(tmp_path / "none.json"), "--port", "0"],
            [str(bundle), "--config", str(tmp_path / "bad.toml")],
            [str(bundle), "--record-required"],
            [str(bundle), "--queue", "3"],
        ):
            assert run(["serve", *arguments]) == 2
            assert capsys.readouterr().err.count("\n") == 1
