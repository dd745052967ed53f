"""What `adapt` gains, and never loses, on 200 images without labels of places of several kinds.

    python benchmarks/adapt.py MODEL DATA [--split test] [--labelled TRAINING] [--corrupt night:3,noise:2] [--mix 2]
        [--pictures 200]

DATA are labelled images that the model did not learn from. Of each place `--pictures` images are adapted to, without
their labels, and the mean score (accuracy; F1 of boxes or objects) before and after is measured on up to 800 others of
the same place: the images as they are, under each corruption, in other mixes of classes (drawn with weights that differ
up to twenty times), and where a quarter of the classes is forty times as common as the others, alone and with the first
corruption. Prints one JSON line a place.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from estimate import corrupted, mixed

from photovision.core.errors import ExportError
from photovision.data.dataset import Dataset
from photovision.engine.adapt import AdaptRequest, adapt_on, held_out_of
from photovision.engine.load import load
from photovision.engine.read import read_for

MOST, LEAST = 800, 30


def places(model: Any, dataset: Dataset, asked: argparse.Namespace) -> Iterator[tuple[str, Dataset]]:
    """Name and images of every place that was asked for."""
    most = asked.pictures + MOST
    rng = np.random.default_rng(0)
    plain = dataset.subset(np.sort(rng.permutation(len(dataset))[:most]))
    yield "as they are", plain
    looks = [one.partition(":") for one in filter(None, asked.corrupt.split(","))]
    for name, _, severity in looks:
        yield f"{name} {severity}", corrupted(model, plain, name, int(severity))
    for seed in range(asked.mix):
        yield f"other mix {seed}", dataset.subset(rng.permutation(mixed(dataset, seed))[:most])
        other = dataset.subset(rng.permutation(few_classes(dataset, seed))[:most])
        yield f"few classes {seed}", other
        if looks and not seed:
            name, _, severity = looks[0]
            yield f"few classes {seed}, {name} {severity}", corrupted(model, other, name, int(severity))


def few_classes(dataset: Dataset, seed: int) -> np.ndarray:
    """Positions of images, a quarter of the classes forty times as often as the others, none twice."""
    rng = np.random.default_rng((seed, 12))
    common = rng.permutation(len(dataset.classes)) < max(1, len(dataset.classes) // 4)
    places = np.array([dataset.classes.index(sample.label) for sample in dataset.samples])
    return np.flatnonzero(common[places] | (rng.random(len(dataset)) < 1 / 40))


def mean_score(model: Any, dataset: Dataset) -> float:
    """Mean score of the images: for a classifier the share whose label is right."""
    return float(model.bundle.row.part("evaluate")(model, dataset).score().mean())


def measured(model: Any, place: Dataset, held_out: Dataset | None, asked: argparse.Namespace) -> dict[str, Any]:
    """Accuracy before and after, and the steps that were taken."""
    rows = np.random.default_rng(1).permutation(len(place))
    given, rest = place.subset(rows[: asked.pictures]), place.subset(rows[asked.pictures :])
    unlabelled = replace(
        given, samples=tuple(replace(sample, target=None, annotations=None) for sample in given.samples)
    )
    before, began, steps, after = mean_score(model, rest), time.perf_counter(), list[str](), None
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = adapt_on(AdaptRequest(model, unlabelled, held_out), Path(folder) / "adapted")
            steps = [step["name"] for step in report.data["steps"] if step["taken"]]
            after, why = mean_score(load(Path(folder) / "adapted"), rest), ""
        except ExportError as error:
            why = str(error)
    seconds = round(time.perf_counter() - began, 1)
    figures = {"before": before, "after": before if after is None else after, "n": len(rest)}
    return {"adapted_to": len(given), **figures, "steps": steps, "seconds": seconds, "why": why}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", help="a published split; default: all images")
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("--corrupt", default="")
    parser.add_argument("--mix", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=200)
    asked = parser.parse_args()
    model = load(asked.model)
    dataset = read_for(asked.data, model.bundle.task)
    dataset = dataset.split(asked.split) if asked.split else dataset
    tried = None if asked.labelled is None else held_out_of(read_for(asked.labelled, model.bundle.task), model)
    for name, place in places(model, dataset, asked):
        if len(place) < asked.pictures + LEAST:
            sys.stderr.write(f"{name}: only {len(place)} images, left out\n")
            continue
        line = {"model": asked.model.name, "data": asked.data.name, "place": name}
        sys.stdout.write(json.dumps(line | measured(model, place, tried, asked)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
