"""Grocery Store, 81 fine classes: the ladder within a time budget, judged on the published val split.

    python benchmarks/grocery.py FOLDER --minutes 15

FOLDER holds metadata.csv (file_name, label, split). Prints one JSON line with every rung.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from photovision.learn.log import Progress
from photovision.tasks.train import train


def main() -> None:
    """Train and print what every rung reached, and what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    started = time.perf_counter()
    shown = {"at": 0.0}

    def listen(progress: Progress) -> None:
        if time.perf_counter() - shown["at"] > 20:
            shown["at"] = time.perf_counter()
            sys.stderr.write(f"{shown['at'] - started:.0f} s {progress.stage} {progress.line}\n")

    with tempfile.TemporaryDirectory() as folder:
        model = train(asked.folder, Path(folder) / "model", minutes=asked.minutes, seed=asked.seed, listener=listen)
        rungs = {
            rung["name"]: {key: rung[key] for key in ("val", "test", "seconds", "note")} for rung in model.info["rungs"]
        }
    found = {"seconds": time.perf_counter() - started, "chosen": model.info["chosen"], "rungs": rungs}
    sys.stdout.write(json.dumps({**found, "metrics": model.info["metrics"]}) + "\n")


if __name__ == "__main__":
    main()
