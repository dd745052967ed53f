"""How soon the local page is there: from the start of the command to the first page whole, and to all of its parts.

    python benchmarks/ui.py FOLDER --repeats 10

FOLDER holds models or data sets. The second figure also counts the scripts, the styles and what lies in the folder.
Prints one JSON line of seconds: medians, and the slowest.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path


def get(address: str) -> str:
    """The body of an answer."""
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode("utf-8"))


def parts(page: str) -> Iterator[str]:
    """What the page's first lines ask for."""
    yield from re.findall(r'(?:href|src)="([^"#:]+\.(?:css|js|svg))"', page)
    yield from (f"views/{name}.js" for name in ("recognise", "browse", "train", "reports", "compare"))
    yield from ("dom.js", "views/answer.js", "views/camera.js", "api/recognise/overview")


def once(folder: Path) -> tuple[float, float]:
    """Seconds to the first page, and to all parts of it, of one start."""
    command = [str(Path(sys.executable).with_name("photovision")), "ui", str(folder), "--no-browser", "--port", "0"]
    start = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        address = next(word for word in line.split() if word.startswith("http://"))
        page = get(address)
        first = time.perf_counter() - start
        base, query = address.split("?")
        for part in parts(page):
            get(f"{base}{part}?{query}")
        whole = time.perf_counter() - start
        process.send_signal(signal.SIGINT)
        process.wait(60)
    return first, whole


def main() -> None:
    """Start it again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    asked = parser.parse_args()
    first, whole = zip(*(once(asked.folder) for _ in range(asked.repeats)), strict=True)
    found = {
        "starts": asked.repeats,
        "first_page": round(statistics.median(first), 3),
        "first_page_slowest": round(max(first), 3),
        "all_parts": round(statistics.median(whole), 3),
        "all_parts_slowest": round(max(whole), 3),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
