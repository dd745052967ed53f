"""BCCD, blood cells: a detector within a time budget, judged on the published test split.

    python benchmarks/bccd.py FOLDER --minutes 20

FOLDER holds Annotations, ImageSets and JPEGImages (Pascal VOC). Prints one JSON line: every figure with its interval,
the average precision of every class, and the time that everything took.
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
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="keep the model here")
    asked = parser.parse_args()
    started = time.perf_counter()
    shown = {"at": 0.0}

    def listen(progress: Progress) -> None:
        if time.perf_counter() - shown["at"] > 20:
            shown["at"] = time.perf_counter()
            sys.stderr.write(f"{shown['at'] - started:.0f} s {progress.stage} {progress.line}\n")

    with tempfile.TemporaryDirectory() as folder:
        output = asked.output or Path(folder) / "model"
        model = train(asked.folder, output, minutes=asked.minutes, seed=asked.seed, listener=listen)
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    found = {
        "seconds": round(time.perf_counter() - started, 1),
        "size": model.info["preprocess"]["size"],
        "counts": model.info["data"]["counts"],
        "note": model.info["rungs"][0]["note"],
        "precision": model.info["rungs"][0]["plan"]["precision"],
        "by_class": {name: value["value"] for name, value in report["average_precision"].items()},
    }
    sys.stdout.write(json.dumps({**found, "metrics": model.info["metrics"]}) + "\n")


if __name__ == "__main__":
    main()
