"""Planted shortcuts: a corner mark, the grey level of a device and the number in the name, 20 runs each, and 20 clean.

    PYTHONPATH=src python benchmarks/trivial.py MODEL FOLDER CLASS CLASS

From photographs of two classes 75 each (--each) are drawn a run and get the plant. The network is a logistic
regression on the embeddings that a trained classifier gives for them, in cross-validation; it sees the plants, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from photovision.core.image import open_sample
from photovision.core.report import Metric
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.data.trivial_facts import BRIGHTNESS, CORNERS, NUMBER, trivial_facts
from photovision.engine.load import load
from photovision.trust.metrics.statistics import roc_area
from photovision.trust.robustness.trivial_predictors import MACRO, trivial_predictors
from photovision.trust.robustness.trivial_text import beside_model

SIDE = 160
PLANTS = {"clean": None, "corner mark": CORNERS, "grey level": BRIGHTNESS, "number": NUMBER}


def planted(image: np.ndarray, label: int, plant: str, rng: np.random.Generator) -> np.ndarray:
    """A picture with its plant, which lies for 3 in 100."""
    sign = label if rng.random() < 0.97 else 1 - label
    if plant == "corner mark" and sign:
        image = image.copy()
        image[4:18, -18:-4] = 255
    if plant == "grey level":
        image = np.clip(image * 0.6 + 70 * sign, 0, 255).astype(np.uint8)
    return image


def run(data: Dataset, model: object, plant: str, seed: int, folder: Path, each: int) -> list[str]:
    """The kinds of facts that are named beside the network."""
    rng = np.random.default_rng(seed)
    labels = np.array([data.classes.index(s.label) for s in data.samples])
    rows = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:each] for c in (0, 1)])
    truth = labels[rows]
    order = truth + rng.normal(0, 0.3, len(rows)) if plant == "number" else rng.random(len(rows))
    numbers, samples = np.argsort(np.argsort(order)), []
    for row, label, number in zip(rows, truth, numbers, strict=True):
        picture = open_sample(data.samples[int(row)], (SIDE, SIDE)).resize((SIDE, SIDE))
        path = folder / f"{plant[:3]}_{number:04d}.png"
        Image.fromarray(planted(np.asarray(picture), int(label), plant, rng)).save(path)
        samples.append(Sample(path.name, path, (data.classes[label],)))
    drawn = Dataset(tuple(samples), data.classes)
    features = model.respond(drawn, embeddings=True).embeddings  # type: ignore[attr-defined]
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    scores = cross_val_predict(head, features, truth, cv=5, method="predict_proba")[:, 1]
    area = Metric(*roc_area(scores, truth == 1), len(truth))
    fitted = trivial_predictors(
        trivial_facts(drawn, np.arange(len(rows))).blocks, truth, np.arange(len(rows)), data.classes, seed=seed
    )
    found = beside_model(fitted, {MACRO: area}).data["trivial_predictors"]["found"]
    if not seed:
        shown = ", ".join(f"{one.name} {one.areas[MACRO].value:.3f}" for one in fitted)
        print(f"{plant}: network {area.value:.3f} ({area.low:.3f} to {area.high:.3f}); {shown}", file=sys.stderr)
    return [one["predictor"] for one in found]


def main() -> None:
    """Print how often each plant was found, and what else was named."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model")
    arguments.add_argument("folder")
    arguments.add_argument("classes", nargs=2)
    arguments.add_argument("--runs", type=int, default=20)
    arguments.add_argument("--each", type=int, default=75)
    asked = arguments.parse_args()
    whole, model = read_dataset(asked.folder), load(asked.model)
    kept = [i for i, s in enumerate(whole.samples) if s.label in asked.classes]
    data = Dataset(whole.subset(kept).samples, tuple(sorted(asked.classes)))
    for plant, fact in PLANTS.items():
        started, found = time.monotonic(), Counter[str]()
        right = 0
        for seed in range(asked.runs):
            with tempfile.TemporaryDirectory() as folder:
                named = run(data, model, plant, seed, Path(folder), asked.each)
            right += (fact in named) if fact else not named
            found.update(named)
        seconds = (time.monotonic() - started) / asked.runs
        print(f"{plant:12s} {right} of {asked.runs} as it should be; named: {dict(found)}; {seconds:.1f} s a run")


if __name__ == "__main__":
    main()
