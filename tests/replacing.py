"""A small model's folder that is replaced again and again, by processes that are killed, and what a reader finds there.

python -m tests.replacing 2000 [FOLDER]      # the figures of docs/reliability.md
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from photovision.core import folder
from photovision.core.folder import new_folder, recover
from photovision.core.output import BUNDLE_FILES

FILES = sorted(BUNDLE_FILES - {"bundle.json"})[:6]


def write(path: Path, number: int) -> None:
    """Write the model of this number: every file tells which one it belongs to."""
    with new_folder(path, "model") as fresh:
        (fresh / "bundle.json").write_text(json.dumps({"format": "photovision", "number": number}))
        for name in FILES:
            (fresh / name).write_bytes(_content(number, name))


def _content(number: int, name: str) -> bytes:
    return b"Photovision" + hashlib.sha256(f"{number} {name}".encode()).digest() * 64


def whole(path: Path) -> int:
    """The number of the model in a folder; raises AssertionError where it is not whole, or a mixture.

    The folder is opened once, so that an exchange meanwhile does not matter.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        number = int(json.loads(_read("bundle.json", handle))["number"])
        for name in FILES:
            assert _read(name, handle) == _content(number, name), f"{name} is not of model {number}"
        assert set(os.listdir(handle)) <= {"bundle.json", *FILES}
    finally:
        os.close(handle)
    return number


def _read(name: str, folder: int) -> bytes:
    with open(os.open(name, os.O_RDONLY, dir_fd=folder), "rb") as file:
        return file.read()


def kills(path: Path, count: int, seed: int, *, exchange: bool = True) -> Counter[str]:
    """Kill a process that replaces a model, `count` times at random moments, and look each time.

    To be called where no threads run, for the processes are forked.

    Args:
        path: of the model.
        count: of kills.
        seed: of the moments.
        exchange: False for a system that cannot exchange two folders in one step.

    Returns:
        "old" and "new": which model was in place after a kill; "missing": it was beside its place, and was put back;
        "torn": it was not whole; "left": hidden files that remain in the end.
    """
    rng, found = random.Random(seed), Counter(old=0, new=0, missing=0, torn=0, left=0)
    write(path, 0)
    last = 0
    for _ in range(count):
        child = os.fork()
        if child == 0:
            _for_ever(path, last + 1, exchange)
        time.sleep(rng.uniform(0, 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if not path.exists():
            found["missing"] += 1
            recover(path)
        try:
            number = whole(path)
        except (AssertionError, OSError, ValueError):
            found["torn"] += 1
            break
        found["old" if number <= last else "new"] += 1
        last = max(last, number)
    write(path, last + 1)
    found["left"] += sum(entry.name != path.name for entry in path.parent.iterdir())
    return found


def _for_ever(path: Path, number: int, exchange: bool) -> None:
    try:
        if not exchange:
            folder._exchanged = lambda one, other: False
        while True:
            write(path, number)
            number += 1
    finally:
        os._exit(1)


CALLS = (
    "open",
    "fsync",
    "rename",
    "replace",
    "mkdir",
    "chmod",
    "fchmod",
    "unlink",
    "rmdir",
    "scandir",
    "listdir",
    "stat",
)
"""What the writer asks the system for."""


def at_call(path: Path, number: int, position: int, act: Callable[[], None]) -> bool:
    """Replace the model, and `act` instead of the call of this position; returns whether the writing came so far."""
    calls = itertools.count()
    came = False

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*arguments: Any, **options: Any) -> Any:
            nonlocal came
            if next(calls) == position:
                came = True
                act()
            return call(*arguments, **options)

        return instead

    own = {(os, name): getattr(os, name) for name in CALLS}
    own |= {(fcntl, "flock"): fcntl.flock, (folder, "_exchanged"): folder._exchanged}
    for (module, name), call in own.items():
        setattr(module, name, watched(call))
    try:
        write(path, number)
    finally:
        for (module, name), call in own.items():
            setattr(module, name, call)
    return came


if __name__ == "__main__":
    figures = {}
    for way in (True, False):
        with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as top:
            figures["exchange" if way else "two moves"] = kills(Path(top) / "m", int(sys.argv[1]) // 2, 0, exchange=way)
    print(json.dumps(figures))
