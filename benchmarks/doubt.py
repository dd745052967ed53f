"""When it does not know: calibration, coverage and novelty on Fashion-MNIST, with near and far strangers.

    python benchmarks/doubt.py FOLDER_OF_IDX_FILES --minutes 6 --held-out bag,sneaker --unknown FOLDER

The network learns from scratch without the held-out garments. Their test pictures are the near strangers; scikit-image
photographs, handwritten digits and the folders in --unknown are far ones. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from fashion import GARMENTS, fashion

from photovision.app.demo_pictures import photographs
from photovision.core.preprocess import Preprocess
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.image_paths import strangers
from photovision.engine.evaluate import evaluate
from photovision.engine.train import train
from photovision.tasks.classify.recognizer import Recognizer

FIGURES = ("accuracy", "ece", "coverage", "set_size", "false_alarms", "novelty_auroc", "selective_accuracy")


def without(data: Dataset, held_out: tuple[str, ...]) -> tuple[Dataset, list[Sample]]:
    """The data without some classes, and the test pictures of these."""
    test = set(data.splits["test"])
    kept = [i for i, sample in enumerate(data.samples) if sample.label not in held_out]
    place = {position: row for row, position in enumerate(kept)}
    splits = {name: tuple(place[i] for i in positions if i in place) for name, positions in data.splits.items()}
    classes = tuple(name for name in data.classes if name not in held_out)
    near = [sample for i, sample in enumerate(data.samples) if i in test and sample.label in held_out]
    return Dataset([data.samples[i] for i in kept], classes, splits), near


def far_samples() -> list[Sample]:
    """Handwritten digits and photographs that come with packages."""
    from sklearn.datasets import load_digits

    digits = (np.asarray(load_digits().images[:1000]) * (255 / 16)).astype(np.uint8)
    shown = [np.repeat(Preprocess((28, 28)).apply(np.repeat(d[..., None], 3, 2)), 1, 0) for d in digits]
    found = [Sample(f"digit {i}", image, ("digits",)) for i, image in enumerate(shown)]
    return found + [Sample(path.name, path, ("photographs",)) for path in photographs()]


def main() -> None:
    """Train without some garments, and judge doubt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--held-out", default="bag,sneaker")
    parser.add_argument("--unknown", type=Path)
    asked = parser.parse_args()
    held_out = tuple(name for name in asked.held_out.split(",") if name in GARMENTS)
    data, near = without(fashion(asked.folder), held_out)
    others = [Sample(f"near {s.id}", s.image, (f"held out: {s.label}",)) for s in near] + far_samples()
    if asked.unknown:
        others += strangers(asked.unknown).samples
    kinds = tuple(sorted({sample.label for sample in others}))
    with tempfile.TemporaryDirectory() as folder:
        model = train(data, Path(folder) / "model", minutes=asked.minutes, weights="none")
        assert isinstance(model, Recognizer)
        report = evaluate(model, data.split("test"), unknown=Dataset(others, kinds))
    table = next(t for t in report.tables if t.title == "Pictures of something else")
    found = {name: str(report.metrics[name]) for name in FIGURES}
    rows = {str(row[0]): {"auroc": str(row[2]), "called unknown": str(row[3])} for row in table.rows}
    sys.stdout.write(json.dumps({"figures": found, "strangers": rows}) + "\n")


if __name__ == "__main__":
    main()
