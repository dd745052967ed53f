"""Memory of `predict` and `check` on very many small files: growth a file, to be extrapolated to a million.

    python benchmarks/memory.py MODEL [--files 200000]

Writes links to one real small picture (hard links: the files are read and decoded one by one all the same), runs the
command line on a tenth of them and on all, and compares the largest resident sets.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import skimage.data
from PIL import Image

PER_FOLDER = 10_000


def fill(top: Path, files: int) -> None:
    """Two class folders with their share of links to two pictures."""
    for name, column in (("left", 0), ("right", 256)):
        picture = Image.fromarray(skimage.data.astronaut()[100:356, column : column + 256]).resize((32, 32))
        first = top / f"{name}.png"
        picture.save(first)
        for number in range(files // 2):
            folder = top / "data" / name / f"{number // PER_FOLDER:03d}"
            if number % PER_FOLDER == 0:
                folder.mkdir(parents=True)
            target = folder / f"{number:07d}.png"
            try:
                os.link(first, target)
            except OSError:  # a file system's limit on links
                first = first.with_name(f"{name}-{number}.png")
                picture.save(first)
                os.link(first, target)


def peak(command: list[str]) -> tuple[float, float]:
    """Largest resident set in bytes, and seconds, of a command."""
    started = time.perf_counter()
    script = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit, time.perf_counter() - started


def main() -> None:
    """Print peaks, growth a file, and files a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--verbs", nargs="+", default=["predict", "check"])
    asked = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for verb in asked.verbs:
        peaks = {}
        for files in (asked.files // 10, asked.files):
            with tempfile.TemporaryDirectory() as folder:
                fill(Path(folder), files)
                arguments = [asked.model] if verb == "predict" else []
                command = [sys.executable, "-m", "photovision", verb, *arguments, str(Path(folder) / "data"), "--json"]
                peaks[files] = peak(command)
        (few, (low, _)), (many, (high, spent)) = peaks.items()
        growth = (high - low) / (many - few)
        found[verb] = {
            "peak_mb": high / 1e6,
            "bytes_per_file": growth,
            "million_mb": (high + growth * (1e6 - many)) / 1e6,
        }
        found[verb]["files_per_second"] = many / spent
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
