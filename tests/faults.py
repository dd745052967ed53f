"""What a service goes through in the world: each function brings one kind of trouble and returns what happened.

python -m tests.faults --full      # the figures of docs/reliability.md, about six minutes
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.colours import add_doubt, colour_bundle
from tests.mutations import Upload, sound_files, uploads

Figures = dict[str, Any]
SOUND = sound_files()[0]
POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
SOUND_HEAD = POST + b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(SOUND)


class Running:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def memory(self) -> int:
        """Bytes of memory that the process holds."""
        return int(self._told("status").split("VmRSS:")[1].split()[0]) * 1024

    def files(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self) -> int:
        """Threads of the process."""
        return int(self._told("status").split("Threads:")[1].split()[0])

    def _told(self, what: str) -> str:
        return Path(f"/proc/{self.process.pid}/{what}").read_text()

    def answers(self) -> bool:
        """Whether a sound picture still gets its answer."""
        reply = httpx.post(f"{self.url}/predict", content=SOUND, headers={"content-type": "image/jpeg"}, timeout=20)
        return reply.status_code == 200 and not {"label", "boxes"}.isdisjoint(reply.json()["predictions"][0])


@contextlib.contextmanager
def running(
    model: Path,
    *flags: str,
    settings: str = "",
    largest_file: int | None = None,
    before: Callable[[], None] | None = None,
) -> Iterator[Running]:
    """Start `photovision serve` on a free port, and stop it at the end.

    Args:
        model: the bundle.
        flags: of the command.
        settings: TOML of --config.
        largest_file: bytes after which the operating system refuses to let a file grow, as a full disk does.
        before: called in the new process before the command runs.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write("drain = 0.1\n" + settings)
        file.flush()
        command = [sys.executable, "-m", "photovision", "serve", str(model), "--port", "0", "--config", file.name]
        limit = before
        if largest_file is not None:

            def limit() -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        process = subprocess.Popen(
            [*command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=limit
        )
        try:
            yield Running(process, _address(process))
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stderr is not None:
                process.stderr.close()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if "http://" in line:
            # What else it says must not fill the pipe.
            threading.Thread(target=_drained, args=(process.stderr,), daemon=True).start()
            return "http://" + line.split("http://")[1].split(",")[0].strip()
    raise AssertionError(f"the service did not start: {''.join(seen)[-2000:]}")


def _drained(stream: Any) -> None:
    with contextlib.suppress(ValueError):
        for _ in stream:
            pass


def mutated(service: Running, count: int, seed: int = 0) -> Figures:
    """Mutated uploads, half in forms, some of these mangled: what is answered, and whether memory or files leak."""
    given = uploads(count, seed)
    warm = max(200, count // 5)
    statuses: Counter[int] = Counter()
    bad: list[str] = []
    lock = threading.Lock()

    def send(client: httpx.Client, number: int, upload: Upload) -> None:
        status = _send(client, service.url, upload, form=number % 2 == 1, mangle=number if number % 8 == 7 else None)
        with lock:
            statuses[status] += 1
            if status >= 500 and status != 503:
                bad.append(upload.kind)

    def send_all(part: list[tuple[int, Upload]]) -> None:
        with httpx.Client(timeout=60) as client:
            for number, upload in part:
                send(client, number, upload)

    def send_some(some: list[tuple[int, Upload]]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(send_all, (some[start::4] for start in range(4))))

    numbered = list(enumerate(given))
    send_some(numbered[:warm])
    memory, files = service.memory(), service.files()
    send_some(numbered[warm:])
    return {
        "uploads": count,
        "statuses": {str(status): statuses[status] for status in sorted(statuses)},
        "faults": sorted(set(bad)),
        "memory_growth_mb": round((service.memory() - memory) / 2**20, 1),
        "file_growth": service.files() - files,
        "answers": service.answers(),
    }


def _send(client: httpx.Client, url: str, upload: Upload, *, form: bool, mangle: int | None = None) -> int:
    if form:
        boundary = "mutated"
        name = upload.name.encode("utf-8", "replace").replace(b'"', b"%22")
        head = b'--mutated\r\nContent-Disposition: form-data; name="file"; filename="' + name
        head += b'"\r\nContent-Type: ' + upload.type.encode() + b"\r\n\r\n"
        if mangle is not None:
            head = _mangled(head, random.Random(mangle))
        body, kind = head + upload.content + b"\r\n--mutated--\r\n", f"multipart/form-data; boundary={boundary}"
    else:
        body, kind = upload.content, upload.type or "image/jpeg"
    return client.post(f"{url}/predict", content=body, headers={"content-type": kind}).status_code


def _mangled(head: bytes, rng: random.Random) -> bytes:
    content = bytearray(head)
    for _ in range(rng.randrange(1, 8)):
        place = rng.randrange(len(content))
        if rng.random() < 0.5:
            content[place] = rng.randrange(256)
        else:
            del content[place : place + rng.randrange(1, 12)]
    return bytes(content)


def broken_requests(service: Running, count: int, seed: int = 0) -> Figures:
    """Bytes that are hardly HTTP, over sockets that close at any moment."""
    rng = random.Random(seed)
    statuses: Counter[str] = Counter()
    for _ in range(count):
        with contextlib.suppress(OSError), socket.create_connection(service.address, timeout=10) as connection:
            connection.sendall(_broken(rng))
            if rng.random() < 0.5:
                connection.shutdown(socket.SHUT_WR)
                reply = connection.recv(100)
                statuses[reply[9:12].decode("latin-1") or "closed"] += 1
            else:
                statuses["left"] += 1
    faults = sorted(status for status in statuses if status.startswith("5") and status != "503")
    return {"requests": count, "statuses": dict(statuses), "faults": faults, "answers": service.answers()}


def _broken(rng: random.Random) -> bytes:
    length = rng.choice([b"-1", b"99999999999999999999", b"abc", b"10", b"0", b"5, 6", b""])
    kind = rng.choice(
        [b"image/jpeg", b"multipart/form-data", b"multipart/form-data; boundary=", b"\xff\xfe", b"a" * 9000]
    )
    forms = [
        b"",
        b"--x\r\n\r\n",
        b"--x--",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename=' + b"a" * 70_000,
    ]
    heads = [
        POST + b"Content-Length: " + length + b"\r\nContent-Type: " + kind + b"\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Type: image/png\r\n\r\nFFFFF\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * rng.choice([10, 100_000]) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v2/models/../../etc/passwd/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /%00%2e%2e/ HTTP/1.1\r\nHost: \r\n" + b"X: y\r\n" * rng.choice([1, 5000]) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        rng.randbytes(rng.randrange(1, 3000)),
    ]
    return rng.choice(heads) + rng.choice([*forms, SOUND[: rng.randrange(len(SOUND))]])


def slow_clients(service: Running, count: int, seconds: float) -> Figures:
    """Clients that send a byte now and then, while others ask; the slow ones are closed, the others answered."""
    ends: Counter[str] = Counter()
    patience = time.monotonic() + seconds

    def crawl(number: int) -> None:
        content = (SOUND_HEAD + SOUND) if number % 2 else SOUND_HEAD[:20]
        start = content.find(b"\r\n\r\n") + 4 if number % 2 else 1
        with contextlib.suppress(OSError), socket.create_connection(service.address, timeout=1) as connection:
            connection.sendall(content[:start])
            for place in range(start, len(content)):
                connection.settimeout(0.2)
                try:
                    reply = connection.recv(100)
                    ends[reply[9:12].decode() or "closed"] += 1
                    return
                except TimeoutError:
                    connection.sendall(content[place : place + 1])
                if time.monotonic() > patience:
                    ends["still open"] += 1
                    return
        ends["closed"] += 1

    with ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(crawl, number) for number in range(count)]
        times = []
        while not all(future.done() for future in waiting):
            began = time.perf_counter()
            assert service.answers()
            times.append(time.perf_counter() - began)
            time.sleep(0.1)
    return {"clients": count, "ends": dict(ends), "others_slowest_ms": round(1000 * max(times), 1)}


def disconnections(service: Running, count: int, seed: int = 0) -> Figures:
    """Clients that leave in the middle of their upload, or before their answer."""
    rng = random.Random(seed)
    whole = SOUND_HEAD + SOUND
    files = service.files()
    for number in range(count):
        with socket.create_connection(service.address, timeout=10) as connection:
            connection.sendall(whole if number % 2 else whole[: rng.randrange(1, len(whole))])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, not a goodbye
    answers = service.answers()
    time.sleep(0.5)
    return {"clients": count, "answers": answers, "queue": queue(service), "file_growth": service.files() - files}


def queue(service: Running) -> float:
    """Pictures that wait, as the metrics tell."""
    text = httpx.get(f"{service.url}/metrics", timeout=20).text
    rows = [line for line in text.splitlines() if line.startswith("photovision_queue")]
    assert rows, text
    return sum(float(line.rsplit(" ", 1)[1]) for line in rows)


def overload(service: Running, clients: int, seconds: float) -> Figures:
    """Many more clients than are served at once, none of which waits; then calm, and whether it recovers."""
    calm = _times(service, 50)
    memory = service.memory()
    statuses, peak = asyncio.run(_press(service, clients, seconds))
    recovering = time.perf_counter()
    while not service.answers():
        assert time.perf_counter() - recovering < 30
    return {
        "clients": clients,
        "seconds": seconds,
        "statuses": {str(status or "closed"): statuses[status] for status in sorted(statuses)},
        "faults": sorted(status for status in statuses if status >= 500 and status != 503),
        "memory_growth_mb": round((peak - memory) / 2**20, 1),
        "recovered_s": round(time.perf_counter() - recovering, 2),
        "median_ms": [round(1000 * calm, 1), round(1000 * _times(service, 50), 1)],
        "queue": queue(service),
    }


def _times(service: Running, count: int) -> float:
    found = []
    with httpx.Client(timeout=60) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.post(f"{service.url}/predict", content=SOUND, headers={"content-type": "image/jpeg"})
            found.append(time.perf_counter() - began)
    return sorted(found)[count // 2]


async def _press(service: Running, clients: int, seconds: float) -> tuple[Counter[int], int]:
    statuses: Counter[int] = Counter()
    until = time.monotonic() + seconds
    peak = 0
    whole = SOUND_HEAD + SOUND

    async def client() -> None:
        while time.monotonic() < until:
            try:
                reader, writer = await asyncio.open_connection(*service.address)
                try:
                    while time.monotonic() < until:
                        writer.write(whole)
                        statuses[await _status(reader)] += 1
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError):  # more connections than are allowed are closed after a 503
                statuses[0] += 1
                await asyncio.sleep(0.01)

    async def watch() -> None:
        nonlocal peak
        while time.monotonic() < until:
            peak = max(peak, service.memory())
            await asyncio.sleep(0.1)

    await asyncio.gather(watch(), *(client() for _ in range(clients)))
    return statuses, peak


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head[9:12])


def killed(model: Path, folder: Path, seconds: float, times: int = 1) -> Figures:
    """kill -9 under load, with a record; every answered request must be in it, and the next start must go well."""
    database = folder / "record.db"
    answered: list[str] = []
    for _ in range(times):
        with running(model, "--record", f"sqlite:///{database}") as service, ThreadPoolExecutor(8) as pool:
            before = len(answered)
            asking = [pool.submit(_ask_until_gone, service.url, answered) for _ in range(8)]
            began = time.monotonic()
            while time.monotonic() < began + seconds or (
                len(answered) < before + 100 and time.monotonic() < began + 30
            ):
                time.sleep(0.05)
            service.process.send_signal(signal.SIGKILL)
            for future in asking:
                future.result()
    with running(model, "--record", f"sqlite:///{database}") as service:
        answers = service.answers()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = {name for (name,) in connection.execute("select id from photovision_prediction")}
        whole = connection.execute("pragma integrity_check").fetchone()[0]
    lost = len(set(answered) - rows)
    return {"kills": times, "answered": len(answered), "lost": lost, "database": whole, "answers": answers}


def _ask_until_gone(url: str, answered: list[str]) -> None:
    with contextlib.suppress(httpx.HTTPError), httpx.Client(timeout=30) as client:
        while True:
            reply = client.post(f"{url}/predict", content=SOUND, headers={"content-type": "image/jpeg"})
            if reply.status_code == 200:
                answered.append(reply.json()["id"])


def full_disk(model: Path, folder: Path, *, required: bool) -> Figures:
    """A record whose file may not grow any more: are there answers, is it told, and is the file whole?"""
    database = folder / "full.db"
    flags = ["--record", f"sqlite:///{database}", *(["--record-required"] if required else [])]
    with running(model, *flags):
        pass  # the tables
    statuses: Counter[int] = Counter()
    with running(model, *flags, largest_file=200_000) as service, httpx.Client(timeout=60) as client:
        for _ in range(600):
            reply = client.post(f"{service.url}/predict", content=SOUND, headers={"content-type": "image/jpeg"})
            statuses[reply.status_code] += 1
        told = httpx.get(f"{service.url}/metrics").text
        failures = [
            float(li.split()[-1]) for li in told.splitlines() if li.startswith("photovision_record_failures_total")
        ]
        ready = httpx.get(f"{service.url}/v2/health/ready")
        alive = httpx.get(f"{service.url}/v2/health/live").status_code
    with contextlib.closing(sqlite3.connect(database)) as connection:
        whole = connection.execute("pragma integrity_check").fetchone()[0]
        rows = connection.execute("select count(*) from photovision_prediction").fetchone()[0]
    return {
        "statuses": {str(status): statuses[status] for status in sorted(statuses)},
        "failures": sum(failures),
        "ready": ready.text[:200],
        "live": alive,
        "rows": rows,
        "database": whole,
    }


def main() -> None:
    """All troubles, one after the other, as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--model", type=Path, help="a bundle; a small one that tells colours apart if absent")
    asked = parser.parse_args()
    scale = 1.0 if asked.full else 0.1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = asked.model or colour_bundle(folder / "model")
        if asked.model is None:
            add_doubt(model)

        def tell(what: str, figures: Figures) -> None:
            print(json.dumps({what: figures}), flush=True)

        with running(model, settings="[limits]\nread_timeout = 3\nqueue = 64") as service:
            tell("mutated uploads", mutated(service, int(12_600 * scale)))
            tell("broken requests", broken_requests(service, int(5_000 * scale)))
            tell("slow clients", slow_clients(service, 50, 15))
            tell("disconnections", disconnections(service, int(2_000 * scale)))
            tell("overload", overload(service, 640, 60 * scale))
        tell("kill -9", killed(model, folder, 3, int(10 * scale)))
        tell("full disk", full_disk(model, folder, required=False))
        (folder / "full.db").unlink()
        tell("full disk, record required", full_disk(model, folder, required=True))


if __name__ == "__main__":
    main()
