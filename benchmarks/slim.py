"""A model made smaller by one command: what is lost, and how many times as fast it becomes.

    python benchmarks/slim.py MODEL DATA [--to auto | --prune] [--minutes 10] [--max-drop 1]

Runs `photovision optimize MODEL DATA --distill-to auto`, or with `--prune`, and prints one JSON line: accuracy before
and after on the test pictures, with 95% intervals; the paired difference; pictures a second at batch 32, both measured
in turn in one run, and their ratio. A refusal is printed with its reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the command and print what it measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--to", default="auto", help="the student: auto, NAME or NAME@SIZE")
    parser.add_argument("--prune", action="store_true", help="take out channels instead")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--max-drop", type=float, default=1)
    asked = parser.parse_args()
    how = ["--prune"] if asked.prune else ["--distill-to", asked.to]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "photovision", "optimize", str(asked.model), str(asked.data), *how]
        command += ["--minutes", str(asked.minutes), "--max-drop", str(asked.max_drop), "--json"]
        started = time.monotonic()
        done = subprocess.run([*command, "-o", str(Path(folder) / "smaller")], stdout=subprocess.PIPE, text=True)
        found: dict[str, Any] = {"method": " ".join(how), "seconds": round(time.monotonic() - started)}
        if done.returncode:
            found["refused"] = done.returncode
        else:
            info = json.loads((Path(folder) / "smaller" / "bundle.json").read_text(encoding="utf-8"))
            found |= told(json.loads(done.stdout), info)
    print(json.dumps(found))


def told(report: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """The figures of the report, and what the smaller network is."""
    before, after = report["stages"][0], report["stages"][-1]
    return {
        "accuracy": [before["accuracy"], after["accuracy"]],
        "difference": report["metrics"]["accuracy_change"],
        "pictures_a_second": [before["throughput"], after["throughput"]],
        "times_as_fast": report["metrics"]["speedup"]["value"],
        "network": info["backbone"]["name"],
        "pixels": info["preprocess"]["size"],
        "params": info["backbone"]["params"],
        "how": info.get("distilled", info.get("pruned")),
    }


if __name__ == "__main__":
    main()
