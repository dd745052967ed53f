"""An attack on a service in a container of 2 GiB: costly uploads all at once, with honest requests beside them.

    python -m tests.attack             # the ten costliest uploads, 100 at once: minutes
    python -m tests.attack --quick     # a few of them

Every upload is sent alone first, to find the costliest ones. Prints one JSON line for each step. Where control groups
can be made (root, Linux), the kernel enforces the 2 GiB; elsewhere only the memory of the processes is added up.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.colours import add_doubt, colour_bundle
from tests.faults import SOUND, Running, queue, running
from tests.hostile_uploads import UPLOADS, Hostile

GIB = 1 << 30
HONEST = 2
"""Honest clients, each of which asks again 20 ms after its answer."""
QUICK = (
    "PNG, 60 MP, RGBA", "PNG, 2.6 million chunks", "JPEG, 81 MP, 4,000 scans", "JPEG, 7 million segments",
    "form of 500,000 fields", "tensor of long texts", "deep JSON",
)  # fmt: skip


class Group:
    """A control group of a service; `peak` is the most memory that it has held, with what the kernel holds for it."""

    def __init__(self, most: int) -> None:
        self._folder: Path | None = None
        for top, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
            folder = Path(top) / f"photovision-{os.getpid()}"
            try:
                folder.mkdir()
                (folder / name).write_text(str(most))
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                continue
            self._folder = folder
            return

    @property
    def enforced(self) -> bool:
        """Whether the kernel keeps the limit."""
        return self._folder is not None

    def join(self) -> None:
        """Let this process, and what it starts, belong to the group."""
        if self._folder is not None:
            (self._folder / "cgroup.procs").write_text("0")

    def told(self) -> dict[str, int]:
        """Megabytes at the peak, and processes that the kernel had to end."""
        found: dict[str, int] = {}
        if self._folder is None:
            return found
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            with contextlib.suppress(OSError):
                found["peak_mb"] = int((self._folder / name).read_text()) >> 20
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError):
                rows = dict(line.split() for line in (self._folder / name).read_text().splitlines())
                found["killed"] = int(rows.get("oom_kill", 0))
        return found

    def close(self) -> None:
        """Remove it; nothing runs in it any more."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.rmdir()


def send(service: Running, one: Hostile, seconds: float = 120) -> str:
    """The status of one hostile request, or "closed"."""
    headers = {"content-type": one.kind, **({"content-encoding": one.coding} if one.coding else {})}
    connection = http.client.HTTPConnection(*service.address, timeout=seconds)
    try:
        connection.request("POST", one.route, one.body, headers)
        answer = connection.getresponse()
        answer.read()
        return str(answer.status)
    except (OSError, http.client.HTTPException):  # it is refused before all of it was taken
        return "closed"
    finally:
        connection.close()


class Honest:
    """Clients in a process of their own, that ask for a small picture again and again."""

    def __init__(self, service: Running) -> None:
        command = [sys.executable, "-m", "tests.attack", "--honest", service.url]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun

    def end(self) -> list[tuple[float, float, int]]:
        """When each request was sent (monotonic seconds), what it took, and its status."""
        found, _ = self._process.communicate("end\n", timeout=90)
        return [tuple(one) for one in json.loads(found)]


def honest(url: str) -> list[tuple[float, float, int]]:
    """What `Honest` does in its process, until standard input says something."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    ended, found = threading.Event(), []

    def ask() -> None:
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        while not ended.wait(0.02):
            began, status = time.monotonic(), 0
            try:
                connection.request("POST", "/predict", SOUND, {"content-type": "image/jpeg"})
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
            found.append((began, time.monotonic() - began, status))

    threads = [threading.Thread(target=ask) for _ in range(HONEST)]
    for thread in threads:
        thread.start()
    while not found:
        time.sleep(0.01)
    print("begun", flush=True)
    sys.stdin.readline()
    ended.set()
    for thread in threads:
        thread.join()
    return found


def cost_of(service: Running, one: Hostile) -> dict[str, Any]:
    """What one upload costs alone: seconds, and seconds of processors in all processes of the service."""
    before, began = _processor_seconds(service.process.pid), time.monotonic()
    status = send(service, one)
    took = time.monotonic() - began
    return {"status": status, "s": round(took, 2), "cpu_s": round(_processor_seconds(service.process.pid) - before, 2)}


def _processor_seconds(pid: int) -> float:
    total, ticks = 0, os.sysconf("SC_CLK_TCK")
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(word) for word in words[11:15])  # of children that have ended, too
    return total / ticks


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def memory(service: Running) -> int:
    """Bytes that the service and its processes hold."""
    total = 0
    for each in (service.process.pid, *_children(service.process.pid)):
        with contextlib.suppress(OSError, IndexError):
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += int(rollup.split("\nPss:")[1].split()[0]) * 1024
    return total


def attack(service: Running, uploads: Sequence[Hostile], count: int, calm: float = 5.0) -> dict[str, Any]:
    """Send `count` hostile requests at once, with honest ones for `calm` seconds before, beside, and after them."""
    client = Honest(service)
    time.sleep(calm)
    statuses: Counter[str] = Counter()
    barrier, lock = threading.Barrier(count), threading.Lock()
    peak, ended = [0], threading.Event()

    def hostile(number: int) -> None:
        barrier.wait()
        status = send(service, uploads[number % len(uploads)])
        with lock:
            statuses[status] += 1

    def watch() -> None:
        while not ended.wait(0.05):
            peak[0] = max(peak[0], memory(service))

    watching = threading.Thread(target=watch)
    watching.start()
    threads = [threading.Thread(target=hostile, args=(number,)) for number in range(count)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over = time.monotonic()
    while queue(service):
        assert time.monotonic() - over < 60
        time.sleep(0.1)
    emptied = time.monotonic() - over
    time.sleep(calm)
    ended.set()
    watching.join()
    asked = client.end()
    return {
        "hostile": count,
        "statuses": dict(statuses),
        "seconds": round(over - began, 1),
        "queue_empty_s": round(emptied, 2),
        "peak_pss_mb": peak[0] >> 20,
        **_compared(asked, began, over),
        "alive": service.process.poll() is None and service.answers(),
    }


def _compared(asked: Sequence[tuple[float, float, int]], began: float, over: float) -> dict[str, Any]:
    """Honest requests before, beside and after the attack."""
    start = min(at for at, _, _ in asked)
    before = [took for at, took, _ in asked if start + 0.2 < at < began - 0.2]
    beside = [(took, status) for at, took, status in asked if began <= at < over]
    usual = statistics.median(before)
    times = sorted(took for took, _ in beside)
    found: dict[str, Any] = {
        "honest_before_ms": round(1000 * usual, 2),
        "honest_before_p95_ms": round(1000 * sorted(before)[int(0.95 * len(before))], 2),
        "honest_beside": dict(Counter(str(status) for _, status in beside)),
        "recovered_s": _recovered(asked, over, 3 * usual),
    }
    if times:
        middle = statistics.median(times)
        found |= {
            "honest_beside_ms": round(1000 * middle, 2),
            "honest_beside_p95_ms": round(1000 * times[int(0.95 * len(times))], 2),
            "slower": round(middle / usual, 2),
        }
    return found


def _recovered(asked: Sequence[tuple[float, float, int]], over: float, most: float) -> float:
    """Seconds after the attack from which on every second is as it should be: answers, and their median in time."""
    last = 0.0
    for step in range(int(4 * max(at - over for at, _, _ in asked))):
        start = over + step / 4
        found = [(took, status) for at, took, status in asked if start <= at < start + 1]
        sound = found and all(status == 200 for _, status in found)
        if not sound or statistics.median(took for took, _ in found) > most:
            last = (step + 1) / 4
    return last


@contextlib.contextmanager
def contained(model: Path, most: int = 2 * GIB, settings: str = "") -> Iterator[tuple[Running, Group]]:
    """A service in a control group of so much memory."""
    group = Group(most)
    try:
        with running(model, settings=settings, before=group.join) as service:
            yield service, group
    finally:
        group.close()


def main() -> None:
    """Find the costliest uploads, and send them all at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--honest", metavar="URL", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.honest:
        print(json.dumps(honest(asked.honest)))
        return
    names = QUICK if asked.quick else tuple(UPLOADS)
    with tempfile.TemporaryDirectory() as folder:
        model = add_doubt(colour_bundle(Path(folder) / "m"))
        with contained(model) as (service, group):
            print(json.dumps({"figures": run(service, group, names, asked.count)}))


def run(service: Running, group: Group, names: Sequence[str], count: int, calm: float = 5.0) -> dict[str, Any]:
    """Every upload alone, then the ten costliest `count` times at once."""
    costs: dict[str, dict[str, Any]] = {}
    for name in names:
        costs[name] = cost_of(service, UPLOADS[name]())
        print(json.dumps({name: costs[name]}), flush=True)
    chosen = sorted(costs, key=lambda name: float(costs[name]["cpu_s"]), reverse=True)[:10]
    figures = attack(service, [UPLOADS[name]() for name in chosen], count, calm)
    return {"chosen": chosen, "alone": costs, **figures, "enforced": group.enforced, "group": group.told()}


if __name__ == "__main__":
    main()
