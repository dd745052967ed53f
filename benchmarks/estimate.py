"""Estimates without labels against the truth on shifts, for models of every task that can estimate.

    python benchmarks/estimate.py MODEL DATA [--split test] [--corrupt fog:3,noise:2] [--mix 3] [--by COLUMN]

MODEL is a model and DATA labelled images that it did not learn from. Measured are the images as they are, under each
corruption and severity, with other mixes of classes (drawn with weights that differ up to twenty times), and each value
of a column. Among the corruptions are also "magnify:1" to "magnify:5" (images made 0.5 to 2 times as large, for models
that see them in tiles) and "stain:1" to "stain:5" (hues turned by 20 degrees each). Prints one JSON line a shift;
--store FILE adds the arrays behind it (confidence, similarity, score). `--summary FILE` reads such lines of all models
and prints the mean absolute error, and how many intervals hold truths; shifts that the report itself calls unreliable
are counted apart.
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
from PIL import Image as Pillow

from photovision.core.image import open_sample, to_array
from photovision.core.regions import Detections
from photovision.core.shapes import Rle
from photovision.core.types import Image, Sample
from photovision.data.corruptions import corrupt
from photovision.data.corruptions.transform_targets import MOVING, moved_boxes
from photovision.data.dataset import Dataset
from photovision.data.read_options import ReadOptions
from photovision.engine.estimate import estimator_of
from photovision.engine.expectation import Expectation, expectation
from photovision.engine.load import load
from photovision.engine.read import read_for
from photovision.runtime.held_out import HeldOut
from photovision.trust.metrics.statistics import wilson

LEAST = 30
SIZES = {1: 0.5, 2: 0.7, 3: 1.2, 4: 1.5, 5: 2.0}
DEGREES = 20


class Answered(NamedTuple):
    """What was predicted for N images, and the score of each, float64 (N,)."""

    answers: HeldOut
    score: np.ndarray

    def at(self, rows: np.ndarray) -> Answered:
        """The same for some of the images."""
        return Answered(self.answers.take(rows), self.score[rows])


def answered(model: Any, dataset: Dataset) -> Answered:
    """What is estimated from, beside the truth."""
    evaluation = model.bundle.row.part("evaluate")(model, dataset, embeddings=True)
    return Answered(evaluation.answers, evaluation.score())


def corrupted(model: Any, dataset: Dataset, name: str, severity: int) -> Dataset:
    """The images after a corruption, and their boxes: labelled ones at the size that the network sees."""
    changed = []
    for number, sample in enumerate(dataset.samples):
        seed, regions = (number, severity), sample.annotations
        image = model.preprocess.load(sample.image) if regions is None else to_array(open_sample(sample))
        if name == "magnify":
            changed.append(magnified(sample, image, SIZES[severity]))
            continue
        if name in MOVING and isinstance(regions, Detections):
            if regions.masks is not None:
                raise SystemExit(f"masks do not follow '{name}': take magnify")
            regions = moved_boxes(regions, (image.shape[0], image.shape[1]), name, severity, seed)
        other = stained(image, severity) if name == "stain" else corrupt(image, name, severity, seed)
        changed.append(replace(sample, image=other, annotations=regions))
    return replace(dataset, samples=tuple(changed))


def stained(image: Image, severity: int) -> Image:
    """With all hues turned, as another dye or another white balance does."""
    hue, saturation, value = Pillow.fromarray(image).convert("HSV").split()
    turned = hue.point(lambda one: (one + severity * DEGREES * 256 // 360) % 256)
    return np.asarray(Pillow.merge("HSV", (turned, saturation, value)).convert("RGB"))


def magnified(sample: Sample, image: Image, factor: float) -> Sample:
    """An image that is larger or smaller, with the masks of its objects."""
    regions = sample.annotations
    if not isinstance(regions, Detections) or regions.masks is None:
        raise SystemExit("'magnify' needs objects with masks")
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    kept, masks = [], []
    for row, shape in enumerate(regions.masks):
        assert shape is not None
        drawn = Pillow.fromarray(shape.bitmap((image.shape[0], image.shape[1])).astype(np.uint8))
        mask = Rle.of(np.asarray(drawn.resize(size, Pillow.Resampling.NEAREST)) > 0)
        if mask.area:
            kept.append(row)
            masks.append(mask)
    boxes = np.array([mask.box for mask in masks], np.float32).reshape(-1, 4)
    other = Detections(boxes, regions.labels[kept], regions.classes, masks=tuple(masks))
    larger = np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.BICUBIC))
    return replace(sample, image=larger, annotations=other)


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
        yield f"other mix {seed}", plain.at(rows)
    if asked.by:
        values = np.array([sample.groups.get(asked.by, "") for sample in dataset.samples])
        for value in np.unique(values[values != ""]).tolist():
            if (values == value).sum() >= LEAST:
                yield f"{asked.by} {value}", plain.at(np.flatnonzero(values == value))
    yield from under_corruptions(model, dataset, asked.corrupt)


def under_corruptions(model: Any, dataset: Dataset, asked: str) -> Iterator[tuple[str, Answered]]:
    """Such as "fog:3,noise:2", names with their severities."""
    for one in filter(None, asked.split(",")):
        name, _, severity = one.partition(":")
        yield one, answered(model, corrupted(model, dataset, name, int(severity)))


def line(name: str, found: Answered, expected: Expectation) -> dict[str, Any]:
    """One shift, JSON-ready."""
    metric, unknown = expected.metric, expected.unknown_share
    figures = {"truth": found.score.mean(), "estimate": metric.value, "low": metric.low, "high": metric.high}
    more = {"similarity": np.median(expected.similarity), "unknown": unknown, "reliable": expected.reliable}
    return {"shift": name, "n": metric.n} | figures | more


def summary(lines: list[dict[str, Any]]) -> str:
    """The figures over all shifts, and over those that a report calls reliable."""
    relied = [one for one in lines if one.get("reliable", True)]
    parts = {"all": lines, "called reliable": relied} if len(relied) < len(lines) else {"all": lines}
    return "\n".join(f"{name}: {_summary(part)}" for name, part in parts.items() if part)


def _summary(lines: list[dict[str, Any]]) -> str:
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
    known, compared = estimator_of(model), model.bundle.row.part("drift")(model)
    stored: dict[str, np.ndarray] = {}
    for name, found in shifts(model, dataset.subset(rows), asked):
        expected = expectation(known, compared, found.answers)
        facts = {"model": asked.model.name, "data": asked.data.name}
        sys.stdout.write(json.dumps(facts | line(name, found, expected), default=float) + "\n")
        sys.stdout.flush()
        arrays = {"confidence": found.answers.prob, "similarity": expected.similarity, "score": found.score}
        stored |= {f"{name}|{key}": value for key, value in arrays.items()}
    if asked.store is not None:
        np.savez_compressed(asked.store, **stored)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
