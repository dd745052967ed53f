"""Nuclei in microscopy pictures: masks of objects learned within a time budget, judged on pictures that took no part.

    python benchmarks/nuclei.py FOLDER --minutes 10

FOLDER holds images/ and instances/ (BBBC038 and the like). The split is drawn by the seed, look-alikes on one side.
Prints one JSON line: counts of pictures, the whole time, and every figure with its interval.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from photovision.core.progress import Progress
from photovision.engine.train import train


def main() -> None:
    """Train, judge once, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="keep the model here")
    asked = parser.parse_args()
    started = time.perf_counter()
    last = [0.0]

    def listen(progress: Progress) -> None:
        if time.perf_counter() - last[0] > 20:
            last[0] = time.perf_counter()
            sys.stderr.write(f"{last[0] - started:.0f} s {progress.stage} {progress.line}\n")

    with tempfile.TemporaryDirectory() as folder:
        output = asked.output or Path(folder) / "model"
        model = train(asked.folder, output, minutes=asked.minutes, seed=asked.seed, listener=listen)
        found = {
            "seconds": round(time.perf_counter() - started, 1),
            "pictures": model.info["data"]["counts"],
            "learning": model.info["rungs"][0]["note"],
            "metrics": model.info["metrics"],
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
