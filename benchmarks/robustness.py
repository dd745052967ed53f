"""Conditions: what night, rain, blur and ten others cost a model, on labelled pictures it has not learnt from.

    python benchmarks/robustness.py MODEL DATA [--split test] [--seconds 70] [--report FOLDER]

Prints one JSON line: clean accuracy, mean corruption error (interval over pictures), accuracy by corruption at severity
3, accuracy by family, n, seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from photovision.core.page import write_report
from photovision.core.parallel import in_order
from photovision.core.report import Report
from photovision.core.types import Floats, Image
from photovision.data.augment.image import load_pixels
from photovision.data.read import read_dataset
from photovision.engine.holdout import hold_out
from photovision.engine.load import load
from photovision.trust.robustness.report import finding
from photovision.trust.robustness.suite import Robustness, affordable, spread, suite


def measure(model: str, data: str, split: str | None, seconds: float) -> tuple[Robustness, Image]:
    """The suite on as many labelled pictures as fit into the time, and these pictures at the model's size."""
    recognizer, dataset = load(model), read_dataset(data)
    chosen = hold_out(dataset, [recognizer], split).dataset
    samples = [sample for sample in chosen.samples if sample.target is not None]
    place = {name: number for number, name in enumerate(recognizer.classes)}

    def answer(images: Image) -> Floats:
        return np.asarray(recognizer.session.run(images)["probs"], np.float32)

    def pixels(rows: np.ndarray) -> Image:
        work = in_order(rows.tolist(), lambda row: load_pixels(samples[row], recognizer.preprocess))
        return np.stack([image for _, image in work])

    rows = spread(len(samples), affordable(answer, pixels(spread(len(samples), 16)), seconds))
    truth = np.array([place[samples[row].label] for row in rows.tolist()])
    images = pixels(rows)
    return suite(answer, lambda probs: np.asarray(probs.argmax(1) == truth), images), images


def main() -> None:
    """Print the figures, and write the page where a folder is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--split", help="all, train, val or test; as `photovision evaluate` chooses if absent")
    parser.add_argument("--seconds", type=float, default=70)
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    started = time.perf_counter()
    found, images = measure(asked.model, asked.data, asked.split, asked.seconds)
    spent = time.perf_counter() - started
    told = finding(found, images)
    if asked.report:
        write_report(Report("audit", "In what conditions it fails").including(told), asked.report)
    by_name = dict(zip(found.names, found.accuracy[:, found.severities.index(3)].round(4).tolist(), strict=True))
    line = {
        **{name: metric.to_json() for name, metric in told.metrics.items()},
        "accuracy_at_3": by_name,
        "families": {name: round(found.mean_accuracy(rows).value, 4) for name, rows in found.families.items()},
        "warnings": list(told.warnings),
        "n": found.n,
        "seconds": round(spent, 1),
    }
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
