"""Pictures by address: only where allowed, only public addresses, only so much."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from colours import colour_bundle
from served import colour_file, served

from photovision.service import fetch as fetching
from photovision.service.fetch import fetch, is_public
from photovision.service.http_error import Refusal
from photovision.service.settings import Settings


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked = getattr(self.server, "asked", 0) + 1  # type: ignore[attr-defined]
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()
            return
        content = bytes(100_000) if self.path == "/large" else colour_file("blue")
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "", "picture.jpg", "file:///etc/passwd", "ftp://example.org/a", "http://", "http://user:pass@example.org/",
        "http://example.org:99999/", "http://example.org:0/", "http://exa mple.org/", "http://example.org/\r\nHost: x",
        "http://[::1/", "http://ex\u00e4mple.org/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refusal) as refused:
        fetch(url, 1000, 1)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0.0.0.0", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::1]", "[fe80::1]",
             "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "[fd00::1]", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
def test_addresses_inside_the_network_are_never_asked(host: str) -> None:
    with pytest.raises(Refusal) as refused:
        fetch(f"http://{host}/", 1000, 1)
    assert refused.value.status in (400, 422)


def test_a_name_that_means_an_inner_address_is_refused(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.215.14", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with pytest.raises(Refusal, match="not a public one"):
        fetch("http://example.org/", 1000, 1)


def test_public_content_is_read_within_limits(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "is_public", lambda address: True)
    assert fetch(f"{site}/picture", 50_000, 2) == colour_file("blue")
    for path, reason in (("large", "more than 50,000 bytes"), ("moved", "status 302")):
        with pytest.raises(Refusal, match=reason) as refused:
            fetch(f"{site}/{path}", 50_000, 2)
        assert refused.value.status == 422


def test_an_address_that_nobody_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "is_public", lambda address: True)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(Refusal, match="could not be read"):
            fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/", 1000, 1)


def test_the_service_takes_addresses_only_where_allowed(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour_bundle(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"})) as client:
        assert client.post("/predict", json={"url": f"{site}/a"}).status_code == 403
    with served(Settings({"m": tmp_path / "m"}, allow_url=True)) as client:
        assert client.post("/predict", json={"url": f"{site}/a"}).status_code == 400
        for wrong in ({"url": 3}, {}, [], {"url": "http://a.b/", "more": 1}):
            assert client.post("/predict", json=wrong).status_code == 400
        monkeypatch.setattr(fetching, "is_public", lambda address: True)
        told = client.post("/predict", json={"url": f"{site}/a"}).json()
        assert told["predictions"][0]["label"] == "blue"


def test_public_addresses_are_told_from_others() -> None:
    assert is_public("1.1.1.1")
    assert is_public("2606:4700:4700::1111")
    assert is_public("64:ff9b::808:808")  # NAT64 of 8.8.8.8
    for address in (
        "2002:7f00:1::", "2002:808:808::", "2001:0:808:808::1",  # 6to4, Teredo
        "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::808:808", "::127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:0:7f00:1", "fec0::1", "fe80::1%eth0", "100.64.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.9",
        "192.0.0.9", "192.88.99.1", "240.0.0.1", "255.255.255.255", "::", "ff0e::1", "2001:db8::1", "nonsense",
    ):  # fmt: skip
        assert not is_public(address), address


@pytest.mark.parametrize(
    "host", ["0177.0.0.1", "0x5db8d70e", "1572395790", "93.184.55054", "93.184.215.014", "0x5d.0xb8.0xd7.0xe", "1.1",
             "[fe80::1%25eth0]", "93.184.215.14."],
)  # fmt: skip
def test_odd_spellings_of_addresses_are_refused(host: str) -> None:
    with pytest.raises(Refusal) as refused:
        fetch(f"http://{host}/", 1000, 1)
    assert refused.value.status == 400


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(10))
    began = time.monotonic()
    with pytest.raises(Refusal, match="not known"):
        fetch("http://example.org/", 1000, 0.2)
    assert time.monotonic() - began < 1
    ended.set()


def test_an_address_that_dribbles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "is_public", lambda address: True)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def dribble() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not ended.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble)
        thread.start()
        began = time.monotonic()
        with pytest.raises(Refusal, match="could not be read"):
            fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/", 1000, 0.3)
        assert time.monotonic() - began < 2
        ended.set()
        thread.join()
