"""One training, told of on standard error, its rungs printed as one JSON line; used by fashion.py and grocery.py."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from photovision.core.progress import Progress
from photovision.data.dataset import Dataset
from photovision.engine.train import train


def print_training(data: Path | Dataset, *, minutes: float, weights: str = "auto", seed: int = 0) -> None:
    """Train, and print what every rung reached, and what it took."""
    started = time.perf_counter()
    shown = {"at": 0.0}

    def listen(progress: Progress) -> None:
        if time.perf_counter() - shown["at"] > 20:
            shown["at"] = time.perf_counter()
            sys.stderr.write(f"{shown['at'] - started:.0f} s {progress.stage} {progress.line}\n")

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "model"
        model = train(data, output, minutes=minutes, weights=weights, seed=seed, listener=listen)
        rungs = {
            rung["name"]: {key: rung[key] for key in ("val", "test", "seconds", "note")} for rung in model.info["rungs"]
        }
    found = {"seconds": time.perf_counter() - started, "chosen": model.info["chosen"], "rungs": rungs}
    sys.stdout.write(json.dumps({**found, "metrics": model.info["metrics"]}) + "\n")
