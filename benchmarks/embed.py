"""Metric learning: what an embedding model finds, beside the pretrained features as they are.

    python benchmarks/embed.py MODEL GALLERY QUERIES [--root FOLDER]

Both are labelled pictures, as `photovision train` reads them. Every picture of QUERIES is searched for among all of
GALLERY: a JSON line for the raw features (cosine, neither centred nor whitened), for the centred ones and for the
model, with intervals over queries, and the paired gain of the model over the raw features.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import photovision as pv
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.retrieval.features import FeatureModel, feature_model
from photovision.tasks.embed.retrieval import KEPT, Ranking, rank
from photovision.trust.metrics.statistics import bootstrap, paired_proportions, proportion


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--root", type=Path)
    asked = parser.parse_args()
    gallery, queries = (pv.read_dataset(path, root=asked.root) for path in (asked.gallery, asked.queries))
    raw = [embedded(feature_model(None), part) for part in (queries, gallery)]
    learned = [embedded(feature_model(asked.model), part) for part in (queries, gallery)]
    # A gallery and its mirror image have no mean, so that the cosines are those of vectors as they are.
    both = np.concatenate([raw[1], -raw[1]])
    labels = [[sample.label for sample in part.samples] for part in (queries, gallery)]
    found = {
        "raw": rank(raw[0], labels[0], both, [*labels[1], *[""] * len(labels[1])]),
        "centred": rank(raw[0], labels[0], raw[1], labels[1]),
        "learned": rank(learned[0], labels[0], learned[1], labels[1]),
    }
    for name, ranking in found.items():
        show(name, ranking)
    first = [ranking.first == 0 for ranking in (found["raw"], found["learned"])]
    print(json.dumps({"gain_in_recall_at_1": list(paired_proportions(*first))}))


def embedded(model: FeatureModel, dataset: Dataset) -> Floats:
    """float32 (N, D): what a model makes of the pictures of a data set."""
    files = (Path(str(sample.image)) for sample in dataset.samples)
    return np.stack([embedding for _, _, embedding in model.stream(files)])


def show(name: str, ranking: Ranking) -> None:
    """One JSON line."""
    n = len(ranking.first)
    shares = {f"recall_at_{k}": list(proportion(int((ranking.first < k).sum()), n)) for k in (1, KEPT)}
    print(json.dumps({"features": name, "n": n, **shares, "map_at_r": list(bootstrap(np.mean, [ranking.precision]))}))


if __name__ == "__main__":
    main()
