"""Robust training: how much of the accuracy lost to weather at severity 3 it wins back, and what it costs.

    python benchmarks/robust_training.py fashion FOLDER_OF_IDX_FILES --minutes 8
    python benchmarks/robust_training.py grocery FOLDER --minutes 8

One training with `--robust weather` learns the same network from the same start with the same plan twice, without and
with corrupted views; both are judged on test pictures as they are and after one weather corruption each, at severity 3.
Fashion-MNIST is learned from scratch, grocery products from pretrained weights. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from fashion import fashion

from photovision.core.progress import Progress
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.engine.train import train


def garments(folder: Path, pictures: int) -> Dataset:
    """Fashion-MNIST with its first so many training pictures."""
    data = fashion(folder)
    return replace(data, splits={**data.splits, "train": data.splits["train"][:pictures]})


def main() -> None:
    """Train and print what was won back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=("fashion", "grocery"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--robust", default="weather")
    parser.add_argument("--pictures", type=int, default=60_000, help="training pictures of Fashion-MNIST")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    small = asked.data == "fashion"
    started = time.perf_counter()

    def listen(progress: Progress) -> None:
        if progress.done == progress.total:
            sys.stderr.write(f"{time.perf_counter() - started:.0f} s {progress.stage} {progress.line}\n")

    with tempfile.TemporaryDirectory() as folder:
        model = train(
            garments(asked.folder, asked.pictures) if small else read_dataset(asked.folder),
            Path(folder) / "model",
            minutes=asked.minutes,
            weights="none" if small else "auto",
            epochs=asked.epochs,
            seed=asked.seed,
            robust=tuple(asked.robust.split(",")),
            listener=listen,
        )
        info = model.info
    notes = {rung["name"]: rung["note"] for rung in info["rungs"]}
    found = {"data": asked.data, "seconds": round(time.perf_counter() - started, 1), "notes": notes}
    sys.stdout.write(json.dumps({**found, **info["variants"]["robust"]}) + "\n")


if __name__ == "__main__":
    main()
