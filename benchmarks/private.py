"""Private heads on frozen features: accuracy against epsilon, and attacks on them, on a data set with a test split.

    python benchmarks/private.py DATA [--size 224] [--features FILE.npz] [--seeds 3]

DATA is a folder that `photovision train` reads, or the folder of Fashion-MNIST's IDX files. Features are kept in FILE.
Prints a JSON line for each epsilon.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from fashion import fashion
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.learn.private_head import fit_private_head, plan_for
from photovision.models.backbones import choose
from photovision.tasks.classify.private import default_delta
from photovision.tasks.classify.private_data import private_split
from photovision.tasks.classify.private_features import open_public


def features_of(dataset: Dataset, size: int, file: Path | None) -> dict[str, np.ndarray]:
    """Features float32 (N, D), labels, and the public radius; from the file where it is there."""
    if file is not None and file.is_file():
        return dict(np.load(file))
    with tempfile.TemporaryDirectory() as folder:
        public = open_public(choose(None, "auto", size), len(dataset.classes), Path(folder))
        features, _ = public.of(dataset, lambda done, total: None)
    labels, radius = np.asarray(dataset.labels), np.array(public.radius)
    if file is not None:
        np.savez(file, features=features, labels=labels, radius=radius)
    return {"features": features, "labels": labels, "radius": radius}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    idx = (asked.data / "train-images-idx3-ubyte.gz").is_file()
    dataset = fashion(asked.data) if idx else read_dataset(asked.data)
    found = features_of(dataset, asked.size, asked.features)
    split = private_split(dataset, None, 0)
    features, labels, radius = found["features"], found["labels"], float(found["radius"])
    train, test, classes = split.train, split.test, len(dataset.classes)
    delta = default_delta(len(train))
    scaler = StandardScaler().fit(features[train])
    shown = scaler.transform(features)
    some = train[:: max(1, len(train) // 10_000)]
    plain = LogisticRegression(C=0.001, max_iter=300).fit(shown[some], labels[some])
    right = float((plain.predict(shown[test]) == labels[test]).mean())
    print(json.dumps({"head": "plain, L2", "n": len(some), "test": len(test), "accuracy": right}), flush=True)
    for epsilon in (100.0, 8.0, 3.0, 1.0):
        plan = plan_for(epsilon, delta, split.count)
        accuracies = []
        for _ in range(asked.seeds):
            head = fit_private_head(features[train], labels[train], split.units, classes, plan, radius=radius)
            accuracies.append(float((head(features[test]).argmax(1) == labels[test]).mean()))
        spread = float(np.std(accuracies))
        row = {"epsilon": epsilon, "delta": delta, "n": split.count, "steps": plan.steps, "radius": round(radius, 2)}
        print(json.dumps({**row, "accuracy": float(np.mean(accuracies)), "sd": spread}), flush=True)


if __name__ == "__main__":
    main()
