"""Budgets: what a person waits for `photovision train --minutes M`, from Enter to the prompt, and what comes of it.

    python benchmarks/budgets.py potato=FOLDER cells=FOLDER --minutes 0.5,1,2 --busy 1

Beside `--busy N` processes that each keep a core busy. A line a training: the data, the budget and the time waited in
seconds, the longest silence between two events, the leading metric on test, what was kept, and what was not tried.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photovision.core.report import Metric

_COLUMNS = "{:<12} {:>6} {:>7} {:>7} {:>7}  {:<34} {:<14} {}"


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that do nothing but compute."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def train(data: str, minutes: float, seed: int) -> dict[str, Any]:
    """Train as a person does, and say what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        model, events = Path(folder) / "model", Path(folder) / "events.jsonl"
        command = [sys.executable, "-m", "photovision", "train", data, "--output", str(model), "--seed", str(seed)]
        began, started = time.time(), time.monotonic()
        done = subprocess.run(
            [*command, "--minutes", str(minutes), "--events", str(events)], capture_output=True, text=True, check=False
        )
        waited = time.monotonic() - started
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        times = [began, *(json.loads(line)["time"] for line in events.read_text().splitlines()), began + waited]
        info = json.loads((model / "bundle.json").read_text())
    chosen = next(stage for stage in info["rungs"] if stage["name"] == info["chosen"])
    return {
        "waited": waited,
        "silence": max(after - before for before, after in itertools.pairwise(times)),
        "score": str(Metric.from_json(chosen["test"])),
        "chosen": info["chosen"],
        "not_tried": ", ".join(one["stage"] for one in info["training"].get("not_tried", ())) or "-",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME=DATA")
    parser.add_argument("--minutes", default="0.5,1,2,5", help="budgets, separated by commas")
    parser.add_argument("--busy", type=int, default=0, help="busy processes beside the training")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heads = "data", "asked", "waited", "off", "silence", "score on test", "kept", "not tried"
    print(_COLUMNS.format(*heads), flush=True)
    with busy(options.busy):
        for named in options.data:
            name, _, place = named.partition("=")
            for minutes in (float(value) for value in options.minutes.split(",")):
                found, asked = train(place, minutes, options.seed), 60 * minutes
                off = found["waited"] - asked
                mark = "" if abs(off) <= 0.1 * asked + 5 else "!"
                figures = f"{asked:.0f}", f"{found['waited']:.1f}", f"{off:+.1f}{mark}", f"{found['silence']:.1f}"
                print(_COLUMNS.format(name, *figures, found["score"], found["chosen"], found["not_tried"]), flush=True)


if __name__ == "__main__":
    main()
