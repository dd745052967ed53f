"""The local page over 50,000 pictures: how soon it is there, and what scrolling through all of them asks for.

    python benchmarks/page.py --pictures 50000 --repeat 5

Small JPEGs of 10 classes are written into a temporary folder. For every repetition `photovision ui` is started anew,
with an empty cache, and a headless Chromium that runs already visits it. Medians of:

    page            seconds from the command to the first complete page (its first view has its heading)
    grid            seconds from the command to the first complete grid: all pictures in view of 50,000
    end             seconds from pressing End to all pictures in view there
    thumbnails      asked for since the page was opened, with the grid at its end
    flown           the same after flying through the whole grid in 60 jumps and back to its start
    elements        in the document, at most
    megabytes       of the server's memory, at most

Prints one JSON line.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = 10
IN_VIEW = """() => {
    const inside = [...document.querySelectorAll('.tile')].filter((tile) => {
        const { top, bottom } = tile.getBoundingClientRect();
        return bottom > 0 && top < innerHeight;
    });
    return inside.length > 0 && inside.every((tile) => tile.querySelector('img.there'));
}"""


def write_pictures(folder: Path, count: int) -> None:
    """`count` JPEG files of 64 x 64 pixels in class folders, no two alike."""
    rng = np.random.default_rng(0)
    for number in range(CLASSES):
        (folder / f"class {number}").mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((64, 64)).save(buffer, "JPEG", quality=80)
        (folder / f"class {number % CLASSES}" / f"{number:06d}.jpg").write_bytes(buffer.getvalue())


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def measure(browser: Any, home: Path, cache: Path) -> dict[str, float]:
    """One start of the page, from the command on."""
    shutil.rmtree(cache, ignore_errors=True)
    port = free_port()
    command = [sys.executable, "-m", "photovision", "ui", str(home), "--port", str(port), "--no-browser"]
    # Conditions are waited for with scripts of the browser's driver, which the page's own policy would refuse.
    page = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    began = time.perf_counter()
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PHOTOVISION_CACHE": str(cache)}
    ) as ui:
        try:
            assert ui.stderr
            address = next(word for word in ui.stderr.readline().split() if word.startswith("http://"))
            page.goto(address, wait_until="commit")
            page.wait_for_function("document.querySelector('main h1, main h2')")
            found = {"page": time.perf_counter() - began}
            page.goto(f"http://127.0.0.1:{port}/#/browse")
            page.wait_for_function(IN_VIEW)
            found["grid"] = time.perf_counter() - began
            page.focus(".grid")
            pressed = time.perf_counter()
            page.keyboard.press("End")
            page.wait_for_function(IN_VIEW)
            found["end"] = time.perf_counter() - pressed
            found["thumbnails"] = sum("thumbnail" in url for url in asked)
            found["elements"] = page.evaluate("document.querySelectorAll('*').length")
            height = page.evaluate("document.documentElement.scrollHeight")
            for jump in range(60, -1, -1):
                page.evaluate(f"scrollTo(0, {height * jump // 60})")
                time.sleep(0.03)
                found["elements"] = max(found["elements"], page.evaluate("document.querySelectorAll('*').length"))
            page.wait_for_function(IN_VIEW)
            found["flown"] = sum("thumbnail" in url for url in asked)
            found["megabytes"] = peak(ui.pid)
        finally:
            page.context.close()
            ui.terminate()
    return found


def peak(process: int) -> float:
    """The most memory that a process took, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else float("nan")


def main() -> None:
    """Write the pictures, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as top, sync_playwright() as playwright:
        home = Path(top) / "home" / "pictures"
        write_pictures(home, asked.pictures)
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox"])
        runs = [measure(browser, home, Path(top) / "cache") for _ in range(asked.repeat)]
        browser.close()
    medians = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    print(json.dumps({"pictures": asked.pictures, "repeat": asked.repeat, **medians}))


if __name__ == "__main__":
    main()
