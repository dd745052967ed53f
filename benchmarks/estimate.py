"""Estimates without labels against the truth on shifts: corruptions, other mixes of classes, other shops, another hand.

    python benchmarks/estimate.py MODEL DATA [--split test] [--corrupt fog:3,noise:2] [--mix 3] [--by COLUMN]

MODEL is a model and DATA labelled images that it did not learn from. Measured are the images as they are, under each
corruption and severity, with other mixes of classes (drawn with weights that differ up to twenty times), and each value
of a column. Prints one JSON line a shift; --store FILE adds the arrays behind it (confidence, similarity, score).
`--summary FILE` reads such lines of all models and prints the mean absolute error, and how many intervals hold truths.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from photovision.core.types import Floats
from photovision.data.corruptions import corrupt
from photovision.data.dataset import Dataset
from photovision.data.read_options import ReadOptions
from photovision.engine.estimate import allowing, estimator_of, expectation
from photovision.engine.load import load
from photovision.engine.read import read_for
from photovision.trust.metrics.statistics import wilson
from photovision.trust.similarity import estimate

LEAST = 30


class Answered(NamedTuple):
    """N images: float (N,) each; `unknown` is 1 where the model calls an image unknown."""

    confidence: Floats
    similarity: Floats
    unknown: np.ndarray
    score: np.ndarray


def answered(model: Any, dataset: Dataset) -> Answered:
    """What is estimated from, beside the truth."""
    row = model.bundle.row
    compared = row.part("drift")(model)
    found = expectation(estimator_of(model), compared, compared.predict(dataset), dataset)
    evaluation = row.part("evaluate")(model, dataset)
    positions = np.arange(len(dataset)) if found.answers.positions is None else found.answers.positions
    _, mine, theirs = np.intersect1d(positions, evaluation.positions, return_indices=True)
    unknown = np.zeros(len(found.samples)) if found.unknown is None else found.unknown.astype(float)
    return Answered(found.answers.prob[mine], found.similarity[mine], unknown[mine], evaluation.score()[theirs])


def corrupted(model: Any, dataset: Dataset, name: str, severity: int) -> Dataset:
    """The images at the size that the network sees, after a corruption; annotations would move, labels do not."""
    load_image = model.preprocess.load
    samples = tuple(
        replace(sample, image=corrupt(load_image(sample.image), name, severity, (seed, severity)))
        for seed, sample in enumerate(dataset.samples)
    )
    return replace(dataset, samples=samples)


def mixed(dataset: Dataset, seed: int) -> np.ndarray:
    """Positions of images, some classes up to twenty times as often as others, none twice."""
    rng = np.random.default_rng((seed, 11))
    weights = 20 ** rng.uniform(-1, 0, len(dataset.classes))
    places = np.array([dataset.classes.index(sample.label) for sample in dataset.samples])
    return np.flatnonzero(rng.random(len(dataset)) < weights[places])


def shifts(model: Any, dataset: Dataset, asked: argparse.Namespace) -> Iterator[tuple[str, Answered]]:
    """Name and answers of every shift that was asked for."""
    if asked.skip_plain:
        yield from under_corruptions(model, dataset, asked.corrupt)
        return
    plain = answered(model, dataset)
    yield "as they are", plain
    for seed in range(asked.mix):
        rows = mixed(dataset, seed)
        yield f"other mix {seed}", Answered(*(part[rows] for part in plain))
    if asked.by:
        values = np.array([sample.groups.get(asked.by, "") for sample in dataset.samples])
        for value in np.unique(values[values != ""]).tolist():
            if (values == value).sum() >= LEAST:
                yield f"{asked.by} {value}", Answered(*(part[values == value] for part in plain))
    yield from under_corruptions(model, dataset, asked.corrupt)


def under_corruptions(model: Any, dataset: Dataset, asked: str) -> Iterator[tuple[str, Answered]]:
    """Such as "fog:3,noise:2", names with their severities."""
    for one in filter(None, asked.split(",")):
        name, _, severity = one.partition(":")
        yield one, answered(model, corrupted(model, dataset, name, int(severity)))


def summary(lines: list[dict[str, Any]]) -> str:
    """The figures over all shifts."""
    errors = np.array([one["estimate"] - one["truth"] for one in lines])
    held = sum(one["low"] <= one["truth"] <= one["high"] for one in lines)
    low, high = wilson(held, len(lines))
    return (
        f"{len(lines)} shifts: mean absolute error {np.abs(errors).mean() * 100:.1f} points, bias"
        f" {errors.mean() * 100:+.1f}; {held} of {len(lines)} intervals hold the truth ({low:.0%} to {high:.0%}), mean"
        f" width {np.mean([one['high'] - one['low'] for one in lines]) * 100:.1f} points"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--corrupt", default="")
    parser.add_argument("--skip-plain", action="store_true")
    parser.add_argument("--split", help="a published split; default: all images")
    parser.add_argument("--root", type=Path, help="folder of the images of a table")
    parser.add_argument("--mix", type=int, default=0)
    parser.add_argument("--by", default="")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--summary", type=Path)
    asked = parser.parse_args()
    if asked.summary is not None:
        sys.stdout.write(summary([json.loads(line) for line in asked.summary.read_text().splitlines()]) + "\n")
        return
    model = load(asked.model)
    dataset = read_for(asked.data, model.bundle.task, ReadOptions(root=asked.root))
    dataset = dataset.split(asked.split) if asked.split else dataset
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[: asked.pictures])
    expected, compared = estimator_of(model).expected, model.bundle.row.part("drift")(model)
    stored: dict[str, np.ndarray] = {}
    for name, found in shifts(model, dataset.subset(rows), asked):
        metric = allowing(estimate(expected, found.confidence, found.similarity), compared, found.unknown)
        facts = {"model": asked.model.name, "data": asked.data.name, "shift": name, "n": metric.n}
        figures = {"truth": found.score.mean(), "estimate": metric.value, "low": metric.low, "high": metric.high}
        line = facts | figures | {"similarity": np.median(found.similarity), "unknown": found.unknown.mean()}
        sys.stdout.write(json.dumps(line, default=float) + "\n")
        sys.stdout.flush()
        stored |= {f"{name}|{key}": value for key, value in found._asdict().items()}
    if asked.store is not None:
        np.savez_compressed(asked.store, **stored)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
