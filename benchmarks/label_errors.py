"""Wrong labels planted on purpose: are they found, and is nothing found where none was planted?

    python benchmarks/label_errors.py DATA --label-column coarse_label
    python benchmarks/label_errors.py digits

DATA is a folder or table with labels that are trusted; "digits" are scikit-learn's. Each of 20 seeds gives 5% of the
pictures another class, drawn evenly, and all pictures are ranked by suspicion. Precision at recall 0.8 is the share of
planted labels among the pictures from the top of the ranking down to where 80% of them are found; wrong labels that
the data had before count against it. Features are computed once. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits
from photovision.tasks.classify.label_errors import LabelledFeatures, chosen, enough, gathered
from photovision.tasks.classify.unsupervised_features import Blind, describe
from photovision.trust.labels.label_errors import label_errors
from photovision.trust.metrics.statistics import average_precision

RECALL = 0.8


def digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return dataset_from_arrays((found.images * 15).astype(np.uint8), found.target.tolist(), [str(i) for i in range(10)])


def planted(codes: np.ndarray, classes: int, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share was changed to another class, and which ones, bool (N,)."""
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(codes), bool)
    wrong[rng.permutation(len(codes))[: round(rate * len(codes))]] = True
    return np.where(wrong, (codes + rng.integers(1, classes, len(codes))) % classes, codes), wrong


def precision_at(suspicion: np.ndarray, wrong: np.ndarray, recall: float) -> float:
    """Share of wrong labels from the top of the ranking down to where this share of them is found."""
    hits = np.cumsum(wrong[np.argsort(-suspicion, kind="stable")])
    needed = int(np.ceil(recall * wrong.sum()))
    return needed / (int(np.searchsorted(hits, needed)) + 1)


def attempt(examined: LabelledFeatures, blind: Blind, rate: float, seed: int) -> dict[str, float]:
    """One seed: plant, judge out of sample, rank."""
    labels, wrong = planted(examined.codes, len(examined.names), rate, seed)
    noisy = replace(examined, codes=labels.astype(np.int64)).at(np.arange(len(labels)))
    choice = chosen(blind, noisy, float("inf"))
    found = label_errors(choice.probs, noisy.codes)
    named = wrong[found.suspects]
    figures = {
        "share": found.share.value,
        "covered": float(found.share.low <= wrong.mean() <= found.share.high),
        "named": float(len(named)),
        "power": found.power,
    }
    if wrong.any():
        figures |= {
            "precision_at_recall": precision_at(found.suspicion, wrong, RECALL),
            "average_precision": average_precision(found.suspicion, wrong)[0],
            "recall_of_named": float(named.sum() / wrong.sum()),
        }
        if len(named):
            figures |= {
                "precision_of_named": float(named.mean()),
                "stated_precision": float(found.chance[found.suspects].mean()),
                "suggestion_right": float((found.suggested == examined.codes)[found.suspects][named].mean()),
            }
    return figures


def summarised(attempts: list[dict[str, float]]) -> dict[str, Any]:
    """Mean, least and the middle 95% of every figure over the seeds."""
    names = dict.fromkeys(name for one in attempts for name in one)
    columns = {name: np.array([one[name] for one in attempts if name in one]) for name in names}
    return {
        name: {
            "mean": round(float(values.mean()), 4),
            "min": round(float(values.min()), 4),
            "low": round(float(np.quantile(values, 0.025)), 4),
            "high": round(float(np.quantile(values, 0.975)), 4),
        }
        for name, values in columns.items()
    }


def main() -> None:
    """Plant, look, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--label-column")
    parser.add_argument("--most", type=int, default=4000, help="pictures, drawn at random")
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    dataset = digits() if asked.data == "digits" else read_dataset(Path(asked.data), label_column=asked.label_column)
    if len(dataset) > asked.most:
        dataset = dataset.subset(np.sort(np.random.default_rng(0).permutation(len(dataset))[: asked.most]))
    began = time.perf_counter()
    found = scan(dataset)
    whole = gathered(dataset, found, make_splits(dataset, found), 0)
    side = int(np.median(np.minimum(found.height, found.width)))
    blind = describe(dataset, whole.positions, side, float("inf"))
    described = time.perf_counter() - began
    examined = whole.at(enough(whole))
    runs: dict[str, list[dict[str, float]]] = {"planted": [], "clean": [attempt(examined, blind, 0.0, 0)]}
    for seed in range(asked.seeds):
        runs["planted"].append(attempt(examined, blind, asked.rate, seed))
        sys.stderr.write(f"seed {seed}: {runs['planted'][-1]}\n")
    line = {
        "data": asked.data,
        "pictures": len(examined.codes),
        "classes": len(examined.names),
        "rate": asked.rate,
        "seeds": asked.seeds,
        "seconds_features": round(described, 1),
        "seconds_a_seed": round((time.perf_counter() - began - described) / (asked.seeds + 1), 2),
        "planted": summarised(runs["planted"]),
        "clean": runs["clean"][0],
    }
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
